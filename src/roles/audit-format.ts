import { z } from 'zod';
import type { EventId } from '../hash.js';
import { parseJson } from '../protocol/json.js';
import { bytes32, eventId, int, pubkey } from '../protocol/scalars.js';
import { sealedUpdate } from '../protocol/submission.js';

/** Opens one dataset epoch for reading. Never K_ds: from that the key follows that signs, and so may delete, its chunks. */
const epochKeys = z.object({
  locator: z.string().max(4_000_000),
  blind: bytes32,
  /** Of shard 0, 1, 2 ... */
  shards: z.array(bytes32).min(1).max(1_024),
});
export type EpochKeys = z.output<typeof epochKeys>;
export const evaluationKeys = epochKeys.extend({ salt: bytes32 });

/** Opens the data itself: who has this reads every example. `chain` is s_R: draws and samples follow from it. */
const dataKeys = z.object({ chain: bytes32, train: epochKeys, a: evaluationKeys, b: evaluationKeys });
export type DataKeys = z.output<typeof dataKeys>;

/**
 * What an auditor gets from the customer. Written by collect-model: audit-keys.json opens a job's rounds and updates, never
 * its data; audit-data.json (on request) has `data` as well.
 */
export const auditKeys = z.object({
  job: eventId,
  seed: bytes32,
  rounds: z.array(z.object({ round: int(0, 100_000), key: bytes32 })).max(10_000),
  /** To the root updates of rule fltrust. */
  roots: z
    .array(z.object({ round: int(0, 100_000), key: bytes32 }))
    .max(10_000)
    .optional(),
  updates: z.array(sealedUpdate.extend({ submission: eventId })).max(1_000_000),
  artifact: bytes32.nullable(),
  /** The last event of each author's chain that the customer saw: nothing before it can be left out or signed anew. */
  heads: z
    .array(z.object({ author: pubkey, event: eventId }))
    .max(100_000)
    .optional(),
  data: dataKeys.optional(),
});
export type AuditKeys = z.output<typeof auditKeys>;

/** The first event that does not follow, and why. */
export interface Finding {
  readonly event: EventId;
  readonly rule: string;
  readonly detail: string;
}

export function encodeAuditKeys(keys: AuditKeys): string {
  return `${JSON.stringify(z.encode(auditKeys, keys), undefined, 2)}\n`;
}

/** @throws ZodError for anything else */
export function parseAuditKeys(text: string): AuditKeys {
  return z.decode(auditKeys, parseJson(text) as z.input<typeof auditKeys>);
}
