import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { NostrEvent, Relays } from '../../src/ports.js';
import { openDump, type DumpRelays } from '../../src/relay/dump-reader.js';
import { recordDump } from '../../src/relay/dump-writer.js';
import { signEvent } from '../../src/schnorr.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { note, NOW, secretOf } from './samples.js';

const fresh = (): string => join(temporaryFolder(), 'job.ndjson');
const chunk = (n: number): NostrEvent => note('uploader', { kind: 4621, content: `chunk ${n}`, created_at: NOW - n });

function fileOf(text: string | Uint8Array): string {
  const path = fresh();
  writeFileSync(path, text);
  return path;
}
const linesOf = (events: readonly NostrEvent[]): string => events.map((event) => `${JSON.stringify(event)}\n`).join('');

async function opened(path: string): Promise<DumpRelays> {
  const dump = await openDump(path);
  onTestFinished(() => dump.close());
  return dump;
}

async function relaysWith(events: readonly NostrEvent[]): Promise<Relays> {
  const relays = memoryNetwork().relays();
  for (const event of events) await relays.publish(event);
  return relays;
}

describe('a recorded dump', () => {
  it('holds what was read, each event once, chunks last, and nothing that came after them', async () => {
    const path = fresh();
    const [early, late, next] = [note('a', { created_at: NOW - 9 }), note('b', { created_at: NOW - 1 }), note('c')];
    const recorder = await recordDump(path, await relaysWith([early, late, next, chunk(1), chunk(2)]));
    await recorder.relays.fetch([{ ids: [late.id, early.id] }]);
    await recorder.relays.fetch([{ ids: [late.id] }]);
    await recorder.relays.fetch([{ ids: [chunk(2).id] }], { trustIds: true });
    await recorder.relays.fetch([{ ids: [chunk(1).id, chunk(2).id] }]);
    await recorder.relays.fetch([{ ids: [next.id] }]);
    expect(await recorder.finish()).toEqual({ events: 2, chunks: 2 });
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as NostrEvent)).toEqual([early, late, chunk(2), chunk(1)]);
    expect(readdirSync(dirname(path))).toEqual(['job.ndjson']);
  });

  it('holds what a subscription brought', async () => {
    const path = fresh();
    const recorder = await recordDump(path, await relaysWith([note('a')]));
    const arrived = new Promise((done) => recorder.relays.subscribe([{ kinds: [1] }], done));
    await arrived;
    expect(await recorder.finish()).toEqual({ events: 1, chunks: 0 });
    expect((await opened(path)).chunks).toBe(0);
  });

  it('asks for chunks with their signatures, which the audit alone does not need', async () => {
    const asked: unknown[] = [];
    const inner = await relaysWith([]);
    const spy: Relays = { ...inner, fetch: async (filters, options) => (asked.push(options), inner.fetch(filters)) };
    const recorder = await recordDump(fresh(), { ...spy, urls: [] });
    await recorder.relays.fetch([{ ids: [chunk(1).id] }], { trustIds: true });
    expect(asked).toEqual([{ trustIds: false }]);
    await recorder.discard();
  });

  it('leaves no file when it is given up', async () => {
    const path = fresh();
    const recorder = await recordDump(path, await relaysWith([note('a')]));
    await recorder.relays.fetch([{ kinds: [1] }]);
    await recorder.discard();
    expect(readdirSync(dirname(path))).toEqual([]);
  });

  it('says at once when its path cannot be written', async () => {
    const path = join(temporaryFolder(), 'missing', 'job.ndjson');
    await expect(recordDump(path, await relaysWith([]))).rejects.toMatchObject({ code: 'bad-usage', got: 'ENOENT' });
  });
});

