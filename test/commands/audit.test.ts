import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { hex } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { signEvent } from '../../src/schnorr.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import type { JobBook } from '../../src/roles/job-book.js';
import type { TrainerEnv } from '../../src/roles/trainer.js';
import { customer, hashOf, people, scriptJob, SNAPSHOTS, START_SEC } from '../support/job-script.js';
import { createWorld, type World } from '../support/market-world.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const relayWithScript = (events: readonly NostrEvent[]) => relayWith([...SNAPSHOTS, ...events]);
const audit = (url: string, ...words: string[]) => runNmkt(['audit', ...words, '--relay', url]);

describe('nmkt audit of a paid job', () => {
  let world: World;
  let keys: string;
  let events: readonly NostrEvent[];
  beforeAll(async () => {
    world = await createWorld({ name: 'audited', trainers: 2, rounds: 2, startSec: START_SEC });
    await world.run();
    keys = encodeAuditKeys((await world.audit()).keys);
    events = world.network.events();
  });

  it('passes on the public level for a stranger, and does not pick up keys that happen to lie there', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'audit-keys.json'), keys, { mode: 0o600 });
    const words = ['audit', world.jobId, '--relay', await relayWith(events, START_SEC + 3_600), '--home', 'home'];
    const json = await runNmkt([...words, '--json'], { cwd });
    expect(json.status).toBe(0);
    const count = (await world.read()).all().length;
    expect(JSON.parse(json.stdout)).toMatchObject({
      ...{ job: world.jobId, level: 'public', verdict: 'PASS', firstBad: null, phase: 'finished' },
      reached: [
        ...['signatures', 'chains', 'pins', 'award', 'lists', 'omissions', 'deadlines'],
        ...['acceptance', 'settlements', 'receipts'],
      ],
      ...{ why: 'no audit keys, so models and updates stay closed', engine: null, disputes: [] },
      ...{ events: count, rounds: 2, paidMsat: 84_000, forks: [], unreadable: 0 },
    });
    const text = await runNmkt(words, { cwd });
    expect(text.status).toBe(0);
    expect(text.stdout).toContain('level    public: signed events alone; no audit keys');
    expect(text.stdout).toMatch(/\nverdict {2}PASS\n$/);
  });

  /** The home of the customer, and what it may give away. */
  async function written() {
    const folder = temporaryFolder();
    const home = join(folder, 'home');
    mkdirSync(join(home, 'jobs', world.jobId), { recursive: true });
    writeFileSync(join(home, 'key'), hex(world.customer.secret), { mode: 0o600 });
    writeFileSync(join(home, 'jobs', world.jobId, 'job.json'), JSON.stringify(world.secrets), { mode: 0o600 });
    const [keysFile, dataFile] = [join(folder, 'audit-keys.json'), join(folder, 'audit-data.json')];
    writeFileSync(keysFile, keys, { mode: 0o600 });
    writeFileSync(dataFile, encodeAuditKeys(await world.allKeys()), { mode: 0o600 });
    return { home, keysFile, dataFile };
  }

  it('passes on the key level with the keys of the customer, or in its home', async () => {
    const url = await relayWith(events, START_SEC + 3_600);
    const { home, keysFile } = await written();
    const given = await audit(url, world.jobId, '--json', '--keys', keysFile);
    const own = await audit(url, world.jobId, '--json', '--home', home, '--level', 'keys');
    expect([given.status, own.status]).toEqual([0, 0]);
    const document = JSON.parse(given.stdout) as { reached: string[] };
    expect(document).toMatchObject({ level: 'keys', verdict: 'PASS', firstBad: null, engine: null });
    expect(document).toMatchObject({ why: 'no key to the data, so scores are not measured again' });
    expect(document.reached.slice(-5)).toEqual(['seed', 'bases', 'updates', 'aggregates', 'model']);
    expect(JSON.parse(own.stdout)).toEqual({ ...document, why: 'no higher one was asked for' });
  });

  it('passes on the data level with the data of the customer, or in its home, and says the same', async () => {
    const url = await relayWith(events, START_SEC + 3_600);
    const { home, dataFile } = await written();
    const given = await audit(url, world.jobId, '--json', '--keys', dataFile);
    const own = await audit(url, world.jobId, '--json', '--home', home);
    expect([given.status, own.status]).toEqual([0, 0]);
    expect(own.stdout).toBe(given.stdout);
    const document = JSON.parse(given.stdout) as { reached: string[] };
    // The scores were measured on another engine of that rung: within the tolerance.
    expect(document).toMatchObject({
      level: 'data',
      why: null,
      verdict: 'PASS',
      engine: expect.stringMatching(/^cpu\//),
      repeated: {
        segments: 0,
        why: expect.stringMatching(/^this is cpu\/.*, only cpu\/00000000\/stub\/x64 ends in the same bits$/),
      },
    });
    expect(document.reached.slice(-5)).toEqual(['data', 'commitments', 'grants', 'scores', 'metrics']);
    const text = await audit(url, world.jobId, '--keys', dataFile);
    expect(text.stdout).toMatch(/\nlevel {5}data: the data opened, scores measured again on cpu\/\S+\n/);
    expect(text.stdout).toMatch(/\nrepeated {2}no segment of training: this is cpu\//);
  });

  it('fails on the public level already without the dataset that the job pins', async () => {
    const url = await relayWith(
      events.filter(({ id }) => id !== world.terms.dataset),
      START_SEC + 3_600,
    );
    const { status, stdout } = await audit(url, world.jobId, '--json');
    expect([status, JSON.parse(stdout)]).toMatchObject([
      4,
      { level: 'public', firstBad: { event: world.terms.dataset, rule: 'missing' } },
    ]);
  });

  it('refuses a level that it does not have', async () => {
    const { status, stdout } = await audit('ws://127.0.0.1:9', world.jobId, '--json', '--level', 'all');
    expect([status, JSON.parse(stdout)]).toMatchObject([2, { error: { code: 'bad-usage', got: 'all' } }]);
  });

  it.each([
    ['a file that is not there', null, 'ENOENT'],
    ['a file of something else', '{"job":"x"}', 'something else'],
    ['no JSON', 'hello', 'something else'],
    ['the keys of another job', 'other', `the keys of job ${'cd'.repeat(32)}`],
  ])('refuses %s as keys with status 2, before it asks a relay', async (_, content, got) => {
    const file = join(temporaryFolder(), 'keys.json');
    const other = () => JSON.stringify({ ...(JSON.parse(keys) as object), job: 'cd'.repeat(32) });
    if (content !== null) writeFileSync(file, content === 'other' ? other() : content);
    const { status, stdout } = await audit('ws://127.0.0.1:9', world.jobId, '--json', '--keys', file);
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'bad-usage', got } });
  });
});

