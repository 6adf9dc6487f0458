import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/config/clock.js';
import { formatPubkey } from '../../src/config/identifiers.js';
import { fromHex } from '../../src/hash.js';
import { publicKey } from '../../src/schnorr.js';
import { openLedger } from '../../src/wallet/ledger.js';
import { startSandboxWallets } from '../../src/wallet/sandbox.js';
import { namedRandom } from '../../src/simulate/named-random.js';
import { parseJobEvent } from '../../src/protocol/events.js';
import { scriptJob } from '../support/job-script.js';
import { memoryJournal } from '../support/memory-journal.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { poolForTest } from '../relay/samples.js';
import { relayWith } from './scripted-relay.js';

const script = scriptJob({ until: 'bid/2' });
const job = script.jobId;

/** A relay with the job, and wallets of a sandbox in this process. */
async function market() {
  const url = await relayWith(script.events);
  const relays = poolForTest([url]);
  const ledger = await openLedger(memoryJournal([]));
  const dir = temporaryFolder();
  const random = namedRandom('stake test');
  const sandbox = await startSandboxWallets({
    ...{ dir, ledger, trainers: 2, validators: 0, sats: 100, relays, relayUrl: url, random, clock: systemClock },
  });
  onTestFinished(() => sandbox.close());
  const names = ['trainer-1', 'trainer-2'];
  for (const name of names) await ledger.fundOnce(name, 5_000_000n);
  const keys = names.map((name) =>
    publicKey(fromHex(sandbox.participants.find((one) => one.name === name)!.settings.key)),
  );
  const run = async (name: string, ...words: readonly string[]) => {
    const settings = ['--settings', join(dir, `${name}.json`), '--home', join(dir, `home ${name}`)];
    const { status, stdout, stderr } = await runNmkt([...words, '--json', ...settings]);
    return {
      status,
      stderr,
      value: JSON.parse(stdout) as Record<string, unknown> & { locks: Record<string, unknown>[] },
    };
  };
  const published = async () => {
    const { events } = await relays.fetch([{ kinds: [4631], '#e': [job] }]);
    return events
      .map((event) => parseJobEvent(event))
      .sort((a, b) => (a.author === b.author ? a.seq - b.seq : a.author < b.author ? -1 : 1));
  };
  return { ledger, keys, run, published };
}

describe('stake, delegate and withdraw', () => {
  it('lock money once, say so, and let it go', async () => {
    const { ledger, keys, run, published } = await market();
    const [one, two] = keys as [(typeof keys)[0], (typeof keys)[0]];
    const staked = await run('trainer-1', 'stake', job, '--sats', '3000', '--sigma', '0.25');
    expect(staked, staked.stderr).toMatchObject({ status: 0, value: { job, amountMsat: 3_000_000, isNew: true } });
    const again = await run('trainer-1', 'stake', job, '--sats', '3000', '--sigma', '0.25');
    expect(again.value).toEqual({ ...staked.value, isNew: false });
    const behind = await run('trainer-2', 'delegate', job, formatPubkey(one), '--sats', '1000');
    expect(behind, behind.stderr).toMatchObject({ status: 0, value: { operator: one, amountMsat: 1_000_000 } });
    expect(['trainer-1', 'trainer-2'].map((name) => ledger.balanceMsat(name))).toEqual([2_000_000n, 4_000_000n]);

    const first = await run('trainer-2', 'withdraw', job);
    expect(first, first.stderr).toMatchObject({ status: 0, value: { locks: [{ state: 'leaving' }] } });
    expect((await run('trainer-2', 'withdraw', job)).value.locks).toEqual(first.value.locks);
    expect(ledger.balanceMsat('trainer-2')).toBe(4_000_000n);

    const said = await published();
    expect(said.filter(({ author }) => author === one).map(({ type, content }) => [type, content])).toMatchObject([
      ['stake', { lock: staked.value['lock'], role: 'trainer', sigmaPpm: 250_000 }],
    ]);
    expect(said.filter(({ author }) => author === two).map(({ type }) => type)).toEqual(['delegate', 'withdraw']);
  });

  it('refuse more than the wallet has, and what was never staked', async () => {
    const { run, published } = await market();
    expect(await run('trainer-1', 'stake', job, '--sats', '5001')).toMatchObject({
      ...{ status: 6, value: { error: { code: 'payment-failed' } } },
    });
    expect(await run('trainer-2', 'withdraw', job)).toMatchObject({
      status: 5,
      value: { error: { code: 'not-awarded' } },
    });
    expect(await published()).toEqual([]);
  });
});
