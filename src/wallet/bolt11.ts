import { bech32 } from '@scure/base';
import { NmktError } from '../errors.js';
import { concatBytes, fromHex, hex, sha256, utf8, type Bytes, type Sha256 } from '../hash.js';
import { tiny } from '../secp/wasm.js';
import { formatAmount, parseAmount } from './bolt11-amount.js';

/** BOLT 11 invoices: https://github.com/lightning/bolts/blob/master/11-payment-encoding.md */

export type Bip173Prefix = 'bc' | 'tb' | 'tbs' | 'bcrt' | 'sb';

export interface Invoice {
  readonly prefix: Bip173Prefix;
  /** null: the payer chooses. */
  readonly msat: bigint | null;
  readonly timestampSec: number;
  /** 3600 when the invoice does not say. */
  readonly expirySec: number;
  /** Blocks; 18 when the invoice does not say. */
  readonly minFinalCltv: number;
  readonly paymentHash: Sha256;
  readonly paymentSecret?: string;
  readonly description?: string;
  readonly descriptionHash?: Sha256;
  /** Node that signed, 33 bytes compressed, hex: from field `n`, which the signature must fit, else recovered from it. */
  readonly payee: string;
}

export type InvoiceFields = Omit<Invoice, 'payee' | 'expirySec' | 'minFinalCltv' | 'msat'> & {
  readonly msat: bigint;
  readonly expirySec?: number;
  readonly minFinalCltv?: number;
};

/** Characters: what one QR code holds, and far above any real invoice. */
const MAX_LENGTH = 7089;
const TIMESTAMP_WORDS = 7;
const SIGNATURE_WORDS = 104;
const TYPE = { p: 1, r: 3, nine: 5, x: 6, d: 13, s: 16, n: 19, h: 23, c: 24 } as const;
/** Words of the fields of fixed size; the specification says to skip them at any other size. */
const FIXED_WORDS: ReadonlyMap<number, number> = new Map([
  [TYPE.p, 52],
  [TYPE.s, 52],
  [TYPE.h, 52],
  [TYPE.n, 53],
]);
/** Even bits a payer may meet (BOLT 9): variable onion, payment secret, multi-part, blinding, metadata, trampoline. */
const KNOWN_EVEN_FEATURES = new Set([8, 14, 16, 24, 48, 56]);
const VARIABLE_ONION = 8;
const PAYMENT_SECRET = 14;

/** A Lightning node's public key, 33 bytes compressed, hex. */
export function nodeIdOf(nodeSecret: Bytes): string {
  return hex(tiny().pointFromScalar(nodeSecret, true)!);
}

/** Signs with the node's key; `paymentSecret` sets its feature bit. Optional fields are left out, not defaulted. */
export function encodeInvoice(fields: InvoiceFields, nodeSecret: Bytes): string {
  const { timestampSec, paymentHash, description, descriptionHash, paymentSecret, expirySec, minFinalCltv } = fields;
  const prefix = `ln${fields.prefix}${formatAmount(fields.msat)}`;
  const words = [
    ...integerWords(timestampSec, TIMESTAMP_WORDS),
    ...field(TYPE.p, bech32.toWords(fromHex(paymentHash))),
    ...(description === undefined ? [] : field(TYPE.d, bech32.toWords(utf8(description)))),
    ...(descriptionHash === undefined ? [] : field(TYPE.h, bech32.toWords(fromHex(descriptionHash)))),
    ...(expirySec === undefined ? [] : field(TYPE.x, integerWords(expirySec))),
    ...(minFinalCltv === undefined ? [] : field(TYPE.c, integerWords(minFinalCltv))),
    ...(paymentSecret === undefined ? [] : field(TYPE.s, bech32.toWords(fromHex(paymentSecret)))),
    ...(paymentSecret === undefined ? [] : field(TYPE.nine, featureWords([VARIABLE_ONION, PAYMENT_SECRET]))),
  ];
  const { signature: compact, recoveryId } = tiny().signRecoverable(signedHash(prefix, words), nodeSecret);
  const signature = bech32.toWords(Uint8Array.of(...compact, recoveryId));
  return bech32.encode(prefix, [...words, ...signature], false);
}

/**
 * Checks the checksum, every field's length and the signature (with a high `s` too: readers must take both).
 * A field that may occur once and occurs twice is refused: the wallet could read the other one.
 *
 * @throws NmktError `bad-invoice`
 */
export function decodeInvoice(text: string): Invoice {
  if (text.length > MAX_LENGTH) throw bad('is too long', `at most ${MAX_LENGTH} characters`, `${text.length}`);
  const { prefix: humanPart, words } = decodeBech32(text);
  const [, prefix, amount] = /^ln(bcrt|bc|tbs|tb|sb)(\d.*)?$/.exec(humanPart) ?? [];
  if (prefix === undefined)
    throw bad('has an unknown prefix', 'ln and bc, tb, tbs, bcrt or sb', humanPart.slice(0, 32));
  if (words.length < TIMESTAMP_WORDS + SIGNATURE_WORDS) throw bad('is too short', 'a time and a signature', 'less');

  const signedWords = words.slice(0, -SIGNATURE_WORDS);
  const found = readFields(signedWords.slice(TIMESTAMP_WORDS));
  const paymentHash = found.get(TYPE.p);
  if (paymentHash === undefined) throw bad('has no payment hash', 'one field p', 'none');
  checkFeatures(found.get(TYPE.nine) ?? []);
  const [description, descriptionHash, paymentSecret] = [TYPE.d, TYPE.h, TYPE.s].map((type) => found.get(type));
  const node = found.get(TYPE.n);
  return {
    prefix: prefix as Bip173Prefix,
    msat: amount === undefined ? null : parseAmount(amount),
    timestampSec: integerOf(signedWords.slice(0, TIMESTAMP_WORDS)),
    expirySec: found.has(TYPE.x) ? integerOf(found.get(TYPE.x)!) : 3600,
    minFinalCltv: found.has(TYPE.c) ? integerOf(found.get(TYPE.c)!) : 18,
    paymentHash: hex(bytesOf(paymentHash)) as Sha256,
    ...(paymentSecret && { paymentSecret: hex(bytesOf(paymentSecret)) }),
    ...(description && { description: textOf(description) }),
    ...(descriptionHash && { descriptionHash: hex(bytesOf(descriptionHash)) as Sha256 }),
    payee: signerOf(humanPart, signedWords, words.slice(-SIGNATURE_WORDS), node && bytesOf(node)),
  };
}

