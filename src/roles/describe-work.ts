import type { Pubkey } from '../hash.js';
import { perplexity } from '../learning/metrics.js';
import { readsTokens } from '../learning/model-cost.js';
import { isCleared } from '../market/dispute-state.js';
import { hasResigned, outcomeOf, type Assignment, type JobState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { RejectionRule } from '../protocol/round.js';
import { scoredBy } from './describe-validators.js';

/** What was done in a job, by whom, and what it earned. */

export interface RoundDescription {
  /** From 0, as on the wire. */
  readonly round: number;
  readonly state: 'open' | 'closed' | 'settled' | 'void';
  readonly accepted: number;
  /** Whose scores decided: `fallback` is the customer’s, where too few validators gave some. Null before. */
  readonly scoredBy: 'customer' | 'validators' | 'fallback' | null;
  readonly rejected: readonly { readonly trainer: Pubkey; readonly shard: number; readonly rule: RejectionRule }[];
  /** Of the aggregate on evaluation set A; null before the close. */
  readonly loss: number | null;
  readonly accuracy: number | null;
  /** Per token, of models that predict text; else null. */
  readonly perplexity: number | null;
  readonly paidMsat: bigint;
  readonly owedMsat: bigint;
}

export function describeRounds(state: JobState): RoundDescription[] {
  const isText = state.job !== null && readsTokens(state.job.content.model);
  return state.rounds.map((round) => {
    const close = round.close?.content;
    const outcome = outcomeOf(round);
    const sum = (isPaid: boolean) =>
      round.payouts.reduce((msat, one) => ((one.receipt !== null) === isPaid ? msat + one.amountMsat : msat), 0n);
    return {
      round: round.round,
      state: round.voided ? 'void' : round.settlement ? 'settled' : close ? 'closed' : 'open',
      accepted: close?.accepted.length ?? 0,
      scoredBy: scoredBy(state, round),
      rejected: (close?.rejected ?? []).map(({ trainer, shard, rule }) => ({ trainer, shard, rule })),
      loss: outcome === null ? null : outcome.lossPpm / 1_000_000,
      accuracy: outcome?.accuracyPpm == null ? null : outcome.accuracyPpm / 1_000_000,
      perplexity: outcome !== null && isText ? rounded(perplexity(outcome.lossPpm / 1_000_000)) : null,
      paidMsat: sum(true),
      owedMsat: sum(false) + disputedMsat(state, ({ round: at }) => at === round.round),
    };
  });
}

/** What disputes found to be owed. */
function disputedMsat({ disputes }: JobState, matches: (fraud: EventOf<'fraud'>['content']) => boolean): bigint {
  const found = disputes.filter(({ fraud, isSettled }) => !isSettled && matches(fraud.content));
  return found.reduce((sum, { owedMsat }) => sum + owedMsat, 0n);
}

const rounded = (value: number): number => Number(value.toPrecision(6));

export interface TrainerDescription {
  readonly pubkey: Pubkey;
  readonly shard: number;
  readonly priceMsat: bigint;
  readonly seat: 'ready' | 'waiting' | 'grant-bad' | 'resigned' | 'fraud' | 'replaced';
  /** Accepted ones. */
  readonly rounds: number;
  readonly paidMsat: bigint;
  readonly owedMsat: bigint;
}

/** Of the payouts of its trainer, which pay all its shards of a round at once, the part of this seat. */
function earned(
  state: JobState,
  { trainer, shard }: Assignment,
): Pick<TrainerDescription, 'rounds' | 'paidMsat' | 'owedMsat'> {
  let [accepted, paidMsat] = [0, 0n];
  let owedMsat = disputedMsat(state, (fraud) => fraud.trainer === trainer && fraud.shard === shard);
  for (const { assigned, close, corrections, payouts } of state.rounds) {
    const isDisputed = ({ fraud }: JobState['disputes'][number]) =>
      fraud.content.trainer === trainer && fraud.content.shard === shard;
    const corrected = payouts.find((one) => one.payee === trainer && corrections.includes(one.settlement));
    if (corrected !== undefined && state.disputes.some(isDisputed)) {
      if (corrected.receipt === null) owedMsat += corrected.amountMsat;
      else paidMsat += corrected.amountMsat;
    }
    if (!close?.content.accepted.some((entry) => entry.trainer === trainer && entry.shard === shard)) continue;
    accepted++;
    const payout = payouts.find(({ payee, purpose }) => payee === trainer && purpose === 'trainer');
    const { priceMsat } = assigned.find((seat) => seat.shard === shard)!;
    if (payout?.receipt != null) paidMsat += priceMsat;
    else if (payout !== undefined) owedMsat += priceMsat;
  }
  return { rounds: accepted, paidMsat, owedMsat };
}

/** Everyone who ever held a seat and was in a round, and who holds one now; by shard, the present holder last. */
export function describeTrainers(state: JobState): TrainerDescription[] {
  const held = new Map<string, Assignment>();
  const key = (seat: Assignment) => `${seat.shard}/${seat.trainer}`;
  for (const seat of [...state.rounds.flatMap((round) => round.assigned), ...state.assignments.values()]) {
    held.delete(key(seat));
    held.set(key(seat), seat);
  }
  return [...held.values()]
    .sort((a, b) => a.shard - b.shard)
    .map((seat) => {
      const isHeld = state.assignments.get(seat.shard)?.trainer === seat.trainer;
      const answer = seat.grantBad !== null ? 'grant-bad' : seat.ready === null ? 'waiting' : 'ready';
      return {
        pubkey: seat.trainer,
        shard: seat.shard,
        priceMsat: seat.priceMsat,
        seat:
          (state.frauds.has(seat.trainer) && !isCleared(state, seat.trainer)) || state.keyFrauds.has(seat.trainer)
            ? 'fraud'
            : !isHeld
              ? 'replaced'
              : hasResigned(state, seat.trainer)
                ? 'resigned'
                : answer,
        ...earned(state, seat),
      };
    });
}
