import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hex, sha256 } from '../../src/hash.js';
import { scriptAlliance } from '../support/alliance-script.js';
import { scriptArena } from '../support/arena-script.js';
import { customer, people, scriptJob } from '../support/job-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { filesBelow, iris } from '../support/story.js';
import { stageForTest } from '../wallet/samples.js';
import { relayWith } from './scripted-relay.js';

/** What the commands that pay show with --dry-run, and that they leave everything as it was. */

let drawn = 0;
const late = scriptJob({ rounds: 2, alter: { 'receipt/1/0': () => null, 'receipt/1/1': () => null } });

async function stage(secret = customer.secret) {
  const folder = temporaryFolder();
  const wallets = await stageForTest({ random: (length) => sha256('dry run', `${drawn++}`).subarray(0, length) });
  await wallets.ledger.fundOnce('customer', 50_000n);
  const home = join(folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'key'), hex(secret), { mode: 0o600 });
  const settings = join(folder, 'settings.json');
  const found = { relays: [wallets.relayUrl], wallet: wallets.uriOf('customer'), network: 'sandbox' };
  writeFileSync(settings, JSON.stringify(found), { mode: 0o600 });
  return { home, wallets, args: ['--settings', settings, '--home', home] };
}

const jsonOf = (text: string) => JSON.parse(text) as { checks: { name: string; state: string }[]; payouts: object[] };

it.each([
  ['collect-model', ['--out', 'model']],
  ['cancel', []],
])('%s --dry-run says who is owed what, and what wallet and caps say of it; it touches nothing', async (name, more) => {
  const url = await relayWith(late.events);
  const { home, wallets, args } = await stage();
  const before = filesBelow(home);
  const words = [name, late.jobId, ...more, '--dry-run', '--relay', url, '--max-sats', '50', ...args];
  const { status, stdout, stderr } = await runNmkt([...words, '--json'], { cwd: home });
  expect(status, stderr).toBe(0);
  const { checks, payouts, ...plan } = jsonOf(stdout);
  expect(plan).toEqual({
    ...{ job: late.jobId, mode: 'federated', phase: 'finished', budgetMsat: expect.any(Number) as number },
    ...{ paidMsat: 84_000, owedMsat: 42_000, feeReserveMsat: 20_000 },
  });
  expect(payouts).toHaveLength(2);
  expect(payouts[0]).toEqual({
    payout: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    ...{
      round: 1,
      payee: expect.any(String) as string,
      purpose: 'trainer',
      amountMsat: 21_000,
      feeReserveMsat: 10_000,
    },
    // Scripted claims seal nothing.
    ...{ claim: 'sealed', journal: null },
  });
  expect(checks.map(({ name: what, state }) => `${what}: ${state}`)).toEqual([
    ...['wallet: ok', 'wallet methods: ok', 'wallet budget: ok', 'wallet encryption: ok'],
    ...["the job's budget: ok", '--max-sats: fail', "the wallet's balance: fail"],
  ]);
  const shown = await runNmkt(words, { cwd: home });
  expect(shown.stdout).toContain('62 sat of 50 sat; try: raise --max-sats');
  expect(filesBelow(home)).toEqual(before);
  expect(wallets.ledger.balanceMsat('customer')).toBe(50_000n);
});

it.each([
  ['arena', scriptArena()],
  ['alliance', scriptAlliance()],
])('plans what an %s owes', async (mode, script) => {
  const url = await relayWith(script.events);
  const { home, args } = await stage();
  const before = filesBelow(home);
  const words = ['collect-model', script.jobId, '--out', 'model', '--dry-run', '--json', '--relay', url, ...args];
  const { status, stdout, stderr } = await runNmkt(words);
  expect(status, stderr).toBe(0);
  const { payouts, owedMsat, ...plan } = jsonOf(stdout) as unknown as {
    payouts: { claim: string }[];
    owedMsat: number;
  };
  expect(plan).toMatchObject({ job: script.jobId, mode });
  expect(owedMsat).toBeGreaterThan(0);
  expect(payouts.length).toBeGreaterThan(2);
  expect(new Set(payouts.map(({ claim }) => claim))).toEqual(new Set(['none']));
  expect(filesBelow(home)).toEqual(before);
});

it('says what a job may cost before it is posted', async () => {
  const { home, args } = await stage();
  const words = ['post-job', '--mode', 'alliance', '--like', iris, '--label', 'species', '--pot-sats', '3000'];
  const before = filesBelow(home);
  const { status, stdout, stderr } = await runNmkt([...words, '--dry-run', '--json', ...args]);
  expect(status, stderr).toBe(0);
  const { plan } = JSON.parse(stdout) as { plan: { checks: { name: string; state: string }[] } };
  expect(plan).toMatchObject({ mostMsat: 3_000_000, feeReserveMsat: 30_000 });
  expect(plan.checks.at(-1)).toMatchObject({ name: "the wallet's balance", state: 'fail' });
  expect(filesBelow(home)).toEqual(before);
});

it('says of a job of another key that nothing of it is paid from here', async () => {
  const url = await relayWith(late.events);
  const { args } = await stage(people[1]!.secret);
  const words = ['collect-model', late.jobId, '--out', 'model', '--dry-run', '--json', '--relay', url, ...args];
  const { status, stdout, stderr } = await runNmkt(words);
  expect([status, stderr]).toEqual([0, expect.stringContaining('another key')]);
  expect(jsonOf(stdout)).toMatchObject({ payouts: [], checks: [], owedMsat: 0 });
});
