import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sealBlob } from '../../src/blob/blob.js';
import { joinSources, keepRecent, sourceOf } from '../../src/blob/source.js';
import { uploadBlob } from '../../src/blob/transfer.js';
import { openUploadLog, type UploadRecord } from '../../src/blob/upload-log.js';
import type { NostrEvent, Relays } from '../../src/ports.js';
import { memoryJournal } from '../support/memory-journal.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { OPTIONS, noise } from './samples.js';

const URLS = ['wss://a.example', 'wss://b.example'] as const;
const events = sealBlob(noise(9_000_000), OPTIONS).events; // 188 of data, one index

function memory() {
  const records: UploadRecord[] = [];
  return { journal: memoryJournal(records), records };
}

/** Relays that count what is sent, and stop after `limit`. */
function counting(network: ReturnType<typeof memoryNetwork>, limit = Infinity) {
  const relays = network.relays();
  const sent: string[] = [];
  const stop = new AbortController();
  const counted: Relays = {
    ...relays,
    urls: relays.urls,
    publish: async (event, to) => {
      sent.push(`${event.id} ${to![0]!}`);
      if (sent.length >= limit) stop.abort();
      return relays.publish(event, to);
    },
  };
  return { relays: counted, sent, signal: stop.signal };
}

describe('the log of an upload', () => {
  test('remembers per relay, over a restart', async () => {
    const { journal, records } = memory();
    const log = await openUploadLog(journal, 200);
    for (let index = 0; index < 130; index++) log.add('wss://a.example', index);
    for (const index of [7, 9, 8, 3]) log.add('wss://b.example', index);
    await log.flush();
    // The first is written at once, what came while the disk was busy in one record per relay.
    expect(records).toEqual([
      { relay: 'wss://a.example', stored: [[0, 0]] },
      { relay: 'wss://a.example', stored: [[1, 129]] },
      { relay: 'wss://b.example', stored: [[3, 3], [7, 9]] }, // prettier-ignore
    ]);
    const again = await openUploadLog(journal, 200);
    expect([again.has('wss://a.example', 129), again.has('wss://a.example', 130)]).toEqual([true, false]);
    expect([again.has('wss://b.example', 8), again.has('wss://b.example', 4)]).toEqual([true, false]);
    expect(again.has('wss://c.example', 0)).toBe(false);
    again.add('wss://a.example', 150);
    await again.forget('wss://a.example');
    again.add('wss://a.example', 7);
    await again.flush();
    const third = await openUploadLog(journal, 200);
    expect([6, 7, 8, 150].map((index) => third.has('wss://a.example', index))).toEqual([false, true, false, false]);
    expect(third.has('wss://b.example', 8)).toBe(true);
  });

  test('keeps what comes while it finishes writing', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const { journal, records } = memory();
      const log = await openUploadLog(journal, 200);
      log.add(URLS[0], 3);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      log.add(URLS[0], 9);
      await log.flush();
      expect(
        records.flatMap(({ stored }) => stored).map(([from]) => from),
        `after ${turns} turns`,
      ).toEqual([3, 9]);
    }
  });

  test('says when the disk takes no more', async () => {
    const full = { ...memoryJournal<UploadRecord>(), append: () => Promise.reject(new Error('ENOSPC')) };
    const log = await openUploadLog(full, 10);
    log.add('wss://a.example', 1);
    await expect(log.flush()).rejects.toThrow('ENOSPC');
    await expect(uploadBlob(memoryNetwork(URLS).relays(), events.slice(0, 3), { log })).rejects.toThrow('ENOSPC');
  });

  test.each<readonly [string, unknown]>([
    ['of a longer upload', { relay: 'wss://a.example', stored: [[0, 200]] }],
    ['backwards', { relay: 'wss://a.example', stored: [[5, 4]] }],
    ['of no numbers', { relay: 'wss://a.example', stored: [['0', '1']] }],
    ['without a relay', { stored: [[0, 1]] }],
  ])('refuses a record %s', async (_, record) => {
    const { journal, records } = memory();
    records.push(record as UploadRecord);
    await expect(openUploadLog(journal, 200)).rejects.toThrow(expect.objectContaining({ code: 'bad-journal' }));
  });

  test('lets an upload that was killed anywhere go on without sending twice what is known as stored', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 370 }), async (limit) => {
        const network = memoryNetwork(URLS);
        const { journal } = memory();
        const first = counting(network, limit);
        const before = await openUploadLog(journal, events.length);
        const options = { log: before, signal: first.signal };
        await uploadBlob(first.relays, events, options).catch(() => undefined);
        const second = counting(network);
        const result = await uploadBlob(second.relays, events, { log: await openUploadLog(journal, events.length) });
        expect(result.relays.map(({ stored }) => stored)).toEqual([events.length, events.length]);
        expect(first.sent.length + second.sent.length).toBeLessThanOrEqual(2 * events.length + 2 * 256);
        const known = first.sent.filter((one) => !second.sent.includes(one));
        expect(known.length + second.sent.length).toBe(2 * events.length);
      }),
      { numRuns: 12 },
    );
  });
});

describe('a source of chunks', () => {
  test('joins blobs, empty ones too, in order', async () => {
    const parts = [[], events.slice(0, 2), [], events.slice(2, 3), []].map((part) => sourceOf(part));
    const joined = joinSources(parts);
    expect(joined.count).toBe(3);
    for (let index = 0; index < 3; index++) expect(await joined.event(index)).toBe(events[index]);
  });

  test('makes a chunk once for relays that keep step, and again for one that lags', async () => {
    const made: number[] = [];
    const source = keepRecent({ count: 10, event: (index) => (made.push(index), events[index]!) }, 4);
    for (let index = 0; index < 6; index++) await source.event(index);
    for (let index = 2; index < 6; index++) expect(await source.event(index)).toBe(events[index]);
    expect(made).toEqual([0, 1, 2, 3, 4, 5]);
    await source.event(0);
    expect(made.at(-1)).toBe(0);
  });

  test('is asked only for what is about to be sent', async () => {
    let ahead = 0;
    let answered = 0;
    const network = memoryNetwork([URLS[0]]);
    const relays = network.relays();
    const slow: Relays = {
      ...relays,
      urls: [URLS[0]],
      publish: async (event: NostrEvent, to) => {
        await new Promise(setImmediate);
        answered++;
        return relays.publish(event, to);
      },
    };
    let most = 0;
    const source = {
      count: events.length,
      event: (index: number) => {
        ahead++;
        most = Math.max(most, ahead - answered);
        return events[index]!;
      },
    };
    await uploadBlob(slow, source, { window: { first: 16, min: 8, max: 16 } });
    expect(most).toBeLessThanOrEqual(16);
  });
});
