import { expect, it } from 'vitest';
import { fromHex, hex } from '../../src/hash.js';
import { prng } from '../../src/learning/prng.js';
import { loadProvider, providerReports } from '../../src/secp/provider.js';
import { rows } from '../secp/vectors.js';

/** libsecp256k1 of the operating system, or the file NMKT_LIBSECP256K1, against the vectors of BIP-340 and against noble. */

const RANDOM = 200;

it('libsecp256k1 of this machine signs and verifies as BIP-340 says and as noble does', (context) => {
  const report = providerReports().find(({ provider }) => provider === 'native')!;
  if (!report.isUsable) {
    console.log(`SKIP ${context.task.name}: ${report.reason}`);
    return context.skip(report.reason);
  }
  const [native, noble] = [loadProvider('native'), loadProvider('noble')];
  for (const { index, secret, publicKey, auxiliary, message, signature, isValid } of rows) {
    const [hash, key] = [fromHex(message), fromHex(publicKey)];
    expect(native.verify(hash, key, fromHex(signature)), `row ${index}`).toBe(isValid);
    if (secret === '') continue;
    expect(hex(native.publicKey(fromHex(secret)))).toBe(publicKey);
    expect(hex(native.sign(hash, fromHex(secret), fromHex(auxiliary))), `row ${index}`).toBe(signature);
  }
  const random = prng(new Uint8Array(32).fill(9), 'interop/secp');
  const bytes32 = () => Uint8Array.from({ length: 32 }, () => random.below(256));
  for (let at = 0; at < RANDOM; at++) {
    const [hash, secret, auxiliary] = [bytes32(), bytes32(), bytes32()];
    const signature = native.sign(hash, secret, auxiliary);
    expect(hex(signature)).toBe(hex(noble.sign(hash, secret, auxiliary)));
    const key = noble.publicKey(secret);
    expect(hex(native.publicKey(secret))).toBe(hex(key));
    const wrong = Uint8Array.from(signature, (byte, place) => (place === at % 64 ? byte ^ 1 : byte));
    expect([native.verify(hash, key, signature), noble.verify(hash, key, signature)]).toEqual([true, true]);
    expect([native.verify(hash, key, wrong), noble.verify(hash, key, wrong)]).toEqual([false, false]);
  }
  console.log(`libsecp256k1: ${rows.length} vectors of BIP-340, ${RANDOM} signatures as noble's`);
});
