import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bech32 } from '@scure/base';
import { sha256, utf8 } from '../../src/hash.js';

const SIGNATURE_WORDS = 104;

/** The same invoice with no amount after its prefix, signed again: BOLT 11 lets the payer choose then. */
export function withoutAmount(invoice: string, nodeSecret: Uint8Array): string {
  const { prefix, words } = bech32.decode(invoice as `${string}1${string}`, false);
  const open = prefix.replace(/\d.*$/, '');
  const data = words.slice(0, -SIGNATURE_WORDS);
  // Whole bytes, the last one filled up with zeros.
  const bits = data.map((word) => word.toString(2).padStart(5, '0')).join('');
  const bytes = (bits.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2));
  const hash = sha256(Uint8Array.from([...utf8(open), ...bytes]));
  const [recovery, ...compact] = secp256k1.sign(hash, nodeSecret, { prehash: false, format: 'recovered' });
  return bech32.encode(open, [...data, ...bech32.toWords(Uint8Array.from([...compact, recovery!]))], false);
}