describe('nmkt audit of a job that does not hold', () => {
  it('fails with status 4 and names the first event that does not follow, its author and the rule', async () => {
    const script = scriptJob({ alter: { 'close/0': (content: object) => ({ ...content, accepted: [] }) } });
    const url = await relayWithScript(script.events);
    const event = script.raw('close/0').id;
    const json = await audit(url, script.jobId, '--json');
    expect(json.status).toBe(4);
    expect(JSON.parse(json.stdout)).toMatchObject({
      ...{ job: script.jobId, level: 'public', verdict: 'FAIL', phase: 'frozen' },
      firstBad: { event, author: customer.pubkey, rule: 'close', detail: expect.stringMatching(/accepted/) },
      error: { code: 'audit-failed' },
    });
    const text = await audit(url, script.jobId);
    expect(text.status).toBe(4);
    expect(text.stdout).toMatch(new RegExp(`\nverdict +FAIL\nfirst bad +${event} of ${customer.pubkey}\n +close: `));
    expect(text.stderr).toContain('code: audit-failed');
  });

  it('finds a receipt whose invoice proves nothing', async () => {
    const script = scriptJob();
    const { status, stdout } = await audit(await relayWithScript(script.events), script.jobId, '--json');
    expect(status).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({
      firstBad: { event: script.raw('receipt/0/0').id, rule: 'receipt', author: customer.pubkey },
    });
  });

  it('finds an aggregate that is not the mean of the accepted updates, with the keys only', async () => {
    const world = await createWorld({ name: 'forged', rail: 'none', trainers: 2, rounds: 1, startSec: START_SEC });
    const forge = (book: JobBook): JobBook => ({
      ...book,
      sign: (type, content, to) =>
        book.sign(type, type === 'close' ? { ...content, aggregate: hashOf('forged') } : content, to),
    });
    const closed = new AbortController();
    const stopping = { adapt: (env: TrainerEnv): TrainerEnv => ({ ...env, signal: closed.signal }) };
    const onStep = (step: string): void => void (step === 'measure' && closed.abort());
    await world.run({
      customer: { adapt: (env) => ({ ...env, book: forge(env.book), onStep }) },
      trainers: { 0: stopping, 1: stopping },
    });
    const url = await relayWith(world.network.events(), START_SEC + 3_600);
    const file = join(temporaryFolder(), 'keys.json');
    writeFileSync(file, encodeAuditKeys((await world.audit()).keys), { mode: 0o600 });
    expect(JSON.parse((await audit(url, world.jobId, '--json')).stdout)).toMatchObject({ verdict: 'PASS' });
    const { status, stdout } = await audit(url, world.jobId, '--json', '--keys', file);
    expect(status).toBe(4);
    const close = (await world.read()).state().rounds[0]!.close!;
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ level: 'keys', verdict: 'FAIL' },
      firstBad: { event: close.id, author: world.customer.signer.pubkey, rule: 'aggregate' },
    });
  });
});

