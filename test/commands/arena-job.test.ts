import { join } from 'node:path';
import { expect, it } from 'vitest';
import { scriptArena } from '../support/arena-script.js';
import { scriptJob } from '../support/job-script.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { people } from '../support/job-contents.js';
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
    ...{ phase: 'finished', phaseText: 'finished', waitsFor: null, until: null, potMsat: 1_000_000 },
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

  const { stdout } = await run('leaderboard', script.jobId);
  expect(stdout).toContain('interim stage: 100 sat, settled\n');
  expect(stdout).toMatch(
    new RegExp(`1 +\\d +${people[0]!.pubkey} +0\\.1 +57\\.14 % +411\\.429 sat +0\\.1 0\\.1 0\\.1\n`),
  );

  const bid = await run('audit', script.jobId);
  expect(bid.status, bid.stderr).toBe(2);
  expect(bid.stderr).toMatch(/is an arena[^]*nmkt leaderboard [^]*wrong-mode/);
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
