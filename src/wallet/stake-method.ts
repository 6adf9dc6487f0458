import { z } from 'zod';
import { NmktError } from '../errors.js';
import type { NostrEvent, Stake, StakeLock } from '../ports.js';
import { eventId, int, msat, pubkey, sha256Hex } from '../protocol/scalars.js';

/** A method beside those of NIP-47, of the sandbox's wallets alone: what goes over the wire, in both directions. */
export const STAKE_METHOD = 'nmkt_stake';

/** Job, award, proof, what it condemns and a validator for each seat; or job, list and votes of a round, as many as one message holds. */
export const MAX_EVIDENCE = 64;
/** A round each. */
const MAX_TAKEN = 1_000;

const signedEvent = z.object({
  id: eventId,
  pubkey,
  created_at: int(0, Number.MAX_SAFE_INTEGER),
  kind: int(0, 65_535),
  tags: z.array(z.array(z.string())).max(600),
  content: z.string(),
  sig: z.string().regex(/^[0-9a-f]{128}$/),
}) as unknown as z.ZodType<NostrEvent, NostrEvent>;

const call = z.discriminatedUnion('do', [
  z.object({ do: z.literal('lock'), lock: sha256Hex, job: eventId, staker: pubkey, amountMsat: msat }),
  z.object({ do: z.literal('find'), lock: sha256Hex }),
  z.object({ do: z.literal('release'), lock: sha256Hex }),
  z.object({ do: z.literal('slash'), lock: sha256Hex, evidence: z.array(signedEvent).max(MAX_EVIDENCE) }),
  z.object({
    ...{ do: z.literal('pay'), job: signedEvent, settlement: signedEvent, payout: sha256Hex },
    invoice: z.string().min(20).max(7_089),
  }),
]);
export type StakeCall = z.output<typeof call>;

const answer = z.object({
  found: z
    .object({
      lock: sha256Hex,
      job: eventId,
      staker: pubkey,
      amountMsat: msat,
      taken: z
        .array(z.object({ part: z.string().max(40), amountMsat: msat }))
        .max(MAX_TAKEN)
        .readonly(),
      state: z.enum(['locked', 'leaving', 'released', 'slashed']),
      freeAt: int(0, Number.MAX_SAFE_INTEGER).nullable(),
    })
    .nullable(),
  /** Exactly of `pay`. */
  paid: z.object({ paymentHash: sha256Hex, preimage: sha256Hex }).optional(),
});

export function encodeStakeCall(of: StakeCall): object {
  return z.encode(call, of);
}

/** @throws NmktError `bad-usage` for what is no call, and what the stake throws */
export async function runStakeCall(stake: Stake, params: unknown): Promise<object> {
  const result = z.safeDecode(call, params as never);
  if (!result.success) throw malformed('a call of stake', result.error.issues[0]?.message);
  const of = result.data;
  if (of.do === 'pay') return z.encode(answer, { found: null, paid: (await stake.pay(of)) as Paid });
  const found =
    of.do === 'lock'
      ? await stake.lock(of)
      : of.do === 'find'
        ? await stake.find(of.lock)
        : of.do === 'release'
          ? await stake.release(of.lock)
          : await stake.slash(of.lock, of.evidence);
  return z.encode(answer, { found });
}

type Paid = NonNullable<z.output<typeof answer>['paid']>;

/** What a wallet answered; a lock of null: it knows no such. @throws NmktError `bad-usage` */
export function stakeAnswer(value: unknown): { readonly found: StakeLock | null; readonly paid?: Paid | undefined } {
  const result = z.safeDecode(answer, value as never);
  if (result.success) return result.data;
  throw malformed('an answer of stake', result.error.issues[0]?.message);
}

function malformed(expected: string, got = 'something else'): NmktError {
  return new NmktError('bad-usage', 'the wallet and nmkt do not understand each other about stake', {
    expected,
    got: got.slice(0, 200),
    remedy: 'update both',
  });
}
