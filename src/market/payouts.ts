import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { isCleared, type DisputeState } from './dispute-state.js';
import type { Draft, DraftRound } from './draft.js';
import type { EventIndex } from './event-index.js';
import type { PayoutState, RefusedClaim } from './state.js';

/** What the settlements of a folded job promise; a proven fraud is owed nothing that was not paid before, unless the proof was found false. */
export function payoutsOf(draft: Draft, disputes: readonly DisputeState[]): (round: DraftRound) => PayoutState[] {
  const payoutOf = payoutReader<EventOf<'settlement'>>(draft);
  const isFraud = (payee: Pubkey) =>
    (draft.frauds.has(payee) && !isCleared({ disputes }, payee)) ||
    draft.keyFrauds.has(payee) ||
    draft.validatorFrauds.has(payee);
  return (round) =>
    [...(round.settlement === null ? [] : [round.settlement]), ...round.corrections]
      .flatMap((settlement) => settlement.content.plan.map((line) => ({ settlement, line })))
      .filter(({ line: { payee, payout, purpose } }) => {
        if (round.receipts.has(payout)) return true;
        // Whose key nobody bought in time has sold nothing.
        const isUnsold = purpose === 'trainer' && round.sold !== null;
        return purpose === 'correction' || !(isUnsold || isFraud(payee));
      })
      .map(({ settlement, line }) => payoutOf([settlement], line, round.receipts.get(line.payout) ?? null));
}

/** What claims and their answers are read from. */
export interface MoneyFacts {
  readonly byId: ReadonlyMap<EventId, JobEvent>;
  readonly index: Pick<EventIndex, 'money'>;
  /** By claim. */
  readonly refusedClaims: ReadonlyMap<EventId, EventOf<'claim-bad'>>;
}

/**
 * Reads what became of the lines of settlements.
 *
 * @returns  settlements: all that promise the line with equal content, one at least; claims may name any of them
 */
export function payoutReader<S extends { readonly id: EventId }>({ byId, index, refusedClaims }: MoneyFacts) {
  const claims = byPayout(ofType(byId.values(), 'claim'));
  const refusals = byPayout(refusedClaims.values());
  return <P>(
    settlements: readonly S[],
    line: Pick<PayoutState<S, P>, 'payout' | 'payee' | 'purpose' | 'amountMsat'>,
    receipt: EventOf<'receipt'> | null,
  ): PayoutState<S, P> => {
    const { payout, payee, purpose, amountMsat } = line;
    const theirs = index.money(payee, payout);
    const voids = [...ofType(theirs, 'claim-void')];
    const voided = new Set(voids.map((event) => event.content.claim));
    const promises = (id: EventId) => settlements.find((settlement) => settlement.id === id);
    const claim = theirs.findLast(
      (event): event is EventOf<'claim'> =>
        event.type === 'claim' &&
        promises(event.content.settlement) !== undefined &&
        event.content.amountMsat === amountMsat &&
        !voided.has(event.id) &&
        !refusedClaims.has(event.id),
    );
    const named = receipt ?? claim;
    const answers = receipt === null ? [] : index.money(payee, receipt.id);
    return {
      settlement: (named === undefined ? undefined : promises(named.content.settlement)) ?? settlements[0]!,
      payout,
      payee,
      purpose,
      amountMsat,
      claim: claim ?? null,
      // Also behind a gap in its chain: a payee cannot take back what it signed and was paid for.
      asked: new Set(
        (claims.get(payout) ?? []).filter((event) => event.author === payee).map((event) => event.content.invoiceHash),
      ),
      refused: (refusals.get(payout) ?? []).map((notice) => refused(byId, notice)),
      voided: new Set(voids.map((event) => event.content.paymentHash)),
      receipt,
      received: answers.find((event): event is EventOf<'received'> => event.type === 'received') ?? null,
      unpaid: theirs.find((event): event is EventOf<'unpaid'> => event.type === 'unpaid') ?? null,
    };
  };
}

function refused(byId: MoneyFacts['byId'], notice: EventOf<'claim-bad'>): RefusedClaim {
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
