import type { Pubkey } from '../hash.js';
import type { Assignment, JobState } from '../market/state.js';
import { stepCount } from '../learning/train-state.js';
import { NOTHING, sum, times, type Load } from './event-sizes.js';
import type { PlannedTerms, RoundPlan } from './round-plan.js';

/** What one side of a job sends and gets, on or from one relay; null: unknown. */
export interface Traffic {
  readonly bytesUp: number | null;
  readonly bytesDown: number | null;
  /** Sent and got. */
  readonly events: number | null;
  /** Planned: of training alone. */
  readonly seconds: number | null;
  /** Paid by the customer, to the trainer. */
  readonly msat: bigint | null;
}

/** Whose traffic: of the customer, who exchanges everything with everybody, or of one trainer. */
export type Side = { readonly role: 'customer' } | { readonly role: 'trainer'; readonly pubkey: Pubkey };

/**
 * The plan of one round of a posted job for one side. Grants are not counted, as nobody else can tell whose they are.
 *
 * @param isFirst  every update is drawn then
 * @param seats    that the trainer has in it
 */
export function plannedTraffic(terms: PlannedTerms, plan: RoundPlan, side: Side, isFirst: boolean, seats = 1): Traffic {
  const { trainers } = terms;
  const states = isFirst ? sum(plan.states, plan.moreStatesAtFirst) : plan.states;
  const price = terms.rail === 'none' ? 0n : terms.maxPriceMsat;
  if (side.role === 'customer') {
    const up = sum(plan.customer, plan.base, plan.root);
    const { count, feeMsat } = terms.validators ?? { count: 0, feeMsat: 0n };
    const most = BigInt(trainers) * price + BigInt(count) * feeMsat;
    return traffic(up, sum(plan.trainers, plan.validators, plan.updates, states), most);
  }
  const words = (count: number) => times(plan.trainers, count / trainers);
  const up = sum(words(seats), times(plan.updates, seats / trainers), times(states, seats / trainers));
  // What others reveal comes with all events of the job; the chunks of their updates nobody asks for.
  const inline = plan.updates.events === 0 ? times(plan.updates, (trainers - seats) / trainers) : NOTHING;
  return traffic(
    up,
    sum(plan.customer, plan.base, plan.validators, words(trainers - seats), inline),
    BigInt(seats) * price,
  );
}

const traffic = (up: Load, down: Load, msat: bigint): Traffic => ({
  ...{ bytesUp: up.bytes, bytesDown: down.bytes, events: up.events + down.events, seconds: null, msat },
});

/**
 * How long the slowest of these seats trains in a round, by the throughput of its bid; null where a bid names none, and for no seats.
 *
 * @param shardRows  examples by shard
 */
export function plannedSeconds(
  state: JobState,
  seats: Iterable<Assignment>,
  shardRows: readonly number[],
): number | null {
  const { hyper } = state.job!.content;
  let slowest: number | null = null;
  for (const { trainer, shard } of seats) {
    const throughput = throughputOf(state, trainer);
    const rows = shardRows[shard];
    if (throughput === 0 || rows === undefined) return null;
    const seconds = (stepCount(hyper, rows) * hyper.batch) / throughput;
    slowest = Math.max(slowest ?? 0, Math.ceil(seconds * 1_000) / 1_000);
  }
  return slowest;
}

/** Examples per second of the trainer's last bid; 0: none said. */
function throughputOf({ chains, award }: JobState, trainer: Pubkey): number {
  const opened = award?.content.bids.find((row) => row.trainer === trainer)?.opened;
  if (opened !== undefined) return opened.throughput;
  const bids = chains.get(trainer)?.events.filter((event) => event.type === 'bid') ?? [];
  return bids.at(-1)?.content.throughput ?? 0;
}
