import { createHmac, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fromHex, hex, u32be } from '../../src/hash.js';
import { isValidSecret, publicKey } from '../../src/schnorr.js';
import * as keys from '../../src/blob/keys.js';

const vector = JSON.parse(readFileSync(new URL('../vectors/blob/keys.json', import.meta.url), 'utf8'));
const prk = fromHex(vector.prk as string);
const expand = (key: string, ...info: (string | Uint8Array)[]) => {
  const hmac = createHmac('sha256', Buffer.from(key, 'hex'));
  for (const part of info) hmac.update(part);
  return hmac.update(Uint8Array.of(1)).digest('hex');
};

describe('keys of a blob', () => {
  test('follow the vector from epoch to shard', () => {
    expect(hex(keys.epochPrk(fromHex(vector.salt), fromHex(vector.datasetKey)))).toBe(vector.prk);
    expect(hex(keys.datasetContext(fromHex(vector.salt)))).toBe(vector.datasetContext);
    expect(hex(keys.labelContext(vector.labelContext.label))).toBe(vector.labelContext.context);
    expect(hex(keys.locatorKey(prk))).toBe(vector.locatorKey);
    expect(hex(keys.contentKey(prk))).toBe(vector.contentKey);
    expect(hex(keys.uploadSecret(prk))).toBe(vector.uploadSecret);
    expect(publicKey(keys.uploadSecret(prk))).toBe(vector.uploadPubkey);
    for (const shard of vector.shards) {
      const key = keys.shardKey(prk, shard.shard);
      const derived = keys.blobKeys(key);
      expect({
        shard: shard.shard,
        key: hex(key),
        enc: hex(derived.data.enc),
        nonce: hex(derived.data.nonce),
        indexEnc: hex(derived.index.enc),
        indexNonce: hex(derived.index.nonce),
        time: hex(derived.time),
        commit: derived.commit,
      }).toEqual(shard);
    }
  });

  test('are plain HKDF-SHA256: node agrees with the vector', () => {
    const { salt, datasetKey } = vector;
    const full = (info: Uint8Array) =>
      Buffer.from(hkdfSync('sha256', Buffer.from(datasetKey, 'hex'), Buffer.from(salt, 'hex'), info, 32)).toString(
        'hex',
      );
    expect(full(Buffer.concat([Buffer.from('nmkt/1/shard'), u32be(1)]))).toBe(vector.shards[1].key);
    expect(full(Buffer.from('nmkt/1/locator'))).toBe(vector.locatorKey);
    for (const shard of vector.shards) {
      expect(expand(shard.key, 'nmkt/1/enc')).toBe(shard.enc);
      expect(expand(shard.key, 'nmkt/1/commit')).toBe(shard.commit);
      expect(expand(expand(shard.key, 'nmkt/1/index'), 'nmkt/1/nonce')).toBe(shard.indexNonce);
    }
  });

  test('of one epoch all differ', () => {
    const all = vector.shards.flatMap(({ shard: _, ...rest }: Record<string, string>) => Object.values(rest));
    all.push(vector.prk, vector.locatorKey, vector.contentKey, vector.uploadSecret);
    expect(new Set(all).size).toBe(all.length);
  });

  test('an upload secret outside the group moves to the next valid scalar', () => {
    const one = '00'.repeat(31) + '01';
    expect(hex(keys.toScalar(new Uint8Array(32)))).toBe(one);
    expect(hex(keys.toScalar(new Uint8Array(32).fill(0xff)))).toBe(one); // 2^256 - 1 + 1 = 0, then 1
    const n = fromHex('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
    expect(isValidSecret(n)).toBe(false);
    const below = Uint8Array.from(n);
    below[31]!--;
    expect(hex(keys.toScalar(below))).toBe(hex(below));
  });

  test('refuse material of another length without showing it', () => {
    const short = fromHex('5ec2e7'.repeat(10));
    for (const derive of [keys.blobKeys, keys.uploadSecret, keys.locatorKey, keys.contentKey]) {
      expect(() => derive(short)).toThrow(expect.objectContaining({ code: 'bad-key', got: '30 bytes' }) as Error);
    }
    expect(() => keys.shardKey(prk, 2 ** 32)).toThrow(RangeError);
  });
});
