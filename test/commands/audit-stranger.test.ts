import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { NostrEvent } from '../../src/ports.js';
import { tagValue } from '../../src/protocol/envelope.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { customer, scriptJob, SNAPSHOTS, START_SEC } from '../support/job-script.js';
import { createWorld, type World } from '../support/market-world.js';
import { runNmkt, temporaryFolder } from '../support/run-nmkt.js';
import { madeUpStates, rogueTrainer } from '../roles/rogue.js';

/** `audit --from-dump` in the hands of someone who got a file, and does not know what is wrong with it. */

let world: World;
let keys: string;
let events: readonly NostrEvent[];
beforeAll(async () => {
  const job = { quorum: 2, award: 'deadline', bidWindow: '60s' } as const;
  world = await createWorld({ name: 'stranger', trainers: 3, spares: 1, rounds: 2, job, startSec: START_SEC });
  const { state } = await world.run({ trainers: { 1: { act: rogueTrainer(madeUpStates) } } });
  expect(state.frauds.size).toBe(1);
  keys = encodeAuditKeys(await world.allKeys());
  events = world.network.events().filter(({ kind }) => kind !== 1059);
});

const linesOf = (list: readonly NostrEvent[]): string => list.map((event) => `${JSON.stringify(event)}\n`).join('');
const nameOf = ({ kind, tags }: NostrEvent): string => [kind, tagValue({ tags }, 'phase')].filter(Boolean).join('/');

interface Document {
  readonly firstBad?: { readonly event: string; readonly rule: string } | null;
  readonly error?: { readonly code: string; readonly message: string; readonly got: string };
}
/** The real binary in an empty folder, without settings and relays. */
async function audit(dump: string | Buffer, ...words: string[]) {
  const folder = temporaryFolder();
  const file = join(folder, 'job.ndjson');
  writeFileSync(file, dump);
  writeFileSync(join(folder, 'keys.json'), keys);
  const args = ['audit', world.jobId, '--from-dump', file, '--json', ...words];
  const { status, stdout } = await runNmkt(args, { cwd: folder });
  return { status, stdout, document: JSON.parse(stdout) as Document };
}
const withKeys = ['--keys', 'keys.json'];

describe('a dump of a job with payments, a fraud and a replacement', () => {
  it('says the same with every event twice and with events of another job', async () => {
    const plain = await audit(linesOf(events), ...withKeys);
    expect([plain.status, plain.document]).toMatchObject([0, { verdict: 'PASS', level: 'data' }]);
    const more = linesOf([...events, ...scriptJob({ rail: 'none' }).events, ...events]);
    expect(await audit(more, ...withKeys)).toEqual(plain);
  });

  it.each(['4628/fraud', '4626/replace', '4629/reveal', '4628/receipt', '4621'])(
    'without its %s fails with status 4 and names it, or the one whose blob it is part of',
    async (name) => {
      const gone = events.find((event) => nameOf(event) === name)!;
      const { status, document } = await audit(linesOf(events.filter((event) => event !== gone)), ...withKeys);
      expect(status).toBe(4);
      const holder = JSON.parse(keys) as { readonly updates: { readonly submission: string }[] };
      const owners =
        gone.kind === KINDS.chunk
          ? [world.terms.dataset, world.terms.evalA.snapshot, world.terms.evalB.snapshot]
          : [gone.id];
      const blamed = [...owners, ...(gone.kind === KINDS.chunk ? holder.updates.map((one) => one.submission) : [])];
      expect(blamed).toContain(document.firstBad!.event);
    },
  );

  it.each(['id', 'pubkey', 'created_at', 'tags', 'content', 'sig'] as const)(
    'with one byte of the %s of an event changed is refused with status 4, and names the line',
    async (field) => {
      const at = events.findIndex((event) => nameOf(event) === '4630');
      const lines = linesOf(events).split('\n');
      const line = lines[at]!;
      const place = line.indexOf(`"${field}":`) + field.length + 9;
      lines[at] = `${line.slice(0, place)}${line[place] === '1' ? '2' : '1'}${line.slice(place + 1)}`;
      const { status, document } = await audit(lines.join('\n'));
      expect([status, document.error?.code]).toEqual([4, 'bad-event']);
      expect(document.error!.message).toContain(`line ${at + 1} of `);
    },
  );

  it('that is cut off says so', async () => {
    const { status, document } = await audit(linesOf(events).slice(0, -200));
    expect([status, document.error]).toMatchObject([
      4,
      { code: 'bad-event', got: 'a line that is cut off: the file is not whole' },
    ]);
  });
});

describe('a file that is no dump', () => {
  it.each<[string, Buffer, string]>([
    [
      '10 MB of junk in lines',
      Buffer.from(randomBytes(7_500_000).toString('base64').replace(/.{76}/g, '$&\n')),
      'bad-event',
    ],
    ['10 MB in one line', Buffer.alloc(10_000_000, 'a'), 'too-large'],
    ['10 MB of empty lines', Buffer.alloc(10_000_000, '\n'), 'bad-event'],
  ])('%s is refused at its first line with status 4', async (_, bytes, code) => {
    const { status, document } = await audit(bytes);
    expect([status, document.error?.code]).toEqual([4, code]);
    expect(document.error!.message).toMatch(/^line 1 of /);
  });

  it('an empty one holds no job: status 3, in words about a dump', async () => {
    const { status, document } = await audit('');
    expect([status, document.error]).toMatchObject([
      3,
      { code: 'job-unknown', message: expect.stringMatching(/^the dump does not hold job/) },
    ]);
  });

  it('is never replaced by one: --dump refuses a file of something else, before it asks a relay', async () => {
    const file = join(temporaryFolder(), 'keys.json');
    writeFileSync(file, keys);
    const args = ['audit', world.jobId, '--json', '--relay', 'ws://127.0.0.1:9', '--dump', file];
    const { status, stdout } = await runNmkt(args);
    expect([status, JSON.parse(stdout)]).toMatchObject([
      2,
      { error: { code: 'bad-usage', got: 'a file of something else' } },
    ]);
    expect(readFileSync(file, 'utf8')).toBe(keys);
    expect(existsSync(`${file}.part`)).toBe(false);
  });
});

describe('a job that was cancelled', () => {
  it('passes, and is said to be cancelled', async () => {
    const script = scriptJob({ rail: 'none', until: 'ready/2' });
    script.say(customer, 'cancel', 'cancel', { reason: 'enough' });
    const folder = temporaryFolder();
    const file = join(folder, 'job.ndjson');
    writeFileSync(file, linesOf([...SNAPSHOTS, ...script.events]));
    const { status, stdout } = await runNmkt(['audit', script.jobId, '--from-dump', file, '--json']);
    expect([status, JSON.parse(stdout)]).toMatchObject([0, { verdict: 'PASS', phase: 'cancelled', firstBad: null }]);
  });
});
