import { z } from 'zod';
import { fromHex, sha256Hex as hashHex, u32be, type Bytes, type EventId, type Sha256 } from '../../hash.js';
import { eventType } from '../envelope.js';
import { KINDS } from '../kinds.js';
import { bytes32, eventId, int, sha256Hex } from '../scalars.js';
import { MAX_VALIDATORS } from '../validator.js';
import { stage, stageTag } from './submission.js';

/** Names under which validators score models, so that none recognises one by chance: 0, 1, 2 ... in an order that the customer chose before. */

/** Fixes the table before anybody scores, and who may: `validators` are registrations, in order of their authors' keys. */
export const ALIAS_ROOT = eventType(
  'alias-root',
  KINDS.round,
  'alias-root',
  z.object({
    stage,
    list: eventId,
    root: sha256Hex,
    /** Aliases. */
    count: int(0, 1_024),
    validators: z.array(eventId).max(MAX_VALIDATORS),
  }),
  stageTag,
);

/** What opens a commitment; both null: the customer says that it could not be opened. */
const entry = z
  .object({ submission: eventId, model: sha256Hex.nullable(), salt: bytes32.nullable() })
  .refine(({ model, salt }) => (model === null) === (salt === null), 'model and salt, or neither');
export type AliasEntry = z.output<typeof entry>;

/** After the last scores: entry i is alias i. */
export const ALIAS_TABLE = eventType(
  'alias-table',
  KINDS.round,
  'alias-table',
  z.object({ stage, root: eventId, salt: bytes32, entries: z.array(entry).max(1_024) }),
  stageTag,
);

const NONE = new Uint8Array(32);

/**
 * SHA-256("nmkt/1/aliases" || job || u32 stage || list || u32 count || entries || salt); an entry is submission, model hash and salt, 64 zeros
 * where it could not be opened.
 */
export function aliasRoot(of: {
  readonly job: EventId;
  readonly stage: number;
  readonly list: EventId;
  readonly entries: readonly AliasEntry[];
  readonly salt: Bytes;
}): Sha256 {
  const entries = of.entries.flatMap(({ submission, model, salt }) => [
    fromHex(submission),
    model === null ? NONE : fromHex(model),
    salt ?? NONE,
  ]);
  return hashHex(
    'nmkt/1/aliases',
    ...[fromHex(of.job), u32be(of.stage), fromHex(of.list), u32be(of.entries.length)],
    ...entries,
    of.salt,
  );
}
