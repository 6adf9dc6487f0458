import { describe, expect, it } from 'vitest';
import { readBounds, skipReason, type Bidder } from '../../src/commands/trainer-bounds.js';
import { describeSkip, skippedJob, type SkipReason } from '../../src/commands/trainer-skips.js';
import type { Network } from '../../src/ports.js';
import type { Snapshot } from '../../src/protocol/dataset.js';
import type { EventOf } from '../../src/protocol/events.js';
import type { JobTerms } from '../../src/protocol/job.js';
import { customer, people, scriptJob } from '../support/job-script.js';
import { finished, startNmkt } from '../support/run-nmkt.js';

const terms = { deadline: 4_000_000_000, payoutFloorMsat: 10_000n };
const job = scriptJob({ until: 'job', terms }).parsed[0] as EventOf<'job'>;

const SANDBOX: Network = 'sandbox';

function trainer(
  flags: Record<string, unknown>,
  { wallet = true, secret = people[7]!, network = SANDBOX } = {},
): Bidder {
  return {
    bounds: readBounds({ price: '20', ...flags }, network),
    ports: { signer: { pubkey: secret.pubkey } as never, clock: { nowSec: () => 1_800_000_000 } as never },
    wallet: wallet ? ({} as never) : null,
    engineId: () => Promise.reject(new Error('not asked')),
  };
}

describe('a job that is skipped', () => {
  it.each<[Record<string, unknown>, SkipReason, ...(string | RegExp)[]]>([
    [{ price: '51' }, 'price', 'at most 50 sat per round', '--price 51', '--price 50', 'bad-usage'],
    [{ price: '9' }, 'payout-floor', 'at least 10 sat per round', '--price 9', '--price 10', 'bad-usage'],
    [{ maxParams: '3' }, 'max-params', 'at most 3 parameters', /^\d+$/, /^--max-params \d+$/, 'too-large'],
    [{ deny: [customer.pubkey] }, 'customer', /--deny/, /^npub1/, /^--allow npub1/, 'job-closed'],
  ])('says for %o what was expected and got, and what to type', async (flags, reason, ...facts) => {
    const bidder = trainer(flags);
    expect(await skipReason(bidder, job, {} as never, false)).toBe(reason);
    const error = skippedJob(job, reason, bidder.bounds, null);
    const found = [error.expected, error.got, error.remedy, error.code];
    for (const [index, fact] of facts.entries())
      expect(found[index]).toEqual(typeof fact === 'string' ? fact : expect.stringMatching(fact));
    expect(describeSkip(reason, job, bidder.bounds, null)).toEqual({
      expected: error.expected,
      got: error.got,
      remedy: error.remedy,
    });
  });

  it('is the own one, or one that pays while there is no wallet', async () => {
    expect(await skipReason(trainer({}, { secret: customer }), job, {} as never, false)).toBe('own-job');
    expect(await skipReason(trainer({}, { wallet: false }), job, {} as never, false)).toBe('no-wallet');
    expect(skippedJob(job, 'no-wallet', trainer({}).bounds, null).code).toBe('no-wallet');
  });

  it('pays on another network than that of the wallet', async () => {
    const { bounds } = trainer({}, { network: 'bitcoin' });
    expect(await skipReason(trainer({}, { network: 'bitcoin' }), job, {} as never, false)).toBe('network');
    expect(skippedJob(job, 'network', bounds, null)).toMatchObject({
      ...{ code: 'network-mismatch', expected: 'a job that pays on bitcoin, where this wallet is' },
      ...{ got: 'one that pays on sandbox', remedy: 'a wallet there, and --network sandbox' },
    });
  });

  it('needs more memory than the bound: model, batch and shard are counted before any of them is made', async () => {
    const schema = { inputs: 4, outputs: 3, dtype: 'F32', task: 'classification', shape: [4], scale: 1 };
    const snapshotOf = (examples: number) =>
      ({ manifest: { schema, shards: [{ examples: 3 }, { examples }] } }) as unknown as Snapshot;
    const wide = {
      ...job.content,
      model: { ...job.content.model, model: 'mlp', hidden: [100_000] },
      hyper: { ...job.content.hyper, batch: 65_536 },
    } as JobTerms;
    const hostile = { ...job, content: wide };
    const bidder = trainer({ maxBytes: '1000000000' });
    // By hand for rows at once r: 4 copies of 100,007 float32 each, and 8 of 800,003 parameters, besides the data.
    const bytes = (rows: number) => 16 * rows * 100_007 + 32 * 800_003 + 4 * rows * 3 + 2 * (rows * (4 * 4 + 4) + 1024);
    expect(await skipReason(bidder, hostile, snapshotOf(70), false).catch(String)).toBe('Error: not asked');
    expect(await skipReason(bidder, hostile, snapshotOf(60_000), false)).toBe('max-bytes');
    expect(skippedJob(hostile, 'max-bytes', bidder.bounds, snapshotOf(60_000))).toMatchObject({
      code: 'too-large',
      expected: 'a training in at most 1000000000 bytes of memory',
      got: `about ${bytes(60_000)}`,
      remedy: `--max-bytes ${bytes(60_000)} if this machine can bear it`,
    });
  });

  it('goes on whatever the bounds say when it was begun', async () => {
    expect(await skipReason(trainer({ price: '51' }), job, {} as never, true)).toBeNull();
  });
});

it('a trainer says that no relay answers, and waits', async () => {
  const child = startNmkt('serve-trainer --price 0 --once --relay ws://127.0.0.1:9 --engine cpu'.split(' '));
  const end = finished(child);
  let said = '';
  await new Promise<void>((done) =>
    child.stderr!.on('data', (text: string) => {
      said += text;
      if (said.includes('warning: no relay answers: ws://127.0.0.1:9')) done();
    }),
  );
  expect(child.exitCode).toBeNull();
  child.kill('SIGINT');
  expect((await end).status).toBe(130);
});
