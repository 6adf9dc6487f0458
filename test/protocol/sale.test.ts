import { expect, it } from 'vitest';
import { hex, sha256Hex, type EventId, type Sha256 } from '../../src/hash.js';
import {
  ciphertextHash,
  judgeSale,
  offerChecks,
  saleKeyHash,
  saleZHash,
  stateKeyOf,
  wrapKey,
  wrappedHash,
} from '../../src/protocol/sale.js';

const filled = (byte: number) => new Uint8Array(32).fill(byte);
const [preimage, z, key] = [filled(1), filled(2), filled(3)];
const job = '04'.repeat(32) as EventId;
const pointer = { root: '05'.repeat(32) as Sha256, commit: '06'.repeat(32) as Sha256 };

/** Worked out with Python's hmac and hashlib. */
it('hashes and wraps as docs/protocol.md says', () => {
  const ciphertext = ciphertextHash(pointer);
  expect(sha256Hex(preimage)).toBe('72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793');
  expect(ciphertext).toBe('c6fc5a2b1137ce0c52daae8d835e6ac1e329bd3a9402c51880fdd9427856f7d2');
  const wrapped = wrapKey(key, { job, ciphertext, preimage, z });
  expect(hex(wrapped)).toBe('32981576a837fb01ef8366d460dee29a48f4cdf146d18e8f9e5b3d5217a9d369');
  expect(wrapKey(wrapped, { job, ciphertext, preimage, z })).toEqual(key);
  expect(saleKeyHash(key)).toBe('59577fa35caf4f8ec6c663ddaba398b12cd798c0f1cbfecd1e59e295a8e1fb44');
  expect(saleZHash(z)).toBe('dcf3d29ad3f23f6fa4c136d171d59a05f0210707661c397ad34c9530acc369f9');
  expect(wrappedHash(wrapped)).toBe('b4c9e7b6e3cc4d71c81e6978fc95cb4cbebd82cb7bffe58c8d0534c510dc4a4d');
  expect(hex(stateKeyOf(key))).toBe('cfb9f06651eb13a169b2b9b9eb396028c8f06f723cae2e53857d087c2f4e3bda');
});

it('opens with preimage and z only: neither a hop that sees the one nor who is given the other has the key', () => {
  const ciphertext = ciphertextHash(pointer);
  const wrapped = wrapKey(key, { job, ciphertext, preimage, z });
  for (const other of [
    { preimage, z: filled(9) },
    { preimage: filled(9), z },
    { preimage, z, job: '07'.repeat(32) as EventId },
    { preimage, z, ciphertext: '08'.repeat(32) as Sha256 },
  ])
    expect(wrapKey(wrapped, { job, ciphertext, ...other })).not.toEqual(key);
});

it('tells a sale from a fraud, and a fraud from what proves nothing', () => {
  const ciphertext = ciphertextHash(pointer);
  const wrapped = wrapKey(key, { job, ciphertext, preimage, z });
  const sale = {
    ...{ paymentHash: sha256Hex(preimage), ciphertext, key: saleKeyHash(key) },
    ...{ z: saleZHash(z), wrapped: wrappedHash(wrapped) },
  };
  expect(judgeSale(sale, job, { preimage, z, wrapped })).toBe('sold');
  expect(judgeSale({ ...sale, key: saleKeyHash(filled(7)) }, job, { preimage, z, wrapped })).toBe('fraud');
  expect(judgeSale(sale, job, { preimage, z, wrapped: filled(7) })).toBe('unproven');
  expect(offerChecks(sale, { z, wrapped, pointer }).every(({ ok }) => ok)).toBe(true);
  const swapped = offerChecks(sale, { z, wrapped, pointer: { ...pointer, root: '09'.repeat(32) as Sha256 } });
  expect(swapped.map(({ ok }) => ok)).toEqual([true, true, false]);
});
