import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { hex } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { scriptJob, SNAPSHOTS, START_SEC } from '../support/job-script.js';
import { createWorld, type World } from '../support/market-world.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { relayWith } from './scripted-relay.js';

const eventsIn = (file: string): NostrEvent[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as NostrEvent);
const writeEvents = (file: string, events: readonly NostrEvent[]): void =>
  writeFileSync(file, events.map((event) => `${JSON.stringify(event)}\n`).join(''));

/** In an empty folder, without settings: there is no relay that could be asked. */
const offline = (...words: string[]) => runNmkt(['audit', ...words, '--json']);

describe('a dump of a paid job whose models travel as chunks', () => {
  let world: World;
  let keys: string;
  let events: readonly NostrEvent[];
  beforeAll(async () => {
    world = await createWorld({
      name: 'dumped',
      trainers: 2,
      rounds: 1,
      inputs: 320,
      classes: 42,
      startSec: START_SEC,
    });
    await world.run();
    keys = encodeAuditKeys((await world.audit()).keys);
    events = world.network.events();
  });

  const files = () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'keys.json'), keys, { mode: 0o600 });
    return { folder, dump: join(folder, 'job.ndjson'), keysFile: join(folder, 'keys.json') };
  };

  it('gives the document of the online audit, byte for byte, on the key level', async () => {
    const { folder, dump, keysFile } = files();
    const url = await relayWith(events, START_SEC + 3_600);
    const online = await runNmkt(['audit', world.jobId, '--json', '--keys', keysFile, '--dump', dump, '--relay', url], {
      cwd: folder,
    });
    expect(online.status).toBe(0);
    expect(online.stderr).toMatch(/wrote \d+ events and 14 chunks to .*job\.ndjson/);
    const { status, stdout } = await offline(world.jobId, '--from-dump', dump, '--keys', keysFile);
    expect(status).toBe(0);
    expect(stdout).toBe(online.stdout);
    expect(JSON.parse(stdout)).toMatchObject({ level: 'keys', verdict: 'PASS', rounds: 1, paidMsat: 42_000 });
    expect(readdirSync(folder).sort()).toEqual(['job.ndjson', 'keys.json']);

    const kinds = eventsIn(dump).map(({ kind }) => kind);
    const first = kinds.indexOf(KINDS.chunk);
    expect(kinds.slice(first).every((kind) => kind === KINDS.chunk)).toBe(true);
    expect(kinds.filter((kind) => kind === KINDS.snapshot)).toHaveLength(3);
    expect(first - 1).toBe((await world.read()).all().length + 2);
    const text = readFileSync(dump, 'utf8');
    for (const [secret] of keys.matchAll(/(?<="(?:seed|key|artifact)": ")[0-9a-f]{64}/g))
      expect(text).not.toContain(secret);
  });

  it('made without keys passes on the public level, and with keys says that it holds no chunks', async () => {
    const { dump, keysFile } = files();
    const url = await relayWith(events, START_SEC + 3_600);
    const online = await runNmkt(['audit', world.jobId, '--json', '--dump', dump, '--relay', url]);
    const open = await offline(world.jobId, '--from-dump', dump);
    expect([open.status, open.stdout]).toEqual([0, online.stdout]);
    expect(eventsIn(dump).some(({ id }) => id === world.terms.dataset)).toBe(true);
    const keyed = await offline(world.jobId, '--from-dump', dump, '--keys', keysFile);
    expect(keyed.status).toBe(2);
    expect(JSON.parse(keyed.stdout)).toMatchObject({ error: { code: 'bad-usage', got: 'events only' } });
  });

  it('without one of its chunks names the event whose blob does not open', async () => {
    const { dump, keysFile } = files();
    const kept = events.filter(({ kind }) => kind !== 1059);
    const [update] = (await world.audit()).keys.updates;
    writeEvents(
      dump,
      kept.filter(({ id }) => id !== update!.pointer.ids[0]),
    );
    const { status, stdout } = await offline(world.jobId, '--from-dump', dump, '--keys', keysFile);
    expect(status).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({ firstBad: { event: update!.submission, rule: 'blob' } });
  });

  it('without its dataset fails, and names it', async () => {
    const { dump } = files();
    writeEvents(
      dump,
      events.filter(({ id }) => id !== world.terms.dataset),
    );
    const { status, stdout } = await offline(world.jobId, '--from-dump', dump);
    expect([status, JSON.parse(stdout)]).toMatchObject([
      4,
      { firstBad: { event: world.terms.dataset, rule: 'missing' } },
    ]);
  });

  it('made with the data holds its chunks, and gives the document of the online audit on the data level', async () => {
    const { folder, dump, keysFile } = files();
    const dataFile = join(folder, 'data.json');
    writeFileSync(dataFile, encodeAuditKeys(await world.allKeys()));
    const url = await relayWith(events, START_SEC + 3_600);
    const online = await runNmkt(['audit', world.jobId, '--json', '--keys', dataFile, '--dump', dump, '--relay', url]);
    expect(online.status).toBe(0);
    // Two shards and two sets of one chunk each more.
    expect(online.stderr).toMatch(/wrote \d+ events and 18 chunks to /);
    const { status, stdout } = await offline(world.jobId, '--from-dump', dump, '--keys', dataFile);
    expect([status, stdout]).toEqual([0, online.stdout]);
    expect(JSON.parse(stdout)).toMatchObject({ level: 'data', verdict: 'PASS' });
    expect(JSON.parse((await offline(world.jobId, '--from-dump', dump, '--keys', keysFile)).stdout)).toMatchObject({
      ...{ level: 'keys', verdict: 'PASS' },
    });
    const text = readFileSync(dump, 'utf8');
    const { train, a, b, chain } = (await world.allKeys()).data!;
    for (const secret of [chain, ...[train, a, b].flatMap(({ shards, blind }) => [...shards, blind]), a.salt, b.salt])
      expect(text.includes(hex(secret))).toBe(false);
  });

  it('made without the data says so when it is to be opened with it', async () => {
    const { folder, dump, keysFile } = files();
    const dataFile = join(folder, 'data.json');
    writeFileSync(dataFile, encodeAuditKeys(await world.allKeys()));
    const url = await relayWith(events, START_SEC + 3_600);
    await runNmkt(['audit', world.jobId, '--json', '--keys', keysFile, '--dump', dump, '--relay', url]);
    const { status, stdout } = await offline(world.jobId, '--from-dump', dump, '--keys', dataFile);
    expect([status, JSON.parse(stdout)]).toMatchObject([2, { error: { code: 'bad-usage', got: 'other chunks' } }]);
  });
});

describe('a dump of a job that does not hold', () => {
  it('is written all the same, and fails offline in the same words', async () => {
    const script = scriptJob({ alter: { 'close/0': (content: object) => ({ ...content, accepted: [] }) } });
    const dump = join(temporaryFolder(), 'job.ndjson');
    const url = await relayWith(script.events); // without its datasets
    const online = await runNmkt(['audit', script.jobId, '--json', '--dump', dump, '--relay', url]);
    expect(online.stderr).toContain('the dump goes without');
    const { status, stdout } = await offline(script.jobId, '--from-dump', dump);
    expect([online.status, status]).toEqual([4, 4]);
    expect(stdout).toBe(online.stdout);
  });

  it('lacks an event that others cite: that event is named', async () => {
    const script = scriptJob({ rail: 'none' });
    const dump = join(temporaryFolder(), 'job.ndjson');
    const gone = script.raw('reveal/0/1').id;
    writeEvents(
      dump,
      [...SNAPSHOTS, ...script.events].filter(({ id }) => id !== gone),
    );
    const { status, stdout } = await offline(script.jobId, '--from-dump', dump);
    expect([status, JSON.parse(stdout)]).toMatchObject([4, { firstBad: { event: gone, rule: 'missing' } }]);
  });

  it('holds a line that is no signed event: no verdict, the line is named', async () => {
    const script = scriptJob({ rail: 'none' });
    const dump = join(temporaryFolder(), 'job.ndjson');
    const at = script.events.indexOf(script.raw('close/0'));
    writeEvents(dump, script.events.with(at, { ...script.events[at]!, content: '{}' }));
    const { status, stdout } = await offline(script.jobId, '--from-dump', dump);
    expect(status).toBe(4);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string; got: string } };
    expect(error).toMatchObject({ code: 'bad-event', got: expect.stringContaining(script.raw('close/0').id) });
    expect(error.message).toContain(`line ${at + 1} of `);
  });

  it('is of another job', async () => {
    const dump = join(temporaryFolder(), 'job.ndjson');
    writeEvents(dump, scriptJob({ rail: 'none' }).events);
    const { status, stdout } = await offline('ab'.repeat(32), '--from-dump', dump);
    expect([status, JSON.parse(stdout)]).toMatchObject([3, { error: { code: 'job-unknown' } }]);
    expect(stdout).toContain('the dump is of another job');
  });
});

