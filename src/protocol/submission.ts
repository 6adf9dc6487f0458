import { z } from 'zod';
import { fromHex, sha256Hex as hashHex, u32be, type Bytes, type EventId, type Pubkey, type Sha256 } from '../hash.js';
import { engineId } from './bid.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { blobPointer, inlineBlob } from './pointer.js';
import { bytes32, eventId, int, nip44Payload, sha256Hex } from './scalars.js';

const round = int(0, 100_000);
const shard = int(0, 65_535);

/** Fixed width and salted: nobody learns the update from it and nobody can claim another one later. */
export const COMMIT = eventType(
  'commit',
  KINDS.submission,
  'commit',
  z.object({ round, shard, open: eventId, commitment: sha256Hex }),
  (content) => [['round', String(content.round)]],
);

/** Opens the commitment after the list; the update's key is sealed to the customer, so that no trainer can copy another. */
export const REVEAL = eventType(
  'reveal',
  KINDS.submission,
  'reveal',
  z.object({
    round,
    shard,
    list: eventId,
    commit: eventId,
    salt: bytes32,
    baseHash: sha256Hex,
    updateHash: sha256Hex,
    engine: engineId,
    sealed: nip44Payload,
    inline: inlineBlob.optional(),
  }),
  (content) => [['round', String(content.round)]],
);

/** Plaintext of `sealed`: the update's content key and where its chunks lie. */
export const sealedUpdate = z.object({ key: bytes32, pointer: blobPointer });
export type SealedUpdate = z.output<typeof sealedUpdate>;

/** SHA-256("nmkt/1/upd" || job || u32 round || u32 shard || trainer || base || update || salt). */
export function commitmentOf(of: {
  readonly job: EventId;
  readonly round: number;
  readonly shard: number;
  readonly trainer: Pubkey;
  readonly baseHash: Sha256;
  readonly updateHash: Sha256;
  readonly salt: Bytes;
}): Sha256 {
  return hashHex(
    'nmkt/1/upd',
    fromHex(of.job),
    u32be(of.round),
    u32be(of.shard),
    fromHex(of.trainer),
    fromHex(of.baseHash),
    fromHex(of.updateHash),
    of.salt,
  );
}
