import { z } from 'zod';
import { NmktError } from '../errors.js';
import { sha256Hex as hashHex, type Sha256 } from '../hash.js';
import { parseJson } from './json.js';
import { KINDS } from './kinds.js';
import { blobPointer } from './pointer.js';
import { MAX_DIFFERENCES } from './round.js';
import { bytes32, eventId, int, unixSec } from './scalars.js';
import { sealedState, sealedUpdate } from './submission.js';

/** NIP-44 pads to powers of two, twice: a larger rumor makes a wrap above strfry's default event limit. */
export const MAX_GRANT_CHARS = 28_672;

/** A trainer's key to its shard, the job's seed and the way to the chunks. */
export const shardGrant = z.object({
  purpose: z.literal('shard'),
  job: eventId,
  snapshot: eventId,
  shard: int(0, 65_535),
  key: bytes32,
  seed: bytes32,
  locator: z.string().max(26_000),
  blind: bytes32,
  notAfter: unixSec,
});
export type ShardGrant = z.output<typeof shardGrant>;

/** The key to a round's global model, and where that is a difference those to the models before. */
export const roundGrant = z.object({
  purpose: z.literal('round'),
  job: eventId,
  round: int(0, 100_000),
  key: bytes32,
  /** Of the rounds before, the nearest first, back to the last whole model. */
  before: z.array(bytes32).min(1).max(MAX_DIFFERENCES).optional(),
  notAfter: unixSec,
});
export type RoundGrant = z.output<typeof roundGrant>;

/** A validator's key to evaluation set A, and the secret that says on which examples it scores; shards come in grants of their own. */
export const evalGrant = z.object({
  purpose: z.literal('eval'),
  job: eventId,
  snapshot: eventId,
  key: bytes32,
  scoring: bytes32,
  locator: z.string().max(26_000),
  blind: bytes32,
  notAfter: unixSec,
});
export type EvalGrant = z.output<typeof evalGrant>;

/** What a trainer sealed in its reveal, passed on to a validator; null: it did not open. */
export const updateGrant = z.object({
  purpose: z.literal('update'),
  job: eventId,
  submission: eventId,
  update: sealedUpdate.nullable(),
  notAfter: unixSec,
});
export type UpdateGrant = z.output<typeof updateGrant>;

/**
 * From a trainer to the validators that repeat its disputed segment: the key to the state before it; null: it begins at the base. The
 * trainer passes on its grants of shard and round beside it, as it got them.
 */
export const segmentGrant = z.object({
  purpose: z.literal('segment'),
  job: eventId,
  draw: eventId,
  state: sealedState.nullable(),
  notAfter: unixSec,
});
export type SegmentGrant = z.output<typeof segmentGrant>;

/** A member's key to the proposals of an alliance, of all its rounds: from them anyone who joins later computes the model. */
export const groupGrant = z.object({ purpose: z.literal('group'), job: eventId, key: bytes32, notAfter: unixSec });
export type GroupGrant = z.output<typeof groupGrant>;

/** To a validator of an arena: what lies under an alias that it scores; null: it did not open. */
export const modelGrant = z.object({
  purpose: z.literal('model'),
  job: eventId,
  /** Of the aliases. */
  root: eventId,
  alias: int(0, 1_023),
  model: z.object({ key: bytes32, pointer: blobPointer }).nullable(),
  notAfter: unixSec,
});
export type ModelGrant = z.output<typeof modelGrant>;

export const grant = z.discriminatedUnion('purpose', [
  shardGrant,
  roundGrant,
  evalGrant,
  updateGrant,
  segmentGrant,
  groupGrant,
  modelGrant,
]);
export type Grant = z.output<typeof grant>;

/** The rumor's content; deterministic, so that its hash can stand in the award before the wrap is sent. */
export function encodeGrant(value: Grant): string {
  return JSON.stringify(z.encode(grant, value));
}

export function grantHash(encoded: string): Sha256 {
  return hashHex('nmkt/1/grant', encoded);
}

/** @throws NmktError `bad-event` */
export function parseGrant(kind: number, content: string): Grant {
  const fail = (expected: string): never => {
    throw new NmktError('bad-event', 'a gift-wrapped grant is malformed', {
      expected,
      got: `${content.length} characters`,
      remedy: 'nothing: it is ignored',
    });
  };
  if (kind !== KINDS.grant) fail(`a rumor of kind ${KINDS.grant}`);
  if (content.length > MAX_GRANT_CHARS) fail(`at most ${MAX_GRANT_CHARS} characters`);
  const result = z.safeDecode(grant, parseJson(content) as z.input<typeof grant>);
  return result.success ? result.data : fail(result.error.issues[0]?.message ?? 'a grant');
}