describe('relays over a dump', () => {
  const events = [note('a', { created_at: NOW - 5, tags: [['t', 'x']] }), note('b'), chunk(1)];

  it('answer filters as a relay does: newest first, limits, tags, chunks by id', async () => {
    const dump = await opened(fileOf(linesOf(events)));
    const url = dump.urls[0]!;
    expect(dump.chunks).toBe(1);
    expect(await dump.fetch([{ kinds: [1] }])).toEqual({
      ...{ events: [events[1], events[0]], answered: [url], silent: [] },
    });
    expect((await dump.fetch([{ kinds: [1], limit: 1 }])).events).toEqual([events[1]]);
    expect((await dump.fetch([{ '#t': ['x'] }])).events).toEqual([events[0]]);
    expect((await dump.fetch([{ ids: [chunk(1).id, events[0]!.id] }])).events).toEqual([chunk(1), events[0]]);
    expect((await dump.fetch([{ ids: [chunk(1).id], kinds: [1] }])).events).toEqual([]);
    expect((await dump.fetch([{ kinds: [4621] }])).events).toEqual([]);
    expect(await dump.fetch([{ kinds: [1] }], { relays: ['wss://other.example'] })).toEqual({
      ...{ events: [], answered: [], silent: ['wss://other.example'] },
    });
  });

  it('deliver what is stored to a subscription, and refuse to publish', async () => {
    const dump = await opened(fileOf(linesOf(events)));
    const found: NostrEvent[] = [];
    dump.subscribe([{ kinds: [1] }], (event) => found.push(event));
    dump.subscribe([{ kinds: [1] }], () => expect.unreachable('it was closed')).close();
    await Promise.resolve();
    expect(found).toEqual([events[1], events[0]]);
    expect(await dump.publish(note('c'))).toMatchObject([{ state: 'refused' }]);
  });

  it('take any JSON of an event, repeated lines, and a last line without newline', async () => {
    const { id, sig, ...rest } = events[0]!;
    const other = JSON.stringify({ sig, extra: 1, ...rest, id }, undefined, 1).replace(/\n/g, ' ');
    const dump = await opened(fileOf(`${linesOf(events)}${linesOf(events)}${other}`));
    expect((await dump.fetch([{}])).events).toHaveLength(2);
  });

  it('notice a file that changes while it is read', async () => {
    const path = fileOf(linesOf([chunk(1)]));
    const dump = await opened(path);
    writeFileSync(path, linesOf([chunk(2)]));
    await expect(dump.fetch([{ ids: [chunk(1).id] }])).rejects.toMatchObject({ code: 'bad-event' });
  });

  it('of an empty file know nothing', async () => {
    const dump = await opened(fileOf(''));
    expect((await dump.fetch([{}])).events).toEqual([]);
  });
});

describe('a line of a dump that is no signed event', () => {
  const good = note('a', { content: 'hello' });
  const { id, ...unnamed } = good;
  const forged = signEvent({ ...good, tags: [], content: 'other' }, secretOf('b'));
  it.each([
    ['no JSON', 'hello', /no JSON/],
    ['an empty line', '', /no JSON/],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), /no JSON/],
    ['a number', '1', /malformed/],
    ['no id', JSON.stringify(unnamed), /id is malformed/],
    ['capital hex', JSON.stringify({ ...good, id: id.toUpperCase() }), /id is malformed/],
    ['another content', JSON.stringify({ ...good, content: 'hellp' }), new RegExp(id)],
    ['the signature of another event', JSON.stringify({ ...good, sig: note('a').sig }), new RegExp(id)],
    ['another author', JSON.stringify({ ...forged, pubkey: good.pubkey }), new RegExp(forged.id)],
  ])('is refused by its number: %s', async (_, line, got) => {
    const bytes = Buffer.concat([Buffer.from(linesOf([good])), Buffer.from(line), Buffer.from(`\n${linesOf([good])}`)]);
    const error = await openDump(fileOf(bytes)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'bad-event', message: expect.stringMatching(/^line 2 of /) });
    expect((error as { got: string }).got).toMatch(got);
  });

  it('longer than any relay sends is refused before it is read to its end', async () => {
    const path = fileOf(`${linesOf([good])}${'x'.repeat(3 << 20)}\n`);
    await expect(openDump(path)).rejects.toMatchObject({
      code: 'too-large',
      message: expect.stringMatching(/^line 2/),
    });
  });

  it.each([
    ['a file that is not there', join('/', 'no', 'such', 'file'), 'ENOENT'],
    ['a folder', '/', 'a folder, pipe or device'],
  ])('%s is no dump', async (_, path, got) => {
    await expect(openDump(path)).rejects.toMatchObject({ code: 'bad-usage', got });
  });
});
