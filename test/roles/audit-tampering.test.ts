import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeReceiptInvoice } from '../../src/commands/find-job.js';
import { isNmktError } from '../../src/errors.js';
import { sha256 } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { tagValue } from '../../src/protocol/envelope.js';
import { JOB_KINDS, KINDS } from '../../src/protocol/kinds.js';
import { openDump } from '../../src/relay/dump-reader.js';
import { recordDump } from '../../src/relay/dump-writer.js';
import { auditJob, type AuditKeys } from '../../src/roles/audit.js';
import { createBell } from '../../src/roles/bell.js';
import { openBook } from '../../src/roles/job-book.js';
import { signEvent } from '../../src/schnorr.js';
import { createWorld, type TrainerOptions, type World } from '../support/market-world.js';
import { folderOfFile } from '../support/run-nmkt.js';

const folder = folderOfFile();

let world: World;
let keys: AuditKeys;
let dump: Buffer;
let events: readonly NostrEvent[];
/** Byte ranges of the lines, without their newlines. */
let ranges: readonly (readonly [from: number, to: number])[];

beforeAll(async () => {
  world = await createWorld({ name: 'tampered', trainers: 2, rounds: 1, inputs: 400, classes: 42 });
  await world.run({ trainers: { 1: slow } });
  ({ keys } = await world.audit());
  const path = join(folder, 'whole.ndjson');
  const recorder = await recordDump(path, world.network.relays());
  expect(await audit(recorder.relays)).toBeNull();
  await recorder.finish();
  dump = readFileSync(path);
  const lines = dump.toString('latin1').trimEnd().split('\n');
  events = lines.map((line) => JSON.parse(line) as NostrEvent);
  let at = 0;
  ranges = lines.map((line) => {
    const range = [at, at + line.length] as const;
    at += line.length + 1;
    return range;
  });
});

/** Takes five minutes to train: the customer publishes what it has seen meanwhile. */
const slow: TrainerOptions = {
  adapt: (env) => ({
    ...env,
    engine: async () => ({
      ...world.engine,
      train: async (request, ...rest) => {
        await env.clock.wait(300_000, rest[1]);
        return world.engine.train(request, ...rest);
      },
    }),
  }),
};

/** Both levels, one week later: nothing is still on its way. */
async function audit(relays: Parameters<typeof openBook>[1]['relays']) {
  const book = await openBook(world.jobId, { relays, clock: world.clock, bell: createBell(world.clock) });
  book.close();
  const { found } = await auditJob({
    ...{ book, relays, decode: decodeReceiptInvoice, nowSec: world.clock.nowSec() + 7 * 86_400 },
    keys: async () => ({ ...keys, heads: [] }),
  });
  return found;
}

async function auditFile(bytes: Uint8Array | string) {
  const path = join(folder, 'tampered.ndjson');
  writeFileSync(path, bytes);
  const relays = await openDump(path);
  try {
    return await audit(relays);
  } finally {
    await relays.close();
  }
}

const nameOf = ({ kind, tags }: NostrEvent): string => `${kind}/${tagValue({ tags }, 'phase') ?? ''}`;

/** One event of each kind and phase. */
const oneOfEach = (): readonly number[] => [...new Map(events.map((event, line) => [nameOf(event), line])).values()];

describe('the dump under test', () => {
  it('holds the dataset, chunks and every kind that an honest paid job is made of', () => {
    expect([...new Set(events.map(nameOf))].sort()).toEqual(
      [
        ...[
          '4620/',
          '4621/',
          '4622/close',
          '4622/draw',
          '4622/list',
          '4622/open',
          '4622/seen',
          '4623/',
          '4625/bid',
          '4626/award',
        ],
        ...['4627/commit', '4627/reveal', '4628/ready', '4628/receipt', '4628/received', '4629/reveal', '4630/'],
        ...['4632/', '4633/claim'],
      ].sort(),
    );
    expect(events.filter(({ kind }) => kind === KINDS.chunk)).toHaveLength(18);
  });
});

/** The offline audit of the dump with one bit of one byte changed refuses the line by number. */
async function expectNoticed(offset: number, bit: number): Promise<void> {
  const changed = Buffer.from(dump);
  changed[offset] = changed[offset]! ^ (1 << bit);
  const line = ranges.findIndex(([, to]) => offset <= to);
  const error = await auditFile(changed).catch((caught: unknown) => caught);
  if (!isNmktError(error, 'bad-event')) throw new Error(`bit ${bit} of byte ${offset} was not noticed`);
  expect(error.message).toContain(`line ${line + 1} of `);
}

