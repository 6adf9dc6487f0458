import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/config/clock.js';
import { sha256Hex } from '../../src/hash.js';
import { openJournal } from '../../src/journal/file-journal.js';
import { openLedger, type LedgerRecord } from '../../src/wallet/ledger.js';
import { connectWallet } from '../../src/wallet/nwc.js';
import { startSandboxWallets, type SandboxSettings } from '../../src/wallet/sandbox.js';
import { startRelay } from '../../src/relay/embedded.js';
import { connectRelays } from '../../src/relay/pool.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { random } from './samples.js';

const read = async (dir: string, name: string) =>
  JSON.parse(await readFile(join(dir, `${name}.json`), 'utf8')) as SandboxSettings;

async function start(dir: string, changes: { trainers?: number; relayUrl?: string } = {}) {
  const journal = await openJournal<LedgerRecord>(join(dir, 'ledger.jsonl'));
  const ledger = await openLedger(journal);
  const wallets = await startSandboxWallets({
    dir,
    ledger,
    trainers: 2,
    validators: 1,
    sats: 1_000,
    relays: memoryNetwork().relays(),
    relayUrl: 'ws://127.0.0.1:7447',
    random,
    clock: systemClock,
    ...changes,
  });
  return { wallets, ledger, stop: async () => (wallets.close(), journal.close()) };
}

describe('startSandboxWallets', () => {
  it('writes one settings file per participant that only its owner can read', async () => {
    const dir = temporaryFolder();
    const { wallets, stop } = await start(dir);
    const names = ['customer', 'trainer-1', 'trainer-2', 'validator-1'];
    expect(wallets.participants.map(({ file }) => file)).toEqual(names.map((name) => join(dir, `${name}.json`)));
    for (const name of names) {
      expect((await stat(join(dir, `${name}.json`))).mode & 0o777).toBe(0o600);
      const settings = await read(dir, name);
      expect(Object.keys(settings)).toEqual(['relays', 'wallet', 'network', 'key']);
      expect(settings).toMatchObject({
        relays: ['ws://127.0.0.1:7447'],
        network: 'sandbox',
        key: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      expect(settings.wallet).toMatch(
        /^nostr\+walletconnect:\/\/[0-9a-f]{64}\?relay=ws%3A%2F%2F127.0.0.1%3A7447&secret=[0-9a-f]{64}$/,
      );
    }
    expect((await stat(join(dir, 'sandbox-keys.json'))).mode & 0o777).toBe(0o600);
    await stop();
  });

  it('keeps keys and balances over a restart, funds once, and follows a new relay address', async () => {
    const dir = temporaryFolder();
    const first = await start(dir);
    const before = await read(dir, 'trainer-1');
    await first.stop();
    const second = await start(dir, { trainers: 3, relayUrl: 'ws://127.0.0.1:9999' });
    const after = await read(dir, 'trainer-1');
    expect(after.key).toBe(before.key);
    expect(after.wallet).toBe(before.wallet.replace('7447', '9999'));
    expect(second.wallets.nodePubkey).toBe(first.wallets.nodePubkey);
    expect(second.ledger.balanceMsat('customer')).toBe(1_000_000n);
    expect((await read(dir, 'trainer-3')).key).not.toBe(before.key);
    await second.stop();
  });

  it('refuses a damaged key file: new keys would strand the balances', async () => {
    const dir = temporaryFolder();
    await (await start(dir)).stop();
    for (const text of ['{"node":', '{}', '{"node":"00","service":"00","participants":{}}']) {
      await writeFile(join(dir, 'sandbox-keys.json'), text);
      await expect(start(dir)).rejects.toMatchObject({ code: 'bad-settings' });
    }
  });

  it('pays from the customer to a trainer through the URIs it wrote', async () => {
    const relay = await startRelay({ port: 0 });
    onTestFinished(() => relay.close());
    const relays = connectRelays([relay.url], { network: 'sandbox' });
    onTestFinished(() => relays.close());
    const wallets = await startSandboxWallets({
      trainers: 1,
      validators: 0,
      sats: 1_000,
      relays,
      relayUrl: relay.url,
      random,
      clock: systemClock,
    });
    onTestFinished(() => wallets.close());
    const [customer, trainer] = await Promise.all(
      wallets.participants.map(({ settings }) => connectWallet(settings.wallet, { network: 'sandbox' })),
    );
    onTestFinished(() => customer!.close());
    onTestFinished(() => trainer!.close());
    const { invoice } = await trainer!.makeInvoice({
      msat: 300_000n,
      descriptionHash: sha256Hex('claim'),
      expirySec: 3600,
    });
    expect(await customer!.pay(invoice, 5_000)).toMatchObject({ kind: 'paid', feesMsat: 0n });
    expect([await customer!.balanceMsat(), await trainer!.balanceMsat()]).toEqual([700_000n, 300_000n]);
  });
});
