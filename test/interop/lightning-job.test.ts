import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import {
  hashOfPreimage,
  iris,
  irisJob,
  paymentsOf,
  runJson,
  startStream,
  storyFolder,
  type Json,
} from '../support/story.js';
import { lightningForFile } from './lightning-stage.js';
import { timed } from './whole-job.js';

/** Jobs whose payments go from one node of LND to another, by the real commands. */

const ROUNDS = 3;
/** Above 200 sat, which is the least that is paid outside of the sandbox. */
const PRICE_SATS = 300;
const TRAINERS = ['trainer-1', 'trainer-2'];
const TOTAL_MSAT = ROUNDS * TRAINERS.length * PRICE_SATS * 1000;

const stageOf = lightningForFile();

it(
  'pays a job in instalments, proves each by its receipt, and passes the audit',
  { timeout: 300_000 },
  async (context) => {
    const { simnet, wallets } = await stageOf(context);
    const folder = storyFolder();
    /** `--settings` and `--home` of somebody whose wallet is that node. */
    const as = (name: string, node: string): string[] => {
      const settings = join(folder, `${name}.json`);
      const content = { relays: [wallets.relayUrl], wallet: wallets.uriOf(node), network: 'simnet' };
      writeFileSync(settings, JSON.stringify(content), { mode: 0o600 });
      return ['--settings', settings, '--home', join(folder, name)];
    };
    const customer = as('customer', 'alice');
    const trainer = await wallets.wallet('bob');
    const had = await trainer.balanceMsat();
    const jobFile = join(folder, 'job.json');
    const job = { ...(JSON.parse(readFileSync(irisJob, 'utf8')) as Json), trainers: 2, rounds: ROUNDS };
    writeFileSync(jobFile, JSON.stringify({ ...job, maxPriceSats: PRICE_SATS }));

    const published = await timed(['publish-dataset', iris, '--label', 'species', '--shards', '2', ...customer]);
    const posted = await timed(['post-job', jobFile, '--dataset', String(published.document['dataset']), ...customer]);
    const id = String(posted.document['job']);
    const trainers = TRAINERS.map((name) =>
      startStream(['serve-trainer', ...as(name, 'bob'), '--price', String(PRICE_SATS), '--once']),
    );
    const model = join(folder, 'model');
    const collected = await timed(['collect-model', id, '--out', model, '--timeout', '4m', ...customer]);
    expect(collected.document).toMatchObject({ rounds: ROUNDS, paidMsat: TOTAL_MSAT, verified: true });
    for (const { end } of trainers) expect(await end).toMatchObject({ status: 0 });

    const node = await simnet.bob.pubkey();
    const payments = paymentsOf(model);
    expect(payments).toHaveLength(ROUNDS * TRAINERS.length);
    for (const { invoice, paymentHash, preimage, countersigned } of payments) {
      expect(decodeInvoice(invoice!)).toMatchObject({ prefix: 'sb', payee: node, paymentHash });
      expect(hashOfPreimage(preimage!)).toBe(paymentHash);
      expect(countersigned).not.toBeNull();
    }
    await expect.poll(() => trainer.balanceMsat(), { timeout: 10_000 }).toBe(had + BigInt(TOTAL_MSAT));

    const file = join(folder, 'receipts.ndjson');
    await timed(['receipts', id, '--save', file, ...customer]);
    const { status, document } = await runJson(['receipt', 'verify', file]);
    expect(status).toBe(0);
    expect(document).toMatchObject({ isProven: true });
    expect(document['receipts']).toHaveLength(payments.length);
    expect((document['receipts'] as Json[])[0]).toMatchObject({ network: 'simnet', node, isProven: true });
    const audited = await timed(['audit', id, ...customer]);
    expect(audited.document).toMatchObject({ verdict: 'PASS', paidMsat: TOTAL_MSAT });
  },
);
