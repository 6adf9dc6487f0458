import fc from 'fast-check';
import { getPublicKey } from 'nostr-tools/pure';
import { v2 as nip44 } from 'nostr-tools/nip44';
import { expect, test } from 'vitest';
import { conversationKey } from '../../src/ecdh.js';
import { fromHex, hex, type Pubkey } from '../../src/hash.js';

const secret = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .filter((bytes) => bytes[0] !== 0xff && bytes.some((byte) => byte !== 0));
const keyOf = (one: string, other: string): string => hex(conversationKey(fromHex(one), other as Pubkey));

// https://github.com/paulmillr/nip44/blob/main/nip44.vectors.json, get_conversation_key and encrypt_decrypt.
test.each([
  [
    '315e59ff51cb9209768cf7da80791ddcaae56ac9775eb25b6dee1234bc5d2268',
    'c2f9d9948dc8c7c38321e4b85c8558872eafa0641cd269db76848a6073e69133',
    '3dfef0ce2a4d80a25e7a328accf73448ef67096f65f79588e358d9a0eb9013f1',
  ],
  [
    '0000000000000000000000000000000000000000000000000000000000000001',
    getPublicKey(fromHex('0000000000000000000000000000000000000000000000000000000000000002')),
    'c41c775356fd92eadc63ff5a0dc1da211b268cbea22316767095b2871ea1412d',
  ],
  [
    // n - 1 and the public key of n - 2
    'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140',
    getPublicKey(fromHex('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd036413f')),
    'c41c775356fd92eadc63ff5a0dc1da211b268cbea22316767095b2871ea1412d',
  ],
])('a conversation key of the NIP-44 vectors: %s', (own, peer, key) => {
  expect(keyOf(own, peer)).toBe(key);
});

test('equals the pure JavaScript of nostr-tools, from both sides', () => {
  fc.assert(
    fc.property(secret, secret, (one, other) => {
      const key = conversationKey(one, getPublicKey(other) as Pubkey);
      expect(key).toEqual(conversationKey(other, getPublicKey(one) as Pubkey));
      expect(hex(key)).toBe(hex(nip44.utils.getConversationKey(one, getPublicKey(other))));
    }),
    { numRuns: 40 },
  );
});

test('refuses an x coordinate off the curve', () => {
  // y^2 = 5^3 + 7 has no root.
  expect(() => keyOf('01'.padStart(64, '0'), '5'.padStart(64, '0'))).toThrow();
  expect(() => keyOf('01'.padStart(64, '0'), 'ff'.repeat(32))).toThrow();
});
