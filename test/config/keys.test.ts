import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bech32 } from '@scure/base';
import { describe, expect, it } from 'vitest';
import { readSession } from '../../src/config/bunker-session.js';
import { encryptKey, openEncryptedKey, readPasswordFile } from '../../src/config/encrypted-key.js';
import { openHome, type Home } from '../../src/config/home.js';
import { createIdentity, type BunkerPort, type IdentityPorts } from '../../src/config/identity.js';
import { parseKeyText, type BunkerAddress } from '../../src/config/key-text.js';
import { hex, type Pubkey } from '../../src/hash.js';
import type { Prompt } from '../../src/ports.js';
import { localSigner } from '../../src/signer.js';
import { secretOf, seededRandom, signerOf } from '../relay/samples.js';
import { temporaryFolder } from '../support/run-nmkt.js';

/** The test vector of NIP-49; scrypt with 2^16. */
const vector = {
  ncryptsec:
    'ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623nsl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p',
  password: 'nostr',
  secret: '3501454135014541350145413501453fefb02227e449e57cf4d3a3ce05378683',
};
const bunkerKey = signerOf('bunker').pubkey;
const address = `bunker://${bunkerKey}?relay=wss%3A%2F%2Fa.example&relay=ws://127.0.0.1:7&secret=s3`;

describe('the text of a key', () => {
  it('is plain, encrypted or the address of a bunker; comments say nothing but the public key of an encrypted one', () => {
    expect(parseKeyText(` ${'1'.repeat(64)}\n`, 'x')).toMatchObject({ form: 'plain' });
    const npub = 'npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg';
    expect(parseKeyText(`# ${npub}\n${vector.ncryptsec.toUpperCase()}\n`, 'x')).toEqual({
      form: 'encrypted',
      ncryptsec: vector.ncryptsec,
      pubkey: '7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e',
    });
    expect(parseKeyText(vector.ncryptsec, 'x')).toMatchObject({ pubkey: null });
    expect(parseKeyText(address, 'x')).toEqual({
      form: 'bunker',
      pubkey: bunkerKey,
      relays: ['wss://a.example', 'ws://127.0.0.1:7'],
      secret: 's3',
    });
  });

  it.each([
    '',
    'bunker://',
    `bunker://${bunkerKey}`,
    `bunker://${bunkerKey}?secret=topsecrettopsecret`,
    'bunker://nobody?relay=wss://a.example&secret=topsecrettopsecret',
    `bunker://${bunkerKey}?relay=https://a.example&secret=topsecrettopsecret`,
    'ncryptsec1topsecrettopsecret',
    'topsecrettopsecret',
  ])('that is none (%s) is refused with its origin and without its text', (text) => {
    const error = thrownBy(() => parseKeyText(text, 'NMKT_KEY'));
    expect(error).toMatchObject({ code: 'bad-key' });
    expect(JSON.stringify([error.message, Object.values(error)])).not.toContain('topsecrettopsecret');
    expect(JSON.stringify([error.message, Object.values(error)])).toContain('NMKT_KEY');
  });
});

describe('an encrypted key', () => {
  it('opens as NIP-49 says, with the right password only', async () => {
    const { ncryptsec, password, secret } = vector;
    expect(hex(await openEncryptedKey(ncryptsec, password, 'x'))).toBe(secret);
    await expect(openEncryptedKey(ncryptsec, 'Nostr', 'x')).rejects.toMatchObject({ code: 'wrong-password' });
  });

  it('is made so that it opens again, whatever Unicode form the password is typed in', async () => {
    const made = await encryptKey(secretOf('a'), 'ÅΩẛ̣');
    expect(await openEncryptedKey(made, 'ÅΩṩ', 'x')).toEqual(secretOf('a'));
  });

  it('that asks for a terabyte of memory is refused before it gets any', async () => {
    const bytes = bech32.fromWords(bech32.decode(vector.ncryptsec as `${string}1${string}`, 5_000).words);
    const greedy = bech32.encode('ncryptsec', bech32.toWords(Uint8Array.from(bytes).fill(30, 1, 2)), 5_000);
    await expect(openEncryptedKey(greedy, 'nostr', 'x')).rejects.toMatchObject({ code: 'bad-key', got: '2^30' });
  });

  it('takes its password from a file of mode 0600, spaces included', async () => {
    const path = join(temporaryFolder(), 'password');
    writeFileSync(path, ' two words \r\n', { mode: 0o600 });
    expect(await readPasswordFile(path, '--key-password-file')).toBe(' two words ');
    const open = join(temporaryFolder(), 'open');
    writeFileSync(open, 'x', { mode: 0o644 });
    await expect(readPasswordFile(open, '--key-password-file')).rejects.toMatchObject({ code: 'unsafe-secret-file' });
  });
});

