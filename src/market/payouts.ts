import type { Pubkey, Sha256 } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { isCleared, type DisputeState } from './dispute-state.js';
import type { Draft, DraftRound } from './draft.js';
import type { PayoutState, RefusedClaim } from './state.js';

/** What the settlements of a folded job promise; a proven fraud is owed nothing that was not paid before, unless the proof was found false. */
export function payoutsOf(draft: Draft, disputes: readonly DisputeState[]): (round: DraftRound) => PayoutState[] {
  const claims = byPayout(ofType(draft.byId.values(), 'claim'));
  const refusals = byPayout(draft.refusedClaims.values());
  const isFraud = (payee: Pubkey) =>
    (draft.frauds.has(payee) && !isCleared({ disputes }, payee)) || draft.validatorFrauds.has(payee);
  return (round) =>
    [...(round.settlement === null ? [] : [round.settlement]), ...round.corrections]
      .flatMap((settlement) => settlement.content.plan.map((line) => ({ settlement, line })))
      .filter(({ line: { payee, payout, purpose } }) => {
        return purpose === 'correction' || round.receipts.has(payout) || !isFraud(payee);
      })
      .map(({ settlement, line }) => {
        const { payout, payee, purpose, amountMsat } = line;
        const theirs = draft.index.money(payee, payout);
        const voids = [...ofType(theirs, 'claim-void')];
        const voided = new Set(voids.map((event) => event.content.claim));
        const claim = theirs.findLast(
          (event): event is EventOf<'claim'> =>
            event.type === 'claim' &&
            event.content.settlement === settlement.id &&
            event.content.amountMsat === amountMsat &&
            !voided.has(event.id) &&
            !draft.refusedClaims.has(event.id),
        );
        const receipt = round.receipts.get(payout) ?? null;
        const answers = receipt === null ? [] : draft.index.money(payee, receipt.id);
        return {
          settlement,
          payout,
          payee,
          purpose,
          amountMsat,
          claim: claim ?? null,
          // Also behind a gap in its chain: a payee cannot take back what it signed and was paid for.
          asked: new Set(
            (claims.get(payout) ?? [])
              .filter((event) => event.author === payee)
              .map((event) => event.content.invoiceHash),
          ),
          refused: (refusals.get(payout) ?? []).map((notice) => refused(draft.byId, notice)),
          voided: new Set(voids.map((event) => event.content.paymentHash)),
          receipt,
          received: answers.find((event): event is EventOf<'received'> => event.type === 'received') ?? null,
          unpaid: theirs.find((event): event is EventOf<'unpaid'> => event.type === 'unpaid') ?? null,
        };
      });
}

function refused(byId: Draft['byId'], notice: EventOf<'claim-bad'>): RefusedClaim {
  const claim = byId.get(notice.content.claim);
  return { notice, claim: claim?.type === 'claim' ? claim : null };
}

function* ofType<K extends JobEvent['type']>(events: Iterable<JobEvent>, type: K): Iterable<EventOf<K>> {
  for (const event of events) if (event.type === type) yield event as EventOf<K>;
}

function byPayout<E extends { readonly content: { readonly payout: Sha256 } }>(
  events: Iterable<E>,
): ReadonlyMap<Sha256, readonly E[]> {
  const found = new Map<Sha256, E[]>();
  for (const event of events) {
    const { payout } = event.content;
    const bucket = found.get(payout);
    if (bucket === undefined) found.set(payout, [event]);
    else bucket.push(event);
  }
  return found;
}
