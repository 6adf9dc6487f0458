import { NmktError } from '../errors.js';
import { hex, hkdfExpand32, hkdfExtract, sha256, u32be, type Bytes, type Sha256 } from '../hash.js';
import { isValidSecret } from '../schnorr.js';

/**
 * Key schedule of encrypted blobs: HKDF-SHA256 (RFC 5869), every output 32 bytes under its own label `nmkt/1/...`.
 *
 *     prk (one dataset epoch, kept by its owner)      secret (one round blob, kept by its sealer)
 *      |- shard key s -> given to a trainer            |- blob key -> given to whoever may read
 *      |- locator key -> finds chunks, opens none      `- upload secret
 *      `- upload secret -> signs, deletes
 *
 * A blob key reveals neither its siblings nor the upload secret: a reader cannot delete what it reads.
 */

/** Two independent keys of one AEAD stream: encryption, and derivation of nonces. */
export interface SealKeys {
  readonly enc: Bytes;
  readonly nonce: Bytes;
}

export interface BlobKeys {
  readonly data: SealKeys;
  /** Chunks that list the data chunks. */
  readonly index: SealKeys;
  /** Orders the timestamps of chunks. */
  readonly time: Bytes;
  /**
   * Public. ChaCha20-Poly1305 does not commit to its key: without this one ciphertext could open to different data
   * for two readers (Grubbs, Lu, Ristenpart 2017, https://eprint.iacr.org/2017/664).
   */
  readonly commit: Sha256;
}

/** @throws NmktError `bad-key` unless 32 bytes; the bytes themselves are never shown */
function require32(name: string, bytes: Bytes): Bytes {
  if (bytes.length === 32) return bytes;
  throw new NmktError('bad-key', `the ${name} is not 32 bytes`, {
    remedy: 'give the key as it was granted: 64 hex digits',
    expected: '32 bytes',
    got: `${bytes.length} bytes`,
  });
}

/**
 * Pseudorandom key of a dataset epoch.
 *
 * @param salt        32 bytes, public
 * @param datasetKey  32 random bytes, one per dataset and epoch: other data is a new epoch
 */
export function epochPrk(salt: Bytes, datasetKey: Bytes): Bytes {
  return hkdfExtract(require32('salt', salt), require32('dataset key', datasetKey));
}

/** The context of every blob of the epoch. */
export function datasetContext(salt: Bytes): Bytes {
  return sha256('nmkt/1/dataset', require32('salt', salt));
}

/** Context of a blob outside datasets, from a label such as `round|<job id>|3|base`: use a label once. */
export function labelContext(label: string): Bytes {
  return sha256(label);
}

/** @param shard  integer in [0, 2^32) */
export function shardKey(prk: Bytes, shard: number): Bytes {
  if (!Number.isInteger(shard) || shard < 0 || shard > 0xffff_ffff) {
    throw new RangeError(`shard ${shard} is not an unsigned 32-bit integer`);
  }
  return hkdfExpand32(require32('epoch key', prk), 'nmkt/1/shard', u32be(shard));
}

export function locatorKey(prk: Bytes): Bytes {
  return hkdfExpand32(require32('epoch key', prk), 'nmkt/1/locator');
}

/** Key of a blob that stands alone (a global model, an update), from a secret that its sealer keeps. */
export function contentKey(secret: Bytes): Bytes {
  return hkdfExpand32(require32('blob secret', secret), 'nmkt/1/content');
}

/**
 * Secret key that signs chunks, apart from any identity; derived, so that its owner can delete them later.
 *
 * @param secret  the epoch's prk, or the secret of a blob that stands alone: never a key that readers hold
 */
export function uploadSecret(secret: Bytes): Bytes {
  return toScalar(hkdfExpand32(require32('blob secret', secret), 'nmkt/1/upload'));
}

/** The first valid secp256k1 scalar at or after `candidate`, big-endian, modulo 2^256. */
export function toScalar(candidate: Bytes): Bytes {
  const scalar = Uint8Array.from(candidate);
  while (!isValidSecret(scalar)) {
    for (let at = 31; at >= 0; at--) {
      scalar[at] = (scalar[at]! + 1) & 0xff;
      if (scalar[at] !== 0) break;
    }
  }
  return scalar;
}

/** @param key  32 bytes: a shard key, the locator key or a content key */
export function blobKeys(key: Bytes): BlobKeys {
  const index = hkdfExpand32(require32('blob key', key), 'nmkt/1/index');
  return {
    data: sealKeys(key),
    index: sealKeys(index),
    time: hkdfExpand32(key, 'nmkt/1/time'),
    commit: hex(hkdfExpand32(key, 'nmkt/1/commit')) as Sha256,
  };
}

function sealKeys(key: Bytes): SealKeys {
  return { enc: hkdfExpand32(key, 'nmkt/1/enc'), nonce: hkdfExpand32(key, 'nmkt/1/nonce') };
}
