import { describe, expect, test } from 'vitest';
import { sha256, type EventId } from '../../src/hash.js';
import { fetchFromAll } from '../../src/blob/fetch-lanes.js';
import { holdersOf, placement, type Place } from '../../src/blob/placement.js';
import type { Filter } from '../../src/ports.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { signEvent } from '../../src/schnorr.js';

const relays = (count: number) => Array.from({ length: count }, (_, at) => `wss://relay-${at}.example/`);
const context = sha256('context');
const place = (index: number, part = 0): Place => ({ context, part, index });

describe('placement', () => {
  test('vectors: SHA-256("nmkt/1/place" || context || u32 part || u32 index || url), the highest first', () => {
    expect(
      [0, 1, 2, 3, 4].map((index) => holdersOf(relays(4), place(index, 7), 2).map((url) => url.slice(12, 13))),
    ).toEqual(VECTORS);
  });

  test('does not depend on the order of the relays, and all hold all where there are no more than copies', () => {
    const urls = relays(5);
    for (let index = 0; index < 50; index++)
      expect(holdersOf(urls.toReversed(), place(index), 3)).toEqual(holdersOf(urls, place(index), 3));
    expect(holdersOf(urls, place(0), 5)).toEqual(urls);
    expect(placement(urls, 5, place)).toBeUndefined();
    expect(placement(urls, undefined, place)).toBeUndefined();
  });

  test.each([
    [3, 2],
    [5, 1],
    [8, 3],
  ])('of %i relays each holds its share of %i copies within 10 %%', (count, copies) => {
    const held = new Map(relays(count).map((url) => [url, 0]));
    const chunks = 4_000;
    for (let index = 0; index < chunks; index++)
      for (const url of holdersOf(relays(count), place(index), copies)) held.set(url, held.get(url)! + 1);
    const share = (chunks * copies) / count;
    for (const amount of held.values()) expect(Math.abs(amount - share)).toBeLessThan(share / 10);
  });

  test('a relay that goes moves its chunks alone, each to one other relay', () => {
    const [all, fewer] = [relays(5), relays(5).filter((_, at) => at !== 2)];
    let moved = 0;
    for (let index = 0; index < 500; index++) {
      const [before, after] = [holdersOf(all, place(index), 2), holdersOf(fewer, place(index), 2)];
      expect(after.filter((url) => before.includes(url))).toEqual(before.filter((url) => url !== all[2]));
      if (before.includes(all[2]!)) moved++;
    }
    expect(moved).toBeGreaterThan(150);
  });
});

/** Made by another program, from the formula alone. */
const VECTORS = [
  ['1', '2'],
  ['0', '1'],
  ['1', '2'],
  ['1', '2'],
  ['2', '0'],
];

describe('fetching what not every relay holds', () => {
  const urls = ['wss://a.example', 'wss://b.example', 'wss://c.example'];
  const events = Array.from({ length: 30 }, (_, at) =>
    signEvent({ kind: 4621, created_at: at, tags: [], content: `${at}` }, sha256('upload')),
  );
  const ids = events.map(({ id }) => id);
  const holds = placement(urls, 2, place)!;

  async function fetched(silent: readonly string[], isPlaced = true) {
    const network = memoryNetwork(urls);
    const writer = network.relays();
    for (const [at, event] of events.entries())
      await writer.publish(
        event,
        urls.filter((url) => holds(url, at)),
      );
    for (const url of silent) network.setDown(url, true);
    const asked = new Map<string, EventId[]>(urls.map((url) => [url, []]));
    const relays = network.relays();
    const spied = {
      urls,
      fetch: ((filters, options) => {
        asked.get(options!.relays![0]!)!.push(...(filters[0]!.ids as EventId[]));
        return relays.fetch(filters, options);
      }) as typeof relays.fetch,
    };
    const result = await fetchFromAll({ ...relays, ...spied }, ids, [...ids.keys()], {
      take: () => true,
      signal: undefined,
      ...(isPlaced && { holds }),
    });
    return { ...result, asked };
  }

  test('asks nobody for what it should not have while all is well', async () => {
    const { missing, asked } = await fetched([]);
    expect(missing).toEqual([]);
    for (const url of urls) expect(asked.get(url)!.filter((id) => !holds(url, ids.indexOf(id)))).toEqual([]);
    expect([...asked.values()].flat().length).toBe(ids.length);
  });

  test('has all with one relay lost, and names what two lost ones alone had', async () => {
    for (const lost of urls) expect((await fetched([lost])).missing).toEqual([]);
    const left = urls[2]!;
    const { missing, answered, silent } = await fetched(urls.slice(0, 2));
    expect(missing).toEqual([...ids.keys()].filter((index) => !holds(left, index)));
    expect(missing.length).toBeGreaterThan(3);
    expect([[...answered], [...silent].sort()]).toEqual([[left], urls.slice(0, 2)]);
  });

  test('what a silent holder was not even asked for is asked of the others', async () => {
    const many = Array.from({ length: 700 }, (_, at) => `${at}` as EventId);
    const relays = {
      ...memoryNetwork(urls.slice(0, 2)).relays(),
      urls: urls.slice(0, 2),
      fetch: async (filters: readonly Filter[], options?: { readonly relays?: readonly string[] }) => {
        const isSilent = options!.relays![0] === urls[0];
        const found = filters[0]!.ids!.map((id) => ({ ...events[0]!, id: id as EventId }));
        return {
          events: isSilent ? [] : found,
          answered: isSilent ? [] : [urls[1]!],
          silent: isSilent ? [urls[0]!] : [],
        };
      },
    };
    const options = { take: () => true, signal: undefined, holds: (url: string) => url === urls[0] };
    const { missing } = await fetchFromAll(relays, many, [...many.keys()], options);
    expect(missing).toEqual([]);
  });

  test('finds what lies elsewhere: readers may know other relays than the writer', async () => {
    const network = memoryNetwork(urls);
    for (const [at, event] of events.entries())
      await network.relays().publish(event, [urls.find((url) => !holds(url, at))!]);
    const { missing } = await fetchFromAll(network.relays(), ids, [...ids.keys()], {
      take: () => true,
      signal: undefined,
      holds,
    });
    expect(missing).toEqual([]);
  });
});
