import type { Pubkey } from '../../hash.js';
import type { AlliancePlanLine } from '../../protocol/alliance/round.js';
import type { EventOf } from '../../protocol/events.js';
import { payoutId } from '../../protocol/settlement.js';
import { operatorLines } from '../arena/payout.js';
import { carriedMsat, payOrCarry, type Carried } from '../carry.js';
import { broken, type Broken } from '../draft.js';
import { earnedBy, potShares } from '../pot.js';
import { roundReward } from './reward.js';
import { endOf, lastRound, withRound, type AllianceRoundState, type AllianceState } from './state.js';

/** What a round came to, and what it pays. */

export interface DueSettlement extends Pick<
  EventOf<'alliance-settlement'>['content'],
  'aggregate' | 'isAccepted' | 'totalMsat'
> {
  readonly plan: readonly AlliancePlanLine[];
  /** What waits after it. */
  readonly carried: Carried;
}

/**
 * Of a round that has ended: its part of what is left of the pot, to those on-side and who stands behind them; what nobody earned stays for
 * the rounds that are left, and after the last one goes back to the customer. What is below the payout floor waits, at most until the
 * last one. In order of (payee, purpose).
 */
export function allianceDue(state: AllianceState, round: AllianceRoundState): DueSettlement {
  const { alliance, rounds, stake, payoutFloorMsat } = state.job.content;
  const leftMsat = alliance.potMsat - state.paidMsat - carriedMsat(round.carriedBefore);
  const rewards = rewardsOf(leftMsat, rounds - round.round, round);
  const effective = { delegatedPpm: stake?.delegatedPpm ?? 0, maxDelegated: stake?.maxDelegated ?? 0 };
  const earned = (['trainer', 'fee'] as const).flatMap((purpose) =>
    operatorLines(purpose, rewards[purpose], round.book, effective),
  );
  const earnedMsat = earned.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
  const isLast = round.round === rounds - 1;
  const { lines, carried } = payOrCarry(earned, round.carriedBefore, { floorMsat: payoutFloorMsat, isLast });
  const refund = { payee: state.job.author, purpose: 'refund' as const, amountMsat: leftMsat - earnedMsat };
  const plan = [...lines, ...(isLast ? [...bonusLines(state, round, lines), refund] : [])]
    .filter(({ amountMsat }) => amountMsat > 0n)
    .map((line): AlliancePlanLine => ({
      payout: payoutId(state.jobId, round.round, line.payee, line.purpose),
      ...line,
    }))
    .sort((a, b) => (a.payee !== b.payee ? (a.payee < b.payee ? -1 : 1) : a.purpose < b.purpose ? -1 : 1));
  const { aggregate = null, isAccepted = false } = round.tally ?? {};
  return {
    aggregate,
    isAccepted,
    plan,
    totalMsat: plan.reduce((sum, { amountMsat }) => sum + amountMsat, 0n),
    carried,
  };
}

/** With the last round: what was slashed before it ended. */
function bonusLines(
  { job, rounds }: AllianceState,
  { round, slashes }: AllianceRoundState,
  lines: readonly Pick<AlliancePlanLine, 'payee' | 'purpose' | 'amountMsat'>[],
) {
  const earlier = rounds.slice(0, round).flatMap((one) => settlementsOf(one)[0]?.content.plan ?? []);
  const earned = earnedBy([...earlier, ...lines]);
  const shares = potShares({ customer: job.author, slashes, earned, frauds: new Set() });
  return [...shares].map(([payee, amountMsat]) => ({ payee, purpose: 'bonus' as const, amountMsat }));
}

/** What a settlement takes of the job's own pot: bonuses come out of what was slashed. */
export function spentMsat({
  plan,
  totalMsat,
}: Pick<EventOf<'alliance-settlement'>['content'], 'plan' | 'totalMsat'>): bigint {
  return plan.reduce((sum, { purpose, amountMsat }) => (purpose === 'bonus' ? sum - amountMsat : sum), totalMsat);
}

function rewardsOf(
  leftMsat: bigint,
  roundsLeft: number,
  round: AllianceRoundState,
): Record<'trainer' | 'fee', ReadonlyMap<Pubkey, bigint>> {
  const none = { trainer: new Map<Pubkey, bigint>(), fee: new Map<Pubkey, bigint>() };
  const { roles, tally, stakes } = round;
  if (roles?.state !== 'drawn' || tally === null) return none;
  const { lines } = roundReward(leftMsat, roundsLeft, { roles, proposed: openedBy(round), tally, stakes });
  const of = (purpose: 'trainer' | 'fee') =>
    new Map(lines.filter((line) => line.purpose === purpose).map(({ payee, amountMsat }) => [payee, amountMsat]));
  return { trainer: of('trainer'), fee: of('fee') };
}

