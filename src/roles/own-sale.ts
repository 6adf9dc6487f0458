import { z } from 'zod';
import { hkdfExpand32, sha256Hex, u32be, type EventId } from '../hash.js';
import { ciphertextHash, saleKeyHash, saleZHash, wrapKey, wrappedHash } from '../protocol/sale.js';
import { sealedSale, type SaleHashes, type SealedSale } from '../protocol/submission.js';
import { spellChunks } from './sold-keys.js';

/** What it sells of a round, from the secret that was durable before its commitment; each drawn from it under a name of its own. */
export interface OwnSale {
  readonly key: Uint8Array;
  readonly preimage: Uint8Array;
  readonly z: Uint8Array;
}

export function ownSale(secret: Uint8Array, round: number, key: Uint8Array): OwnSale {
  return {
    key,
    preimage: hkdfExpand32(secret, 'nmkt/1/sale/preimage', u32be(round)),
    z: hkdfExpand32(secret, 'nmkt/1/sale/z', u32be(round)),
  };
}

/** What is signed of it, and what is sealed to the customer. */
export function offerOf(
  job: EventId,
  { key, preimage, z: own }: OwnSale,
  { chunks, ...blobs }: Pick<SealedSale, 'pointer' | 'state'> & { readonly chunks: readonly EventId[] },
): { readonly sale: SaleHashes; readonly sealed: string } {
  const ciphertext = ciphertextHash(blobs.pointer);
  const wrapped = wrapKey(key, { job, ciphertext, preimage, z: own });
  return {
    sale: {
      paymentHash: sha256Hex(preimage),
      ...{ ciphertext, key: saleKeyHash(key), z: saleZHash(own), wrapped: wrappedHash(wrapped) },
    },
    sealed: JSON.stringify(z.encode(sealedSale, { z: own, wrapped, ...blobs, ...spellChunks(chunks) })),
  };
}
