import type { Bytes } from '../hash.js';
import { lowerMedian } from './lower-median.js';
import { prng } from './prng.js';

/**
 * Does an update hold work on its shard? Everything published is an integer in ppm, so that everyone who has the losses
 * gets the same scores. D and E are a floor: they tell work from none, not how much was done.
 */

export interface Losses {
  /** Of the base model, ppm. */
  readonly before: number;
  /** Of the update, ppm. */
  readonly after: number;
}

const MILLION = 1_000_000;
/** D and E stay within a million times the loss before: a diverged update needs no more digits. */
const CLAMP_PPM = 1_000_000_000_000;

function clamp(value: bigint): number {
  const limit = BigInt(CLAMP_PPM);
  return Number(value > limit ? limit : value < -limit ? -limit : value);
}

/** A mean loss >= 0 as an integer in ppm; what is not finite or too large becomes 2^53 - 1, below 0 (rounding) 0. */
export function lossPpm(loss: number): number {
  const ppm = Math.round(loss * MILLION);
  return ppm < Number.MAX_SAFE_INTEGER ? Math.max(0, ppm) : Number.MAX_SAFE_INTEGER;
}

/**
 * (before - after) / before in ppm, rounded down: 1,000,000 when the loss is gone, negative when it grew.
 * From a loss of 0: 0 if it stayed 0, else the lowest value.
 *
 * @param before, after  losses in ppm, integers >= 0
 * @returns              integer in [-10^12, 10^6]
 */
export function dropPpm(before: number, after: number): number {
  if (before === 0) return after === 0 ? 0 : -CLAMP_PPM;
  const numerator = (BigInt(before) - BigInt(after)) * BigInt(MILLION);
  const quotient = numerator / BigInt(before); // towards zero
  return clamp(numerator < 0n && numerator % BigInt(before) !== 0n ? quotient - 1n : quotient);
}

export interface WorkScore {
  /** Loss drop on the assigned shard, ppm of the loss before. */
  readonly dPpm: number;
  /** `dPpm` minus the loss drop on other data (the indicator of Templar, arXiv:2505.21684). */
  readonly ePpm: number;
}

/** @param assigned, other  losses in ppm on samples of the assigned shard and of other data the scorer holds */
export function workScore(assigned: Losses, other: Losses): WorkScore {
  const dPpm = dropPpm(assigned.before, assigned.after);
  return { dPpm, ePpm: clamp(BigInt(dPpm) - BigInt(dropPpm(other.before, other.after))) };
}

/** A score with the standard errors of the two drops it comes from, ppm of the loss before. */
export interface WorkEvidence extends WorkScore {
  readonly ownSePpm: number;
  readonly otherSePpm: number;
}

/**
 * Standard error of a relative loss drop, paired by example: sqrt(var(before_i - after_i) / n) / mean(before), in ppm, rounded up.
 * One example tells nothing: the highest value.
 *
 * @param before, after  losses of the same n >= 1 examples, finite
 */
export function dropErrorPpm(before: Float64Array, after: Float64Array): number {
  const n = before.length;
  let sumBefore = 0;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    sumBefore += before[i]!;
    sum += before[i]! - after[i]!;
  }
  if (n < 2 || !(sumBefore > 0)) return CLAMP_PPM;
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) {
    const distance = before[i]! - after[i]! - mean;
    squares += distance * distance;
  }
  const error = (Math.sqrt(squares / (n - 1) / n) / (sumBefore / n)) * MILLION;
  return error < CLAMP_PPM ? Math.ceil(error) : CLAMP_PPM;
}

export type WorkFloorRule = 'not-on-assigned-shard' | 'loss-grew' | 'little-work';
export type WorkFloor = { readonly pass: true } | { readonly pass: false; readonly rule: WorkFloorRule };

/** D may fall this far: an honest update can raise the loss of a converged model a little. */
const LOWEST_D_PPM = -5_000;
/** Noise of a ten-thousandth moves the loss of every example the same way: significant, but next to nothing. */
const LEAST_CLEAR_D_PPM = 5_000;

/** What a round asks of each of its updates, ppm; null: nothing. */
export interface LeastWork {
  readonly dPpm: number | null;
  readonly ePpm: number | null;
}
export const NOTHING_ASKED: LeastWork = { dPpm: null, ePpm: null };