/** Whose proposals could be opened, as more than half of the stake says that names the aggregate: what nobody could use earns nothing. */
export function openedBy({
  proposals,
  votes,
  tally,
  stakes,
}: Pick<AllianceRoundState, 'proposals' | 'votes' | 'tally' | 'stakes'>): ReadonlySet<Pubkey> {
  const agreed = [...(votes?.by ?? [])].filter(([, { content }]) => content.aggregate === tally?.aggregate);
  const stakeOf = (some: typeof agreed) => some.reduce((sum, [voter]) => sum + stakes.get(voter)!, 0n);
  const opened = [...(proposals?.by ?? [])].filter(
    ([, { id }]) => 2n * stakeOf(agreed.filter(([, { content }]) => content.proposals.includes(id))) > stakeOf(agreed),
  );
  return new Set(opened.map(([proposer]) => proposer));
}

export function applyAllianceSettlement(
  state: AllianceState,
  event: EventOf<'alliance-settlement'>,
): AllianceState | Broken {
  const { round: number, last } = event.content;
  const round = lastRound(state);
  if (round === undefined || round.round !== number || round.settlement !== null || endOf(round) !== last)
    return broken('settlement', `round ${number} has not ended with ${last}`);
  const due = allianceDue(state, round);
  const wrong = wrongSettlement(event.content, due);
  if (wrong !== null) return broken('settlement', wrong);
  const { carried } = due;
  return { ...withRound(state, { settlement: event }), paidMsat: state.paidMsat + spentMsat(event.content), carried };
}

/** What differs from what is due; null: nothing. */
function wrongSettlement(
  { round, aggregate, isAccepted, plan, totalMsat }: EventOf<'alliance-settlement'>['content'],
  due: DueSettlement,
): string | null {
  const word = (settled: Pick<DueSettlement, 'aggregate' | 'isAccepted'>) =>
    `${settled.isAccepted ? 'accepted' : 'kept'} after ${settled.aggregate ?? 'no aggregate'}`;
  if (word({ aggregate, isAccepted }) !== word(due))
    return `round ${round} is ${word(due)}, got ${word({ aggregate, isAccepted })}`;
  if (totalMsat !== due.totalMsat) return `round ${round} pays ${due.totalMsat} msat, got ${totalMsat}`;
  const spell = (line: AlliancePlanLine | undefined) =>
    line === undefined ? 'none' : `${line.amountMsat} msat to ${line.payee} for ${line.purpose} as ${line.payout}`;
  const longer = Math.max(plan.length, due.plan.length);
  for (let i = 0; i < longer; i++)
    if (spell(plan[i]) !== spell(due.plan[i])) return `line ${i} must be ${spell(due.plan[i])}, got ${spell(plan[i])}`;
  return null;
}

/**
 * A customer that falls silent when a round has ended keeps nobody from the settlement: any member may say it, and it counts where it is
 * what the fold itself comes to, so it does not matter who was first, nor when.
 *
 * @param before  the state when the round was not settled yet
 * @returns       in order of (author, seq, id)
 */
export function settledByMembers(
  before: AllianceState,
  round: AllianceRoundState,
): readonly EventOf<'alliance-settlement'>[] {
  const last = endOf(round);
  const said = [...before.byId.values()].filter(
    (event): event is EventOf<'alliance-settlement'> =>
      event.type === 'alliance-settlement' &&
      event.content.round === round.round &&
      event.content.last === last &&
      round.members.has(event.author),
  );
  if (said.length === 0) return [];
  const due = allianceDue(before, round);
  return said
    .filter(({ content }) => wrongSettlement(content, due) === null)
    .sort((a, b) => (a.author !== b.author ? (a.author < b.author ? -1 : 1) : a.seq - b.seq || (a.id < b.id ? -1 : 1)));
}

/** All that say what a round pays, with the same content: claims may name any of them. The customer's is the first. */
export function settlementsOf({
  settlement,
  others,
}: Pick<AllianceRoundState, 'settlement' | 'others'>): readonly EventOf<'alliance-settlement'>[] {
  return settlement === null ? others : [settlement, ...others];
}
