import { fromHex, sha256Hex, type Pubkey } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { PlanLine } from '../protocol/settlement.js';
import { correctionOf } from './dispute-state.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import { earnedBy, potShares } from './pot.js';
import { settlementPlan } from './settlement.js';
import type { StakeBook } from './stake.js';
import { saleOf } from './sale-rules.js';
import { splitReward } from './stake-reward.js';
import type { RoundState } from './state.js';
import { feesOf } from './score-rules.js';

/** Of one trainer that a false proof had rejected: it may also come after the end of the job. */
export function isCorrection({ content }: EventOf<'settlement'>): boolean {
  return content.plan.some(({ purpose }) => purpose === 'correction');
}

/** What the customer's own proof had rejected, at the price of its seats; that validators found it false is not asked: the money is its own. */
function applyCorrection(draft: Draft, event: EventOf<'settlement'>): Broken | null {
  const { round: index, close, plan, totalMsat } = event.content;
  const round = draft.rounds[index];
  const dispute = draft.disputes.find(
    ({ fraud, draw }) => draw !== null && fraud.content.round === index && fraud.content.trainer === plan[0]?.payee,
  );
  if (round === undefined || dispute === undefined || round.close === null || round.close.id !== close)
    return broken('settlement', 'it corrects no round in which a dispute was drawn');
  const line = correctionOf(draft.jobId, draft.rounds, dispute);
  const spell = (one: PlanLine): string => `${one.payout}:${one.payee}:${one.purpose}:${one.amountMsat}`;
  if (plan.length !== 1 || spell(plan[0]!) !== spell(line) || totalMsat !== line.amountMsat || totalMsat === 0n)
    return broken('settlement', `a correction is of ${line.amountMsat} msat to ${line.payee}`);
  if (round.corrections.some(({ content }) => content.plan[0]!.payout === line.payout))
    return broken('settlement', `${line.payee} has this correction already`);
  round.corrections.push(event);
  draft.settled.set(event.id, round);
  return null;
}

export function applySettlement(draft: Draft, event: EventOf<'settlement'>): Broken | null {
  if (isCorrection(event)) return applyCorrection(draft, event);
  const last = draft.rounds.at(-1);
  if (last === undefined || last.close === null || last.settlement !== null)
    return broken('settlement', 'there is no closed round to settle');
  if (event.content.round !== last.round || event.content.close !== last.close.id)
    return broken('settlement', `it settles another round than ${last.round}`);
  const expected = planOf(draft, last);
  const spell = (plan: typeof expected.plan) =>
    plan.map((line) => `${line.payout}:${line.payee}:${line.purpose}:${line.amountMsat}`).join(' ');
  // Fees follow from scores: while some are not at hand, only the lines of trainers can be checked.
  const isScored = last.scoreRevealList?.content.ids.every((id) => draft.byId.has(id)) ?? true;
  // What stake brings follows from tables.
  const isWhole = isScored && (draft.job.content.stake === undefined || !draft.lacksStakes);
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

/** What a settlement follows from besides its round. */
export interface Settling {
  readonly job: EventOf<'job'> | null;
  /** As the last table before it has them. */
  readonly stakes: StakeBook;
  readonly frauds: ReadonlyMap<Pubkey, unknown>;
  readonly keyFrauds: ReadonlyMap<Pubkey, unknown>;
  readonly validatorFrauds: ReadonlyMap<Pubkey, unknown>;
  readonly rounds: readonly Pick<RoundState, 'round' | 'settlement'>[];
}

/**
 * What a closed round pays, from the prices of the assignments it opened with and the fee of the job, of which those behind a validator get
 * their part; that of the last round also what was slashed.
 */
export function planOf(settling: Settling, closed: Closed) {
  const job = settling.job!;
  const { round, close, assigned } = closed;
  const price = new Map(assigned.map((seat) => [seat.shard, seat.priceMsat]));
  const accepted = close?.content.accepted ?? [];
  const priced = accepted.map(({ trainer, shard }) => ({ trainer, priceMsat: price.get(shard) ?? 0n }));
  const { fees, delegations } = sharedFees(settling, feesOf(closed, job.content.validators?.feeMsat ?? 0n));
  const own = settlementPlan(job.id, round, priced, fees, delegations);
  if (settling.stakes.slashes.length === 0 || round !== job.content.rounds - 1) return own;
  const earlier = settling.rounds.flatMap((other) =>
    other.round < round ? (other.settlement?.content.plan ?? []) : [],
  );
  const shares = potShares({
    customer: job.author,
    slashes: settling.stakes.slashes,
    earned: earnedBy([...earlier, ...own.plan]),
    frauds: new Set(
      [settling.frauds, settling.keyFrauds, settling.validatorFrauds].flatMap((proofs) => [...proofs.keys()]),
    ),
  });
  const bonuses = [...shares].map(([payee, amountMsat]) => ({ payee, purpose: 'bonus' as const, amountMsat }));
  return settlementPlan(job.id, round, priced, fees, [...delegations, ...bonuses]);
}

type Fees = ReturnType<typeof feesOf>;

/** Each fee among a validator and those that stood behind it. */
function sharedFees({ job, stakes }: Settling, whole: Fees): { fees: Fees; delegations: Omit<PlanLine, 'payout'>[] } {
  const terms = job!.content.stake;
  const delegations: Omit<PlanLine, 'payout'>[] = [];
  const fees = whole.map(({ validator, feeMsat }) => {
    const worked = stakes.worked.get(validator);
    const operator = stakes.operators.get(validator);
    if (terms === undefined || worked === undefined || operator === undefined) return { validator, feeMsat };
    const shares = splitReward(validator, feeMsat, operator.sigmaPpm, worked, terms);
    for (const [payee, amountMsat] of shares)
      if (payee !== validator) delegations.push({ payee, purpose: `delegation:${validator}`, amountMsat });
    return { validator, feeMsat: shares.get(validator)! };
  });
  return { fees, delegations };
}

export function applyReceipt(draft: Draft, event: EventOf<'receipt'>): Broken | null {
  const { settlement, payout, claim: claimId, payee, amountMsat, preimage, paymentHash } = event.content;
  const round = draft.settled.get(settlement);
  const promised = [round?.settlement, ...(round?.corrections ?? [])].find((one) => one?.id === settlement);
  const line = promised?.content.plan.find((candidate) => candidate.payout === payout);
  if (round === undefined || line === undefined || line.payee !== payee)
    return broken('receipt', 'no settlement promises this payout');
  if (round.receipts.has(payout)) return broken('receipt', `payout ${payout} has a receipt already`);
  if (amountMsat !== line.amountMsat)
    return broken('receipt', `${line.amountMsat} msat are owed, ${amountMsat} receipted`);
  if (sha256Hex(fromHex(preimage)) !== paymentHash)
    return broken('receipt', 'the preimage does not hash to the payment hash');
  const promise = saleOf(draft.job.content, round, line);
  if (promise !== null && promise.paymentHash !== paymentHash)
    return broken('receipt', `it shows another preimage than the one that opens the update of ${payee}`);
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
export function owes(draft: Draft, round: DraftRound): boolean {
  return round.close !== null && planOf(draft, round).totalMsat > 0n;
}
