import type { EventId, Pubkey } from '../hash.js';
import type { JobState } from '../market/state.js';
import type { DatasetManifest } from '../protocol/dataset.js';
import { plannedSeconds, plannedTraffic, type Side, type Traffic } from './planned-traffic.js';
import { planRound } from './round-plan.js';
import { roundTraffic, type ActualTraffic, type OwnKnowledge } from './round-traffic.js';

/** What was planned beside what it came to; null: unknown. */
export interface PlanComparison {
  readonly planFor: Side['role'];
  /** Of all rounds of the job. */
  readonly plan: Traffic | null;
  /** Of the rounds that are over, as `actual`. */
  readonly planSoFar: Traffic | null;
  readonly actual: ActualTraffic | null;
  /** Of every round that was opened, in order; null for a trainer in rounds without a seat. */
  readonly rounds: readonly { readonly plan: Traffic | null; readonly actual: ActualTraffic | null }[];
}

/** A trainer's own part to who ever had a seat, else the customer's: it exchanges everything with everybody. */
export function sideOf({ job, rounds }: JobState, pubkey: Pubkey | null): Side {
  const isTrainer = rounds.some(({ assigned }) => assigned.some(({ trainer }) => trainer === pubkey));
  return pubkey !== null && pubkey !== job?.author && isTrainer ? { role: 'trainer', pubkey } : { role: 'customer' };
}

/**
 * @param manifest  of the dataset; null where no relay has it: then nothing is planned
 * @param sizeOf    bytes of an event as JSON
 */
export function comparePlan(
  state: JobState,
  side: Side,
  manifest: Pick<DatasetManifest, 'shards'> | null,
  sizeOf: (id: EventId) => number,
  own: OwnKnowledge,
): PlanComparison {
  const terms = state.job?.content;
  if (terms === undefined) return { planFor: side.role, plan: null, planSoFar: null, actual: null, rounds: [] };
  const shardRows = manifest?.shards.map(({ examples }) => examples) ?? [];
  const plan = manifest === null ? null : planRound(terms, shardRows);
  const planned = (isFirst: boolean, seats: number) =>
    plan && withinBudget(plannedTraffic(terms, plan, side, isFirst, seats));
  /** A job may name prices that it could never pay. */
  const withinBudget = (one: Traffic): Traffic => ({
    ...one,
    msat: one.msat !== null && one.msat > terms.budgetMsat ? terms.budgetMsat : one.msat,
  });
  const ofSide = <T extends { readonly trainer: Pubkey }>(seats: readonly T[]) =>
    side.role === 'customer' ? seats : seats.filter(({ trainer }) => trainer === side.pubkey);
  const actual = roundTraffic(state, side, sizeOf, own);
  const rounds = state.rounds.map(({ round, assigned }, at) => {
    const ofRound = planned(round === 0, ofSide(assigned).length);
    const isOurs = actual[at] !== null;
    return {
      isOver: state.rounds[at]!.close !== null || state.rounds[at]!.voided !== null,
      plan: ofRound && isOurs ? { ...ofRound, seconds: plannedSeconds(state, ofSide(assigned), shardRows) } : null,
      actual: actual[at]!,
    };
  });
  const over = rounds.filter((round) => round.isOver && round.actual !== null);
  const now = ofSide([...state.assignments.values()]);
  const seconds = plannedSeconds(state, now, shardRows);
  const seats = Math.max(1, now.length);
  const [first, later] = [planned(true, seats), planned(false, seats)];
  return {
    planFor: side.role,
    plan:
      first &&
      later &&
      withinBudget(
        sumTraffic(
          [first, ...Array.from({ length: terms.rounds - 1 }, () => later)].map((one) => ({ ...one, seconds })),
        ),
      ),
    planSoFar: plan && withinBudget(sumTraffic(over.map((round) => round.plan!))),
    actual: {
      ...sumTraffic(over.map((round) => round.actual)),
      feesMsat: sumKnown(
        over.map((round) => round.actual.feesMsat),
        0n,
        (a, b) => a + b,
      ),
    },
    rounds: rounds.map((round) => ({ plan: round.plan, actual: round.actual })),
  };
}

/** One that is unknown makes the sum unknown. */
function sumKnown<T>(numbers: readonly (T | null)[], zero: T, add: (a: T, b: T) => T): T | null {
  return numbers.reduce<T | null>((sum, one) => (sum === null || one === null ? null : add(sum, one)), zero);
}

function sumTraffic(all: readonly Traffic[]): Traffic {
  const of = (name: 'bytesUp' | 'bytesDown' | 'events' | 'seconds') =>
    sumKnown(
      all.map((one) => one[name]),
      0,
      (a, b) => a + b,
    );
  const seconds = of('seconds');
  return {
    ...{ bytesUp: of('bytesUp'), bytesDown: of('bytesDown'), events: of('events') },
    // Of decimal thousandths.
    seconds: seconds === null ? null : Math.round(seconds * 1_000) / 1_000,
    msat: sumKnown(
      all.map(({ msat }) => msat),
      0n,
      (a, b) => a + b,
    ),
  };
}
