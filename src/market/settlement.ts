import type { EventId, Pubkey } from '../hash.js';
import { payoutId, type PlanLine } from '../protocol/settlement.js';

/**
 * Flat payout of a round: each accepted trainer gets the price of its award. Lines in order of payee; the sum is exact.
 *
 * @param accepted  at most one entry per trainer and shard; a trainer with two shards gets one line with both prices
 */
export function settlementPlan(
  job: EventId,
  round: number,
  accepted: readonly { readonly trainer: Pubkey; readonly priceMsat: bigint }[],
): { readonly plan: readonly PlanLine[]; readonly totalMsat: bigint } {
  const owed = new Map<Pubkey, bigint>();
  for (const { trainer, priceMsat } of accepted) owed.set(trainer, (owed.get(trainer) ?? 0n) + priceMsat);
  const plan = [...owed]
    .filter(([, amountMsat]) => amountMsat > 0n)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([payee, amountMsat]) => ({
      payout: payoutId(job, round, payee, 'trainer'),
      payee,
      purpose: 'trainer' as const,
      amountMsat,
    }));
  return { plan, totalMsat: plan.reduce((sum, line) => sum + line.amountMsat, 0n) };
}
