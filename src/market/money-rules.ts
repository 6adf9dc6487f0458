import { fromHex, sha256Hex, type EventId } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import { settlementPlan } from './settlement.js';
import type { Assignment } from './state.js';

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
  draft.settled.set(event.id, last);
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
  const round = draft.settled.get(settlement);
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
  draft.receipts.set(payout, event);
  return null;
}

/** Does this closed round need a settlement before the job goes on? */
export function owes(draft: Pick<Draft, 'jobId'>, round: DraftRound): boolean {
  return round.close !== null && planOf(draft.jobId, round.round, round.close, round.assigned).totalMsat > 0n;
}
