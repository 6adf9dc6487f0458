import {
  concatBytes,
  fromHex,
  hkdfExpand32,
  hkdfExtract,
  sha256,
  sha256Hex as hashHex,
  type Bytes,
  type EventId,
  type Sha256,
} from '../hash.js';
import type { Pointer } from './pointer.js';
import type { SaleHashes } from './submission.js';

/**
 * A key for a payment: the preimage that a Lightning payment gives away unwraps the key to an update. Not the preimage itself is the key,
 * for every hop on the way sees it; z, which only the customer gets, keeps them out. Every hash has a domain of its own.
 */

/** SHA-256("nmkt/1/sale/ciphertext" || Merkle root || key commitment): the sealed bytes, and which key opens them. */
export function ciphertextHash({ root, commit }: Pick<Pointer, 'root' | 'commit'>): Sha256 {
  return hashHex('nmkt/1/sale/ciphertext', fromHex(root), fromHex(commit));
}

/** SHA-256("nmkt/1/sale/key" || 32 bytes). */
export function saleKeyHash(key: Bytes): Sha256 {
  return hashHex('nmkt/1/sale/key', key);
}

/** SHA-256("nmkt/1/sale/z" || 32 bytes). */
export function saleZHash(z: Bytes): Sha256 {
  return hashHex('nmkt/1/sale/z', z);
}

/** SHA-256("nmkt/1/sale/wrapped" || 32 bytes). */
export function wrappedHash(wrapped: Bytes): Sha256 {
  return hashHex('nmkt/1/sale/wrapped', wrapped);
}

/** What a preimage opens, 32 bytes each but `job`. */
export interface Wrapping {
  readonly job: EventId;
  readonly ciphertext: Sha256;
  readonly preimage: Bytes;
  readonly z: Bytes;
}

/**
 * key XOR HKDF-SHA256(ikm = preimage || z, salt = SHA-256(preimage), info = "nmkt/1/model-key" || job || ciphertext hash), 32 bytes; the
 * same again unwraps.
 */
export function wrapKey(key: Bytes, { job, ciphertext, preimage, z }: Wrapping): Bytes {
  const prk = hkdfExtract(sha256(preimage), concatBytes(preimage, z));
  const pad = hkdfExpand32(prk, 'nmkt/1/model-key', fromHex(job), fromHex(ciphertext));
  return key.map((byte, at) => byte ^ pad[at]!);
}

/** The state before a drawn segment is nearly the update: its key follows from that one. */
export function stateKeyOf(key: Bytes): Bytes {
  return hkdfExpand32(key, 'nmkt/1/sale/state');
}

export interface SaleSecrets {
  readonly preimage: Bytes;
  readonly z: Bytes;
  readonly wrapped: Bytes;
}

/** One thing that was looked at, and what came of it. */
export interface SaleCheck {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What the customer can tell before it pays: what it was given is what the trainer signed hashes of. */
export function offerChecks(
  sale: SaleHashes,
  { pointer, ...given }: Pick<SaleSecrets, 'z' | 'wrapped'> & { readonly pointer: Pick<Pointer, 'root' | 'commit'> },
): readonly SaleCheck[] {
  return [
    ...givenChecks(sale, given),
    check('the sealed update is the one that was scored', sale.ciphertext, ciphertextHash(pointer)),
  ];
}

/** The payment's own preimage. */
export function paymentCheck({ paymentHash }: Pick<SaleHashes, 'paymentHash'>, preimage: Bytes): SaleCheck {
  return check('the preimage is the one of the payment', paymentHash, hashHex(preimage));
}

/** The key that a payment gave. */
export function keyCheck({ ciphertext, key }: SaleHashes, job: EventId, secrets: SaleSecrets): SaleCheck {
  const { preimage, z, wrapped } = secrets;
  return check(
    'it unwraps to the key that was signed',
    key,
    saleKeyHash(wrapKey(wrapped, { job, ciphertext, preimage, z })),
  );
}

/** What anybody can tell once it is paid. All hold but the last: that proves a fraud. */
export function saleChecks(sale: SaleHashes, job: EventId, secrets: SaleSecrets): readonly SaleCheck[] {
  return [paymentCheck(sale, secrets.preimage), ...givenChecks(sale, secrets), keyCheck(sale, job, secrets)];
}

/** What the trainer gave is what it signed. */
function givenChecks(sale: SaleHashes, { z, wrapped }: Pick<SaleSecrets, 'z' | 'wrapped'>): readonly SaleCheck[] {
  return [
    check('z is the one that was signed', sale.z, saleZHash(z)),
    check('the wrapped key is the one that was signed', sale.wrapped, wrappedHash(wrapped)),
  ];
}

/** `fraud`: everything hashes to what the trainer signed, and the key is another one. `unproven`: something else is not as it signed. */
export function judgeSale(sale: SaleHashes, job: EventId, secrets: SaleSecrets): 'sold' | 'fraud' | 'unproven' {
  const checks = saleChecks(sale, job, secrets);
  const isAsSigned = checks.slice(0, -1).every(({ ok }) => ok);
  if (!isAsSigned) return 'unproven';
  return checks.at(-1)!.ok ? 'sold' : 'fraud';
}

function check(what: string, expected: Sha256, got: Sha256): SaleCheck {
  return { what, ok: expected === got, detail: `expected ${expected}, got ${got}` };
}
