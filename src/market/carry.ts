import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { payoutId } from '../protocol/settlement.js';

/** Amounts below the payout floor of a job wait until there is more of them: to send 3 sat may cost 10. */

/** What waits, by payee; nobody with nothing. */
export type Carried = ReadonlyMap<Pubkey, bigint>;
export const NOTHING_CARRIED: Carried = new Map();

interface Line {
  readonly payee: Pubkey;
  readonly purpose: string;
  readonly amountMsat: bigint;
}
export interface CarryLine extends Line {
  readonly purpose: 'carry';
}

/** Not by the customer's wallet: a bonus comes out of what was slashed, a refund goes nowhere. A correction is a settlement of its own. */
const NEVER_CARRIED: readonly string[] = ['bonus', 'refund', 'correction'];

/**
 * What a settlement pays of its lines, and what waits. A line of at least the floor is paid as it is. Smaller ones of one payee are added to
 * what waits for it, and all of that is paid as one line `carry` once it reaches the floor. The last settlement pays everything: its own
 * lines as they are, and what waited as `carry`.
 *
 * @returns  lines in their order, then those of `carry` in order of payees; they and `carried` sum to `lines` and `before`
 */
export function payOrCarry<L extends Line>(
  lines: readonly L[],
  before: Carried,
  { floorMsat, isLast }: { readonly floorMsat: bigint; readonly isLast: boolean },
): { readonly lines: readonly (L | CarryLine)[]; readonly carried: Carried } {
  const waits = ({ purpose, amountMsat }: L): boolean =>
    !isLast && amountMsat < floorMsat && !NEVER_CARRIED.includes(purpose);
  const waiting = new Map(before);
  for (const line of lines) if (waits(line)) waiting.set(line.payee, (waiting.get(line.payee) ?? 0n) + line.amountMsat);
  const isDue = (msat: bigint): boolean => msat > 0n && (isLast || msat >= floorMsat);
  const byPayee = [...waiting].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    lines: [...lines.filter((line) => !waits(line)), ...carryLines(byPayee.filter(([, msat]) => isDue(msat)))],
    carried: new Map(byPayee.filter(([, msat]) => msat > 0n && !isDue(msat))),
  };
}

function carryLines(waiting: Iterable<readonly [Pubkey, bigint]>): readonly CarryLine[] {
  return [...waiting].map(([payee, amountMsat]) => ({ payee, purpose: 'carry', amountMsat }));
}

/** What a job owes that is cancelled while something waits: the cancellation promises it. Payout ids are of the last one that was settled. */
export function owedByCancel(
  job: EventId,
  lastSettled: number,
  carried: Carried,
): readonly (CarryLine & { readonly payout: Sha256 })[] {
  return carryLines(carried).map((line) => ({
    ...line,
    payout: payoutId(job, lastSettled, line.payee, line.purpose),
  }));
}

export function carriedMsat(carried: Carried): bigint {
  return [...carried.values()].reduce((sum, msat) => sum + msat, 0n);
}
