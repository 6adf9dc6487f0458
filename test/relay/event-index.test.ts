import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Hex, type EventId } from '../../src/hash.js';
import {
  checkedHash,
  decodeLongBase64,
  eventJson,
  eventTexts,
  isAuthentic,
  isUnescaped,
} from '../../src/relay/event-json.js';
import { EventIndex } from '../../src/relay/event-index.js';
import { kindClass, matcher, newestFirst } from '../../src/relay/filter.js';
import { serialiseEvent } from '../../src/schnorr.js';
import type { Filter, NostrEvent } from '../../src/ports.js';
import { note, pubkeyOf } from './samples.js';

const authors = ['a', 'b', 'c'].map(pubkeyOf);
const events = fc
  .array(
    fc.record({
      pubkey: fc.constantFrom(...authors),
      created_at: fc.integer({ min: 0, max: 5 }),
      kind: fc.constantFrom(1, 2, 4621),
      tags: fc.array(fc.tuple(fc.constantFrom('e', 't', 'long'), fc.constantFrom('x', 'y')), { maxLength: 3 }),
    }),
    { maxLength: 30 },
  )
  .map((list) =>
    list.map((each, i): NostrEvent => ({
      ...each,
      id: sha256Hex(String(i)) as string as EventId,
      content: '',
      sig: '',
    })),
  );
const filters = fc.record(
  {
    authors: fc.subarray(authors),
    kinds: fc.subarray([1, 2, 4621]),
    since: fc.integer({ min: 0, max: 5 }),
    until: fc.integer({ min: 0, max: 5 }),
    '#e': fc.subarray(['x', 'y']),
    '#t': fc.subarray(['x', 'y']),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Filter>;

describe('the index', () => {
  it('finds what a scan of all events finds, newest first, up to the limit', () => {
    fc.assert(
      fc.property(events, filters, fc.integer({ min: 0, max: 10 }), (list, filter, limit) => {
        const index = new EventIndex<number>();
        list.forEach((event, i) => index.add(event, i, 0));
        const expected = list
          .filter(matcher([filter]))
          .sort(newestFirst)
          .slice(0, limit);
        expect(index.find(filter, limit, 0, () => true).map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
      }),
    );
  });

  it('finds the newest of many without keeping the others', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 60 }), (seconds, limit) => {
        const index = new EventIndex<number>();
        const many = Array.from({ length: 900 }, (_, i): NostrEvent => {
          const id = sha256Hex(`${seconds} ${i}`) as string as EventId;
          const created_at = parseInt(id.slice(0, 8), 16) % seconds;
          return { id, created_at, pubkey: authors[i % 3]!, kind: 1, tags: [], content: '', sig: '' };
        });
        many.forEach((event, i) => index.add(event, i, 0));
        for (const filter of [{}, { kinds: [1] }, { authors: [authors[0]!] }, { authors: authors.slice(0, 2) }]) {
          const expected = many.filter(matcher([filter])).sort(newestFirst).slice(0, limit); // prettier-ignore
          expect(index.find(filter, limit, 0, () => true).map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
        }
      }),
      { numRuns: 20 },
    );
  });

  it('holds the same address winner for any order of arrival', () => {
    const versions = [1, 2, 2, 3, 3].map((created_at, i) => note('alice', { kind: 0, created_at, content: String(i) }));
    const winner = versions.toSorted(newestFirst)[0]!.id;
    fc.assert(
      fc.property(fc.shuffledSubarray(versions, { minLength: versions.length }), (order) => {
        const index = new EventIndex<null>();
        for (const event of order) index.add(event, null, 0);
        expect([...index.entries()].map(({ id }) => id)).toEqual([winner]);
      }),
    );
  });

  it('deletes whether the request comes before or after the event', () => {
    const event = note('alice', { content: 'x' });
    const request = note('alice', { kind: 5, tags: [['e', event.id]] });
    for (const order of [
      [event, request],
      [request, event],
    ]) {
      const index = new EventIndex<null>();
      for (const each of order) index.add(each, null, 0);
      expect([...index.entries()].map(({ id }) => id)).toEqual([request.id]);
    }
  });
});

it('classes kinds as NIP-01 does', () => {
  const classes = [0, 1, 3, 4, 1059, 9_999, 10_000, 19_999, 20_000, 29_999, 30_000, 39_999, 40_000].map(kindClass);
  expect(classes).toEqual([
    ...['replaceable', 'regular', 'replaceable', 'regular', 'regular', 'regular', 'replaceable', 'replaceable'],
    ...['ephemeral', 'ephemeral', 'addressable', 'addressable', 'regular'],
  ]);
});

describe('event JSON', () => {
  const content = fc.oneof(fc.string({ unit: 'binary' }), fc.base64String({ maxLength: 4000 }), fc.string());

  it('is what JSON.stringify and NIP-01 say, for any content read from any JSON text', () => {
    fc.assert(
      fc.property(content, fc.array(fc.array(fc.string(), { minLength: 1 })), fc.boolean(), (text, tags, isEscaped) => {
        const event = note('alice', { content: text, tags });
        const json = JSON.stringify(event);
        const received = isEscaped ? json.replace('"kind"', '"k\\u0069nd"') : json;
        const texts = eventTexts(JSON.parse(received) as NostrEvent, isUnescaped(received));
        expect(texts).toEqual({ serialised: serialiseEvent(event), json });
        expect(eventJson(event)).toBe(json);
      }),
    );
  });

  it.each([0, 1, 2])('decodes canonical base64 with %i bytes after the last whole group, and nothing else', (rest) => {
    const bytes = Buffer.from(Array.from({ length: 1_536 + rest }, (_, at) => (at * 89) % 256));
    const text = bytes.toString('base64');
    expect(decodeLongBase64(text)).toEqual(bytes);
    const changed = (at: number, to: string) => text.slice(0, at) + to + text.slice(at + 1);
    for (const to of ['-', '_', '=', ' ', '"', '\\', 'é']) expect(decodeLongBase64(changed(800, to))).toBeUndefined();
    for (const other of [text.slice(4 * 300), text.slice(1), `${text}====`, `${text}AA`])
      expect(decodeLongBase64(other)).toBeUndefined();
    const stray = text.replace(/.(?==+$)/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
    if (rest > 0) expect([Buffer.from(stray, 'base64'), decodeLongBase64(stray)]).toEqual([bytes, undefined]);
  });

  it('takes the short way for a chunk, and finds a changed one', () => {
    const chunk = note('alice', { kind: 4621, content: Buffer.alloc(48_016, 7).toString('base64') });
    expect(eventJson(chunk)).toBe(JSON.stringify(chunk));
    expect(isAuthentic(chunk, true)).toBe(true);
    const changed = { ...chunk, content: `A${chunk.content.slice(1)}` };
    expect(checkedHash(changed, true)).toBeUndefined();
    expect(isAuthentic({ ...chunk, sig: note('bob').sig }, true)).toBe(false);
    for (const trick of ['"', '\\', '\n', '-_', ' '.repeat(4)]) {
      const hidden = { ...chunk, content: chunk.content.slice(0, -trick.length) + trick };
      expect(eventJson(hidden)).toBe(JSON.stringify(hidden));
    }
  });
});
