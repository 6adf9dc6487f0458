import { z } from 'zod';
import {
  fromHex,
  sha256Hex as hashHex,
  u32be,
  type Bytes,
  type EventId,
  type Pubkey,
  type Sha256,
} from '../../hash.js';
import { NmktError } from '../../errors.js';
import { eventType } from '../envelope.js';
import { parseJson } from '../json.js';
import { KINDS } from '../kinds.js';
import { blobPointer } from '../pointer.js';
import { namedLock } from '../bid.js';
import { base64, bytes32, degraded, eventId, int, loss, ppm, sha256Hex, unixSec } from '../scalars.js';

/** Models of an arena: nobody but the customer learns more than that one was submitted. */

/** 0: interim, on set A; 1: final, on set B. */
export const stage = int(0, 1);
export const stageTag = (content: { readonly stage: number }) => [['round', String(content.stage)]];

/** Characters of plaintext in every `sealed`, filled with spaces: its size says nothing about the model. */
export const SEALED_MODEL_CHARS = 8_192;
/** Of the NIP-44 payload that they give. */
const SEALED_CHARS = 11_012;
/** Chunks that a pack has. */
const PACK_CHUNKS = 167;

/** Asks for the training set, with the stake that the job asks. Whom the customer gives it to, its job says. */
export const ENTER = eventType('enter', KINDS.bid, 'enter', z.object({ expires: unixSec, lock: namedLock }));

/** `sealed` is for the customer (NIP-44). */
export const SUBMIT = eventType(
  'submit',
  KINDS.submission,
  'submit',
  z.object({ stage, commitment: sha256Hex, sealed: base64(SEALED_CHARS).length(SEALED_CHARS) }),
  stageTag,
);

/** Plaintext of `sealed`, spaces after it: where the model file lies, what opens it and the commitment, and what its trainer measured, which counts for nothing. */
export const sealedModel = z.object({
  key: bytes32,
  salt: bytes32,
  pointer: blobPointer,
  metrics: z.object({ lossPpm: loss, accuracyPpm: ppm.nullable() }),
});
export type SealedModel = z.output<typeof sealedModel>;

/** @throws NmktError `bad-event` */
export function parseSealedModel(text: string): SealedModel {
  const expected = `JSON of ${SEALED_MODEL_CHARS} characters with spaces at its end`;
  if (text.length !== SEALED_MODEL_CHARS) throw noModel(expected, `${text.length} characters`);
  const result = z.safeDecode(sealedModel, parseJson(text) as z.input<typeof sealedModel>);
  if (result.success) return result.data;
  throw noModel(result.error.issues[0]?.message ?? expected, text.slice(0, 80));
}

function noModel(expected: string, got: string): NmktError {
  return new NmktError('bad-event', 'a submission seals no model', {
    expected,
    got,
    remedy: 'nothing: it has no rank',
  });
}

/** @throws RangeError above what fits, a pointer of about 100 index chunks: some gigabytes */
export function encodeSealedModel(model: SealedModel): string {
  const text = JSON.stringify(z.encode(sealedModel, model));
  if (text.length > SEALED_MODEL_CHARS) throw new RangeError(`${text.length} characters`);
  return text.padEnd(SEALED_MODEL_CHARS);
}

/**
 * How many chunks the upload key of a model signs, the random ones among them: whole packs, or what the largest model of the job takes
 * where that is fewer. Where it is, all submissions of a job have one size.
 *
 * @param chunks   of the model
 * @param largest  of a model of `maxModelBytes`
 */
export function publishedChunks(chunks: number, largest: number): number {
  const packs = Math.max(1, Math.ceil(chunks / PACK_CHUNKS)) * PACK_CHUNKS;
  return Math.max(chunks, Math.min(packs, largest));
}

/** SHA-256("nmkt/1/model" || job || u32 stage || trainer || model hash || salt); the model hash is SHA-256 of its file. */
export function modelCommitment(of: {
  readonly job: EventId;
  readonly stage: number;
  readonly trainer: Pubkey;
  readonly model: Sha256;
  readonly salt: Bytes;
}): Sha256 {
  return hashHex(
    'nmkt/1/model',
    ...[fromHex(of.job), u32be(of.stage), fromHex(of.trainer), fromHex(of.model), of.salt],
  );
}

const ids = z.array(eventId).max(1_024);

/** Submissions new since the last one; `interval`: of the stake tables, in which they count. What is seen and not listed is a proven omission. */
export const ARENA_SEEN = eventType(
  'arena-seen',
  KINDS.round,
  'arena-seen',
  z.object({ stage, interval: int(0, 1_000_000), ids }),
  stageTag,
);

/** The submissions that count: ends the stage for trainers. `until` when validators are to have opened their nonces. */
export const ARENA_LIST = eventType(
  'arena-list',
  KINDS.round,
  'arena-list',
  z.object({ stage, ids, until: unixSec, degraded }),
  stageTag,
);
