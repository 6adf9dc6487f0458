import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KINDS } from '../../src/protocol/kinds.js';
import { poolForTest } from '../relay/samples.js';
import { runNmkt } from '../support/run-nmkt.js';
import { keepPassword } from '../support/secrets/outputs.js';
import {
  filesBelow,
  iris,
  paymentsOf,
  runJson,
  startSandbox,
  startStream,
  type Sandbox,
  type Stream,
} from '../support/story.js';

const PASSWORD = keepPassword('four words of it');

function passwordFile(sandbox: Sandbox): string {
  const path = join(sandbox.folder, 'password');
  writeFileSync(path, `${PASSWORD}\n`, { mode: 0o600 });
  return path;
}

/** A job of `rounds` rounds that last long enough to be interrupted. */
async function post(sandbox: Sandbox, rounds: number, more: readonly string[] = []): Promise<string> {
  const file = join(sandbox.folder, 'job.json');
  writeFileSync(
    file,
    JSON.stringify({ maxPriceSats: 100, trainers: 2, model: 'logreg', rounds, localSteps: 1_500, batch: 8 }),
  );
  const args = ['publish-dataset', iris, '--label', 'species', '--job', file, ...more, ...sandbox.as('customer')];
  const { status, document, stderr } = await runJson(args);
  expect(status, stderr).toBe(0);
  return document['job'] as string;
}

const serve = (job: string, as: readonly string[]): Stream =>
  startStream(['serve-trainer', '--job', job, '--price', '100', '--once', ...as]);

/** Kills it as a power cut would. */
async function kill(stream: Stream): Promise<void> {
  stream.child.kill('SIGKILL');
  await stream.end;
}

