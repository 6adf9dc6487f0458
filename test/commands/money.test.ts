import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hex, sha256, sha256Hex } from '../../src/hash.js';
import { openJournal } from '../../src/journal/file-journal.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { stageForTest as anyStage, type Stage } from '../wallet/samples.js';

let drawn = 0;
/** Preimages are told here: none of them may be a secret of another test. */
const stageForTest = (options: Parameters<typeof anyStage>[0] = {}): Promise<Stage> =>
  anyStage({ random: (length) => sha256('money', `${drawn++}`).subarray(0, length), ...options });

/** A settings file of a wallet on that stage. */
function settingsOf(stage: Stage, name: string): readonly string[] {
  const folder = temporaryFolder();
  const file = join(folder, 'settings.json');
  writeFileSync(file, JSON.stringify({ relays: [stage.relayUrl], wallet: stage.uriOf(name), network: 'sandbox' }), {
    mode: 0o600,
  });
  return ['--settings', file, '--home', join(folder, 'home')];
}
const homeOf = (args: readonly string[]): string => args[args.indexOf('--home') + 1]!;
const jsonOf = (text: string) => JSON.parse(text) as Record<string, unknown>;

it('nmkt wallet says what it is and may do, and sends one sat in a circle', async () => {
  const stage = await stageForTest();
  await stage.ledger.fundOnce('customer', 50_000n);
  const args = settingsOf(stage, 'customer');
  const { status, stdout, stderr } = await runNmkt(['wallet', '--self-test', '--json', ...args]);
  expect(status, stderr).toBe(0);
  expect(jsonOf(stdout)).toMatchObject({
    ...{ network: 'regtest', encryption: 'nip44_v2', balanceMsat: 50_000, budget: null },
    methods: expect.arrayContaining(['make_invoice', 'pay_invoice']) as unknown,
    selfTest: {
      steps: [{ step: 'invoice' }, { step: 'pay' }, { step: 'look-up', detail: 'settled' }],
      preimage: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
      feesMsat: 0,
    },
  });
  expect(stage.ledger.balanceMsat('customer')).toBe(50_000n);
  const poor = await runNmkt(['wallet', '--self-test', '--max-sats', '5', ...args]);
  expect([poor.status, poor.stderr]).toEqual([4, expect.stringContaining('over-budget')]);
});

it('a connection that can only receive passes the part of the test that it can', async () => {
  const stage = await stageForTest({ methods: ['get_info', 'get_balance', 'make_invoice', 'lookup_invoice'] });
  const { status, stdout } = await runNmkt(['wallet', '--self-test', ...settingsOf(stage, 'trainer')]);
  expect(status).toBe(0);
  expect(stdout).toContain('it cannot pay, only be paid');
  expect(stdout).toContain('not tried: this connection can only receive');
});

it('a wallet whose answer is lost leaves the self-test unknown, with status 6', async () => {
  const stage = await stageForTest({
    faultFor: (method) =>
      method === 'pay_invoice'
        ? { kind: 'error', code: 'INTERNAL' }
        : method === 'lookup_invoice'
          ? { kind: 'lying-lookup', state: 'pending' }
          : undefined,
  });
  await stage.ledger.fundOnce('customer', 50_000n);
  const { status, stderr } = await runNmkt(['wallet', '--self-test', ...settingsOf(stage, 'customer')]);
  expect([status, stderr]).toEqual([6, expect.stringContaining('payment-unknown')]);
});

/** A home that sent a payment and never heard of it. */
async function openPayout(stage: Stage, args: readonly string[], isPaid: boolean) {
  await stage.ledger.fundOnce('customer', 50_000n);
  const [customer, trainer] = [await stage.wallet('customer'), await stage.wallet('trainer')];
  const descriptionHash = sha256Hex('claim');
  const { invoice, paymentHash } = await trainer.makeInvoice({ msat: 21_000n, descriptionHash, expirySec: 90_000 });
  if (isPaid) await customer.pay(invoice, 5_000);
  const payoutId = sha256Hex('payout');
  const plan = {
    planHash: sha256Hex('plan'),
    job: 'a'.repeat(64),
    round: 0,
    payee: 'b'.repeat(64),
    amountMsat: 21_000n,
  };
  const records = [
    { type: 'planned', payoutId, ...plan },
    { type: 'bound', payoutId, invoice, paymentHash },
    { type: 'sending', payoutId, atSec: Math.floor(Date.now() / 1000) - 60 },
  ];
  mkdirSync(homeOf(args), { recursive: true, mode: 0o700 });
  const journal = await openJournal<object>(join(homeOf(args), 'payouts.jsonl'));
  for (const record of records) await journal.append(record);
  await journal.close();
  return { payoutId, paymentHash };
}

