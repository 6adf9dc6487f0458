import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { fromHex, hex, sha256 } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { eventHash, hasValidSignature, publicKey, signEvent } from '../../src/schnorr.js';
import type { Schnorr } from '../../src/secp/curve.js';
import { libraryNames, loadLibsecp256k1 } from '../../src/secp/libsecp256k1.js';
import { choose, loadProvider, providerReports, PROVIDERS } from '../../src/secp/provider.js';
import { selfTest } from '../../src/secp/self-test.js';
import { rows } from './vectors.js';

/** Those of this machine; the native library is an option. */
const here = providerReports().filter(({ isUsable }) => isUsable);
const absent = PROVIDERS.filter((name) => !here.some(({ provider }) => provider === name));

test('wasm and noble are on every machine', () => {
  expect(here.map(({ provider }) => provider)).toEqual(expect.arrayContaining(['wasm', 'noble']));
});

test.for(absent)('SKIP %s: not on this machine', (name, { skip }) => skip(`${name} is not here`));

describe.each(here.map(({ provider }) => provider))('%s', (name) => {
  const schnorr = loadProvider(name);

  test.each(rows)('row $index of the vectors of BIP-340', ({ secret, publicKey, auxiliary, message, ...row }) => {
    expect(schnorr.verify(fromHex(message), fromHex(publicKey), fromHex(row.signature))).toBe(row.isValid);
    if (secret === '') return;
    expect(schnorr.isValidSecret(fromHex(secret))).toBe(true);
    expect(hex(schnorr.publicKey(fromHex(secret)))).toBe(publicKey);
    expect(hex(schnorr.sign(fromHex(message), fromHex(secret), fromHex(auxiliary)))).toBe(row.signature);
  });

  test('zero and the order of the group are no secrets, n - 1 is one', () => {
    const order = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
    expect(schnorr.isValidSecret(new Uint8Array(32))).toBe(false);
    expect(schnorr.isValidSecret(fromHex(order))).toBe(false);
    expect(schnorr.isValidSecret(fromHex(order.replace(/1$/, '0')))).toBe(true);
  });

  test('gives the same keys and signatures as noble, whatever was signed before', () => {
    const noble = loadProvider('noble');
    const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const secrets = bytes32.filter((secret) => noble.isValidSecret(secret));
    fc.assert(
      fc.property(secrets, bytes32, (secret, hash) => {
        const signature = schnorr.sign(hash, secret, new Uint8Array(32));
        expect(hex(signature)).toBe(hex(noble.sign(hash, secret, new Uint8Array(32))));
        const key = schnorr.publicKey(secret);
        expect(schnorr.verify(hash, key, signature)).toBe(true);
        const other = Uint8Array.from(signature, (byte, at) => (at === 63 ? byte ^ 1 : byte));
        expect(schnorr.verify(hash, key, other)).toBe(false);
      }),
      { numRuns: 12 },
    );
  });
});

describe('the self-test', () => {
  const tiny = loadProvider('wasm');
  const flipped = (bytes: Uint8Array) => Uint8Array.from(bytes, (byte, at) => (at === 9 ? byte ^ 1 : byte));
  const wrong: readonly (readonly [string, Partial<Schnorr>])[] = [
    ['accepts zero as a secret', { isValidSecret: () => true }],
    ['has other public keys', { publicKey: (secret) => flipped(tiny.publicKey(secret)) }],
    ['signs otherwise', { sign: (...values) => flipped(tiny.sign(...values)) }],
    ['ignores the randomness', { sign: (hash, secret) => tiny.sign(hash, secret, new Uint8Array(32)) }],
    ['accepts everything', { verify: () => true }],
    ['accepts nothing', { verify: () => false }],
  ];

  test.each(wrong)('refuses one that %s', (_, flaw) => {
    expect(() => selfTest({ ...tiny, ...flaw })).toThrow(/BIP-340/);
  });

  test('passes what is right', () => {
    expect(() => selfTest(tiny)).not.toThrow();
  });
});

describe('the chain', () => {
  afterEach(() => vi.unstubAllEnvs());

  test('goes on without the native library', () => {
    vi.stubEnv('NMKT_LIBSECP256K1', '/nowhere/libsecp256k1.so');
    expect(choose('auto').name).toBe('tiny-secp256k1');
    expect(choose(undefined).name).toBe('tiny-secp256k1');
    expect(providerReports()[0]).toMatchObject({ provider: 'native', isUsable: false });
  });

  test('takes the one that is named', () => {
    expect(choose('noble').name).toBe('noble');
    expect(choose('wasm').name).toBe('tiny-secp256k1');
  });

  test('says why the named one cannot be used', () => {
    vi.stubEnv('NMKT_LIBSECP256K1', '/nowhere/libsecp256k1.so');
    expect(() => choose('native')).toThrow(
      expect.objectContaining({ code: 'bad-settings', got: expect.stringContaining('/nowhere/libsecp256k1.so') }),
    );
    expect(() => choose('openssl')).toThrow(expect.objectContaining({ code: 'bad-settings' }));
  });

  test('knows a library that is none', () => {
    expect(() => loadLibsecp256k1([process.execPath])).toThrow();
  });

  test('looks where each system keeps its libraries', () => {
    expect(libraryNames('linux')[0]).toBe('libsecp256k1.so.6');
    expect(libraryNames('darwin')[0]).toBe('/opt/homebrew/lib/libsecp256k1.6.dylib');
    expect(libraryNames('win32')[0]).toBe('libsecp256k1-6.dll');
  });
});

describe('an event that was signed in this process', () => {
  const secret = sha256('a signer');
  const signed = () => signEvent({ kind: 1, created_at: 7, tags: [['t', 'x']], content: 'a' }, secret);
  const { sig: another } = signEvent({ kind: 1, created_at: 7, tags: [], content: 'b' }, secret);
  const forger = publicKey(sha256('a forger'));

  test.each<[string, (event: NostrEvent) => object]>([
    ['is not its own with another content', () => ({ content: 'b' })],
    [
      'nor with another content and its id',
      (event) => ({ content: 'b', id: hex(eventHash({ ...event, content: 'b' })) }),
    ],
    ['nor with another signature', () => ({ sig: another })],
    [
      'nor in the name of another key',
      (event) => ({ pubkey: forger, id: hex(eventHash({ ...event, pubkey: forger })) }),
    ],
  ])('%s', (_, change) => {
    const event = signed();
    expect(hasValidSignature(event)).toBe(true);
    expect(hasValidSignature({ ...event })).toBe(true);
    const fields = change(event);
    expect(hasValidSignature({ ...event, ...fields })).toBe(false);
    expect(hasValidSignature(Object.assign(event, fields))).toBe(false);
  });
});
