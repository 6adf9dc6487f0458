import type { EventId, Pubkey } from '../hash.js';
import { appealable, isAsked, mayChangeUntil, silentIn, type DisputeState } from '../market/dispute-state.js';
import type { JobState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import { PATIENCE_SEC } from './patience.js';

/** What a trainer does next that is called a fraud; pure. */

export type DisputeAction =
  /** The segment is repeated here; where it ends as committed, in public. */
  | { readonly do: 'contest'; readonly fraud: EventOf<'fraud'> }
  /** A validator repeated it to another end: the next one is asked. */
  | { readonly do: 'appeal'; readonly dispute: DisputeState; readonly verdict: EventOf<'verdict'> }
  /** Keys and state, to a validator that is asked. */
  | { readonly do: 'pass-on'; readonly dispute: DisputeState; readonly to: Pubkey };

export interface DisputeFacts {
  /** Was the segment of this proof repeated by this process? */
  readonly hasAnswered: (fraud: EventId) => boolean;
  /** Were the keys for this draw sent to that validator, or can they not be? */
  readonly hasPassedOn: (draw: EventId, to: Pubkey) => boolean;
}

/** Null: nothing follows any more but to say what came of it. */
export function decideAccused(
  state: JobState,
  fraud: EventOf<'fraud'>,
  { hasAnswered, hasPassedOn }: DisputeFacts,
  now: number,
): DisputeAction | { readonly do: 'wait'; readonly for: string; readonly until: number } | null {
  const terms = state.job!.content.disputes;
  if (terms === undefined) return null;
  const dispute = state.disputes.find((one) => one.fraud.id === fraud.id);
  const said = state.chains.get(fraud.content.trainer)?.events.find((event) => isAbout(event, fraud));
  if (said === undefined) return hasAnswered(fraud.id) ? null : { do: 'contest', fraud };
  const wait = (what: string, until: number) => (now < until ? ({ do: 'wait', for: what, until } as const) : null);
  if (dispute === undefined)
    return wait('the customer to list the complaint', said.createdAt + terms.withinSec + PATIENCE_SEC);
  if (dispute.draw === null)
    return wait('the draw of who repeats the segment', dispute.opened.createdAt + terms.withinSec + PATIENCE_SEC);
  if (dispute.order === null || dispute.outcome === 'nobody') return null;
  const verdict = appealable(dispute, 'trainer');
  if (verdict !== null) return { do: 'appeal', dispute, verdict };
  const silent = silentIn(dispute, terms.withinSec, now);
  const to = dispute.order.find(
    (validator) => isAsked(dispute, validator, silent) && !hasPassedOn(dispute.draw!.id, validator),
  );
  if (to !== undefined) return { do: 'pass-on', dispute, to };
  const until = mayChangeUntil(dispute, terms.withinSec);
  if (now < until) return wait('a validator to repeat the segment', until);
  if (dispute.owedMsat === 0n || dispute.isSettled) return null;
  const last = Math.max(until, ...dispute.verdicts.map(({ createdAt }) => createdAt));
  return wait('the customer to settle what it owes', last + 2 * terms.withinSec);
}

function isAbout(event: { readonly type: string }, { id }: EventOf<'fraud'>): boolean {
  return event.type === 'complaint' && (event as EventOf<'complaint'>).content.subject === id;
}