it.each([
  ['was paid', true],
  ['was not paid', false],
])('nmkt payouts shows a payment of unknown outcome, and nmkt pay --resume ends it once: it %s', async (_, isPaid) => {
  const stage = await stageForTest();
  const args = settingsOf(stage, 'customer');
  const { payoutId, paymentHash } = await openPayout(stage, args, isPaid);
  const before = await runNmkt(['payouts', '--json', ...args]);
  expect(jsonOf(before.stdout)).toMatchObject({
    payouts: [{ payout: payoutId, state: 'unknown', amountMsat: 21_000, paymentHash }],
    ...{ paidMsat: 0, unknownMsat: 21_000 },
  });
  expect(before.stderr).toContain('next: nmkt pay --resume');
  const plan = await runNmkt(['pay', '--resume', '--dry-run', '--json', ...args]);
  expect(plan.status, plan.stderr).toBe(0);
  const next = isPaid ? 'paid' : 'send';
  expect(jsonOf(plan.stdout)).toMatchObject({
    payouts: [{ payout: payoutId, amountMsat: 21_000, feeReserveMsat: 10_000, paymentHash, next }],
    checks: expect.arrayContaining([expect.objectContaining({ name: 'wallet', state: 'ok' })]) as unknown,
  });
  expect(stage.ledger.balanceMsat('trainer')).toBe(isPaid ? 21_000n : 0n);
  expect((await runNmkt(['payouts', '--json', ...args])).stdout).toBe(before.stdout);
  for (let run = 0; run < 2; run++) {
    const { status, stdout, stderr } = await runNmkt(['pay', '--resume', '--json', ...args]);
    expect(status, stderr).toBe(0);
    const paid = { payouts: [{ payout: payoutId, outcome: 'paid', why: null, paymentHash }], paidMsat: 21_000 };
    expect(jsonOf(stdout)).toMatchObject(run === 0 ? paid : { payouts: [], paidMsat: 0 });
  }
  expect(['customer', 'trainer'].map((name) => stage.ledger.balanceMsat(name))).toEqual([29_000n, 21_000n]);
  const after = await runNmkt(['payouts', ...args]);
  expect(after.stdout).toMatch(/21 sat +0 sat +paid/);
});

it('nmkt pay --resume ends with 6 while nobody can tell, and says what happens next', async () => {
  const stage = await stageForTest({
    faultFor: (method) => (method === 'lookup_invoice' ? { kind: 'lying-lookup', state: 'pending' } : undefined),
  });
  const args = settingsOf(stage, 'customer');
  const { payoutId } = await openPayout(stage, args, true);
  const { status, stdout, stderr } = await runNmkt(['pay', '--resume', '--json', ...args]);
  expect([status, stderr]).toEqual([6, expect.stringContaining('payment-unknown')]);
  expect(jsonOf(stdout)).toMatchObject({
    payouts: [{ payout: payoutId, outcome: 'unknown' }],
    error: { code: 'payment-unknown' },
  });
  expect(stage.ledger.balanceMsat('trainer')).toBe(21_000n);
}, 60_000);

it('nmkt sandbox mine lets blocks pass, and gives back what waited for too long', async () => {
  const stage = await stageForTest();
  await stage.ledger.fundOnce('customer', 50_000n);
  const [customer, trainer] = [await stage.wallet('customer'), await stage.wallet('trainer')];
  const paymentHash = sha256Hex(sha256('pre'));
  const { invoice } = await trainer.makeHoldInvoice({
    ...{ msat: 21_000n, descriptionHash: sha256Hex('claim'), expirySec: 3_600, paymentHash, minFinalCltv: 144 },
  });
  const paying = customer.pay(invoice, 30_000);
  await expect
    .poll(() => trainer.lookup(paymentHash))
    .toMatchObject({ direction: 'in', state: 'pending', held: { settleBy: 132 } });
  const args = settingsOf(stage, 'customer');
  const mined = await runNmkt(['sandbox', 'mine', '131', '--json', ...args]);
  expect([mined.status, jsonOf(mined.stdout)]).toEqual([0, { height: 131 }]);
  expect(stage.ledger.balanceMsat('customer')).toBe(29_000n);
  expect((await runNmkt(['sandbox', 'mine', '1', ...args])).stdout).toBe('block 132\n');
  expect(await paying).toMatchObject({ kind: 'unknown' });
  expect(stage.ledger.balanceMsat('customer')).toBe(50_000n);
  expect(await trainer.settleHold(hex(sha256('pre')))).toBe(false);
  expect((await runNmkt(['sandbox', 'mine', 'all', ...args])).status).toBe(2);
});

it.each([
  ['NMKT_MAX_PAYMENT_SATS', '30', 'the cap per payment'],
  ['NMKT_MAX_DAY_SATS', '30', 'the cap per day'],
])('%s=%s stops a payment before it is sent, in every command that pays', async (name, value, cap) => {
  const stage = await stageForTest();
  const args = settingsOf(stage, 'customer');
  await openPayout(stage, args, false);
  // 21 sat, and 10 kept for fees.
  const { status, stderr } = await runNmkt(['pay', '--resume', ...args], { env: { [name]: value } });
  expect([status, stderr]).toEqual([4, expect.stringContaining(cap)]);
  expect(stage.ledger.balanceMsat('customer')).toBe(50_000n);
  expect((await runNmkt(['pay', '--resume', ...args], { env: { [name]: '31' } })).status).toBe(0);
  const poor = await runNmkt(['wallet', '--self-test', ...args], { env: { [name]: '10' } });
  expect([poor.status, poor.stderr]).toEqual([4, expect.stringContaining('over-budget')]);
});
