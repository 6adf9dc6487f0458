import { spawn } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import type { Wallet } from '../../src/ports.js';
import { connectWallet } from '../../src/wallet/nwc.js';
import type { SandboxSettings } from '../../src/wallet/sandbox.js';
import { finished, runNmkt, startNmkt, temporaryFolder, waitForEvent } from '../support/run-nmkt.js';
import { stageForTest } from './samples.js';

const isReady = ({ event }: Record<string, unknown>) => event === 'ready';

async function walletOf(file: string): Promise<Wallet> {
  const { wallet } = JSON.parse(await readFile(file, 'utf8')) as SandboxSettings;
  const connected = await connectWallet(wallet, { network: 'sandbox' });
  onTestFinished(() => connected.close());
  return connected;
}

it('is ready with everything listening, goes on after kill -9 at the same address, and stops on SIGTERM', async () => {
  const dir = join(temporaryFolder(), 'sb');
  const args = ['sandbox', '--dir', dir, '--trainers', '1', '--sats', '1000', '--json'];
  const first = startNmkt(args);
  const killed = finished(first);
  const ready = await waitForEvent(first, isReady);
  const settings = [join(dir, 'customer.json'), join(dir, 'trainer-1.json')];
  expect(ready).toEqual({
    event: 'ready',
    relay: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+$/),
    dir,
    settings,
    pid: first.pid,
  });
  expect((await stat(dir)).mode & 0o777).toBe(0o700);

  const [customer, trainer] = [await walletOf(settings[0]!), await walletOf(settings[1]!)];
  const { invoice, paymentHash } = await trainer.makeInvoice({
    msat: 300_000n,
    descriptionHash: sha256Hex('claim'),
    expirySec: 3600,
  });
  expect(await customer.pay(invoice, 10_000)).toMatchObject({ kind: 'paid' });

  const beside = await runNmkt(args);
  expect(beside.status).toBe(5);
  expect(beside.stdout + beside.stderr).toContain('home-locked');

  first.kill('SIGKILL');
  await killed;
  const second = startNmkt(args);
  const ended = finished(second);
  expect((await waitForEvent(second, isReady))['relay']).toBe(ready['relay']);
  // The wallets were connected all along: they find the service again by themselves.
  expect([await customer.balanceMsat(), await trainer.balanceMsat()]).toEqual([700_000n, 300_000n]);
  expect(await customer.lookup(paymentHash)).toMatchObject({ direction: 'out', state: 'settled' });
  second.kill('SIGTERM');
  expect(await ended).toMatchObject({ status: 0, signal: null });
});

it.each([
  [[], '--dir'],
  [['--dir', 'sb', '--trainers', 'many'], '--trainers'],
  [['--dir', 'sb', '--port', '65536'], '--port'],
  [['--dir', 'sb', '--sats', '-1'], '--sats'],
])('refuses %j with status 2', async (flags, named) => {
  const { status, stderr } = await runNmkt(['sandbox', ...flags]);
  expect(status).toBe(2);
  expect(stderr).toContain(named);
});

it('lets the process end when a wallet is closed, with a request still open', async () => {
  const stage = await stageForTest({
    faultFor: (method) => (method === 'get_balance' ? { kind: 'drop-reply' } : undefined),
  });
  const client = pathToFileURL(resolve('dist/wallet/nwc.js')).href;
  const program = `
    const { connectWallet } = await import(process.env.CLIENT);
    const wallet = await connectWallet(process.env.URI, { network: 'sandbox', replyTimeoutMs: 2_000, backoffMs: [] });
    await wallet.info();
    await wallet.balanceMsat().catch(({ code }) => process.stdout.write(code));
    await wallet.close();`;
  const env = { PATH: process.env['PATH'], CLIENT: client, URI: stage.uriOf('customer') };
  const started = performance.now();
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // The SDK's own timer would keep it for ten seconds.
  expect(await finished(child)).toMatchObject({ status: 0, stdout: 'wallet-unreachable', stderr: '' });
  expect(performance.now() - started).toBeLessThan(8_000);
});
