import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { foldAlliance, type FoldedAlliance } from '../market/alliance/fold.js';
import type { AllianceState } from '../market/alliance/state.js';
import { parseJobEvent } from '../protocol/events.js';
import type { Relays } from '../ports.js';
import { createBell } from '../roles/bell.js';
import { openBookOf, type JobBook } from '../roles/job-book.js';
import type { Context } from './command.js';

/** How the events of an alliance are read, by whoever reads them. */
export const ALLIANCE_READING = { parse: parseJobEvent, fold: foldAlliance } as const;

export interface FoundAlliance {
  readonly folded: FoldedAlliance;
  readonly state: AllianceState;
  readonly book: JobBook<FoldedAlliance>;
  readonly relays: Relays;
}

/** Reads an alliance without a home. @throws NmktError `job-unknown` when no relay that answered has it as one */
export async function readAlliance({ deps }: Pick<Context, 'deps'>, jobId: EventId): Promise<FoundAlliance> {
  const relays = await deps.relays();
  const { clock } = deps;
  const book = await openBookOf(jobId, { relays, clock, bell: createBell(clock), reading: ALLIANCE_READING });
  if (book.state().missing.length > 0) await book.refresh();
  book.close();
  const folded = book.state();
  if (folded.state !== null) return { folded, state: folded.state, book, relays };
  throw new NmktError('job-unknown', `no relay that answered has an alliance ${jobId.slice(0, 12)}…`, {
    expected: 'the job event of an alliance',
    got: `nothing of the kind from ${relays.urls.join(', ')}`,
    remedy: 'check the id, or name the relay of the job with --relay URL',
  });
}
