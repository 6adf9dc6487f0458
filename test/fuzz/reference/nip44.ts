import { createDecipheriv, createECDH, createHmac } from 'node:crypto';
import { refuse } from './json.js';
import { fromBase64 } from './scalars.js';

/** NIP-44 version 2 over the machine's OpenSSL: https://github.com/nostr-protocol/nips/blob/master/44.md */

const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer => {
  const sum = createHmac('sha256', key);
  for (const part of parts) sum.update(part);
  return sum.digest();
};

function expand(key: Uint8Array, info: Uint8Array, length: number): Buffer {
  let [block, out]: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  for (let i = 1; out.length < length; i++) {
    block = hmac(key, block, info, Uint8Array.of(i));
    out = Buffer.concat([out, block]);
  }
  return out.subarray(0, length);
}

function paddedLength(length: number): number {
  if (length <= 32) return 32;
  let power = 1;
  while (power < length) power *= 2;
  const chunk = power <= 256 ? 32 : power / 8;
  return chunk * Math.ceil(length / chunk);
}

export function openNip44(payload: string, secret: Uint8Array, peer: string): string {
  const ecdh = createECDH('secp256k1');
  ecdh.setPrivateKey(secret);
  const conversation = hmac(Buffer.from('nip44-v2'), ecdh.computeSecret(Buffer.from(`02${peer}`, 'hex')));
  if (payload.length < 132) refuse('a short payload');
  const data = fromBase64(payload);
  if (data.length < 99 || data[0] !== 2) refuse('no version 2');
  const [nonce, cipher, mac] = [data.slice(1, 33), data.slice(33, -32), data.slice(-32)];
  const keys = expand(conversation, nonce, 76);
  if (Buffer.compare(hmac(keys.subarray(44), nonce, cipher), mac) !== 0) refuse('another MAC');
  const decipher = createDecipheriv(
    'chacha20',
    keys.subarray(0, 32),
    Buffer.concat([Buffer.alloc(4), keys.subarray(32, 44)]),
    {},
  );
  const padded = Buffer.concat([decipher.update(cipher), decipher.final()]);
  const isLong = padded.readUInt16BE(0) === 0;
  const length = isLong ? padded.readUInt32BE(2) : padded.readUInt16BE(0);
  const start = isLong ? 6 : 2;
  if (length === 0 || (isLong && length < 65_536)) refuse('a length that is not its own shortest');
  if (padded.length !== start + paddedLength(length)) refuse('padding');
  return padded.toString('utf8', start, start + length);
}