describe('the flags of a dump', () => {
  const job = 'ab'.repeat(32);
  it.each([
    ['--dump and --from-dump', ['--dump', 'a', '--from-dump', 'b'], /--dump and --from-dump exclude each other/],
    ['--relay and --from-dump', ['--relay', 'ws://127.0.0.1:9', '--from-dump', 'b'], /--relay and --from-dump/],
    ['a dump that is not there', ['--from-dump', 'b'], /b cannot be read/],
    ['a dump that cannot be made', ['--relay', 'ws://127.0.0.1:9', '--dump', 'no/b'], /no\/b cannot be written/],
  ])('refuse %s with status 2', async (_, words, message) => {
    const { status, stdout } = await offline(job, ...words);
    expect(status).toBe(2);
    expect((JSON.parse(stdout) as { error: { message: string } }).error.message).toMatch(message);
  });

  it('leave no file behind when there is no verdict', async () => {
    const folder = temporaryFolder();
    const words = ['audit', job, '--json', '--relay', await relayWith([]), '--dump', join(folder, 'job.ndjson')];
    expect((await runNmkt(words)).status).toBe(3);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('a dump of a job with validators', () => {
  it('gives the document of the online audit at each level: who said what, and who has the keys', async () => {
    const world = await createWorld({
      ...{ name: 'dumped with validators', trainers: 2, rounds: 2, validators: 3, startSec: START_SEC },
      job: { validators: 3, validatorFeeSats: 5 },
    });
    await world.run({ validators: { 1: 'absent' } });
    const folder = temporaryFolder();
    const dump = join(folder, 'job.ndjson');
    const dataFile = join(folder, 'data.json');
    writeFileSync(dataFile, encodeAuditKeys(await world.allKeys()), { mode: 0o600 });
    const url = await relayWith(world.network.events(), START_SEC + 3_600);
    const keys = ['--keys', dataFile];
    const online = await runNmkt(['audit', world.jobId, '--json', ...keys, '--dump', dump, '--relay', url]);
    expect(online.status, online.stderr).toBe(0);
    const whole = await offline(world.jobId, '--from-dump', dump, ...keys);
    expect([whole.status, whole.stdout]).toEqual([0, online.stdout]);
    const keysOf = (people: readonly { readonly signer: { readonly pubkey: string } }[]) =>
      people.map(({ signer }) => signer.pubkey).sort();
    const present = [world.validators[0]!, world.validators[2]!];
    interface Document {
      readonly holders: {
        readonly shards: readonly { readonly trainers: readonly string[] }[];
        readonly validators: readonly string[];
      };
      readonly validators: readonly { readonly rounds: number; readonly contradicted: readonly unknown[] | null }[];
    }
    const document = JSON.parse(whole.stdout) as Document;
    expect(document).toMatchObject({ level: 'data', verdict: 'PASS', fallbacks: [] });
    expect(document.validators).toMatchObject(Array(2).fill({ rounds: 2, absent: [], apart: [], contradicted: [] }));
    expect([...document.holders.validators].sort()).toEqual(keysOf(present));
    expect(document.holders.shards.flatMap(({ trainers }) => trainers).sort()).toEqual(keysOf(world.trainers));
    const open = await offline(world.jobId, '--from-dump', dump);
    expect(JSON.parse(open.stdout)).toMatchObject({ level: 'public', verdict: 'PASS', holders: document.holders });
    const text = await runNmkt(['audit', world.jobId, '--from-dump', dump]);
    expect(text.stdout).toMatch(/^keys +each of 2 shards to at most 1 trainer, all of them to 2 validators$/m);
  });
});
