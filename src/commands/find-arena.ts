import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { foldArena, type FoldedArena } from '../market/arena/fold.js';
import type { ArenaState } from '../market/arena/state.js';
import { parseJobEvent } from '../protocol/events.js';
import { tagValue } from '../protocol/envelope.js';
import { createBell } from '../roles/bell.js';
import { openBookOf, type JobBook } from '../roles/job-book.js';
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
 * @param dump  a file to read instead of the relays
 * @throws NmktError `relay-unreachable` when no relay answered, `job-unknown` when none that did has it, `wrong-mode` for a federated job,
 *   `bad-event` when the job event is no valid one, and what opening a dump throws
 */
export async function readArena(context: Context, jobId: EventId, dump?: string): Promise<FoundArena> {
  const { deps } = context;
  const relays = dump === undefined ? await deps.relays() : await deps.openDump(dump);
  const book = await readArenaBook(context, jobId, relays);
  book.close();
  const folded = book.state();
  const { state } = folded;
  if (state !== null) return { ...folded, state, events: book.all().length };
  const name = `job ${jobId.slice(0, 12)}…`;
  const job = book.raw(jobId);
  if (job !== undefined && tagValue(job, 'phase') !== 'arena')
    throw new NmktError('wrong-mode', `${name} is no arena`, {
      expected: 'an arena',
      got: 'a job of another mode: it pays by round, not by rank',
      remedy: `nmkt status ${jobId}`,
    });
  const reason = book.unreadable().find(({ id }) => id === jobId)?.reason;
  if (reason !== undefined)
    throw new NmktError('bad-event', `${name} is no valid job`, { got: reason, remedy: 'ask its customer' });
  const who = dump === undefined ? 'no relay that answered has' : 'the dump does not hold';
  throw new NmktError('job-unknown', `${who} ${name}`, {
    expected: 'a job event',
    got: `nothing from ${relays.urls.join(', ')}`,
    remedy:
      dump === undefined
        ? 'check the id, or name the relay of the job with --relay URL'
        : 'check the id: the dump is of another job',
  });
}