describe('nmkt backup and restore', () => {
  it('say what they did, refuse what would lose something, and show no secret', async () => {
    const sandbox = await startSandbox(1);
    const as = sandbox.as('customer');
    const none = await runJson(['backup', join(sandbox.folder, 'x'), '--home', join(sandbox.folder, 'nobody')]);
    expect([none.status, none.document]).toMatchObject([2, { error: { code: 'bad-usage' } }]);
    expect(existsSync(join(sandbox.folder, 'nobody'))).toBe(false);

    const job = await post(sandbox, 1);
    const file = join(sandbox.folder, 'c.bak');
    const password = passwordFile(sandbox);
    const made = await runJson(['backup', file, '--password-file', password, ...as]);
    expect(made.status, made.stderr).toBe(0);
    expect(made.document).toMatchObject({
      ...{ file, jobs: 1, datasets: 1, hasKey: true, hasPassword: true },
      bytes: statSync(file).size,
    });
    expect(made.stderr).toContain(`next: nmkt restore ${file}`);

    const again = await runJson(['backup', file, ...as]);
    expect([again.status, again.document]).toMatchObject([
      2,
      { error: { remedy: expect.stringContaining('--force') } },
    ]);
    const inside = await runJson(['backup', join(sandbox.folder, 'customer', 'b'), ...as]);
    expect([inside.status, inside.document]).toMatchObject([2, { error: { code: 'bad-usage' } }]);
    chmodSync(password, 0o644);
    const open = await runJson(['backup', `${file}2`, '--password-file', password, ...as]);
    expect([open.status, open.document]).toMatchObject([2, { error: { code: 'unsafe-secret-file' } }]);
    const short = await runJson(['backup', `${file}2`, ...as], { env: { NMKT_BACKUP_PASSWORD: 'short' } });
    expect([short.status, short.document]).toMatchObject([2, { error: { code: 'bad-usage' } }]);

    const home = ['--home', join(sandbox.folder, 'elsewhere')];
    const closed = await runJson(['restore', file, ...home]);
    expect([closed.status, closed.document]).toMatchObject([4, { error: { code: 'wrong-key' } }]);
    const wrong = await runJson(['restore', file, ...home], { env: { NMKT_BACKUP_PASSWORD: 'another one' } });
    expect([wrong.status, wrong.document]).toMatchObject([4, { error: { code: 'wrong-key' } }]);
    expect(existsSync(home[1]!)).toBe(false);
    const env = { NMKT_BACKUP_PASSWORD: PASSWORD };
    const first = await runJson(['restore', file, ...home], { env });
    expect(first.status, first.stderr).toBe(0);
    expect(first.document).toMatchObject({
      ...{ home: home[1], pubkey: made.document['pubkey'], jobs: 1, datasets: 1, hasKey: true, replaced: 0 },
      ...{ files: made.document['files'], restored: made.document['files'] },
    });
    const files = filesBelow(home[1]!);
    const second = await runJson(['restore', file, ...home], { env });
    expect([second.status, second.document]).toMatchObject([0, { restored: 0 }]);
    expect(filesBelow(home[1]!)).toEqual(files);

    const shown = await runJson(['whoami', ...home]);
    const before = await runJson(['whoami', ...as]);
    for (const field of ['pubkey', 'npub'])
      expect((shown.document['key'] as Record<string, string>)[field]).toBe(
        (before.document['key'] as Record<string, string>)[field],
      );
    expect(shown.document['wallet']).toMatchObject({ problem: null });
    const status = await runJson(['status', job, ...home]);
    expect([status.status, status.document]).toMatchObject([0, { job, phase: 'awarding' }]);

    mkdirSync(join(sandbox.folder, 'other', 'jobs', 'ab'), { recursive: true });
    writeFileSync(join(sandbox.folder, 'other', 'jobs', 'ab', 'job.json'), '{}');
    const full = await runJson(['restore', file, '--home', join(sandbox.folder, 'other')], { env });
    expect([full.status, full.document]).toMatchObject([4, { error: { code: 'home-not-empty' } }]);
    const text = [made, first, closed, wrong, full].map(({ stdout, stderr }) => stdout + stderr).join('');
    const { key, wallet } = JSON.parse(readFileSync(join(sandbox.dir, 'customer.json'), 'utf8')) as Record<
      string,
      string
    >;
    for (const secret of [key!, wallet!, PASSWORD]) expect(text).not.toContain(secret);
  }, 60_000);

  it('wait for nobody: a home in use is refused', async () => {
    const sandbox = await startSandbox(1);
    const trainer = startStream(['serve-trainer', '--price', '100', ...sandbox.as('trainer-1')]);
    await trainer.event(({ event }) => event === 'ready');
    const file = join(sandbox.folder, 't.bak');
    const busy = await runJson(['backup', file, ...sandbox.as('trainer-1')]);
    expect([busy.status, busy.document]).toMatchObject([5, { error: { code: 'home-locked' } }]);
    expect(existsSync(file)).toBe(false);
    await kill(trainer);
    expect((await runNmkt(['backup', file, ...sandbox.as('trainer-1')])).status).toBe(0);
    const next = startStream(['serve-trainer', '--price', '100', ...sandbox.as('trainer-1')]);
    await next.event(({ event }) => event === 'ready');
    const into = await runJson(['restore', file, ...sandbox.as('trainer-1')]);
    expect([into.status, into.document]).toMatchObject([5, { error: { code: 'home-locked' } }]);
  }, 60_000);
});

/** Every author's events of the job have seqs 0, 1, 2 ... once each. */
function expectNoFork(sandbox: Sandbox, job: string): void {
  const seqs = new Map<string, string[]>();
  for (const { pubkey, tags, id, kind } of sandbox.relayEvents()) {
    const seq = tags.find(([name]) => name === 'seq')?.[1];
    if (seq === undefined || (id !== job && !tags.some(([name, value]) => name === 'e' && value === job))) continue;
    expect(kind).toBeGreaterThanOrEqual(KINDS.round);
    seqs.set(pubkey, [...(seqs.get(pubkey) ?? []), seq]);
  }
  expect(seqs.size).toBe(3);
  for (const [author, found] of seqs)
    expect(
      found.sort((a, b) => Number(a) - Number(b)),
      author,
    ).toEqual(found.map((_, index) => String(index)));
}

