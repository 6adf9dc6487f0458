import type { EventId, Pubkey } from '../hash.js';
import type { JobState } from './state.js';

/** Who was ever given the key to which shard: a key once given is known for ever. */

interface Given {
  /** Award or replacement. */
  readonly event: { readonly id: EventId };
  readonly shard: number;
  readonly trainer: Pubkey;
}

/** To trainers, in the order of the customer's events. */
export function* keysGiven({ job, chains }: Pick<JobState, 'job' | 'chains'>): Generator<Given> {
  for (const event of (job === null ? undefined : chains.get(job.author))?.events ?? []) {
    if (event.type === 'award') for (const { shard, trainer } of event.content.winners) yield { event, shard, trainer };
    if (event.type === 'replace' && event.content.in !== null)
      yield { event, shard: event.content.shard, trainer: event.content.in.trainer };
  }
}

/** Trainers by shard; validators, who get the keys to all of them, are named apart. */
export interface KeyHolders {
  readonly shards: readonly { readonly shard: number; readonly trainers: readonly Pubkey[] }[];
  readonly validators: readonly Pubkey[];
}

export function keyHolders(state: Pick<JobState, 'job' | 'chains' | 'award'>): KeyHolders {
  const found = new Map<number, Set<Pubkey>>();
  for (const { shard, trainer } of keysGiven(state))
    found.set(shard, (found.get(shard) ?? new Set<Pubkey>()).add(trainer));
  return {
    shards: [...found]
      .sort(([a], [b]) => a - b)
      .map(([shard, trainers]) => ({ shard, trainers: [...trainers].sort() })),
    validators: (state.award?.content.validators ?? []).map(({ validator }) => validator),
  };
}
