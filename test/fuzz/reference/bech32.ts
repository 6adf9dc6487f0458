import { createHash } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { refuse } from './json.js';

/** BIP-173 bit by bit, and what stands on it: BOLT 11 invoices and NIP-19 identifiers. */

const CHARS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

function checksum(values: readonly number[]): number {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (let i = 0; i < 5; i++) if ((top >> i) & 1) sum ^= GENERATOR[i]!;
  }
  return sum >>> 0;
}

export function readBech32(text: string): { readonly prefix: string; readonly words: number[] } {
  if (text !== text.toLowerCase() && text !== text.toUpperCase()) return refuse('mixed case');
  const lower = text.toLowerCase();
  for (const char of lower) if (char < '!' || char > '~') return refuse('not of bech32');
  const at = lower.lastIndexOf('1');
  if (at < 1 || lower.length - at - 1 < 6) return refuse('no separator, or no checksum');
  const prefix = lower.slice(0, at);
  const words = [...lower.slice(at + 1)].map((char) => CHARS.indexOf(char));
  if (words.includes(-1)) return refuse('not of bech32');
  const codes = [...prefix].map((char) => char.charCodeAt(0));
  const expanded = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...words];
  return checksum(expanded) === 1 ? { prefix, words: words.slice(0, -6) } : refuse('another checksum');
}

