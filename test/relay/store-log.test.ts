import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { newestFirst } from '../../src/relay/filter.js';
import { openLogStore } from '../../src/relay/store-log.js';
import type { NostrEvent } from '../../src/ports.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { storedEvent } from '../support/stored-event.js';
import { note, NOW, poolForTest, pubkeyOf, relayForTest } from './samples.js';

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

describe('a log in use', () => {
  const SMALL = 100_000;
  const openSmall = (dir: string, nowSec: () => number) => openLogStore(dir, nowSec, undefined, undefined, SMALL);
  const sizeOf = (dir: string) => statSync(join(dir, 'events.jsonl')).size;
  const big = Array.from({ length: 40 }, (_, i) =>
    note(i % 2 ? 'alice' : 'bob', {
      created_at: NOW - 40 + i,
      content: `${i}${'x'.repeat(10_000)}`,
      tags: i >= 30 ? [] : [['expiration', String(NOW + 5)]],
    }),
  );

  it('shrinks when most of it has expired, while events go on arriving and being read', async () => {
    const dir = temporaryFolder();
    let now = NOW;
    const store = await openSmall(dir, () => now);
    for (const event of big) await add(store, event);
    await store.tend();
    expect(sizeOf(dir)).toBeGreaterThan(400_000);
    const [before] = store.find({ ids: [big[35]!.id] }, 1, () => true);
    const [gone] = store.find({ ids: [big[3]!.id] }, 1, () => true);
    now = NOW + 5;
    const tending = store.tend();
    const meanwhile = storedEvent(before!);
    await Promise.all([...three.map((event) => add(store, event)), tending]);
    expect(await meanwhile).toEqual(big[35]);
    expect(await storedEvent(before!)).toEqual(big[35]);
    expect(await gone!.message(Buffer.from('['))).toBeUndefined();
    expect(sizeOf(dir)).toBeLessThan(120_000);
    const later = note('carol');
    await add(store, later);
    const kept = [...big.slice(30), ...three, later].sort(newestFirst);
    expect(await all(store)).toEqual(kept);
    await store.close();
    expect(await reread(dir, now)).toEqual(kept);
    expect(readdirSync(dir)).toEqual(['events.jsonl']);
  });

  it('shrinks as often as it has to, and for keys that vanish every ten minutes', async () => {
    const dir = temporaryFolder();
    let now = NOW;
    const store = await openSmall(dir, () => now);
    for (let time = 0; time < 3; time++) {
      const expiring = Array.from({ length: 15 }, (_, i) => note('alice', { content: `${time} ${i}${'x'.repeat(10_000)}`, tags: [['expiration', String(now + 5)]] })); // prettier-ignore
      for (const event of expiring) await add(store, event);
      now += 5;
      await store.tend();
      expect(sizeOf(dir)).toBe(0);
    }
    const vanishing = async (name: string) => {
      await add(store, note(name, { created_at: NOW - 9, content: 'secret' }));
      await add(store, note(name, { kind: 62, tags: [['relay', 'ALL_RELAYS']] }));
      await store.tend();
      return readFileSync(join(dir, 'events.jsonl'), 'utf8').includes('secret');
    };
    now += 600;
    expect(await vanishing('alice')).toBe(false);
    expect(await vanishing('bob')).toBe(true);
    now += 600;
    expect(await vanishing('carol')).toBe(false);
    await store.close();
  });

  it('does not bring back, at the next start, what an expired event had replaced', async () => {
    const dir = temporaryFolder();
    const old = note('alice', { kind: 10_000, created_at: NOW - 1 });
    const expiring = note('alice', { kind: 10_000, tags: [['expiration', String(NOW + 5)]] });
    await written(dir, [old, expiring]);
    expect(await reread(dir, NOW + 5)).toEqual([]);
  });

  it('loses every byte of a key that asks to vanish, whatever the size, its requests too', async () => {
    const dir = temporaryFolder();
    const store = await openSmall(dir, () => NOW);
    const wrap = note('one-time', { kind: 1059, content: 'for alice', tags: [['p', pubkeyOf('alice')]] });
    const older = note('alice', { kind: 62, created_at: NOW - 9, tags: [['relay', 'ALL_RELAYS']] });
    const mine = note('alice', { content: 'to be forgotten', created_at: NOW - 5 });
    const deletion = note('alice', { kind: 5, created_at: NOW - 1, tags: [['e', three[1]!.id]] });
    const theirs = note('bob', { content: 'about alice', tags: [['p', pubkeyOf('alice')]] });
    const vanish = note('alice', { kind: 62, created_at: NOW, tags: [['relay', 'ALL_RELAYS']] });
    const after = note('alice', { content: 'again', created_at: NOW + 1 });
    for (const event of [older, mine, wrap, deletion, theirs, vanish, after])
      expect(await add(store, event)).toBe('new');
    const left = [after, theirs, vanish].sort(newestFirst);
    expect(await all(store)).toEqual(left);
    await store.tend();
    expect(readFileSync(join(dir, 'events.jsonl'), 'utf8')).not.toMatch(/to be forgotten|for alice/);
    const again = async (into: Store) => Promise.all([mine, wrap, deletion, older].map((event) => add(into, event)));
    const answers = ['deleted', 'deleted', 'deleted', 'superseded'];
    expect(await again(store)).toEqual(answers);
    await store.close();
    const next = await open(dir);
    expect(await again(next)).toEqual(answers);
    expect(await all(next)).toEqual(left);
    await next.close();
  });

  it('starts on what was killed while it was rewritten, and on a request to vanish that was not yet acted on', async () => {
    const dir = temporaryFolder();
    await written(dir, [
      note('alice', { content: 'secret' }),
      note('alice', { kind: 62, tags: [['relay', 'ALL_RELAYS']] }),
    ]);
    writeFileSync(join(dir, 'events.jsonl.new'), 'half');
    expect(await reread(dir)).toHaveLength(1);
    expect(readFileSync(join(dir, 'events.jsonl'), 'utf8')).not.toContain('secret');
    expect(readdirSync(dir)).toEqual(['events.jsonl']);
  });
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
