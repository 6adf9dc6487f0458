import { z } from 'zod';
import { fromHex, sha256Hex as hashHex, u32be, type Bytes, type EventId, type Pubkey, type Sha256 } from '../hash.js';
import { engineId } from './bid.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { blobPointer, inlineBlob } from './pointer.js';
import { base64, bytes32, eventId, int, nip44Payload, sha256Hex } from './scalars.js';

const round = int(0, 100_000);
const shard = int(0, 65_535);

/** A reveal is one event of 64 kB, with the update itself where that is small. */
export const MAX_CHECKPOINTS = 127;

/** Fixed width and salted: nobody learns the update from it and nobody can claim another one later. */
export const COMMIT = eventType(
  'commit',
  KINDS.submission,
  'commit',
  z.object({ round, shard, open: eventId, commitment: sha256Hex }),
  (content) => [['round', String(content.round)]],
);

/** What a trainer sells, by hashes of `protocol/sale`: all of it is fixed before anybody scores it. */
const saleHashes = z.object({
  /** Of the preimage that its hold invoice will give away. */
  paymentHash: sha256Hex,
  ciphertext: sha256Hex,
  key: sha256Hex,
  z: sha256Hex,
  wrapped: sha256Hex,
});
export type SaleHashes = z.output<typeof saleHashes>;

const residualHashes = z.object({ before: sha256Hex.nullable(), after: sha256Hex });

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
    /**
     * Hashes of the states between the segments, in order; the last segment ends in the update. With another codec than f32 the last
     * segment is the encoding, and the state before it is the trained model.
     */
    checkpoints: z.array(sha256Hex).max(MAX_CHECKPOINTS),
    /** Exactly with a codec that leaves something for the next round: its hashes before and after; null: zeros. */
    residual: residualHashes.optional(),
    /** Exactly on rail `key-sale`: then what is sealed to the customer opens nothing before it has paid. */
    sale: saleHashes.optional(),
    sealed: nip44Payload,
    inline: inlineBlob.optional(),
  }),
  (content) => [['round', String(content.round)]],
);

/** Keys to an update, and to the state before the drawn segment where one was drawn that does not begin at the base. */
const sealedBlob = z.object({ key: bytes32, pointer: blobPointer });
/** A state with a coding is its difference to the model of the round: the pointer is of that. */
export const sealedState = sealedBlob.extend({ coding: z.literal('ordered-words').optional() });

/** Plaintext of `sealed`: the update's content key and where its chunks lie; the same of a state. */
export const sealedUpdate = sealedBlob.extend({ state: sealedState.nullable() });
export type SealedUpdate = z.output<typeof sealedUpdate>;

/** The same on rail `key-sale`: where the update and the state lie, and what makes their key of a preimage. */
export const sealedSale = z.object({
  z: bytes32,
  wrapped: bytes32,
  pointer: blobPointer,
  /** Ids of the data chunks one after the other, 32 bytes each, where there are 2 to 600: so they can be fetched before the key is paid for. */
  chunks: base64(25_600).optional(),
  state: sealedState.omit({ key: true }).nullable(),
});
export type SealedSale = z.output<typeof sealedSale>;

/** SHA-256("nmkt/1/checkpoints" || u32 count || hashes). */
export function checkpointsHash(checkpoints: readonly Sha256[]): Sha256 {
  return hashHex('nmkt/1/checkpoints', u32be(checkpoints.length), ...checkpoints.map((hash) => fromHex(hash)));
}

export type ResidualHashes = z.output<typeof residualHashes>;

const ZEROS = new Uint8Array(32);

/**
 * SHA-256("nmkt/1/upd" || job || u32 round || u32 shard || trainer || base || update || checkpoints hash || salt); where a codec
 * keeps a residual, its hash before (32 zeros for none) and after follow.
 */
export function commitmentOf(of: {
  readonly job: EventId;
  readonly round: number;
  readonly shard: number;
  readonly trainer: Pubkey;
  readonly baseHash: Sha256;
  readonly updateHash: Sha256;
  readonly checkpoints: readonly Sha256[];
  readonly salt: Bytes;
  readonly residual?: ResidualHashes | undefined;
}): Sha256 {
  const { residual } = of;
  return hashHex(
    'nmkt/1/upd',
    fromHex(of.job),
    u32be(of.round),
    u32be(of.shard),
    fromHex(of.trainer),
    fromHex(of.baseHash),
    fromHex(of.updateHash),
    fromHex(checkpointsHash(of.checkpoints)),
    of.salt,
    ...(residual === undefined
      ? []
      : [residual.before === null ? ZEROS : fromHex(residual.before), fromHex(residual.after)]),
  );
}
