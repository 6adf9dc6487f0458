import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { loadSettings, type SettingsFlags } from '../../src/config/settings.js';
import { temporaryFolder } from '../support/run-nmkt.js';

const wallet = `nostr+walletconnect://${'a'.repeat(64)}?relay=ws://127.0.0.1:1&secret=${'b'.repeat(64)}`;

describe('settings', () => {
  let folder = '';
  let home = '';
  beforeEach(() => {
    folder = temporaryFolder();
    home = join(folder, 'home');
    mkdirSync(home, { mode: 0o700 });
  });
  const load = (flags: SettingsFlags = {}, env: NodeJS.ProcessEnv = {}) =>
    loadSettings(flags, env, { cwd: folder, home });
  const write = (name: string, content: unknown, mode = 0o600): string => {
    const path = join(folder, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content), { mode });
    return path;
  };

  it('come from the strongest place that has them: flag, settings file, environment, ./nmkt.json, home, default', async () => {
    expect((await load()).relays).toEqual({ value: [], origin: 'default' });
    write('home/settings.json', { relays: ['wss://home.example'] });
    expect((await load()).relays.value).toEqual(['wss://home.example']);
    write('nmkt.json', { relays: ['wss://project.example'] });
    expect((await load()).relays).toEqual({ value: ['wss://project.example'], origin: './nmkt.json' });
    const env = { NMKT_RELAYS: 'wss://one.example, wss://two.example,' };
    expect((await load({}, env)).relays).toEqual({
      value: ['wss://one.example', 'wss://two.example'],
      origin: 'NMKT_RELAYS',
    });
    const settings = write('s.json', { relays: ['wss://file.example'] });
    expect((await load({ settings }, env)).relays).toEqual({ value: ['wss://file.example'], origin: settings });
    expect((await load({}, { ...env, NMKT_SETTINGS: settings })).relays.origin).toBe(settings);
    const flags = { settings, relay: ['wss://flag.example'] };
    expect((await load(flags, env)).relays).toEqual({ value: ['wss://flag.example'], origin: '--relay' });
  });

  it('mix: each value has its own origin', async () => {
    write('nmkt.json', { engine: 'cpu' });
    const settings = write('s.json', { wallet });
    const loaded = await load({ settings, network: 'regtest' }, { NMKT_KEY: '1'.repeat(64) });
    expect(loaded.engine).toEqual({ value: 'cpu', origin: './nmkt.json' });
    expect(loaded.wallet).toEqual({ value: wallet, origin: settings });
    expect(loaded.network).toEqual({ value: 'regtest', origin: '--network' });
    expect(loaded.key).toEqual({ value: '1'.repeat(64), origin: 'NMKT_KEY' });
  });

  it('take the lowest cap of all places: a project may tighten what a user set, and not loosen it', async () => {
    expect((await load()).maxDaySats).toBeUndefined();
    write('home/settings.json', { maxDaySats: 1_000, maxPaymentSats: 500 });
    write('nmkt.json', { maxDaySats: 9_000, maxPaymentSats: 50 });
    const { maxDaySats, maxPaymentSats } = await load();
    expect(maxDaySats).toEqual({ value: 1_000, origin: join(home, 'settings.json') });
    expect(maxPaymentSats).toEqual({ value: 50, origin: './nmkt.json' });
    const env = { NMKT_MAX_DAY_SATS: '0', NMKT_MAX_PAYMENT_SATS: '60' };
    expect((await load({}, env)).maxDaySats).toEqual({ value: 0, origin: 'NMKT_MAX_DAY_SATS' });
    expect((await load({}, env)).maxPaymentSats?.value).toBe(50);
    await expect(load({}, { NMKT_MAX_DAY_SATS: '1.5' })).rejects.toMatchObject({ code: 'bad-settings' });
  });

  it('default to the sandbox and the fastest engine', async () => {
    const { network, engine, wallet: none, key } = await load();
    expect([network.value, engine.value, none, key]).toEqual(['sandbox', 'auto', undefined, undefined]);
  });

  it('read secrets from files of mode 0600 only', async () => {
    const open = write('wallet.txt', `${wallet}\n`, 0o644);
    await expect(load({ walletFile: open })).rejects.toMatchObject({
      code: 'unsafe-secret-file',
      remedy: `chmod 600 ${open}`,
    });
    const closed = write('private.txt', `${wallet}\n`);
    expect((await load({ walletFile: closed })).wallet).toEqual({ value: wallet, origin: '--wallet-file' });
    const settings = write('open.json', { key: '1'.repeat(64) }, 0o640);
    await expect(load({ settings })).rejects.toMatchObject({ code: 'unsafe-secret-file' });
    write('public.json', { relays: [] }, 0o644);
    await expect(load({ settings: join(folder, 'public.json') })).resolves.toBeDefined();
  });

  it('find the key and wallet that home keeps', async () => {
    write('home/key', `${'2'.repeat(64)}\n`);
    write('home/wallet', wallet);
    const loaded = await load();
    expect(loaded.key).toEqual({ value: '2'.repeat(64), origin: join(home, 'key') });
    expect(loaded.wallet?.origin).toBe(join(home, 'wallet'));
  });

  it('refuse secrets in ./nmkt.json, even in a private one', async () => {
    for (const content of [{ key: '1'.repeat(64) }, { wallet }]) {
      write('nmkt.json', content);
      await expect(load()).rejects.toMatchObject({
        code: 'bad-settings',
        expected: expect.stringContaining('no secrets'),
      });
    }
  });

  it('refuse unknown fields, broken JSON and values of a wrong form, saying where', async () => {
    const cases: [unknown, RegExp][] = [
      [{ relay: ['wss://a.example'] }, /unknown field "relay"/],
      ['{"relays": [', /not JSON/],
      ['[]', /not a JSON object/],
      [{ relays: 'wss://a.example' }, /relays is not usable/],
      [{ relays: ['https://a.example'] }, /relays is not usable/],
      [{ relays: ['wss://user:pass@a.example'] }, /relays is not usable/],
      [{ network: 'mainnet' }, /network is not usable/],
      [{ engine: 'gpu' }, /engine is not usable/],
      [{ wallet: 'lnurl' }, /wallet is not usable/],
      [{ key: 7 }, /key is not usable/],
      [{ maxDaySats: -1 }, /maxDaySats is not usable/],
    ];
    for (const [content, message] of cases) {
      const settings = write('s.json', content);
      const error: unknown = await load({ settings }).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'bad-settings', message: expect.stringMatching(message) });
      expect(String(error)).toContain(settings);
    }
  });

  it('never quote a secret in an error', async () => {
    const secret = 'c'.repeat(64);
    const settings = write('s.json', `{"key": "${secret}", oops}`);
    const error = (await load({ settings }).catch((caught: unknown) => caught)) as Error;
    expect(JSON.stringify([error.message, Object.values(error)])).not.toContain(secret);
    const wrong = (await load({}, { NMKT_WALLET: `nostr+walletconnect://x?secret=${secret}` }).catch(
      (caught: unknown) => caught,
    )) as Error;
    expect(JSON.stringify([wrong.message, Object.values(wrong)])).not.toContain(secret);
  });

  it('say when a named file is not there', async () => {
    await expect(load({ settings: 'none.json' })).rejects.toMatchObject({ code: 'bad-settings' });
    await expect(load({ keyFile: 'none' })).rejects.toMatchObject({ code: 'bad-settings', got: 'ENOENT' });
  });
});
