import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatSecretKey } from '../../src/config/identifiers.js';
import { relayForTest, secretOf, signerOf } from '../relay/samples.js';
import { callCommand, scriptedPrompt, type Call } from '../support/run-command.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { startTestBunker, type TestBunkerOptions } from '../support/test-bunker.js';

const relay = 'wss://relay.example';
const wallet = `nostr+walletconnect://${'b'.repeat(64)}?relay=wss://relay.example&secret=${'a'.repeat(64)}`;
const nsec = formatSecretKey(secretOf('own'));
const { pubkey } = signerOf('own');

interface Shown {
  readonly home: string;
  readonly changed: readonly string[];
  readonly key: { readonly npub: string | null; readonly pubkey: string | null; readonly form: string } | null;
  readonly relays: readonly string[];
  readonly network: string;
  readonly engine: string;
  readonly hasWallet: boolean;
}

/** Several runs over one home. */
function homeHere() {
  const cwd = temporaryFolder();
  const home = join(cwd, 'home');
  const file = (name: string, text: string): string => {
    writeFileSync(join(cwd, name), text, { mode: 0o600 });
    return name;
  };
  const init = async (call: Omit<Call, 'cwd'> = {}) => {
    const outcome = await callCommand('init', { ...call, cwd, options: { home, ...call.options } });
    return { ...outcome, shown: outcome.value as Shown };
  };
  const read = (name: string) => readFileSync(join(home, name), 'utf8');
  return { cwd, home, file, init, read };
}

/** Every file below the home by name and bytes. */
function contents(home: string): Record<string, string> {
  const names = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(home, name)).isFile(),
  );
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(home, name), 'utf8')]));
}

