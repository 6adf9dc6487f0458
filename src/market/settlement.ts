import type { EventId, Pubkey } from '../hash.js';
import { payoutId, type PlanLine, type Purpose } from '../protocol/settlement.js';

/**
 * Flat payout of a round: each accepted trainer gets the price of its award, each validator whose scores count its fee, others what stake
 * brings them. Lines in order of (payee, purpose); the sum is exact.
 *
 * @param accepted  at most one entry per trainer and shard; a trainer with two shards gets one line with both prices
 * @param fees      at most one entry per validator
 */
export function settlementPlan(
  job: EventId,
  round: number,
  accepted: readonly { readonly trainer: Pubkey; readonly priceMsat: bigint }[],
  fees: readonly { readonly validator: Pubkey; readonly feeMsat: bigint }[] = [],
  others: readonly Omit<PlanLine, 'payout'>[] = [],
): { readonly plan: readonly PlanLine[]; readonly totalMsat: bigint } {
  const owed = new Map<Pubkey, bigint>();
  for (const { trainer, priceMsat } of accepted) owed.set(trainer, (owed.get(trainer) ?? 0n) + priceMsat);
  const line = (payee: Pubkey, purpose: Purpose, amountMsat: bigint): PlanLine => ({
    payout: payoutId(job, round, payee, purpose),
    ...{ payee, purpose, amountMsat },
  });
  const plan = [
    ...[...owed].map(([payee, amountMsat]) => line(payee, 'trainer', amountMsat)),
    ...fees.map(({ validator, feeMsat }) => line(validator, 'fee', feeMsat)),
    ...others.map(({ payee, purpose, amountMsat }) => line(payee, purpose, amountMsat)),
  ]
    .filter(({ amountMsat }) => amountMsat > 0n)
    .sort((a, b) => (a.payee !== b.payee ? (a.payee < b.payee ? -1 : 1) : a.purpose < b.purpose ? -1 : 1));
  return { plan, totalMsat: plan.reduce((sum, { amountMsat }) => sum + amountMsat, 0n) };
}