describe('a dump with one byte changed', () => {
  it.each(['content', 'tags', 'created_at', 'sig', 'pubkey', 'id'] as const)(
    'names the line, in any kind of event, in its %s',
    async (field) => {
      for (const line of oneOfEach()) {
        const [from, to] = ranges[line]!;
        const text = dump.toString('latin1', from, to);
        const value = JSON.stringify(events[line]![field]);
        const start = from + text.indexOf(`"${field}":${value}`) + `"${field}":`.length;
        const inside = value.startsWith('"') ? value.length - 2 : value.length;
        for (const share of [0, 0.37, 0.99])
          await expectNoticed(start + (value.startsWith('"') ? 1 : 0) + Math.floor(share * inside), line % 7);
      }
    },
  );

  it('anywhere names the line', async () => {
    const line = fc.nat({ max: ranges.length - 1 });
    const place = fc.tuple(line, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.nat({ max: 7 }));
    await fc.assert(
      fc.asyncProperty(place, async ([which, share, bit]) => {
        const [from, to] = ranges[which]!;
        await expectNoticed(from + Math.floor(share * (to - from)), bit);
      }),
      { seed: 4621, numRuns: 60 },
    );
  });
});

/** Events of which the given one may be blamed: itself, those that cite it, and the one whose blob it is part of. */
function blamed(event: NostrEvent): readonly string[] {
  const citing = events.filter(({ content, tags }) => content.includes(event.id) || tags.flat().includes(event.id));
  if (event.kind !== KINDS.chunk) return [event.id, ...citing.map(({ id }) => id)];
  // One upload key per blob.
  const ids = events.filter(({ pubkey }) => pubkey === event.pubkey).map(({ id }) => id);
  const update = keys.updates.find(({ pointer, state }) =>
    [...pointer.ids, ...(state?.pointer.ids ?? [])].some((id) => ids.includes(id)),
  );
  const holder = events.find(({ kind, content }) => kind !== KINDS.chunk && ids.some((id) => content.includes(id)));
  return [update?.submission ?? holder!.id];
}

describe('an event that a stranger changed and signed again', () => {
  it('is another event: the audit with keys misses the first and names it, or who cites it', async () => {
    const stranger = sha256('stranger');
    const unnoticed: string[] = [];
    for (const [line, event] of events.entries()) {
      const { kind, tags, created_at, content } = event;
      const digit = content.search(/[0-9](?=[^0-9]*$)/);
      const other = `${content.slice(0, digit)}${(Number(content[digit]) + 1) % 10}${content.slice(digit + 1)}`;
      const forged = signEvent({ kind, tags, created_at, content: other }, stranger);
      const found = await auditFile(
        events.map((one, at) => `${JSON.stringify(at === line ? forged : one)}\n`).join(''),
      );
      if (found === null) unnoticed.push(nameOf(event));
      else expect(blamed(event), `${nameOf(event)}: ${found.rule} ${found.detail}`).toContain(found.event);
    }
    // Nobody's events rest on a trainer's two answers, and nobody but the customer may bring a job down. Without the last
    // event of its chain a job is what it was before: not finished.
    expect([...new Set(unnoticed)].sort()).toEqual(['4628/ready', '4628/received', '4632/']);
  });

  it('is missing also when its own author signs it again: only the first was cited', async () => {
    const [trainer] = world.trainers;
    const own = events.filter(({ pubkey, kind }) => pubkey === trainer!.signer.pubkey && JOB_KINDS.includes(kind));
    const cited = own.filter(({ id }) => events.some(({ content }) => content.includes(id)));
    expect(cited.map(nameOf).sort()).toEqual(['4625/bid', '4627/commit', '4627/reveal', '4633/claim']);
    for (const event of cited) {
      const again = signEvent({ ...event, created_at: event.created_at + 1 }, trainer!.secret);
      const found = await auditFile(events.map((one) => `${JSON.stringify(one === event ? again : one)}\n`).join(''));
      expect(found).toMatchObject({ rule: 'missing', event: event.id });
    }
  });
});
