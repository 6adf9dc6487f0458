import type { Bytes } from '../hash.js';

/** BIP-340 signatures of one implementation. All of them give the same bytes. https://bips.dev/340 */
export interface Schnorr {
  readonly name: 'libsecp256k1' | 'tiny-secp256k1' | 'noble';
  /** Whether `secret` is a scalar in [1, n). @param secret 32 bytes */
  readonly isValidSecret: (secret: Bytes) => boolean;
  /** @param secret valid @returns the x coordinate, 32 bytes */
  readonly publicKey: (secret: Bytes) => Bytes;
  /** @param hash, auxiliary  32 bytes each @param secret valid @returns 64 bytes */
  readonly sign: (hash: Bytes, secret: Bytes, auxiliary: Bytes) => Bytes;
  /** @param hash, publicKey  32 bytes each @param signature 64 bytes @returns false for any that is no point or scalar */
  readonly verify: (hash: Bytes, publicKey: Bytes, signature: Bytes) => boolean;
}
