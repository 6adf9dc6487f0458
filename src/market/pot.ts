import type { Pubkey } from '../hash.js';
import type { AlliancePlanLine } from '../protocol/alliance/round.js';
import type { PlanLine } from '../protocol/settlement.js';
import { largestRemainder } from './stake-reward.js';
import type { Slash } from './stake.js';

/** What was slashed in a job, and who gets it with the last settlement. */

export interface PotFacts {
  readonly customer: Pubkey;
  readonly slashes: readonly Slash[];
  /** What settlements promise by key, prices and fees, the last one included. */
  readonly earned: ReadonlyMap<Pubkey, bigint>;
  /** Proven to have cheated, staked or not. */
  readonly frauds: ReadonlySet<Pubkey>;
}

/**
 * Nine tenths of each slashed lock, in proportion to what everybody earned in the job by its accepted work; not to the customer, who signed
 * the evidence, whose lock it was, or who cheated. By largest remainder, ties by key: the shares sum to the pot, and a key that earns
 * under two names gains at most a msat by each. Where nobody is left to get it, it stays in the pot.
 */
export function potShares({ customer, slashes, earned, frauds }: PotFacts): ReadonlyMap<Pubkey, bigint> {
  const guilty = new Set(slashes.map((slash) => slash.guilty));
  const sums = new Map<Pubkey, bigint>();
  for (const { potMsat, signers, owner } of slashes) {
    const mayGet = (key: Pubkey): boolean =>
      key !== customer && key !== owner && !signers.has(key) && !guilty.has(key) && !frauds.has(key);
    const weights = new Map([...earned].filter(([key, msat]) => msat > 0n && mayGet(key)));
    for (const [key, msat] of largestRemainder(potMsat, weights)) sums.set(key, (sums.get(key) ?? 0n) + msat);
  }
  return sums;
}

type AnyLine = PlanLine | AlliancePlanLine;

/** Prices, fees and what delegators share of them, by key. */
export function earnedBy(lines: Iterable<Pick<AnyLine, 'payee' | 'purpose' | 'amountMsat'>>): Map<Pubkey, bigint> {
  const earned = new Map<Pubkey, bigint>();
  for (const { payee, purpose, amountMsat } of lines)
    if (purpose !== 'bonus' && purpose !== 'refund') earned.set(payee, (earned.get(payee) ?? 0n) + amountMsat);
  return earned;
}

/** What lies in the pot of a job, and what of it settlements promise. */
export function potOf({
  slashes,
  lines,
}: {
  readonly slashes: readonly Slash[];
  readonly lines: Iterable<Pick<AnyLine, 'purpose' | 'amountMsat'>>;
}): { readonly slashedMsat: bigint; readonly promisedMsat: bigint } {
  let promisedMsat = 0n;
  for (const { purpose, amountMsat } of lines) if (purpose === 'bonus') promisedMsat += amountMsat;
  return { slashedMsat: slashes.reduce((sum, { potMsat }) => sum + potMsat, 0n), promisedMsat };
}
