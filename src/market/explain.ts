import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { EVENT_TYPES, type EventOf, type JobEvent } from '../protocol/events.js';
import { effectivePrice } from './auction.js';
import { correctionOf } from './dispute-state.js';
import type { CountedMatch } from './reputation.js';
import type { AnyPayout, JobState, PayoutState, RoundState } from './state.js';

/** From what a decided value follows: events, each with what it contributed. */

export interface Cited {
  readonly id: EventId;
  readonly kind: number;
  readonly type: JobEvent['type'];
  readonly author: Pubkey;
}
export interface Cause {
  /** In words, for people. */
  readonly what: string;
  /** What it adds to the value; null: it decides, and adds nothing. */
  readonly adds: { readonly msat: bigint } | { readonly points: number } | null;
  readonly events: readonly Cited[];
}

/** How a cause names an event; one that is not at hand is left out. */
export type Lookup = (id: EventId) => JobEvent | undefined;

function cite(event: JobEvent): Cited {
  const { id, type, author } = event;
  return { id, kind: EVENT_TYPES[type].kind, type, author };
}
export const cause = (
  what: string,
  events: readonly (JobEvent | null | undefined)[],
  adds: Cause['adds'] = null,
): Cause => ({
  what,
  adds,
  events: events.flatMap((event) => (event == null ? [] : [cite(event)])),
});

export interface PayoutExplained {
  readonly round: number;
  readonly payout: Pick<PayoutState, 'payout' | 'payee' | 'amountMsat'>;
  readonly state: 'paid' | 'unpaid' | 'claimed' | 'owed';
  readonly causes: readonly Cause[];
}

/** Prices of accepted seats, or the fee of a validator, add up to it, to the msat; then how it was asked for and paid. */
export function explainPayout(state: JobState, id: Sha256): PayoutExplained | null {
  for (const round of state.rounds) {
    const payout = round.payouts.find((candidate) => candidate.payout === id);
    if (payout === undefined) continue;
    const causes = [...promised(state, round, payout), ...moneyCauses(payout)];
    return { ...{ round: round.round, payout, causes }, state: payoutState(payout) };
  }
  const owed = unsettledCorrections(state).find(({ line }) => line.payout === id);
  if (owed === undefined) return null;
  const { line, dispute } = owed;
  return {
    ...{ round: dispute.fraud.content.round, payout: line, state: 'owed' },
    causes: corrected(state, line.payee, line.amountMsat),
  };
}

/** What became of a payout of a job of any kind. */
export function payoutState({ receipt, received, unpaid, claim }: AnyPayout): PayoutExplained['state'] {
  if (receipt !== null && (received !== null || unpaid === null)) return 'paid';
  if (unpaid !== null) return 'unpaid';
  return claim === null ? 'owed' : 'claimed';
}

/** What disputes found to be owed, as the customer has to settle it. */
export function unsettledCorrections(state: JobState) {
  return state.disputes
    .filter(({ owedMsat, isSettled }) => owedMsat > 0n && !isSettled)
    .map((dispute) => ({ dispute, line: correctionOf(state.jobId, state.rounds, dispute) }));
}

function promised(state: JobState, round: RoundState, { payout, payee, settlement }: PayoutState): Cause[] {
  const line = settlement.content.plan.find((candidate) => candidate.payout === payout);
  return [
    ...reasons(state, round, payee, line),
    cause(`settlement of round ${round.round + 1}: the line that promises it`, [settlement]),
  ];
}

type Line = NonNullable<RoundState['settlement']>['content']['plan'][number];

function reasons(state: JobState, round: RoundState, payee: Pubkey, line: Line | undefined): Cause[] {
  if (line === undefined || line.purpose === 'trainer') return prices(state, round, payee);
  if (line.purpose === 'bonus') return slashed(state, line);
  if (line.purpose === 'correction') return corrected(state, payee, line.amountMsat);
  const whole = state.job!.content.validators?.feeMsat ?? 0n;
  const validator = line.purpose === 'fee' ? payee : (line.purpose.slice('delegation:'.length) as Pubkey);
  const causes = [fee(state, round, validator)];
  if (line.amountMsat === whole) return causes;
  const { sigmaPpm } = state.stakes.operators.get(validator)!;
  const shares = `${sigmaPpm / 10_000} % of what stands for its delegators it keeps, they share the rest by amount and time`;
  const others = cause(shares, tablesOf(state), { msat: line.amountMsat - whole });
  return [...causes, others];
}

/** Nine tenths of each lock that was lost, among those that worked. */
function slashed(state: JobState, { amountMsat }: Line): Cause[] {
  const { slashes } = state.stakes;
  const events = [...state.chains.values()].flatMap((chain) => chain.events);
  const said = slashes.map(({ event }) => events.find(({ id }) => id === event));
  const pot = slashes.reduce((sum, { potMsat }) => sum + potMsat, 0n);
  const words = `its part, by what it earned, of ${pot} msat that were slashed from ${slashes.length} locks`;
  return [cause(words, [...said, ...tablesOf(state)], { msat: amountMsat })];
}