function decodeBech32(text: string): { prefix: string; words: number[] } {
  try {
    return bech32.decode(text as `${string}1${string}`, MAX_LENGTH);
  } catch (cause) {
    throw bad('is not bech32', 'one case and a right checksum', (cause as Error).message.slice(0, 80), cause);
  }
}

/** Known fields by type, as words. Unknown ones, and known ones of a size from the future, are skipped. */
function readFields(words: readonly number[]): ReadonlyMap<number, readonly number[]> {
  const fields = new Map<number, readonly number[]>();
  const known: ReadonlySet<number> = new Set(Object.values(TYPE));
  for (let at = 0; at < words.length;) {
    const [type, high, low] = words.slice(at, at + 3);
    const start = at + 3;
    const end = start + (high ?? 0) * 32 + (low ?? 0);
    if (low === undefined || end > words.length) throw bad('has a cut field', 'a field inside the invoice', 'its end');
    at = end;
    if (!known.has(type!) || type === TYPE.r || end - start !== (FIXED_WORDS.get(type!) ?? end - start)) continue;
    if (fields.has(type!)) throw bad('repeats a field', 'each field once', `field type ${type} twice`);
    fields.set(type!, words.slice(start, end));
  }
  return fields;
}

function checkFeatures(words: readonly number[]): void {
  const bits = words.flatMap((word, index) =>
    [0, 1, 2, 3, 4].filter((bit) => (word >> bit) & 1).map((bit) => (words.length - 1 - index) * 5 + bit),
  );
  const unknown = bits.find((bit) => bit % 2 === 0 && !KNOWN_EVEN_FEATURES.has(bit));
  if (unknown !== undefined) throw bad('needs an unknown feature', 'known even feature bits', `bit ${unknown}`);
}

function signerOf(prefix: string, words: readonly number[], signature: readonly number[], node?: Bytes): string {
  const bytes = bytesOf(signature);
  const compact = bytes.subarray(0, 64);
  const hash = signedHash(prefix, words);
  try {
    if (node) {
      if (!tiny().verify(hash, node, compact)) throw new Error('signed by another node');
      return hex(node);
    }
    const payee = tiny().recover(hash, compact, bytes[64] as 0 | 1 | 2 | 3, true);
    if (payee === null) throw new Error('signed by nobody');
    return hex(payee);
  } catch (cause) {
    throw bad('has a wrong signature', 'the signature of the node to be paid', 'another', cause);
  }
}

/** SHA-256 of the prefix and the data, the data padded with zeros to whole bytes. */
function signedHash(prefix: string, words: readonly number[]): Bytes {
  const bits = words.map((word) => word.toString(2).padStart(5, '0')).join('');
  const data = Uint8Array.from(bits.match(/.{1,8}/g) ?? [], (byte) => parseInt(byte.padEnd(8, '0'), 2));
  return sha256(concatBytes(utf8(prefix), data));
}

function field(type: number, words: readonly number[]): number[] {
  if (words.length >= 1024) throw new RangeError(`an invoice field of ${words.length} words is too long`);
  return [type, ...integerWords(words.length, 2), ...words];
}

/** Big-endian base 32; the least number of words when `length` is not given. */
function integerWords(value: number, length?: number): number[] {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a count: ${value}`);
  const words: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 32)) words.unshift(rest % 32);
  const size = length ?? Math.max(1, words.length);
  if (words.length > size) throw new RangeError(`${value} does not fit ${size} words`);
  return [...Array<number>(size - words.length).fill(0), ...words];
}

function integerOf(words: readonly number[]): number {
  const value = words.reduce((sum, word) => sum * 32 + word, 0);
  if (!Number.isSafeInteger(value)) throw bad('has a number out of range', 'below 2^53', `${words.length} words`);
  return value;
}

function featureWords(bits: readonly number[]): number[] {
  const words = Array<number>(Math.floor(Math.max(...bits) / 5) + 1).fill(0);
  return words.map((_, index) =>
    bits
      .filter((bit) => Math.floor(bit / 5) === words.length - 1 - index)
      .reduce((word, bit) => word | (1 << (bit % 5)), 0),
  );
}

function bytesOf(words: readonly number[]): Bytes {
  try {
    return bech32.fromWords([...words]);
  } catch (cause) {
    throw bad('has a padded field that is not zero', 'zero bits of padding', 'others', cause);
  }
}

function textOf(words: readonly number[]): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytesOf(words));
  } catch (cause) {
    throw bad('has a description that is not UTF-8', 'UTF-8', 'other bytes', cause);
  }
}

function bad(what: string, expected: string, got: string, cause?: unknown): NmktError {
  return new NmktError('bad-invoice', `the invoice ${what}`, {
    remedy: 'ask the payee for a new invoice',
    expected,
    got,
    cause,
  });
}
