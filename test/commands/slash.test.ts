import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/config/clock.js';
import { parseJobEvent } from '../../src/protocol/events.js';
import { payoutId } from '../../src/protocol/settlement.js';
import { lockId } from '../../src/protocol/stake.js';
import { namedRandom } from '../../src/simulate/named-random.js';
import { openLedger } from '../../src/wallet/ledger.js';
import { connectStake } from '../../src/wallet/nwc-stake.js';
import { connectWallet } from '../../src/wallet/nwc.js';
import { sandboxStake } from '../../src/wallet/sandbox-stake.js';
import { startSandboxWallets } from '../../src/wallet/sandbox.js';
import { poolForTest } from '../relay/samples.js';
import { customer, hashOf, people, scriptJob } from '../support/job-script.js';
import { memoryJournal } from '../support/memory-journal.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const [cheat, worker] = people as [(typeof people)[0], (typeof people)[0]];

/** The first trainer commits twice to its seat of the last round, and has a stake. */
const script = scriptJob({ rounds: 1, until: 'close/0' });
const job = script.jobId;
const lock = lockId(job, cheat.pubkey, cheat.pubkey, 0);
script.say(cheat, 'stake', 'stake', { lock, amountMsat: 3_000n, role: 'trainer', sigmaPpm: 0 });
script.say(cheat, 'commit', 'again', { ...script.at('commit/0/0', 'commit').content, commitment: hashOf('another') });

it('slash empties the stake of who signed twice, once; its pot pays what the settlement says, once', async () => {
  const url = await relayWith(script.events);
  const relays = poolForTest([url]);
  const ledger = await openLedger(memoryJournal([]));
  const dir = temporaryFolder();
  const sandbox = await startSandboxWallets({
    ...{ dir, ledger, trainers: 2, validators: 0, sats: 100, stakeSats: 5, relays, relayUrl: url },
    ...{ random: namedRandom('slash test'), clock: systemClock },
  });
  onTestFinished(() => sandbox.close());
  await sandboxStake(ledger, 'trainer-1', systemClock).lock({ lock, job, staker: cheat.pubkey, amountMsat: 3_000n });
  const run = async () => {
    const settings = ['--settings', join(dir, 'trainer-2.json'), '--home', join(dir, 'home')];
    const { status, stdout, stderr } = await runNmkt(['slash', job, '--json', ...settings]);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout) as { slashed: Record<string, unknown>[] };
  };
  const first = await run();
  expect(first.slashed).toMatchObject([
    { guilty: cheat.pubkey, lock, state: 'slashed', reporterMsat: 300, potMsat: 2_700, refused: null },
  ]);
  expect(await run()).toEqual(first);
  const balances = () => ['trainer-1', 'trainer-2', `pot:${job}`].map((name) => ledger.balanceMsat(name));
  expect(balances()).toEqual([2_000n, 5_300n, 2_700n]);
  const { events } = await relays.fetch([{ kinds: [4631], '#e': [job] }]);
  const said = events.map((event) => parseJobEvent(event)).filter(({ type }) => type === 'slash');
  expect(said).toHaveLength(1);

  const payout = payoutId(job, 0, worker.pubkey, 'bonus');
  const line = { payout, payee: worker.pubkey, purpose: 'bonus' as const, amountMsat: 2_700n };
  const plan = { round: 0, close: script.raw('close/0').id, plan: [line], totalMsat: 2_700n };
  script.say(customer, 'settlement', 'settlement', plan);
  script.say(worker, 'settlement', 'forged', plan);
  const uri = (name: string) => sandbox.participants.find((one) => one.name === name)!.settings.wallet;
  const payee = await connectWallet(uri('trainer-2'), { network: 'sandbox' });
  const { invoice, paymentHash } = await payee.makeInvoice({
    msat: 2_700n,
    descriptionHash: hashOf('claim'),
    expirySec: 600,
  });
  const keeper = await connectStake(uri('customer'));
  onTestFinished(() => keeper.close());
  onTestFinished(() => payee.close());
  const request = { job: script.raw('job'), settlement: script.raw('settlement'), payout, invoice };
  await expect(keeper.pay({ ...request, settlement: script.raw('forged') })).rejects.toMatchObject({
    code: 'bad-event',
  });
  const paid = await keeper.pay(request);
  expect(paid.paymentHash).toBe(paymentHash);
  expect(await keeper.pay(request)).toEqual(paid);
  expect(balances()).toEqual([2_000n, 8_000n, 0n]);
  const second = await payee.makeInvoice({ msat: 2_700n, descriptionHash: hashOf('claim'), expirySec: 600 });
  await expect(keeper.pay({ ...request, invoice: second.invoice })).rejects.toMatchObject({ code: 'payment-failed' });
  expect(ledger.totalMsat()).toBe(100_000n + 2n * 5_000n);
}, 60_000);
