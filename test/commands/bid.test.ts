import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hex } from '../../src/hash.js';
import type { EventOf } from '../../src/protocol/events.js';
import { parseJobEvent } from '../../src/protocol/events.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { poolForTest } from '../relay/samples.js';
import { customer, people, scriptJob, type ScriptOptions } from '../support/job-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const LATER = 4_000_000_000;
const WALLET = `nostr+walletconnect://${'ab'.repeat(32)}?relay=ws%3A%2F%2F127.0.0.1%3A9&secret=${'cd'.repeat(32)}`;

/** A job that takes bids, on a relay, and a trainer's home with a wallet. */
async function market(options: ScriptOptions = {}) {
  const script = scriptJob({ until: 'job', ...options, terms: { deadline: LATER, ...options.terms } });
  const url = await relayWith(script.events);
  const home = join(temporaryFolder(), 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'key'), hex(people[7]!.secret), { mode: 0o600 });
  const bid = (price: string, { wallet = true, relay = url, shards = '1' } = {}) => {
    const offer = ['--price', price, '--shards', shards];
    return runNmkt(['bid', script.jobId, ...offer, '--relay', relay, '--home', home, '--engine', 'wasm', '--json'], {
      env: wallet ? { NMKT_WALLET: WALLET } : {},
    });
  };
  const bids = async () => {
    const { events } = await poolForTest([url]).fetch([{ kinds: [KINDS.bid], authors: [people[7]!.pubkey] }]);
    return events.map((event) => parseJobEvent(event) as EventOf<'bid'>).sort((a, b) => a.seq - b.seq);
  };
  return { script, home, bid, bids };
}

describe('nmkt bid', () => {
  it('publishes one bid, keeps it in the journal of the home, and finds it again', async () => {
    const { script, home, bid, bids } = await market();
    const first = await bid('21');
    expect(first.status).toBe(0);
    const [made] = await bids();
    expect(JSON.parse(first.stdout)).toEqual({
      ...{ job: script.jobId, bid: made!.id, priceMsat: 21_000, shards: 1 },
      engine: expect.stringMatching(/^wasm\//),
    });
    expect(made).toMatchObject({ seq: 0, content: { priceMsat: 21_000n, capacity: 1, expires: LATER } });
    expect(readdirSync(join(home, 'jobs'))).toEqual([script.jobId]);
    expect(readdirSync(join(home, 'jobs', script.jobId))).toContain('events.jsonl');
    expect(first.stderr).toContain(`next: nmkt serve-trainer --job ${script.jobId} --price 21 --once`);

    const second = await bid('21');
    expect([second.status, second.stdout]).toEqual([0, first.stdout]);
    expect(second.stderr).toContain('this bid was made before');
    expect(await bids()).toHaveLength(1);
  });

  it('replaces the bid by one of another price while the job takes bids', async () => {
    const { bid, bids } = await market();
    await bid('21');
    const lower = await bid('20');
    expect(lower.stderr).toContain('this replaces the bid of 21 sat');
    const all = await bids();
    expect(all.map(({ seq, content }) => [seq, content.priceMsat])).toEqual([
      [0, 21_000n],
      [1, 20_000n],
    ]);
    expect(JSON.parse(lower.stdout)).toMatchObject({ bid: all[1]!.id, priceMsat: 20_000 });
  });

  it('needs no wallet and no price for a free job', async () => {
    const { bid, bids } = await market({ rail: 'none' });
    expect((await bid('0', { wallet: false })).status).toBe(0);
    expect(await bids()).toMatchObject([{ content: { priceMsat: 0n } }]);
  });

  it('may come after the award, while rounds are left, and offer several shards', async () => {
    const { bid, bids } = await market({ until: 'award' });
    expect((await bid('21', { shards: '3' })).status).toBe(0);
    expect(await bids()).toMatchObject([{ content: { priceMsat: 21_000n, capacity: 3 } }]);
  });

  it.each([
    ['a price above the ceiling', '51', {}, 'bad-usage', 2, 'at most 50 sat per accepted round'],
    ['a price below the payout floor', '0', {}, 'bad-usage', 2, 'at least 1 sat per accepted round'],
    ['no number', 'x', {}, 'bad-usage', 2, 'a number from 0'],
    ['an empty price, as of a variable that is not set', '', {}, 'bad-usage', 2, 'a number from 0'],
    ['a number that is not decimal', '0x15', {}, 'bad-usage', 2, 'a number from 0'],
    [
      'a job that is finished',
      '21',
      { until: 'artifact' },
      'job-closed',
      5,
      'a job before its award, or with rounds left',
    ],
    ['a job that lapsed', '21', { terms: { deadline: 1_760_086_400 } }, 'job-closed', 5, 'a job before its award'],
  ] as const)('refuses %s, and leaves nothing behind', async (_, price, options, code, status, expected) => {
    const { home, bid, bids } = await market(options);
    const refused = await bid(price);
    expect(refused.status).toBe(status);
    const { error } = JSON.parse(refused.stdout) as { error: { code: string; expected: string } };
    expect(error.code).toBe(code);
    expect(error.expected).toContain(expected);
    expect(await bids()).toEqual([]);
    expect(readdirSync(home)).not.toContain('jobs');
  });

  it('refuses a paying job without a wallet, and the own job', async () => {
    const { home, bid, bids } = await market();
    const poor = await bid('21', { wallet: false });
    expect([poor.status, JSON.parse(poor.stdout)]).toMatchObject([2, { error: { code: 'no-wallet' } }]);
    writeFileSync(join(home, 'key'), hex(customer.secret), { mode: 0o600 });
    const own = await bid('21');
    expect([own.status, JSON.parse(own.stdout)]).toMatchObject([
      2,
      { error: { code: 'bad-usage', got: 'the key of its customer' } },
    ]);
    expect(await bids()).toEqual([]);
  });

  it('refuses a model that is too large to try out, with its size', async () => {
    const model = { model: 'logreg', task: 'classification', inputs: 1_000_000, outputs: 100_000, hidden: [] } as const;
    const { bid, bids } = await market({ terms: { model } });
    const refused = await bid('21');
    expect([refused.status, JSON.parse(refused.stdout)]).toMatchObject([
      4,
      { error: { code: 'too-large', expected: 'at most 20000000 parameters', got: '100000100000' } },
    ]);
    expect(await bids()).toEqual([]);
  });

  it('tells an unknown job from a relay that does not answer', async () => {
    const { bid } = await market();
    const elsewhere = await bid('21', { relay: await relayWith([]) });
    expect([elsewhere.status, JSON.parse(elsewhere.stdout)]).toMatchObject([3, { error: { code: 'job-unknown' } }]);
    const silent = await bid('21', { relay: 'ws://127.0.0.1:9' });
    expect([silent.status, JSON.parse(silent.stdout)]).toMatchObject([3, { error: { code: 'relay-unreachable' } }]);
  });
});