const silent: Prompt = {
  canAsk: false,
  secret: () => Promise.reject(new Error('asked')),
  text: () => Promise.reject(new Error('asked')),
  choose: () => Promise.reject(new Error('asked')),
  confirm: () => Promise.reject(new Error('asked')),
};

function portsFor(home: Home, more: Partial<IdentityPorts> = {}): IdentityPorts & { readonly hidden: string[] } {
  const hidden: string[] = [];
  return {
    ...{ home, random: seededRandom('identity'), prompt: silent, hidden },
    password: async () => undefined,
    localSigner: async (secret) => localSigner(secret),
    openBunker: () => Promise.reject(new Error('no bunker')),
    keepSecret: (text) => void hidden.push(text),
    ...more,
  };
}

describe('an identity', () => {
  const homeHere = () => openHome(join(temporaryFolder(), 'home'));
  const key = { value: vector.ncryptsec, origin: '--key-file' };

  it('under a password asks for it once, three times at most, and only where it may', async () => {
    const answers = ['wrong', 'nostr'];
    const asking: Prompt = { ...silent, canAsk: true, secret: async () => answers.shift()! };
    const identity = createIdentity(key, portsFor(homeHere(), { prompt: asking }));
    expect(await identity.open({ connect: false, ask: false })).toBeUndefined();
    expect(await identity.report()).toMatchObject({ form: 'encrypted', pubkey: null });
    const [first, second] = await Promise.all([
      identity.open({ connect: false, ask: true }),
      identity.open({ connect: true, ask: true }),
    ]);
    expect([first!.pubkey, answers.length]).toEqual([second!.pubkey, 0]);
    expect(await identity.report()).toMatchObject({ pubkey: first!.pubkey });

    let asked = 0;
    const wrong: Prompt = { ...asking, secret: async () => `wrong ${asked++}` };
    const locked = createIdentity(key, portsFor(homeHere(), { prompt: wrong }));
    await expect(locked.open({ connect: true, ask: true })).rejects.toMatchObject({ code: 'wrong-password' });
    expect(asked).toBe(3);
  });

  it('under a password without a terminal names the flag and the variable', async () => {
    const identity = createIdentity(key, portsFor(homeHere()));
    await expect(identity.open({ connect: true, ask: true })).rejects.toMatchObject({
      code: 'bad-usage',
      remedy: expect.stringMatching(/--key-password-file FILE.*NMKT_KEY_PASSWORD/) as string,
    });
    const given = createIdentity(key, portsFor(homeHere(), { password: async () => 'nostr' }));
    expect((await given.open({ connect: false, ask: false }))!.pubkey).toMatch(/^[0-9a-f]{64}$/);
  });

  it('in a bunker connects once, with a client key that was on disk before, and remembers it', async () => {
    const home = homeHere();
    const calls: string[] = [];
    const met: string[] = [];
    const openBunker = async ({ pubkey }: BunkerAddress, client: Uint8Array): Promise<BunkerPort> => {
      met.push(hex(client));
      return {
        connect: async (secret) => {
          expect(JSON.parse(readFileSync(home.path('bunkers', `${pubkey}.json`), 'utf8'))).toMatchObject({
            client: hex(client),
          });
          calls.push(`connect ${secret}`);
          if (calls.length === 1) throw new Error('the process dies here, the owner approves');
        },
        userPubkey: async () => signerOf('user').pubkey,
        ping: async () => void calls.push('ping'),
        signerFor: (user: Pubkey) => ({ ...signerOf('user'), pubkey: user }),
      };
    };
    const bunker = { value: address, origin: 'NMKT_KEY' };
    const open = () => createIdentity(bunker, portsFor(home, { openBunker }));
    const looking = open();
    expect(await looking.open({ connect: false, ask: true })).toBeUndefined();
    expect(await looking.report()).toMatchObject({ form: 'bunker', pubkey: null, bunker: { isConnected: false } });
    await expect(open().open({ connect: true, ask: true })).rejects.toThrow('dies here');
    expect((await open().open({ connect: true, ask: true }))!.pubkey).toBe(signerOf('user').pubkey);
    const later = open();
    expect((await later.open({ connect: false, ask: false }))!.pubkey).toBe(signerOf('user').pubkey);
    await later.checkBunker();
    expect(await later.report()).toMatchObject({ pubkey: signerOf('user').pubkey, bunker: { isConnected: true } });
    expect(calls).toEqual(['connect s3', 'connect s3', 'ping']);
    expect(new Set(met).size).toBe(1);
    const file = home.path('bunkers', `${bunkerKey}.json`);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    // A new invitation of the same bunker is a new connection of the same client.
    const again = { value: address.replace('s3', 's4'), origin: 'NMKT_KEY' };
    await createIdentity(again, portsFor(home, { openBunker })).open({ connect: true, ask: true });
    expect(calls.at(-1)).toBe('connect s4');
    expect((await readSession(home, parseKeyText(address, 'x') as never))!.client).toBe(met[0]);
  });
});

function thrownBy(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
