import { fromHex, sha256Hex } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import { settlementPlan } from './settlement.js';
import type { RoundState } from './state.js';
import { feesOf } from './score-rules.js';

export function applySettlement(draft: Draft, event: EventOf<'settlement'>): Broken | null {
  const last = draft.rounds.at(-1);
  if (last === undefined || last.close === null || last.settlement !== null)
    return broken('settlement', 'there is no closed round to settle');
  if (event.content.round !== last.round || event.content.close !== last.close.id)
    return broken('settlement', `it settles another round than ${last.round}`);
  const expected = planOf(draft.job, last);
  const spell = (plan: typeof expected.plan) =>
    plan.map((line) => `${line.payout}:${line.payee}:${line.purpose}:${line.amountMsat}`).join(' ');
  // Fees follow from scores: while some are not at hand, only the lines of trainers can be checked.
  const isWhole = last.scoreRevealList?.content.ids.every((id) => draft.byId.has(id)) ?? true;
  const known = (plan: typeof expected.plan) => (isWhole ? plan : plan.filter(({ purpose }) => purpose === 'trainer'));
  const isSum = !isWhole || event.content.totalMsat === expected.totalMsat;
  if (spell(known(event.content.plan)) !== spell(known(expected.plan)) || !isSum)
    return broken(
      'settlement',
      `the plan must be ${expected.totalMsat} msat to accepted trainers and validators, got ${event.content.totalMsat} msat`,
    );
  last.settlement = event;
  draft.settled.set(event.id, last);
  return null;
}

type Closed = Pick<RoundState, 'round' | 'close' | 'assigned' | 'listedScoreReveals' | 'liars'>;

/** What a closed round pays, from the prices of the assignments it opened with and the fee of the job. */
export function planOf(job: EventOf<'job'>, closed: Closed) {
  const { round, close, assigned } = closed;
  const price = new Map(assigned.map((seat) => [seat.shard, seat.priceMsat]));
  const accepted = close?.content.accepted ?? [];
  return settlementPlan(
    job.id,
    round,
    accepted.map(({ trainer, shard }) => ({ trainer, priceMsat: price.get(shard) ?? 0n })),
    feesOf(closed, job.content.validators?.feeMsat ?? 0n),
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
export function owes(draft: Pick<Draft, 'job'>, round: DraftRound): boolean {
  return round.close !== null && planOf(draft.job, round).totalMsat > 0n;
}