describe('nmkt audit', () => {
  const free = { rail: 'none', spares: 1 } as const;

  it('does not let a bidder that signs two events with one seq bring the job down', async () => {
    const script = scriptJob(free);
    script.fork(people[3]!, 'bid/3', 'resign', { reason: 'a second event with that seq' });
    script.fork(people[0]!, 'ready/0', 'resign', { reason: 'long after it was counted' });
    const { status, stdout } = await audit(await relayWithScript(script.events), script.jobId, '--json');
    expect(status).toBe(0);
    const document = JSON.parse(stdout) as { forks: { author: string }[] };
    expect(document).toMatchObject({ verdict: 'PASS', firstBad: null });
    expect(document.forks.map(({ author }) => author).sort()).toEqual([people[0]!.pubkey, people[3]!.pubkey].sort());
  });

  it('fails a customer that signs two events with one seq', async () => {
    const script = scriptJob({ ...free, until: 'ready/2' });
    script.fork(customer, 'award', 'cancel', { reason: 'another story for another audience' });
    const { status, stdout } = await audit(await relayWithScript(script.events), script.jobId, '--json');
    expect(status).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({ firstBad: { rule: 'fork', author: customer.pubkey } });
  });

  it('passes a job that goes on, and says so', async () => {
    const script = scriptJob({ ...free, until: 'reveals/0' });
    const { status, stdout } = await audit(await relayWithScript(script.events), script.jobId);
    expect(status).toBe(0);
    expect(stdout).toMatch(/verdict +PASS so far: the job is scoring\n/);
  });

  it('takes a missing event for a failure only when every relay answered', async () => {
    const script = scriptJob(free);
    const missing = script.raw('commit/0/1').id;
    const url = await relayWithScript(script.events.filter(({ id }) => id !== missing));
    const all = await audit(url, script.jobId, '--json');
    expect(all.status).toBe(4);
    expect(JSON.parse(all.stdout)).toMatchObject({ firstBad: { event: missing, rule: 'missing' } });
    const some = await audit(url, script.jobId, '--json', '--relay', 'ws://127.0.0.1:9');
    expect(some.status).toBe(3);
    expect(JSON.parse(some.stdout)).toMatchObject({ error: { code: 'relay-unreachable' } });
  });

  it('counts events that break the protocol, and answers an unknown job with status 3', async () => {
    const script = scriptJob({ ...free, until: 'bid/0' });
    const { kind, tags, created_at } = script.raw('bid/0');
    const junk = signEvent({ kind, tags: [...tags], created_at, content: '{"priceMsat":-1}' }, people[5]!.secret);
    const url = await relayWithScript([...script.events, junk]);
    expect(JSON.parse((await audit(url, script.jobId, '--json')).stdout)).toMatchObject({ events: 2, unreadable: 1 });
    const unknown = await audit(url, 'ab'.repeat(32), '--json');
    expect([unknown.status, JSON.parse(unknown.stdout)]).toMatchObject([3, { error: { code: 'job-unknown' } }]);
  });
});
