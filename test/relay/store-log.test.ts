import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openLogStore } from '../../src/relay/store-log.js';
import type { NostrEvent } from '../../src/ports.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { storedEvent } from '../support/stored-event.js';
import { note, NOW, poolForTest, relayForTest } from './samples.js';

const open = (dir: string, nowSec = NOW) => openLogStore(dir, () => nowSec);
type Store = Awaited<ReturnType<typeof open>>;

const add = (store: Store, event: NostrEvent) => store.add(event, JSON.stringify(event), () => {});
async function all(store: Store): Promise<NostrEvent[]> {
  return Promise.all(store.find({}, Infinity, () => true).map(storedEvent));
}
async function written(dir: string, events: readonly NostrEvent[]): Promise<void> {
  const store = await open(dir);
  await Promise.all(events.map((event) => add(store, event)));
  await store.close();
}
async function reread(dir: string, nowSec = NOW): Promise<NostrEvent[]> {
  const store = await open(dir, nowSec);
  const events = await all(store);
  await store.close();
  return events;
}

const three = [0, 1, 2].map((i) => note('alice', { created_at: NOW - i, content: `☃ ${i}` }));

it('has the same events after a restart', async () => {
  const dir = temporaryFolder();
  await written(dir, three);
  expect(await reread(dir)).toEqual(three);
});

it('has short and long events of one group in order', async () => {
  const dir = temporaryFolder();
  const mixed = [3, 5_000, 3, 3, 70_000, 5_000, 3].map((length, i) =>
    note('alice', { created_at: NOW - i, content: 'x'.repeat(length) }),
  );
  await written(dir, mixed);
  expect(await reread(dir)).toEqual(mixed);
});

it('holds an event in the file before it says so', async () => {
  const dir = temporaryFolder();
  const store = await open(dir);
  await add(store, three[0]!);
  expect(readFileSync(join(dir, 'events.jsonl'), 'utf8')).toBe(`${JSON.stringify(three[0])}\n`);
  await store.close();
});

it('shows an event to queries in the tick of onStored, not before', async () => {
  const store = await open(temporaryFolder());
  const isThere = () => store.find({ ids: [three[0]!.id] }, 1, () => true).length === 1;
  let atStored = false;
  const adding = store.add(three[0]!, JSON.stringify(three[0]), () => (atStored = isThere()));
  expect(isThere()).toBe(false);
  expect(await adding).toBe('new');
  expect(atStored).toBe(true);
  await store.close();
});

it('stores an event that arrives twice at once only once', async () => {
  const dir = temporaryFolder();
  const store = await open(dir);
  expect(await Promise.all([add(store, three[0]!), add(store, three[0]!)])).toEqual(['new', 'duplicate']);
  expect(await all(store)).toEqual([three[0]]);
  await store.close();
  expect(await reread(dir)).toEqual([three[0]]);
});

it('cuts a torn end at every length and goes on', async () => {
  const dir = temporaryFolder();
  const path = join(dir, 'events.jsonl');
  await written(dir, three);
  const full = statSync(path).size;
  const last = Buffer.byteLength(`${JSON.stringify(three[2])}\n`);
  for (const torn of [1, 2, 100, last - 1, last]) {
    truncateSync(path, full - torn);
    expect(await reread(dir)).toEqual(three.slice(0, 2));
    await written(dir, [three[2]!]);
    expect(await reread(dir)).toEqual(three);
    expect(statSync(path).size).toBe(full);
  }
});

it('skips damage in the middle and keeps what follows', async () => {
  const dir = temporaryFolder();
  const path = join(dir, 'events.jsonl');
  await written(dir, three);
  const lines = readFileSync(path, 'utf8').split('\n');
  lines[1] = lines[1]!.replace('☃', '☂');
  writeFileSync(path, lines.join('\n'));
  expect(await reread(dir)).toEqual([three[0], three[2]]);
});

it('starts on a file of zeros, as a crashed file system leaves', async () => {
  const dir = temporaryFolder();
  await written(dir, three);
  appendFileSync(join(dir, 'events.jsonl'), Buffer.alloc(5000));
  expect(await reread(dir)).toEqual(three);
});

it('honours deletions, replacements and expiry after a restart', async () => {
  const dir = temporaryFolder();
  const [old, fresh] = [NOW - 1, NOW].map((created_at) => note('alice', { kind: 10_000, created_at }));
  const deleted = note('bob');
  const deletion = note('bob', { kind: 5, tags: [['e', deleted.id]] });
  const expiring = note('carol', { created_at: NOW - 9, tags: [['expiration', String(NOW + 10)]] });
  await written(dir, [old!, fresh!, deleted, deletion, expiring]);
  expect((await reread(dir)).map(({ id }) => id).sort()).toEqual([fresh!.id, deletion.id, expiring.id].sort());
  const store = await open(dir, NOW + 10);
  expect((await all(store)).map(({ id }) => id)).not.toContain(expiring.id);
  expect(await add(store, deleted)).toBe('deleted');
  expect(await add(store, old!)).toBe('superseded');
  await store.close();
});

it('rewrites a log that is mostly deleted, so that deleted bytes are gone', async () => {
  const dir = temporaryFolder();
  const big = Array.from({ length: 20 }, (_, i) => note('alice', { content: `${i}${'x'.repeat(100_000)}` }));
  const deletion = note('alice', { kind: 5, tags: big.slice(1).map(({ id }) => ['e', id]) });
  await written(dir, [...big, deletion]);
  const before = statSync(join(dir, 'events.jsonl')).size;
  const kept = await reread(dir);
  expect(kept.map(({ id }) => id).sort()).toEqual([big[0]!.id, deletion.id].sort());
  expect(statSync(join(dir, 'events.jsonl')).size).toBeLessThan(before / 10);
  const store = await open(dir);
  expect(await add(store, big[1]!)).toBe('deleted');
  await store.close();
});

it('lets one process use a folder, and takes over from a dead one', async () => {
  const dir = temporaryFolder();
  const first = await open(dir);
  await expect(open(dir)).rejects.toMatchObject({ code: 'home-locked' });
  await first.close();
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  writeFileSync(join(dir, 'lock'), String(dead));
  await (await open(dir)).close();
});

it('serves everything it acknowledged after a restart of the whole relay', async () => {
  const dir = temporaryFolder();
  const first = await relayForTest({ dir });
  const pool = poolForTest([first.url]);
  const events = Array.from({ length: 100 }, (_, i) => note('alice', { created_at: NOW - i, content: `${i}` }));
  const outcomes = await Promise.all(events.map((event) => pool.publish(event)));
  expect(new Set(outcomes.flat().map(({ state }) => state))).toEqual(new Set(['stored']));
  await first.close();
  const second = await relayForTest({ dir, port: first.port });
  expect(second.url).toBe(first.url);
  expect((await pool.fetch([{}])).events).toEqual(events);
});
