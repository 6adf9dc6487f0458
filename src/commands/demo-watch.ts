import type { EventId } from '../hash.js';
import { outcomeOf, type JobState, type RoundState } from '../market/state.js';
import { createBell } from '../roles/bell.js';
import { openBook } from '../roles/job-book.js';
import type { Relays } from '../ports.js';
import type { RoundRow } from '../demo/board.js';
import type { Context } from './command.js';

export interface Watch {
  /** Asks the relays once more. */
  latest(): Promise<JobState>;
  close(): void;
}

/** Longest time between two looks when nothing happens. */
const LOOK_MS = 60_000;

/** Folds a job like any bystander, from its public events; `show` gets every new state. */
export async function watchJob(
  { deps, signal }: Context,
  jobId: EventId,
  relays: Relays,
  show: (state: JobState) => void,
): Promise<Watch> {
  const bell = createBell(deps.clock);
  const book = await openBook(jobId, { relays, clock: deps.clock, bell });
  const over = new AbortController();
  const until = AbortSignal.any([over.signal, signal]);
  const look = async (): Promise<void> => {
    while (!until.aborted) {
      show(book.state());
      await bell.wait(LOOK_MS, until);
    }
  };
  void look();
  return {
    async latest() {
      await book.refresh();
      return book.state();
    },
    close() {
      over.abort();
      book.close();
    },
  };
}

export function roundRows(state: JobState): RoundRow[] {
  return state.rounds.map((one) => {
    const { round, close, voided } = one;
    const ppm = outcomeOf(one)?.accuracyPpm ?? null;
    return {
      round,
      isVoid: voided !== null,
      accuracy: ppm === null ? null : ppm / 1_000_000,
      accepted: close?.content.accepted.length ?? 0,
      rejected: close?.content.rejected.length ?? 0,
    };
  });
}

/** What the customer does in this state, in a few words. */
export function customerText(state: JobState): string {
  const terms = state.job?.content;
  const round = state.rounds.at(-1);
  if (terms === undefined) return 'posting the job';
  const name = round === undefined ? '' : `round ${round.round + 1} of ${terms.rounds}: `;
  switch (state.phase) {
    case 'awarding':
      return `waiting for bids: ${state.bids.length} of ${terms.trainers}`;
    case 'awarded':
      return `awarded ${state.assignments.size} shards, opens round 1`;
    case 'committing':
      return `${name}${round!.commits.size} of ${round!.assigned.length} trainers committed`;
    case 'revealing':
      return `${name}${round!.reveals.size} of ${round!.assigned.length} updates revealed`;
    case 'scoring':
      return `${name}scoring ${round!.listedReveals.size} updates`;
    case 'closed':
    case 'between':
      return `${name}${paymentText(round)}`;
    case 'trained':
      return `${paymentText(round)}, measures the model`;
    case 'finished':
      return 'writes the model and checks every step';
    default:
      return state.phase;
  }
}

function paymentText(round: RoundState | undefined): string {
  const payouts = round?.payouts ?? [];
  return `paid ${payouts.filter(({ receipt }) => receipt !== null).length} of ${payouts.length} trainers`;
}
