import { extract } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { randomBytes } from 'node:crypto';
import { concatBytes, fromHex, utf8, type Bytes, type Pubkey } from './hash.js';
import { tiny } from './secp/wasm.js';

/**
 * NIP-44 v2 conversation key: HKDF-extract of the x coordinate that both sides find, over tiny-secp256k1 (wasm), a fifth of the time of
 * pure JavaScript. https://github.com/nostr-protocol/nips/blob/master/44.md
 *
 * @param secret  32 bytes in [1, n)
 * @returns       32 bytes
 * @throws        Error when `peer` is no x coordinate on the curve
 */
export function conversationKey(secret: Bytes, peer: Pubkey): Bytes {
  return extract(sha256, sharedX(secret, peer), utf8('nip44-v2'));
}

/**
 * libsecp256k1's product takes a time that depends on the scalar, so it only sees two random ones, r and secret + r:
 * secret * P = (secret + r) * P - r * P.
 */
function sharedX(secret: Bytes, peer: Pubkey): Bytes {
  const secp = tiny();
  const point = concatBytes(Uint8Array.of(2), fromHex(peer));
  for (;;) {
    const blind = randomBytes(32);
    if (!secp.isPrivate(blind)) continue;
    const blinded = secp.privateAdd(secret, blind);
    if (blinded === null) continue;
    const sum = secp.pointAdd(
      secp.pointMultiply(point, blinded, true)!,
      negated(secp.pointMultiply(point, blind, true)!),
      true,
    );
    return sum!.subarray(1); // secret * P, which is no infinity: the group has prime order
  }
}

function negated(point: Bytes): Bytes {
  const [sign, ...x] = point;
  return Uint8Array.of(sign! ^ 1, ...x); // 2 and 3 mark an even and an odd y
}
