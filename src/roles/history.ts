import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { foldJob } from '../market/fold.js';
import type { JobState } from '../market/state.js';
import { parseJobEvents, type JobEvent } from '../protocol/events.js';
import { JOB_KINDS, KINDS, PROTOCOL_TAG } from '../protocol/kinds.js';
import type { Filter, Relays } from '../ports.js';
import { jobFilters } from './job-book.js';

/** Jobs that relays hold, folded: of one key, or all. */
export interface History {
  readonly jobs: readonly JobState[];
  /** Whatever came of those jobs. */
  readonly events: ReadonlyMap<EventId, JobEvent>;
  /** Jobs beyond the limit, not read. */
  readonly left: number;
  readonly silent: readonly string[];
}

/** Of some keys; those with the lowest ids are read, so that everybody reads the same ones. */
export const MAX_JOBS = 500;
/** Asked for at a time. */
const AT_ONCE = 8;

/**
 * The jobs in which one of the keys signed anything; without keys those that anybody posted.
 *
 * @throws NmktError `relay-unreachable` when no relay answered
 */
export async function readHistory(relays: Relays, ...keys: readonly Pubkey[]): Promise<History> {
  const topic = { '#t': [PROTOCOL_TAG] };
  const asked: Filter =
    keys.length === 0
      ? { kinds: [KINDS.job], ...topic }
      : { kinds: [...JOB_KINDS, KINDS.part], authors: [...keys], ...topic };
  const found = await relays.fetch([asked]);
  if (found.answered.length === 0)
    throw new NmktError('relay-unreachable', 'no relay answered', {
      expected: `an answer from one of ${relays.urls.join(', ')}`,
      got: 'silence',
      remedy: 'check the network, or name another relay with --relay URL',
    });
  const ids = [...new Set(parseJobEvents(found.events).map(({ job }) => job))].sort();
  return { ...(await readJobs(relays, ids.slice(0, MAX_JOBS))), left: Math.max(0, ids.length - MAX_JOBS) };
}

/** @param ids  jobs that no relay has are left out */
export async function readJobs(relays: Relays, ids: readonly EventId[]): Promise<History> {
  const jobs: JobState[] = [];
  const events = new Map<EventId, JobEvent>();
  const silent = new Set<string>();
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const some = ids.slice(at, at + AT_ONCE);
    const answers = await Promise.all(some.map((id) => relays.fetch(jobFilters(id))));
    for (const [i, answer] of answers.entries()) {
      for (const url of answer.silent) silent.add(url);
      const parsed = parseJobEvents(answer.events);
      const state = foldJob(some[i]!, parsed);
      if (state.job === null) continue;
      jobs.push(state);
      for (const event of parsed) events.set(event.id, event);
    }
  }
  return { jobs, events, left: 0, silent: [...silent] };
}
