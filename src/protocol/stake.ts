import { z } from 'zod';
import { fromHex, sha256Hex as hashHex, u32be, type EventId, type Pubkey, type Sha256 } from '../hash.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { eventId, int, msat, pubkey, sha256Hex } from './scalars.js';

/** Stake: money locked for one job, by who works in it or by who stands behind somebody who does. */

export const STAKED_ROLES = ['trainer', 'validator'] as const;
const sigmaPpm = int(0, 1_000_000);

/** Of the author itself, who thereby is an operator; of its reward it keeps `sigmaPpm` before its delegators share in it. */
export const STAKE = eventType(
  'stake',
  KINDS.stake,
  'stake',
  z.object({ lock: sha256Hex, amountMsat: msat, role: z.enum(STAKED_ROLES), sigmaPpm }),
);

/** Behind an operator. */
export const DELEGATE = eventType(
  'delegate',
  KINDS.stake,
  'delegate',
  z.object({ lock: sha256Hex, amountMsat: msat, operator: pubkey }),
);

/** Takes back an own stake or delegation: it counts no more from the next table on, and is free after the cooldown. */
export const WITHDRAW = eventType('withdraw', KINDS.stake, 'withdraw', z.object({ of: eventId }));

/**
 * A lock whose keeper found it condemned by these events. The author reports: neither the customer nor whom they condemn. The lock is empty;
 * a tenth went to the reporter, the rest lies in the pot of the job.
 */
export const SLASH = eventType(
  'slash',
  KINDS.stake,
  'slash',
  z.object({ lock: sha256Hex, evidence: z.array(eventId).min(1).max(2) }),
);

const row = z.object({
  operator: pubkey,
  role: z.enum(STAKED_ROLES),
  ownMsat: msat,
  delegatedMsat: msat,
  sigmaPpm,
});
export type StakeRow = z.output<typeof row>;

/** The customer's: what counts from this interval on. `events` are those new since the last table; rows follow from all of them. */
export const STAKE_TABLE = eventType(
  'stake-table',
  KINDS.stake,
  'table',
  z.object({ interval: int(0, 1_000_000), events: z.array(eventId).max(400), rows: z.array(row).max(200) }),
);

/** SHA-256("nmkt/1/lock" || job || staker || operator || u32 number): the same request again is the same lock. */
export function lockId(job: EventId, staker: Pubkey, operator: Pubkey, number: number): Sha256 {
  return hashHex('nmkt/1/lock', fromHex(job), fromHex(staker), fromHex(operator), u32be(number));
}