/** Whole bytes; the rest must be fewer than five bits, all zero. */
export function bytesOf(words: readonly number[]): Uint8Array {
  const bits = words.flatMap((word) => [16, 8, 4, 2, 1].map((bit) => (word & bit ? 1 : 0)));
  const rest = bits.length % 8;
  if (rest > 4 || bits.slice(bits.length - rest).includes(1)) return refuse('padding');
  return Uint8Array.from({ length: (bits.length - rest) / 8 }, (_, i) =>
    bits.slice(8 * i, 8 * i + 8).reduce<number>((byte, bit) => byte * 2 + bit, 0),
  );
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const numberOf = (words: readonly number[]): number => {
  const value = words.reduce((sum, word) => sum * 32n + BigInt(word), 0n);
  return value < 2n ** 53n ? Number(value) : refuse('a number beyond 2^53');
};

/** Millisatoshi times ten, so that a pico-bitcoin is 1. */
const UNITS: Readonly<Record<string, bigint>> = { m: 10n ** 9n, u: 10n ** 6n, n: 10n ** 3n, p: 1n };

function amountOf(text: string): bigint {
  const letter = UNITS[text.slice(-1)] === undefined ? '' : text.slice(-1);
  const digits = letter === '' ? text : text.slice(0, -1);
  if (digits === '' || [...digits].some((char) => char < '0' || char > '9') || digits.startsWith('0'))
    return refuse('no amount');
  const tenths = BigInt(digits) * (letter === '' ? 10n ** 12n : UNITS[letter]!);
  if (tenths % 10n !== 0n) return refuse('less than a millisatoshi');
  return tenths / 10n <= 2_100_000_000_000_000_000n ? tenths / 10n : refuse('more than all bitcoin');
}

/** Even feature bits a payer may meet: anything else it must not pay (BOLT 9, 11). */
const KNOWN_FEATURES = [8, 14, 16, 24, 48, 56];

export function readInvoice(text: string): unknown {
  if (text.length > 7_089) return refuse('long');
  const { prefix: human, words } = readBech32(text);
  const network = ['bcrt', 'tbs', 'bc', 'tb', 'sb'].find((name) => human.startsWith(`ln${name}`));
  if (network === undefined || words.length < 7 + 104) return refuse('no invoice');
  const amount = human.slice(2 + network.length);
  const data = words.slice(0, -104);
  const fields = new Map<number, readonly number[]>();
  for (let at = 7; at < data.length;) {
    if (at + 3 > data.length) return refuse('a field that is cut');
    const [type, length] = [data[at]!, data[at + 1]! * 32 + data[at + 2]!];
    if (at + 3 + length > data.length) return refuse('a field that is cut');
    const fixed = [1, 16, 23].includes(type) ? 52 : type === 19 ? 53 : undefined;
    const isRead = [1, 5, 6, 13, 16, 19, 23, 24].includes(type) && (fixed === undefined || fixed === length);
    if (isRead && fields.has(type)) return refuse('a field twice');
    if (isRead) fields.set(type, data.slice(at + 3, at + 3 + length));
    at += 3 + length;
  }
  const [hash, features] = [fields.get(1), fields.get(5) ?? []];
  if (hash === undefined) return refuse('no payment hash');
  features.toReversed().forEach((word, i) => {
    for (let bit = 0; bit < 5; bit++)
      if ((word >> bit) & 1 && (5 * i + bit) % 2 === 0 && !KNOWN_FEATURES.includes(5 * i + bit)) refuse('a feature');
  });
  const bits = data.map((word) => word.toString(2).padStart(5, '0')).join('');
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0');
  const signed = Buffer.from(padded.match(/.{8}/g)!.map((byte) => parseInt(byte, 2)));
  const digest = createHash('sha256').update(human).update(signed).digest();
  const signature = bytesOf(words.slice(-104));
  const node = fields.get(19);
  const compact = signature.slice(0, 64);
  if (signature[64]! > 3) return refuse('no recovery id');
  const payee =
    node === undefined
      ? secp256k1.Signature.fromBytes(compact).addRecoveryBit(signature[64]!).recoverPublicKey(digest).toBytes(true)
      : secp256k1.verify(compact, digest, bytesOf(node), { prehash: false, lowS: false })
        ? bytesOf(node)
        : refuse('signed by another node');
  const optional = (type: number, name: string, value: (bytes: Uint8Array) => string) =>
    fields.has(type) ? { [name]: value(bytesOf(fields.get(type)!)) } : {};
  return {
    prefix: network,
    msat: amount === '' ? null : amountOf(amount),
    timestampSec: numberOf(data.slice(0, 7)),
    expirySec: fields.has(6) ? numberOf(fields.get(6)!) : 3_600,
    minFinalCltv: fields.has(24) ? numberOf(fields.get(24)!) : 18,
    paymentHash: hexOf(bytesOf(hash)),
    ...optional(16, 'paymentSecret', hexOf),
    ...optional(13, 'description', (bytes) => new TextDecoder('utf-8', { fatal: true }).decode(bytes)),
    ...optional(23, 'descriptionHash', hexOf),
    payee: hexOf(payee),
  };
}

/** TLV of NIP-19: type, length, value; all values of a type in order. */
function readTlv(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const found = new Map<number, Uint8Array[]>();
  for (let at = 0; at < bytes.length;) {
    if (at + 2 > bytes.length) return refuse('TLV that is cut');
    const [type, length] = [bytes[at]!, bytes[at + 1]!];
    if (at + 2 + length > bytes.length) return refuse('TLV that is cut');
    found.set(type, [...(found.get(type) ?? []), bytes.slice(at + 2, at + 2 + length)]);
    at += 2 + length;
  }
  return found;
}

/** The kind of a NIP-19 text and its 32 bytes (of an naddr, its author), or of 64 hex digits. */
export function readIdentifier(text: string): { readonly kind: string; readonly hex: string } {
  const bare = text.trim().replace(/^nostr:/i, '');
  if (/^[0-9a-f]{64}$/i.test(bare)) return { kind: 'hex', hex: bare.toLowerCase() };
  if (bare.length > 5_000) return refuse('long');
  const { prefix, words } = readBech32(bare);
  const bytes = bytesOf(words);
  if (['npub', 'nsec', 'note'].includes(prefix))
    return bytes.length === 32 ? { kind: prefix, hex: hexOf(bytes) } : refuse(`${bytes.length} bytes`);
  if (!['nevent', 'nprofile', 'naddr'].includes(prefix)) return refuse(prefix);
  const tlv = readTlv(bytes);
  const main = tlv.get(prefix === 'naddr' ? 2 : 0)?.[0];
  return main?.length === 32 ? { kind: prefix, hex: hexOf(main) } : refuse('no 32 bytes');
}
