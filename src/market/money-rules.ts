import { fromHex, sha256Hex, type EventId, type Sha256 } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import { settlementPlan } from './settlement.js';
import type { Assignment, PayoutState, RefusedClaim } from './state.js';

export function applySettlement(draft: Draft, event: EventOf<'settlement'>): Broken | null {
  const last = draft.rounds.at(-1);
  if (last === undefined || last.close === null || last.settlement !== null)
    return broken('settlement', 'there is no closed round to settle');
  if (event.content.round !== last.round || event.content.close !== last.close.id)
    return broken('settlement', `it settles another round than ${last.round}`);
  const expected = planOf(draft.jobId, last.round, last.close, last.assigned);
  const spell = (plan: typeof expected.plan) =>
    plan.map((line) => `${line.payout}:${line.payee}:${line.purpose}:${line.amountMsat}`).join(' ');
  if (spell(event.content.plan) !== spell(expected.plan) || event.content.totalMsat !== expected.totalMsat)
    return broken(
      'settlement',
      `the plan must be ${expected.totalMsat} msat to the accepted trainers, got ${event.content.totalMsat} msat`,
    );
  last.settlement = event;
  return null;
}

/** What a closed round pays, from the prices of the assignments it opened with. */
export function planOf(jobId: EventId, round: number, close: EventOf<'close'>, assigned: readonly Assignment[]) {
  const price = new Map(assigned.map((seat) => [seat.shard, seat.priceMsat]));
  return settlementPlan(
    jobId,
    round,
    close.content.accepted.map(({ trainer, shard }) => ({ trainer, priceMsat: price.get(shard) ?? 0n })),
  );
}

export function applyReceipt(draft: Draft, event: EventOf<'receipt'>): Broken | null {
  const { settlement, payout, claim: claimId, payee, amountMsat, preimage, paymentHash } = event.content;
  const round = draft.rounds.find((candidate) => candidate.settlement?.id === settlement);
  const line = round?.settlement?.content.plan.find((candidate) => candidate.payout === payout);
  if (round === undefined || line === undefined || line.payee !== payee)
    return broken('receipt', 'no settlement promises this payout');
  if (round.receipts.has(payout)) return broken('receipt', `payout ${payout} has a receipt already`);
  if (amountMsat !== line.amountMsat)
    return broken('receipt', `${line.amountMsat} msat are owed, ${amountMsat} receipted`);
  if (sha256Hex(fromHex(preimage)) !== paymentHash)
    return broken('receipt', 'the preimage does not hash to the payment hash');
  const claim = draft.byId.get(claimId);
  if (claim === undefined) draft.missing.add(claimId);
  else if (
    claim.type !== 'claim' ||
    claim.author !== payee ||
    claim.content.payout !== payout ||
    claim.content.settlement !== settlement ||
    claim.content.amountMsat !== amountMsat
  )
    return broken('receipt', 'the claim it cites is not the payee’s claim of this payout');
  round.receipts.set(payout, event);
  return null;
}

/** Does this closed round need a settlement before the job goes on? */
export function owes(draft: Pick<Draft, 'jobId'>, round: DraftRound): boolean {
  return round.close !== null && planOf(draft.jobId, round.round, round.close, round.assigned).totalMsat > 0n;
}

function refusedOf(draft: Draft, payout: Sha256): RefusedClaim[] {
  return [...draft.refusedClaims.values()]
    .filter(({ content }) => content.payout === payout)
    .map((notice) => {
      const claim = draft.byId.get(notice.content.claim);
      return { notice, claim: claim?.type === 'claim' ? claim : null };
    });
}

type Claims = ReadonlyMap<Sha256, readonly EventOf<'claim'>[]>;

/** Also those behind a gap in their author's chain. */
export function claimsByPayout({ byId }: Draft): Claims {
  const claims = new Map<Sha256, EventOf<'claim'>[]>();
  for (const event of byId.values()) {
    if (event.type !== 'claim') continue;
    const { payout } = event.content;
    claims.set(payout, [...(claims.get(payout) ?? []), event]);
  }
  return claims;
}

/** What a settlement promises; a proven fraud is owed nothing that was not paid before. */
export function payoutsOf(draft: Draft, round: DraftRound, claims: Claims): PayoutState[] {
  const lines = (round.settlement?.content.plan ?? []).filter(
    ({ payee, payout }) => round.receipts.has(payout) || !draft.frauds.has(payee),
  );
  return lines.map((line) => {
    const theirs = draft.sound.get(line.payee) ?? [];
    const voids = theirs.filter(
      (event): event is EventOf<'claim-void'> => event.type === 'claim-void' && event.content.payout === line.payout,
    );
    const voided = new Set(voids.map((event) => event.content.claim));
    const claim = theirs.findLast(
      (event): event is EventOf<'claim'> =>
        event.type === 'claim' &&
        event.content.payout === line.payout &&
        event.content.settlement === round.settlement?.id &&
        event.content.amountMsat === line.amountMsat &&
        !voided.has(event.id) &&
        !draft.refusedClaims.has(event.id),
    );
    const receipt = round.receipts.get(line.payout) ?? null;
    return {
      payout: line.payout,
      payee: line.payee,
      amountMsat: line.amountMsat,
      claim: claim ?? null,
      // Also behind a gap in its chain: a payee cannot take back what it signed and was paid for.
      asked: new Set(
        (claims.get(line.payout) ?? [])
          .filter((event) => event.author === line.payee)
          .map((event) => event.content.invoiceHash),
      ),
      refused: refusedOf(draft, line.payout),
      voided: new Set(voids.map((event) => event.content.paymentHash)),
      receipt,
      received:
        theirs.find(
          (event): event is EventOf<'received'> => event.type === 'received' && event.content.receipt === receipt?.id,
        ) ?? null,
      unpaid:
        theirs.find(
          (event): event is EventOf<'unpaid'> => event.type === 'unpaid' && event.content.payout === line.payout,
        ) ?? null,
    };
  });
}
