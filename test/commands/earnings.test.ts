import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hex } from '../../src/hash.js';
import { encodeRecord } from '../../src/journal/record-json.js';
import { customer, people, scriptJob, type JobScript } from '../support/job-script.js';
import { filesBelow } from '../support/story.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const me = people[1]!;

/** A trainer's home as serve-trainer leaves it. */
function homeOf(...scripts: readonly JobScript[]): string {
  const home = join(temporaryFolder(), 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'key'), hex(me.secret), { mode: 0o600 });
  for (const script of scripts) {
    const folder = join(home, 'jobs', script.jobId);
    mkdirSync(folder, { recursive: true });
    const own = script.events.filter(({ pubkey }) => pubkey === me.pubkey);
    writeFileSync(join(folder, 'events.jsonl'), own.map((event) => `${encodeRecord({ event })}\n`).join(''));
  }
  return home;
}

it('adds up jobs and customers, tells journals from relays, and changes nothing', async () => {
  const paid = scriptJob({ rounds: 2 });
  const late = scriptJob({ terms: { title: 'late' }, alter: { 'receipt/1/1': () => null } });
  const gone = scriptJob({ terms: { title: 'gone' }, rounds: 1, until: 'claim/0/1' });
  const home = homeOf(paid, late, gone);
  mkdirSync(join(home, 'jobs', 'ff'.repeat(32)));
  const url = await relayWith([...paid.events, ...late.events]);
  const before = filesBelow(home);
  const earnings = (...more: string[]) => runNmkt(['earnings', '--relay', url, '--home', home, ...more]);

  const { status, stdout, stderr } = await earnings('--json');
  expect(status, stderr).toBe(0);
  const row = (script: JobScript, phase: string, rounds: number) => {
    const isGone = script === gone;
    return {
      ...{ job: script.jobId, phase, rounds, source: isGone ? 'journal' : 'relays' },
      ...{ customer: isGone ? null : customer.pubkey, title: isGone ? null : script.at('job', 'job').content.title },
    };
  };
  const { jobs, ...sums } = JSON.parse(stdout) as { jobs: { job: string }[] };
  expect(sums).toEqual({
    ...{ owedMsat: 42_000, paidMsat: 63_000, lateMsat: 21_000 },
    customers: [
      // The script's events name nobody; then only the job itself tells whose it is.
      { customer: null, jobs: 1, owedMsat: 21_000, paidMsat: 0, lateMsat: 0 },
      { customer: customer.pubkey, jobs: 2, owedMsat: 21_000, paidMsat: 63_000, lateMsat: 21_000 },
    ],
  });
  const byId = (a: { job: string }, b: { job: string }) => (a.job < b.job ? -1 : 1);
  expect(jobs).toEqual(
    [
      { ...row(paid, 'finished', 2), owedMsat: 0, paidMsat: 42_000, lateMsat: 0 },
      { ...row(late, 'finished', 2), owedMsat: 21_000, paidMsat: 21_000, lateMsat: 21_000 },
      { ...row(gone, 'unknown', 1), owedMsat: 21_000, paidMsat: 0, lateMsat: 0 },
    ].sort(byId),
  );
  expect(stderr).toContain(`next: nmkt status ${late.jobId}`);

  const { stdout: csv } = await earnings('--csv');
  const [head, ...lines] = csv.trimEnd().split('\n');
  expect(head).toBe('job,payee,round,msat,payment_hash,preimage,time');
  expect(lines).toHaveLength(3);
  const { content, createdAt } = paid.at('receipt/1/1', 'receipt');
  const time = new Date(createdAt * 1000).toISOString().replace('.000', '');
  expect(lines).toContain(`${paid.jobId},${me.pubkey},1,21000,${content.paymentHash},${content.preimage},${time}`);

  const { stdout: text } = await earnings();
  expect(text).toMatch(/^all +3 jobs +63 sat +42 sat +21 sat$/m);
  expect(text).toMatch(
    new RegExp(`^job ${late.jobId.slice(0, 12)}… +2 rounds, finished +21 sat +21 sat +21 sat$`, 'm'),
  );
  expect(filesBelow(home)).toEqual(before);
});

it('tells what the journals know when no relay answers, with status 3', async () => {
  const script = scriptJob({ rounds: 1 });
  const home = homeOf(script);
  const args = ['earnings', '--relay', 'ws://127.0.0.1:9', '--home', home];
  const { status, stdout } = await runNmkt([...args, '--json']);
  expect([status, JSON.parse(stdout)]).toMatchObject([
    3,
    { error: { code: 'relay-unreachable' }, paidMsat: 21_000, jobs: [{ job: script.jobId, source: 'journal' }] },
  ]);
  const csv = await runNmkt([...args, '--csv']);
  expect([csv.status, csv.stdout.split('\n')[1]]).toEqual([
    3,
    expect.stringMatching(`${script.jobId},${me.pubkey},,21000,,,`),
  ]);
});

it('of a home without work are nothing, and need neither key nor relay', async () => {
  const home = join(temporaryFolder(), 'home');
  const { status, stdout, stderr } = await runNmkt(['earnings', '--home', home, '--json']);
  expect([status, JSON.parse(stdout)]).toEqual([0, { owedMsat: 0, paidMsat: 0, lateMsat: 0, jobs: [], customers: [] }]);
  expect(stderr).toContain('no work of this key');
  expect(() => readdirSync(home)).toThrow('ENOENT');
  const csv = await runNmkt(['earnings', '--home', home, '--csv']);
  expect(csv.stdout).toBe('job,payee,round,msat,payment_hash,preimage,time\n');
});

it('refuses --csv together with --json', async () => {
  const { status, stdout } = await runNmkt(['earnings', '--csv', '--json', '--home', 'h']);
  expect([status, JSON.parse(stdout)]).toMatchObject([2, { error: { code: 'bad-usage' } }]);
});