/**
 * E decides, D only rejects what made the assigned shard worse. Where E is not positive, but within two standard errors of 0, the samples
 * cannot tell the assigned shard from other data (a simple model on similar shards); then a drop D of more than two standard
 * errors and 0.5 % shows work. Idle updates have neither.
 *
 * E is positive by chance in half of all cases where an update changes little: what the others of the round did (`leastWork`) tells work
 * from chance. To come within one standard error of it is enough.
 */
export function workFloor({ dPpm, ePpm, ownSePpm, otherSePpm }: WorkEvidence, least: LeastWork): WorkFloor {
  const own = BigInt(ownSePpm);
  const other = BigInt(otherSePpm);
  const squaredError = own * own + other * other;
  const isUncertain = BigInt(ePpm) * BigInt(ePpm) < 4n * squaredError;
  const showsWork = dPpm > 2 * ownSePpm && dPpm > LEAST_CLEAR_D_PPM;
  if (ePpm <= 0 && !(isUncertain && showsWork)) return { pass: false, rule: 'not-on-assigned-shard' };
  if (dPpm < LOWEST_D_PPM) return { pass: false, rule: 'loss-grew' };
  const missing = BigInt(least.ePpm ?? ePpm) - BigInt(ePpm);
  if (dPpm + ownSePpm < (least.dPpm ?? dPpm) || (missing > 0n && missing * missing > squaredError))
    return { pass: false, rule: 'little-work' };
  return { pass: true };
}

/**
 * What is asked of every update of a round: a share of the lower median of all drops D, and half of that share of the lower median of all E,
 * which differs more among honest updates. Fewer than half of the updates cannot lift a median above what an honest one reached, nor push it
 * below. Nothing is asked among fewer than three, nor where a median is at most 0.5 %: there a round changes next to nothing, or its shards
 * are alike.
 *
 * @param scores    of every update that was measured
 * @param sharePpm  0 to 1,000,000
 */
export function leastWork(scores: readonly WorkScore[], sharePpm: number): LeastWork {
  if (scores.length < 3) return NOTHING_ASKED;
  const shareOf = (values: readonly number[], ppm: number): number | null => {
    const median = lowerMedian(values);
    if (median <= LEAST_CLEAR_D_PPM) return null;
    return clamp((BigInt(median) * BigInt(ppm)) / BigInt(MILLION));
  };
  return {
    dPpm: shareOf(
      scores.map(({ dPpm }) => dPpm),
      sharePpm,
    ),
    ePpm: shareOf(
      scores.map(({ ePpm }) => ePpm),
      Math.floor(sharePpm / 2),
    ),
  };
}

/**
 * The examples a score is measured on: min(n, max) of n indices, ascending, from the customer's secret, so that no
 * trainer knows them before the reveal.
 *
 * @param n    examples in the shard (or the other data)
 * @param max  2,000 by default: samples of 256 rejected honest work
 */
export function sampleIndices(
  n: number,
  secret: Bytes,
  round: number,
  shard: number | 'other',
  max = 2000,
): Uint32Array {
  return prng(secret, `sample/${round}/${shard}`).shuffle(n).slice(0, max).sort();
}

export interface FedstrTest {
  /** L_i <= L_previous (1 + tau) */
  readonly improves: boolean;
  /** L_i <= (1 + 2 tau) times the mean of the others' losses; true when there are no others. */
  readonly agrees: boolean;
}

/**
 * The two acceptance tests of FEDSTR (Nikolakakis et al. 2024, arXiv:2404.15834) on evaluation losses. Report only by
 * default: where shards differ in their labels, they reject honest work.
 *
 * @param lossesPpm  one per update of the round
 * @param tauPpm     tolerance, default 0.1
 */
export function fedstrTests(lossesPpm: readonly number[], previousPpm: number, tauPpm = 100_000): FedstrTest[] {
  const one = BigInt(MILLION);
  const tau = BigInt(tauPpm);
  const sum = lossesPpm.reduce((total, loss) => total + BigInt(loss), 0n);
  const others = BigInt(lossesPpm.length - 1);
  return lossesPpm.map((value) => {
    const loss = BigInt(value);
    return {
      improves: loss * one <= BigInt(previousPpm) * (one + tau),
      agrees: loss * others * one <= (sum - loss) * (one + 2n * tau),
    };
  });
}