it('everybody moves to another machine in the middle of a job: the customer by its key alone, a trainer by a file', async () => {
  const sandbox = await startSandbox(2);
  const job = await post(sandbox, 4);
  const collect = (home: string) => [
    'collect-model',
    job,
    '--out',
    join(sandbox.folder, 'm'),
    ...sandbox.as('customer', home),
  ];
  let [one, two] = [serve(job, sandbox.as('trainer-1')), serve(job, sandbox.as('trainer-2'))];
  const leading = startStream(collect('customer'));
  await Promise.all([one, two].map((trainer) => trainer.event(({ event }) => event === 'paid')));
  await kill(leading);
  await kill(one);

  const file = join(sandbox.folder, 't.bak');
  const env = { NMKT_BACKUP_PASSWORD: PASSWORD };
  expect((await runNmkt(['backup', file, ...sandbox.as('trainer-1')], { env })).status).toBe(0);
  const there = ['--home', join(sandbox.folder, 'trainer-1-there')];
  expect((await runNmkt(['restore', file, ...there], { env })).status).toBe(0);
  one = serve(job, there);

  const { status, document, stderr } = await runJson(collect('customer-there'));
  expect(status, stderr).toBe(0);
  expect(stderr).toContain('restored the secrets of this job from their backup');
  expect(document).toMatchObject({ job, rounds: 4, verified: true, paidMsat: 4 * 2 * 100_000 });
  for (const trainer of [one, two]) {
    expect((await trainer.end).status).toBe(0);
    expect(trainer.events.at(-1)).toMatchObject({ event: 'done', rounds: 4, paidMsat: 400_000 });
  }
  expect(sandbox.books().payments).toHaveLength(8);
  expect(paymentsOf(join(sandbox.folder, 'm'))).toHaveLength(8);
  expectNoFork(sandbox, job);
  two = serve(job, sandbox.as('trainer-2'));
  expect((await two.end).status).toBe(0);
}, 120_000);

it('--no-backup keeps the secrets off the relays: another machine with the key alone cannot go on', async () => {
  const sandbox = await startSandbox(1);
  const job = await post(sandbox, 1, ['--no-backup']);
  expect(sandbox.relayEvents().filter(({ kind }) => kind === KINDS.backup)).toEqual([]);
  const args = ['collect-model', job, '--out', join(sandbox.folder, 'm'), ...sandbox.as('customer', 'customer-there')];
  const { status, document } = await runJson(args);
  expect([status, document]).toMatchObject([4, { error: { code: 'not-your-job' } }]);
}, 60_000);

it('two homes with one key do not run at once: the second leaves with key-in-use, the first goes on', async () => {
  const sandbox = await startSandbox(1);
  const job = await post(sandbox, 1);
  const first = startStream(['serve-trainer', '--price', '100', ...sandbox.as('trainer-1')]);
  await first.event(({ event }) => event === 'bid');
  const second = serve(job, sandbox.as('trainer-1', 'copy'));
  const { status, stdout } = await second.end;
  expect([status, stdout]).toEqual([5, expect.stringContaining('key-in-use')]);
  expect(second.events.filter(({ event }) => event === 'bid')).toEqual([]);

  const hello = new Promise<void>((done) => {
    poolForTest([sandbox.relay]).subscribe([{ kinds: [KINDS.presence] }], ({ tags }) => {
      if (tags.some(([name, value]) => name === 'x' && value === job)) done();
    });
  });
  const leading = startStream(['collect-model', job, '--out', join(sandbox.folder, 'm'), ...sandbox.as('customer')]);
  await hello;
  const args = ['collect-model', job, '--out', join(sandbox.folder, 'm'), ...sandbox.as('customer', 'customer-copy')];
  const other = await runJson(args);
  expect([other.status, other.document]).toMatchObject([5, { error: { code: 'key-in-use' } }]);
  await kill(leading);
  await kill(first);
  expect(await first.end).toMatchObject({ stderr: expect.stringContaining('another process of this key was started') });
}, 60_000);
