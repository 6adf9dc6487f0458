import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { foldArena, type FoldedArena } from '../market/arena/fold.js';
import type { ArenaState } from '../market/arena/state.js';
import { parseJobEvent, parseJobEvents } from '../protocol/events.js';
import { tagValue } from '../protocol/envelope.js';
import { createBell } from '../roles/bell.js';
import { jobFilters, openBookOf, type JobBook } from '../roles/job-book.js';
import type { Relays } from '../ports.js';
import type { Context } from './command.js';

export type ArenaBook = JobBook<FoldedArena>;

/** The events of an arena, to be read again where some are missing. The job event has to be at hand. */
export async function readArenaBook({ deps }: Context, jobId: EventId, relays: Relays): Promise<ArenaBook> {
  const reading = { parse: parseJobEvent, fold: foldArena };
  const book = await openBookOf<FoldedArena>(jobId, {
    ...{ relays, clock: deps.clock, bell: createBell(deps.clock), reading },
  });
  if (book.state().missing.length > 0) await book.refresh();
  return book;
}

/** An arena as relays have it. */
export interface FoundArena extends FoldedArena {
  readonly state: ArenaState;
  /** How many events were read. */
  readonly events: number;
}

/**
 * Reads an arena without a home.
 *
 * @throws NmktError `relay-unreachable` when no relay answered, `job-unknown` when none that did has it, `wrong-mode` for a federated job,
 *   `bad-event` when the job event is no valid one
 */
export async function readArena({ deps }: Context, jobId: EventId): Promise<FoundArena> {
  const relays = await deps.relays();
  const { events, answered } = await relays.fetch(jobFilters(jobId));
  const name = `job ${jobId.slice(0, 12)}…`;
  if (answered.length === 0)
    throw new NmktError('relay-unreachable', `no relay answered for ${name}`, {
      expected: `an answer from one of ${relays.urls.join(', ')}`,
      got: 'silence',
      remedy: 'check the network, or name another relay with --relay URL',
    });
  const job = events.find(({ id }) => id === jobId);
  if (job !== undefined && tagValue(job, 'phase') !== 'arena')
    throw new NmktError('wrong-mode', `${name} is no arena`, {
      expected: 'an arena',
      got: 'a job of another mode: it pays by round, not by rank',
      remedy: `nmkt status ${jobId}`,
    });
  const parsed = parseJobEvents(events, (event, error) => {
    if (event.id === jobId) throw error;
  });
  const folded = foldArena(jobId, parsed);
  const { state } = folded;
  if (state !== null) return { ...folded, state, events: parsed.length };
  throw new NmktError('job-unknown', `no relay that answered has ${name}`, {
    expected: 'a job event',
    got: `nothing from ${relays.urls.join(', ')}`,
    remedy: 'check the id, or name the relay of the job with --relay URL',
  });
}
