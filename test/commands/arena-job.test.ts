import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ContentOf } from '../../src/protocol/events.js';
import { scriptArena, type ArenaScript } from '../support/arena-script.js';
import { scriptJob } from '../support/job-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { customer, people, SNAPSHOTS, START_SEC } from '../support/job-contents.js';
import { relayWith } from './scripted-relay.js';

const script = scriptArena();
const home = () => join(temporaryFolder(), 'home');

it('an arena shows where it stands, who is where and why, and takes no command for federated jobs', async () => {
  const url = await relayWith(script.events);
  const run = (...words: string[]) => runNmkt([...words, '--relay', url, '--home', home()]);

  const status = await run('status', script.jobId, '--json');
  expect(status.status, status.stderr).toBe(0);
  const summary = JSON.parse(status.stdout) as object;
  expect(summary).toEqual({
    ...{ job: script.jobId, customer: script.parsed[0]!.author, title: 'digits, an arena', mode: 'arena' },
    ...{ phase: 'finished', phaseText: 'finished', waitsFor: null, until: null, potMsat: 1_000_000, carriedMsat: 0 },
    ...{ violation: null, forks: [], missing: [], events: script.events.length },
  });

  const board = await run('leaderboard', script.jobId, '--json');
  expect(board.status, board.stderr).toBe(0);
  const { stages, ...rest } = JSON.parse(board.stdout) as { stages: { rows: object[]; validators: object[] }[] };
  expect(rest).toEqual(summary);
  expect(stages.map(({ rows }) => rows[0])).toMatchObject([
    { rank: 1, trainer: people[0]!.pubkey, scorePpm: 100_000, rewardMsat: 45_714 },
    { rank: 1, trainer: people[0]!.pubkey, scorePpm: 100_000, rewardMsat: 411_429 },
  ]);

  const all = JSON.parse((await run('explain', script.jobId, '--json')).stdout) as {
    payouts: { payout: string; payee: string; amountMsat: number; state: string }[];
  };
  expect(all).toMatchObject({ subject: 'job', mode: 'arena' });
  const first = all.payouts.find(({ payee }) => payee === people[0]!.pubkey)!;
  expect([all.payouts.length, first.amountMsat, first.state]).toEqual([12, 45_714, 'owed']);
  const why = (await run('explain', first.payout, '--job', script.jobId)).stdout;
  expect(why).toContain(`45714 msat to ${people[0]!.pubkey} for interim stage, owed`);
  expect(why).toMatch(/scored as alias \d: 0\.1, 0\.1, 0\.1; their lower median 0\.1 counts/);
  expect(why).toMatch(/\+45714 msat {2}rank 1 of 3: 57\.14 % of what trainers get/);

  const { stdout } = await run('leaderboard', script.jobId);
  expect(stdout).toContain('interim stage: 100 sat, settled\n');
  expect(stdout).toMatch(
    new RegExp(`1 +\\d +${people[0]!.pubkey} +0\\.1 +57\\.14 % +411\\.429 sat +0\\.1 0\\.1 0\\.1\n`),
  );

  const bid = await run('bid', script.jobId, '--price', '1');
  expect(bid.status, bid.stderr).toBe(2);
  expect(bid.stderr).toMatch(/is an arena[^]*nmkt leaderboard [^]*wrong-mode/);
});

describe('nmkt audit of an arena', () => {
  const arena = { interimUntil: START_SEC + 1, finalUntil: START_SEC + 2 };
  const published = (one: ArenaScript) => [...one.events, ...SNAPSHOTS];
  const audit = (...words: string[]) => runNmkt(['audit', ...words, '--home', home()]);

  it('passes an honest one from a relay, and the same from the dump of it', async () => {
    const whole = scriptArena({ arena });
    const url = await relayWith(published(whole));
    const file = join(temporaryFolder(), 'arena.ndjson');
    const online = await audit(whole.jobId, '--json', '--relay', url, '--dump', file);
    expect([online.status, JSON.parse(online.stdout)]).toMatchObject([
      0,
      {
        job: whole.jobId,
        mode: 'arena',
        level: 'public',
        verdict: 'PASS',
        firstBad: null,
        phase: 'finished',
        stages: 2,
      },
    ]);
    expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(published(whole).length);
    const offline = await audit(whole.jobId, '--json', '--from-dump', file);
    expect([offline.status, offline.stdout]).toEqual([0, online.stdout]);
    const board = await runNmkt(['leaderboard', whole.jobId, '--json', '--from-dump', file]);
    expect(JSON.parse(board.stdout)).toMatchObject({ phase: 'finished', stages: [{ stage: 0 }, { stage: 1 }] });
    const { stdout } = await audit(whole.jobId, '--from-dump', file);
    expect(stdout).toMatch(/checked +signatures, .*omissions, aliases, draws.*\n.*52 events, 2 stages/);
    expect(stdout).toMatch(/verdict +PASS\n/);
  });

  it('fails a customer that leaves out a submission, with status 4 and who signed what', async () => {
    const omitting = (of: ContentOf<'arena-list'>) => ({ ...of, ids: of.ids.slice(1) });
    const script = scriptArena({ arena, alter: { 'list/0': omitting } });
    const file = join(temporaryFolder(), 'arena.ndjson');
    writeFileSync(
      file,
      published(script)
        .map((event) => `${JSON.stringify(event)}\n`)
        .join(''),
    );
    const { status, stdout } = await audit(script.jobId, '--json', '--from-dump', file);
    const event = script.raw('list/0').id;
    expect([status, JSON.parse(stdout)]).toMatchObject([
      4,
      { verdict: 'FAIL', firstBad: { event, author: customer.pubkey, rule: 'omission' } },
    ]);
  });
});

it('a home that holds an arena among its jobs lists it beside the others', async () => {
  const url = await relayWith(script.events);
  const dir = home();
  mkdirSync(join(dir, 'jobs', script.jobId), { recursive: true });
  const { status, stdout, stderr } = await runNmkt(['status', '--relay', url, '--home', dir]);
  expect(status, stderr).toBe(0);
  expect(stdout).toBe(`${script.jobId}  trainer   finished\n`);
});

it('a federated job has no leaderboard, and the error says which command shows it', async () => {
  const { events, jobId } = scriptJob({ trainers: 2, rounds: 1 });
  const url = await relayWith(events.slice(0, 1));
  const ran = await runNmkt(['leaderboard', jobId, '--relay', url, '--home', home()]);
  expect(ran.status, ran.stderr).toBe(2);
  expect(ran.stderr).toMatch(/is no arena[^]*nmkt status [^]*wrong-mode/);
});

it('an open arena says what it waits for', async () => {
  const url = await relayWith(script.events.slice(0, 4));
  const { stdout, stderr } = await runNmkt(['status', script.jobId, '--relay', url, '--home', home()]);
  expect(stdout).toMatch(/open for submissions to the interim stage\n.*0 seen so far.*until 2025-10-09T/s);
  expect(stderr).toContain(`nmkt leaderboard ${script.jobId}`);
});
