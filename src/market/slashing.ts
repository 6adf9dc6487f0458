import type { EventId, Pubkey } from '../hash.js';
import type { JobEvent } from '../protocol/events.js';

/** Whose stake in which job two signed events condemn. */
export interface Guilt {
  readonly job: EventId;
  readonly staker: Pubkey;
}

/**
 * Two different commitments, or two different reveals, of one key for one seat of a round, or a validator's two commitments to its scores: both signatures prove it to anybody. Absence and
 * disagreement cost reward, never stake; nor does any word of the customer's.
 *
 * @param events  parsed, their signatures checked
 * @returns       null: they prove nothing that stake answers for
 */
export function guiltOf(events: readonly JobEvent[]): Guilt | null {
  const [a, b] = events;
  if (events.length !== 2 || a === undefined || b === undefined || a.id === b.id) return null;
  if (a.author !== b.author || a.job !== b.job) return null;
  const place = placeOf(a);
  return place !== null && place === placeOf(b) ? { job: a.job, staker: a.author } : null;
}

/** What may be said once only. */
function placeOf(event: JobEvent): string | null {
  if (event.type === 'commit' || event.type === 'reveal')
    return `${event.type} ${event.content.round} ${event.content.shard}`;
  return event.type === 'score-commit' ? `${event.type} ${event.content.round}` : null;
}

/** The reporter gets 10 %, rounded down, the job's pot the rest: never the customer, nor who signed. */
export function slashShares(amountMsat: bigint): { readonly reporterMsat: bigint; readonly potMsat: bigint } {
  const reporterMsat = amountMsat / 10n;
  return { reporterMsat, potMsat: amountMsat - reporterMsat };
}
