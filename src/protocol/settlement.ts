import { z } from 'zod';
import { fromHex, sha256Hex as hashHex, u32be, u64be, type EventId, type Pubkey, type Sha256 } from '../hash.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { eventId, int, msat, pubkey, sha256Hex } from './scalars.js';

/** `fee`: of a validator; `bonus`: of what was slashed; `carry`: what was too small to be paid by itself in earlier settlements; `correction`: of a trainer whose work was rejected by a proof that drawn validators found false; `delegation:` with a key: of its reward, to who stood behind it. */
export type Purpose = 'trainer' | 'fee' | 'bonus' | 'correction' | `delegation:${Pubkey}`;

/** @param names  what a line can be for, besides a delegation */
export function planLineOf<P extends string>(...names: readonly P[]) {
  const purpose = z
    .string()
    .regex(
      new RegExp(`^(${names.join('|')}|delegation:[0-9a-f]{64})$`),
      `${names.join(', ')} or delegation: with a key`,
    ) as unknown as z.ZodType<P | `delegation:${Pubkey}`, string>;
  return z.object({ payout: sha256Hex, payee: pubkey, purpose, amountMsat: msat });
}

const planLine = planLineOf('trainer', 'fee', 'bonus', 'correction');
export type PlanLine = z.output<typeof planLine>;

/** One per (job, round), published before anything is paid; anyone can recompute it from the award and the close. */
export const SETTLEMENT = eventType(
  'settlement',
  KINDS.settlement,
  null,
  z.object({ round: int(0, 100_000), close: eventId, plan: z.array(planLine).max(1_024), totalMsat: msat }),
  (content) => [['round', String(content.round)]],
);

/** SHA-256("nmkt/1/payout" || job || u32 round || payee || purpose). */
export function payoutId(job: EventId, round: number, payee: Pubkey, purpose: string): Sha256 {
  return hashHex('nmkt/1/payout', fromHex(job), u32be(round), fromHex(payee), purpose);
}

/** The description hash an invoice must carry: SHA-256("nmkt/1/claim" || job || settlement || payout || payee || u64 amount). */
export function claimHash(of: {
  readonly job: EventId;
  readonly settlement: EventId;
  readonly payout: Sha256;
  readonly payee: Pubkey;
  readonly amountMsat: bigint;
}): Sha256 {
  return hashHex(
    'nmkt/1/claim',
    fromHex(of.job),
    fromHex(of.settlement),
    fromHex(of.payout),
    fromHex(of.payee),
    u64be(of.amountMsat),
  );
}
