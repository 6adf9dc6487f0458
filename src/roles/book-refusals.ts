import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import type { AnyJobState } from '../market/state.js';
import type { FetchResult, NostrEvent } from '../ports.js';

/** When a book does not sign. */

/** Signing on a chain that forks or has a hole would make, or hide, a second event with the same seq. */
export function requireSoundChain(state: AnyJobState, me: Pubkey): void {
  const chain = state.chains.get(me);
  if (chain === undefined || (chain.fork === null && chain.gapBefore === null && chain.broken === null)) return;
  throw new NmktError('forked', 'this key has events of this job that do not form one chain', {
    expected: 'seq 0, 1, 2 ... each naming the one before',
    got:
      chain.fork !== null
        ? `two events with seq ${chain.fork.seq}`
        : `an event without its predecessor: ${(chain.gapBefore ?? chain.broken)!}`,
    remedy:
      'run with the home that signed them, or with a relay that has them all; never use one key in two homes at once',
  });
}

export function requireAllAnswers(jobId: EventId, { answered, silent }: FetchResult, hasForeign: boolean): void {
  if (silent.length === 0) return;
  throw new NmktError(
    'relay-unreachable',
    hasForeign
      ? 'another home of this key signed events of this job, and a relay that may hold more of them is silent'
      : 'this home was restored from a backup, and a relay that may hold what was signed since is silent',
    {
      expected: `an answer from ${silent.join(', ')}`,
      got: `answers from ${answered.join(', ')} for job ${jobId.slice(0, 12)}…`,
      remedy: 'try again later; a relay that is gone for good has to be left out: name the others with --relay',
    },
  );
}

export function keyInUse(event: NostrEvent, jobId: EventId): NmktError {
  return new NmktError('key-in-use', 'another process signs with this key', {
    expected: 'one process for each key',
    got: `event ${event.id.slice(0, 12)}… of job ${jobId.slice(0, 12)}…, which this home did not sign`,
    remedy: 'stop one of the two, then run the same command again',
  });
}