function tablesOf({ chains, job }: JobState): JobEvent[] {
  return (chains.get(job!.author)?.events ?? []).filter(({ type }) => type === 'stake-table');
}

function fee(
  { job }: JobState,
  { round, close, listedScoreCommits, listedScoreReveals }: RoundState,
  payee: Pubkey,
): Cause {
  return cause(
    `validator of round ${round + 1}: its scores of every accepted update are listed, at the job's fee`,
    [job, listedScoreCommits.get(payee), listedScoreReveals.get(payee), close],
    { msat: job!.content.validators?.feeMsat ?? 0n },
  );
}

/** What a proof had rejected that drawn validators found false: its seats, and the events by which they did. */
function corrected({ disputes, rounds }: JobState, payee: Pubkey, msat: bigint): Cause[] {
  const dispute = disputes.find(({ fraud }) => fraud.content.trainer === payee);
  if (dispute === undefined) return [];
  const { fraud, complaint, opened, draw, verdicts, liars } = dispute;
  const found = verdicts.filter(({ author }) => !liars.includes(author));
  const { round: index, shard, segment } = fraud.content;
  const round = rounds[index]!;
  return [
    cause(
      `shard ${shard} of round ${index + 1}: rejected by a false proof, at the awarded price`,
      [round.listedReveals.get(shard), fraud, round.close],
      { msat },
    ),
    cause(`segment ${segment} is disputed, and validators are drawn`, [complaint, opened, draw]),
    cause('repeated by them it ends as committed', found),
  ];
}

function prices(state: JobState, round: RoundState, payee: Pubkey): Cause[] {
  const { close, assigned, listedCommits, listedReveals, verdict, scores, scoreRevealList } = round;
  const spine = state.chains.get(state.job!.author)?.events ?? [];
  const seats = (close?.content.accepted ?? []).filter(({ trainer }) => trainer === payee);
  return seats.map(({ shard }): Cause => {
    const seat = assigned.find((candidate) => candidate.shard === shard)!;
    const award = spine.find((event) => event.id === seat.award);
    const row = verdict?.rows.find((candidate) => candidate.shard === shard);
    const worth = row === undefined ? '' : `, D ${row.dPpm} ppm and E ${row.ePpm} ppm`;
    return cause(
      `shard ${shard} of round ${round.round + 1}: accepted${worth}, at the awarded price`,
      [award, listedCommits.get(shard), listedReveals.get(shard), scores ?? scoreRevealList, close],
      { msat: seat.priceMsat },
    );
  });
}

/** How it was asked for and paid. */
export function moneyCauses({ claim, refused, receipt, received, unpaid }: AnyPayout): Cause[] {
  return [
    ...refused.map(({ notice, claim: bad }) => cause(`claim refused: ${notice.content.rule}`, [bad, notice])),
    ...(claim === null ? [] : [cause('claimed with an invoice', [claim])]),
    ...(unpaid === null ? [] : [cause('marked unpaid by its payee', [unpaid])]),
    ...(receipt === null ? [] : [cause(`receipt with preimage ${receipt.content.preimage.slice(0, 16)}…`, [receipt])]),
    ...(received === null ? [] : [cause('countersigned by its payee', [received])]),
  ];
}

export interface BidExplained {
  /** 1 is the best offer; null: refused. */
  readonly rank: number | null;
  readonly trainer: Pubkey;
  readonly row: EventOf<'award'>['content']['bids'][number];
  readonly shards: readonly number[];
  readonly cause: Cause;
}

/** Every bid that the award considered, in its order. */
export function explainAward({ award }: JobState, lookup: Lookup): BidExplained[] {
  if (award === null) return [];
  let rank = 0;
  return award.content.bids.map((row) => {
    const { trainer, priceMsat, effectiveMsat, attempts, successes, rule } = row;
    const shards = award.content.winners.filter((seat) => seat.trainer === trainer).map(({ shard }) => shard);
    const isFormula = effectivePrice(priceMsat, row) === effectiveMsat;
    const worked = `${priceMsat} msat, ${successes} of ${attempts} attempts accepted, counts as ${effectiveMsat} msat`;
    const formula = isFormula ? ': price x max(1, min(2, (attempts + 2) / (successes + 1)))' : '';
    const what = row.outcome === 'refused' ? `refused by ${rule ?? 'no rule'}: ${worked}` : `${worked}${formula}`;
    const counted = (award.content.counted ?? []).map(lookup);
    return {
      ...{ trainer, row, shards, rank: row.outcome === 'refused' ? null : ++rank },
      cause: cause(what, [lookup(row.bid), award, ...counted]),
    };
  });
}

/** One per match, in the order in which they counted: their points add up to mu - 3 sigma. */
export function explainMatch({ round, why, rank, weight, gain, events }: CountedMatch, lookup: Lookup): Cause {
  const where = round === null ? 'the whole job' : `round ${round + 1}`;
  const words = rank === 'done' ? why : `${rank}: ${why}`;
  const count = weight === 1 ? 'counts in full' : `counts ${Math.round(weight * 1000) / 1000}`;
  return cause(`${where}, ${words}, ${count}`, events.map(lookup), { points: gain });
}