describe('nmkt init without a terminal', () => {
  it('names every flag that is missing, in a call that works, and makes nothing', async () => {
    const cwd = temporaryFolder();
    const home = join(cwd, 'home');
    const failed = await runNmkt(['init', '--json', '--home', home], { cwd });
    expect(failed.status).toBe(2);
    expect(JSON.parse(failed.stdout)).toMatchObject({
      error: {
        code: 'bad-usage',
        expected: expect.stringMatching(/--key-file.*NMKT_KEY.*--new-key.*--relay.*NMKT_RELAYS/) as string,
        remedy: 'nmkt init --new-key --relay wss://relay.example',
      },
    });
    expect(existsSync(home)).toBe(false);
    const remedied = await runNmkt(['init', '--new-key', '--relay', relay, '--json', '--home', home], { cwd });
    expect([remedied.status, remedied.stderr]).toEqual([0, expect.stringContaining('set key, relays') as string]);
    // The home has the relay now; what comes next needs the home alone.
    expect(remedied.stderr).toContain(`next: nmkt doctor --home ${home}, then`);
  });

  it('takes everything from files and flags; files are private, and nothing secret is said', async () => {
    const { file, init, home, read } = homeHere();
    const options = {
      keyFile: file('key', nsec),
      walletFile: file('wallet.txt', wallet),
      relay: [relay],
      network: 'bitcoin',
      engine: 'cpu',
    };
    const { shown, said, text } = await init({ options });
    expect(shown).toEqual({
      home,
      changed: ['key', 'relays', 'network', 'wallet', 'engine'],
      key: { npub: expect.stringMatching(/^npub1/) as string, pubkey, form: 'plain', bunker: null },
      ...{ relays: [relay], network: 'bitcoin', engine: 'cpu', hasWallet: true },
    });
    expect([read('key').trim(), read('wallet').trim()]).toEqual([nsec, wallet]);
    expect(JSON.parse(read('settings.json'))).toEqual({ relays: [relay], network: 'bitcoin', engine: 'cpu' });
    for (const name of readdirSync(home))
      expect([name, statSync(join(home, name)).mode & 0o777]).toEqual([name, 0o600]);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    expect(JSON.stringify([shown, said, text])).not.toMatch(/nsec1|aaaaaaaa|bbbbbbbb/);
    const who = await callCommand('whoami', { cwd: home, options: { home } });
    expect(who.value).toMatchObject({ key: { pubkey, origin: join(home, 'key') }, relays: { urls: [relay] } });
  });

  it('takes everything from the environment', async () => {
    const { init } = homeHere();
    const env = { NMKT_KEY: nsec, NMKT_RELAYS: `${relay},wss://b.example`, NMKT_WALLET: wallet, NMKT_ENGINE: 'wasm' };
    expect((await init({ env })).shown).toMatchObject({
      key: { pubkey },
      ...{ relays: [relay, 'wss://b.example'], network: 'sandbox', engine: 'wasm', hasWallet: true },
    });
  });

  it('again shows what is there and changes no byte, whatever the environment says', async () => {
    const { init, home } = homeHere();
    await init({ options: { newKey: true, relay: [relay] } });
    const before = contents(home);
    const second = await init();
    expect([second.shown.changed, second.shown.relays]).toEqual([[], [relay]]);
    const other = await init({ env: { NMKT_KEY: nsec, NMKT_RELAYS: 'wss://other.example', NMKT_NETWORK: 'bitcoin' } });
    expect(other.shown).toEqual(second.shown);
    expect(other.said.join('\n')).toMatch(/relays: the home keeps its own; NMKT_RELAYS/);
    // Making a key that is there is no wish for another one.
    expect((await init({ options: { newKey: true, relay: [relay] } })).shown.changed).toEqual([]);
    expect(contents(home)).toEqual(before);
  });

  it('changes what is named, and what the environment says only with --force', async () => {
    const { init } = homeHere();
    await init({ options: { newKey: true, relay: [relay] } });
    expect((await init({ options: { relay: ['wss://b.example'], network: 'regtest' } })).shown).toMatchObject({
      changed: ['relays', 'network'],
      relays: ['wss://b.example'],
    });
    const forced = await init({ options: { force: true }, env: { NMKT_RELAYS: relay } });
    expect(forced.shown).toMatchObject({ changed: ['relays'], relays: [relay], network: 'regtest' });
  });

  it('puts no key over another one but with --replace-key, and keeps the former', async () => {
    const { init, home, file, read } = homeHere();
    await init({ options: { newKey: true, relay: [relay] } });
    const before = contents(home);
    const keyFile = file('key', nsec);
    await expect(init({ options: { keyFile } })).rejects.toMatchObject({
      code: 'bad-usage',
      remedy: expect.stringContaining('--replace-key') as string,
    });
    await expect(init({ options: { keyFile, force: true } })).rejects.toMatchObject({ code: 'bad-usage' });
    expect(contents(home)).toEqual(before);
    expect((await init({ options: { keyFile, replaceKey: true } })).shown).toMatchObject({
      changed: ['key'],
      key: { pubkey },
    });
    const [former] = readdirSync(join(home, 'old-keys'));
    expect(read(`old-keys/${former}`)).toBe(before['key']);
    // The same key once more is no replacement.
    expect((await init({ options: { keyFile } })).shown.changed).toEqual([]);
    await expect(init({ options: { replaceKey: true } })).rejects.toMatchObject({
      remedy: 'nmkt init --replace-key --new-key',
    });
  });

  it('keeps the key under a password, names it all the same, and signs with the password', async () => {
    const { init, file, home, read } = homeHere();
    const options = { keyFile: file('key', nsec), relay: [relay], encrypt: true };
    await expect(init({ options })).rejects.toMatchObject({
      code: 'bad-usage',
      remedy: expect.stringMatching(/--key-password-file.*NMKT_KEY_PASSWORD/) as string,
    });
    await expect(init({ options, env: { NMKT_KEY_PASSWORD: 'short' } })).rejects.toMatchObject({ got: '5' });
    const env = { NMKT_KEY_PASSWORD: 'correct horse' };
    expect((await init({ options, env })).shown.key).toMatchObject({ form: 'encrypted', pubkey });
    expect(read('key')).toMatch(/^# npub1\w+\nncryptsec1\w+\n$/);
    const before = contents(home);
    expect((await init()).shown).toMatchObject({ changed: [], key: { form: 'encrypted', pubkey } });
    expect((await init({ options: { encrypt: true } })).shown.changed).toEqual([]);
    expect(contents(home)).toEqual(before);
    const backup = { cwd: home, args: [join(home, '..', 'x.bak')], options: { home } };
    await expect(callCommand('backup', { ...backup, env: { NMKT_KEY_PASSWORD: 'wrong horse' } })).rejects.toMatchObject(
      {
        code: 'wrong-password',
      },
    );
    expect((await callCommand('backup', { ...backup, env })).value).toMatchObject({ pubkey, hasKey: true });
  });
});

describe('nmkt init on a terminal', () => {
  it('asks for key, password, money, relays, wallet and engine, again where an answer is none', async () => {
    const { init, read } = homeHere();
    const prompt = scriptedPrompt([
      ...['trainer', 'paste', 'nsec1nonsense', nsec, 'y'],
      ...['bitcoin', '', 'https://no.relay', `${relay}, wss://b.example`],
      ...['paste', 'lnurl', wallet, 'wasm'],
      ...['correct horse', 'correct horse'],
    ]);
    const { shown, said, next } = await init({ prompt });
    expect(next).toBe('nmkt doctor, then nmkt serve-trainer --price 100');
    expect(shown).toMatchObject({
      key: { form: 'encrypted', pubkey },
      ...{ relays: [relay, 'wss://b.example'], network: 'bitcoin', engine: 'wasm', hasWallet: true },
    });
    expect(read('wallet').trim()).toBe(wallet);
    expect(prompt.asked.filter((line) => line.startsWith('expected') || line.startsWith('at least'))).toHaveLength(4);
    expect(JSON.stringify([prompt.asked, said])).not.toMatch(/nonsense|correct horse|aaaaaaaa/);
    for (const line of prompt.asked) expect(line.length).toBeLessThanOrEqual(110);
  });

  it('takes Enter for what is offered, asks nothing the second time, and everything with --force', async () => {
    const { init } = homeHere();
    const first = await init({ prompt: scriptedPrompt(['trainer', '', 'n', '', relay, '', '']) });
    expect(first.shown).toMatchObject({ network: 'sandbox', relays: [relay], engine: 'auto', hasWallet: false });
    const silent = scriptedPrompt([]);
    expect((await init({ prompt: silent })).shown.changed).toEqual([]);
    expect(silent.asked).toEqual([]);
    const forced = await init({
      options: { force: true },
      prompt: scriptedPrompt(['trainer', 'regtest', '', '', 'cpu']),
    });
    expect(forced.shown).toMatchObject({ changed: ['network', 'engine'], relays: [relay], key: first.shown.key });
  });

  it('does not ask for what flags gave', async () => {
    const { init, file } = homeHere();
    const options = { keyFile: file('key', nsec), relay: [relay], network: 'regtest', role: 'trainer' };
    const prompt = scriptedPrompt(['', '']);
    expect((await init({ options, prompt })).shown).toMatchObject({
      key: { pubkey },
      relays: [relay],
      network: 'regtest',
    });
    expect(prompt.asked).toEqual([expect.stringContaining('wallet'), expect.stringContaining('trains')]);
  });

  it('asks a customer nothing about engines, and names what a customer does next', async () => {
    const { init } = homeHere();
    const prompt = scriptedPrompt(['customer', 'new', 'n', '', relay, '']);
    const { shown, next } = await init({ prompt });
    expect([shown.engine, next]).toEqual(['auto', expect.stringContaining('then nmkt publish-dataset') as string]);
    expect(prompt.asked.join()).not.toContain('trains');
  });

  it('leaves nothing behind when the last question is not answered', async () => {
    const { init, home } = homeHere();
    const answers = ['trainer', 'paste', nsec, 'y', 'bitcoin', relay, 'paste', wallet, 'cpu', 'correct horse'];
    for (let asked = 0; asked < answers.length; asked++) {
      await expect(init({ prompt: scriptedPrompt(answers.slice(0, asked)) })).rejects.toThrow('no answer left');
      expect(existsSync(home)).toBe(false);
    }
  });

  it('replaces a key only for the word replace', async () => {
    const { init, file, home } = homeHere();
    await init({ options: { newKey: true, relay: [relay] } });
    const before = contents(home);
    const options = { keyFile: file('key', nsec) };
    await expect(init({ options, prompt: scriptedPrompt(['yes']) })).rejects.toMatchObject({ code: 'bad-usage' });
    expect(contents(home)).toEqual(before);
    expect((await init({ options, prompt: scriptedPrompt(['replace']) })).shown.key).toMatchObject({ pubkey });
  });
});

describe('nmkt init with a bunker', () => {
  async function bunkerHere(behave?: TestBunkerOptions['behave']) {
    const { url } = await relayForTest({ nowSec: () => Math.floor(Date.now() / 1000) });
    const options = { relay: url, secret: secretOf('bunker'), user: secretOf('own') };
    return { url, bunker: await startTestBunker({ ...options, ...(behave && { behave }) }) };
  }

  it('connects once, keeps the address without its invitation, and needs no bunker to show it', async () => {
    const { url, bunker } = await bunkerHere();
    const { init, read, home } = homeHere();
    const made = await init({ env: { NMKT_KEY: bunker.uri }, options: { relay: [url] } });
    expect(made.shown.key).toMatchObject({
      form: 'bunker',
      pubkey,
      bunker: { pubkey: bunker.pubkey, isConnected: true },
    });
    expect(read('key')).toBe(`bunker://${bunker.pubkey}?relay=${encodeURIComponent(url)}\n`);
    expect(JSON.stringify(contents(home))).not.toContain('let-me-in');
    await bunker.close();
    expect((await init()).shown).toMatchObject({ changed: [], key: { form: 'bunker', pubkey } });
    const who = await callCommand('whoami', { cwd: home, options: { home } });
    expect(who.text).toContain(`in a bunker: ${bunker.pubkey}`);
    expect(bunker.asked).toEqual(['connect', 'get_public_key']);
  });

  it('that is silent or refuses says so, and the next run goes on with the same client key', async () => {
    let answers: 'silent' | 'refused' | 'honest' = 'silent';
    const { url, bunker } = await bunkerHere(() =>
      answers === 'silent' ? null : answers === 'refused' ? { error: 'not today' } : undefined,
    );
    const { init, home } = homeHere();
    const call = { env: { NMKT_KEY: bunker.uri }, options: { relay: [url] } };
    const impatient = { ...call, env: { ...call.env, NMKT_BUNKER_TIMEOUT: '0.2' } };
    await expect(init(impatient)).rejects.toMatchObject({ code: 'bunker-unreachable', got: 'silence' });
    const client = readFileSync(join(home, 'bunkers', `${bunker.pubkey}.json`), 'utf8');
    answers = 'refused';
    await expect(init(call)).rejects.toMatchObject({ code: 'bunker-refused', got: 'not today' });
    expect(existsSync(join(home, 'key'))).toBe(false);
    answers = 'honest';
    expect((await init(call)).shown.key).toMatchObject({ pubkey });
    const kept = JSON.parse(readFileSync(join(home, 'bunkers', `${bunker.pubkey}.json`), 'utf8')) as { client: string };
    expect(kept.client).toBe((JSON.parse(client) as { client: string }).client);
  });
});

it('a home that cannot be written is said with its remedy', async () => {
  const { init, cwd } = homeHere();
  writeFileSync(join(cwd, 'file'), '');
  const options = { home: join(cwd, 'file'), newKey: true, relay: [relay] };
  await expect(init({ options })).rejects.toMatchObject({
    code: 'bad-settings',
    remedy: expect.stringContaining('--home') as string,
  });
});
