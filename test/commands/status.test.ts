import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatEventId } from '../../src/config/identifiers.js';
import { hex } from '../../src/hash.js';
import { customer, people, scriptJob, START_SEC, TERMS } from '../support/job-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const status = (url: string, ...words: string[]) => runNmkt(['status', ...words, '--relay', url]);

describe('nmkt status JOB', () => {
  it('prints one document with phase, rounds, trainers, money and model, for anybody', async () => {
    const script = scriptJob({ alter: { 'reveal/1/2': () => null, 'receipt/1/0': () => null } });
    const url = await relayWith(script.events);
    const { status: code, stdout, stderr } = await status(url, script.jobId, '--json');
    expect(code).toBe(0);
    expect(stderr).toBe(`next: nmkt audit ${script.jobId} --relay ${url}\n`);
    const claimed = script.raw('claim/1/0').created_at;
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ job: script.jobId, customer: customer.pubkey, title: 'digits', dataset: TERMS.dataset },
      ...{ phase: 'finished', phaseText: 'finished, the model is published', rail: 'promised' },
      ...{ waitsFor: 'the customer to pay 1 claim', until: claimed + 600, isLapsed: true },
      lapse: { state: 'unpaid', since: claimed + 600, meaning: expect.stringMatching(/./) },
      ...{ seats: 3, quorum: 2, bids: 3, plannedRounds: 2, maxPriceMsat: 50_000, budgetMsat: 1_000_000 },
      ...{ deadline: TERMS.deadline, paidMsat: 84_000, owedMsat: 21_000 },
      rounds: [
        {
          round: 0,
          state: 'settled',
          accepted: 3,
          rejected: [],
          loss: 0.5,
          accuracy: 0.9,
          perplexity: null,
          paidMsat: 63_000,
          // No relay has the dataset, so nothing is planned; fees only the payer knows.
          plan: null,
          actual: { seconds: expect.any(Number), msat: 63_000, feesMsat: null },
        },
        {
          ...{ round: 1, accepted: 2, paidMsat: 21_000, owedMsat: 21_000 },
          rejected: [{ trainer: people[2]!.pubkey, shard: 2, rule: 'no-reveal' }],
        },
      ],
      trainers: [0, 1, 2].map((shard) => ({ pubkey: people[shard]!.pubkey, shard, priceMsat: 21_000, seat: 'ready' })),
      ...{ model: script.raw('artifact').id, loss: 0.3, accuracy: 0.95 },
      ...{ violation: null, forks: [], missing: [], events: script.events.length },
      ...{ planFor: 'customer', plan: null, planSoFar: null, actual: { msat: 84_000, feesMsat: null } },
    });
  });

  it('tells people the same in tables, and makes neither key nor folder', async () => {
    const script = scriptJob({ rounds: 3, until: 'reveals/1' });
    const url = await relayWith(script.events);
    const home = join(temporaryFolder(), 'home');
    const { status: code, stdout } = await status(url, `nostr:${formatEventId(script.jobId)}`, '--home', home);
    expect(code).toBe(0);
    expect(stdout).toContain('phase      round 2 of 3: updates are scored\n');
    expect(stdout).toMatch(/\nwaits for +the customer to score and close round 2, until 2025-10-09T\d\d:\d\d:\d\dZ\n/);
    expect(stdout).toMatch(/\nlate +overdue since 2025-10-09T/);
    expect(stdout).toContain('instalments, 63 sat paid, 0 sat owed');
    expect(stdout).toMatch(/\n +1 +settled +3 +accuracy 0\.9 +63 sat\n +2 +open/);
    expect(stdout).toContain(`${people[1]!.pubkey}      1  ready`);
    // The dataset is on no relay: nothing is planned.
    expect(stdout).toMatch(
      /\nround +up, of planned +down +events +seconds +sat\n1 .* 63 of \?\n2 .* \? of \? +0 of \?\n/,
    );
    expect(stdout).toMatch(/\nwhole job +\? +\? +\? +\? +\?\n/);
    expect(() => readdirSync(home)).toThrow('ENOENT');
  });

  it('shows the first event that does not follow, and forks', async () => {
    const script = scriptJob({
      spares: 1,
      alter: { 'close/0': (content: object) => ({ ...content, accepted: [] }) },
      until: 'close/0',
    });
    const fork = script.fork(people[3]!, 'bid/3', 'resign', { reason: 'a second event with that seq' });
    const url = await relayWith(script.events);
    const { status: code, stdout } = await status(url, script.jobId, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      phase: 'frozen',
      violation: { event: script.raw('close/0').id, author: customer.pubkey, rule: 'close' },
      forks: [{ author: people[3]!.pubkey, seq: 0, events: [fork.id, script.raw('bid/3').id].sort() }],
    });
  });

  it('answers an unknown job with job-unknown and status 3, and a silent relay with relay-unreachable', async () => {
    const url = await relayWith([]);
    const unknown = await status(url, 'ab'.repeat(32), '--json');
    expect([unknown.status, JSON.parse(unknown.stdout)]).toMatchObject([3, { error: { code: 'job-unknown' } }]);
    const silent = await status('ws://127.0.0.1:9', 'ab'.repeat(32), '--json');
    expect([silent.status, JSON.parse(silent.stdout)]).toMatchObject([3, { error: { code: 'relay-unreachable' } }]);
  });

  it.each([['nonsense'], ['npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6']])(
    'refuses %s as a job with status 2',
    async (word) => {
      const { status: code } = await status('ws://127.0.0.1:9', word);
      expect(code).toBe(2);
    },
  );
});

describe('nmkt status', () => {
  it('lists the jobs of this home, one line each, also one that no relay has', async () => {
    const script = scriptJob({ until: 'bid/1' });
    const url = await relayWith(script.events);
    const folder = temporaryFolder();
    const home = join(folder, 'home');
    const gone = 'ff'.repeat(32);
    mkdirSync(join(home, 'jobs', script.jobId), { recursive: true });
    mkdirSync(join(home, 'jobs', gone));
    writeFileSync(join(home, 'key'), hex(customer.secret), { mode: 0o600 });
    writeFileSync(join(home, 'jobs', script.jobId, 'job.json'), '{}', { mode: 0o600 });
    const json = await status(url, '--home', home, '--json');
    expect(json.status).toBe(0);
    const lines = json.stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { job: script.jobId, role: 'customer', phase: 'awarding', bids: 2, lapse: { state: 'lapsed' } },
      { job: gone, role: 'trainer', phase: 'unknown', customer: null, maxPriceMsat: null },
    ]);
    const text = await status(url, '--home', home);
    expect(text.stdout).toBe(
      `${script.jobId}  customer  taking bids (lapsed since ${new Date((START_SEC + 86_400) * 1000).toISOString().slice(0, 19)}Z)\n` +
        `${gone}  trainer   the job event is not at hand\n`,
    );
  });

  it('says so when there are none, without a relay', async () => {
    const { status: code, stdout, stderr } = await runNmkt(['status', '--home', 'home', '--json']);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toContain('no jobs in ');
  });
});
