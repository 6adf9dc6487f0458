import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SALE_CLTV } from '../../src/market/sale-rules.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import {
  hashOfPreimage,
  iris,
  paymentsOf,
  runJson,
  startStream,
  storyFolder,
  type Json,
  type Payment,
} from '../support/story.js';
import type { LightningStage, StageOf } from './lightning-stage.js';
import { timed } from './whole-job.js';

/** Jobs whose customer pays from one node of LND, and whose trainers and validators receive at another, by the real commands. */

/** Above 200 sat, which is the least that is paid outside of the sandbox. */
const PRICE_SATS = 300;
const FEE_SATS = 250;
const JOB = {
  ...{ title: 'Iris by its four measures', model: 'mlp', hidden: [16], trainers: 2, maxPriceSats: PRICE_SATS },
  ...{ epochs: 20, batch: 8, learningRate: 0.01 },
};

export function describeJobs(stageOf: StageOf): void {
  describe('a job whose payments go from LND to LND', () => {
    it(
      'pays in instalments, proves each by its receipt, and passes the audit',
      { timeout: 300_000 },
      async (context) => {
        const stage = await stageOf(context);
        const { payments } = await paidJob(stage, { ...JOB, rounds: 3 }, { trainers: 2, validators: 0 });
        expect(payments).toHaveLength(3 * 2);
      },
    );

    it('sells keys for payments that wait for them, and passes the audit', { timeout: 300_000 }, async (context) => {
      const stage = await stageOf(context);
      const terms = { rail: 'key-sale', rounds: 2, validators: 2, validatorFeeSats: FEE_SATS, revealTimeout: '20s' };
      const { payments } = await paidJob(stage, { ...JOB, ...terms }, { trainers: 2, validators: 2 });
      const locks = payments.map(({ invoice }) => decodeInvoice(invoice!).minFinalCltv);
      expect(locks.filter((blocks) => blocks === SALE_CLTV)).toHaveLength(2 * 2);
      expect(payments).toHaveLength(2 * (2 + 2));
    });

    it(
      'pays once, though its customer and the node of its customer are killed',
      { timeout: 300_000 },
      async (context) => {
        const stage = await stageOf(context);
        const { payments } = await paidJob(
          stage,
          { ...JOB, rounds: 3 },
          { trainers: 2, validators: 0, isKilled: true },
        );
        expect(payments).toHaveLength(3 * 2);
      },
    );
  });
}

interface People {
  readonly trainers: number;
  readonly validators: number;
  /** The customer and its node, after the first payment. */
  readonly isKilled?: boolean;
}

/** From the dataset to an audit that passes; every payment of it is checked at the nodes. */
async function paidJob(
  { simnet, wallets }: LightningStage,
  terms: Json,
  people: People,
): Promise<{ readonly payments: readonly Payment[] }> {
  const folder = storyFolder();
  /** `--settings` and `--home` of somebody whose wallet is that node. */
  const as = (name: string, node: string): string[] => {
    const settings = join(folder, `${name}.json`);
    const content = { relays: [wallets.relayUrl], wallet: wallets.uriOf(node), network: 'simnet' };
    writeFileSync(settings, JSON.stringify(content), { mode: 0o600 });
    return ['--settings', settings, '--home', join(folder, name)];
  };
  const customer = as('customer', 'alice');
  const payee = await wallets.wallet('bob');
  const had = await payee.balanceMsat();
  const jobFile = join(folder, 'job.json');
  writeFileSync(jobFile, JSON.stringify(terms));

  const published = await timed(['publish-dataset', iris, '--label', 'species', '--shards', '2', ...customer]);
  const posted = await timed(['post-job', jobFile, '--dataset', String(published.document['dataset']), ...customer]);
  const job = String(posted.document['job']);
  const serve = (role: string, count: number, price: readonly string[]) =>
    Array.from({ length: count }, (_, i) =>
      startStream([`serve-${role}`, ...as(`${role}-${i + 1}`, 'bob'), ...price, '--once']),
    );
  const working = [
    ...serve('trainer', people.trainers, ['--price', String(PRICE_SATS)]),
    ...serve('validator', people.validators, ['--fee', String(FEE_SATS)]),
  ];
  const model = join(folder, 'model');
  const collect = ['collect-model', job, '--out', model, '--timeout', '4m', ...customer];
  if (people.isKilled === true) {
    const killed = startStream(collect);
    await expect.poll(() => payee.balanceMsat(), { timeout: 60_000 }).toBeGreaterThan(had);
    killed.child.kill('SIGKILL');
    await simnet.alice.kill();
    expect((await killed.end).signal).toBe('SIGKILL');
    await simnet.alice.start();
    await simnet.connected();
  }
  const collected = await timed(collect);
  const { rounds } = terms as { readonly rounds: number };
  const paidMsat = rounds * 1000 * (people.trainers * PRICE_SATS + people.validators * FEE_SATS);
  expect(collected.document).toMatchObject({ rounds, paidMsat, verified: true });
  for (const { end } of working) expect(await end).toMatchObject({ status: 0 });

  const node = await simnet.bob.pubkey();
  const payments = paymentsOf(model);
  for (const { invoice, paymentHash, preimage } of payments) {
    expect(decodeInvoice(invoice!)).toMatchObject({ prefix: 'sb', payee: node, paymentHash });
    expect(hashOfPreimage(preimage!)).toBe(paymentHash);
  }
  await simnet.booked();
  expect(await payee.balanceMsat()).toBe(had + BigInt(paidMsat));

  const file = join(folder, 'receipts.ndjson');
  await timed(['receipts', job, '--save', file, ...customer]);
  const { document: proven, status } = await runJson(['receipt', 'verify', file]);
  expect(status).toBe(0);
  expect(proven['receipts']).toHaveLength(payments.length);
  for (const receipt of proven['receipts'] as Json[]) {
    expect(receipt).toMatchObject({ network: 'simnet', node, isProven: true });
    expect(new Set((receipt['checks'] as Json[]).map(({ result }) => result))).toEqual(new Set(['ok']));
  }
  const audited = await timed(['audit', job, ...customer]);
  expect(audited.document).toMatchObject({ verdict: 'PASS', paidMsat });
  return { payments };
}
