import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256, sha256Hex } from '../../src/hash.js';
import { initiate, MIN_MESSAGE_BYTES, reconcile, respond } from '../../src/relay/negentropy.js';
import { MessageWriter, varint } from '../../src/relay/sync-message.js';
import { SyncSet, type SyncItem } from '../../src/relay/sync-set.js';

const UNLIMITED = 1 << 24;
const toHex = (bytes: Buffer | undefined) => bytes?.toString('hex');
const items = (rows: readonly (readonly [number, string])[]): SyncItem[] =>
  rows.map(([created_at, id]) => ({ created_at, id }));

/** Until the one who asks has nothing more to ask. */
function run(client: readonly SyncItem[], server: readonly SyncItem[], [asking, answering] = [UNLIMITED, UNLIMITED]) {
  const [ours, theirs] = [new SyncSet(client), new SyncSet(server)];
  const [have, need] = [new Set<string>(), new Set<string>()];
  let [rounds, bytes] = [0, 0];
  for (let message: Buffer | undefined = initiate(ours); message !== undefined; rounds++) {
    const answer: Buffer = respond(theirs, message, answering);
    if (rounds > 0) expect(message.length).toBeLessThanOrEqual(asking);
    expect(answer.length).toBeLessThanOrEqual(answering);
    bytes += message.length + answer.length;
    const difference = reconcile(ours, answer, asking);
    for (const id of difference.have) have.add(id);
    for (const id of difference.need) need.add(id);
    message = difference.next;
  }
  return { have: [...have].sort(), need: [...need].sort(), rounds, bytes };
}

function difference(a: readonly SyncItem[], b: readonly SyncItem[]): string[] {
  const known = new Set(b.map(({ id }) => id));
  return a.flatMap(({ id }) => (known.has(id) ? [] : [id])).sort();
}

/** Of github.com/hoytech/negentropy, kotlin/src/test: FingerprintTest, NegentropyBasicTest, VarIntTest, MessageBuilderTest. */
describe('the vectors of the reference', () => {
  const three = items([
    [1678011277, 'eb6b05c2e3b008592ac666594d78ed83e7b9ab30f825b9b08878128f7500008c'],
    [1678011278, '39b916432333e069a4386917609215cc688eb99f06fed01aadc29b1b4b92d6f0'],
    [1678011279, 'abc81d58ebe3b9a87100d47f58bf15e9b1cbf62d38623f11d0f0d17179f5f3ba'],
  ]);
  const set = new SyncSet(three.toReversed());

  it('fingerprints', () => {
    expect([1, 2, 3].map((upper) => toHex(set.fingerprint(0, upper)))).toEqual([
      '6d74e1212fcafc8a81d090f0ffbde8b0',
      '96b26d110825d4b1805fc56988a3e65d',
      'c15ce60f185fd24ae341076caa93daa5',
    ]);
  });

  it('the first message, and the answer to another version', () => {
    expect(toHex(initiate(set))).toBe(`6100000203${three.map(({ id }) => id).join('')}`);
    expect(toHex(respond(set, Buffer.from('62aabbccddeeff', 'hex'), UNLIMITED))).toBe('61');
    expect(reconcile(set, initiate(set), UNLIMITED)).toEqual({ have: [], need: [], next: undefined });
  });

  it('numbers', () => {
    const cases: readonly (readonly [number, string])[] = [
      ...([[0, '00'], [1, '01'], [127, '7f'], [128, '8100'], [255, '817f'], [256, '8200']] as const), // prettier-ignore
      ...([[65_535, '83ff7f'], [65_536, '848000'], [65_537, '848001']] as const), // prettier-ignore
    ];
    for (const [value, expected] of cases) expect(toHex(varint(value))).toBe(expected);
  });

  it('bounds: dates as differences', () => {
    const writer = new MessageWriter();
    for (const [time, prefix] of [
      [1678011277, three[0]!.id],
      [1678011278, ''],
      [Infinity, ''],
    ] as const)
      // prettier-ignore
      writer.fingerprint({ time, prefix: Buffer.from(prefix, 'hex') }, Buffer.alloc(16));
    const print = '01' + '00'.repeat(16);
    expect(toHex(writer.end())).toBe(`6186a091d70e20${three[0]!.id}${print}0200${print}0000${print}`);
  });

  it('two sides with six events each that the other lacks', () => {
    const vector = JSON.parse(readFileSync('test/vectors/negentropy.json', 'utf8')) as Record<
      'both' | 'client' | 'server',
      [number, string][]
    > & { asked: string; answered: string };
    const client = new SyncSet(items([...vector.both, ...vector.client]));
    const server = new SyncSet(items([...vector.server, ...vector.both]));
    expect(toHex(initiate(client))).toBe(vector.asked);
    expect(toHex(respond(server, initiate(client), UNLIMITED))).toBe(vector.answered);
    const { have, need, next } = reconcile(client, Buffer.from(vector.answered, 'hex'), UNLIMITED);
    expect(have.toSorted()).toEqual(vector.client.map(([, id]) => id).sort());
    expect(need.toSorted()).toEqual(vector.server.map(([, id]) => id).sort());
    expect(next).toBeUndefined();
    expect(toHex(respond(client, initiate(client), UNLIMITED))).toBe('61');
  });
});

const pool = Array.from({ length: 600 }, (_, n) => ({ id: sha256Hex(`sync ${n}`), created_at: 0 }));

describe('any two sets', () => {
  /**
   * Few dates and shared beginnings of ids, so that bounds have prefixes. The rest of an id stays 48 bits of a hash: NIP-77 tells ranges apart by
   * the sums of their ids, which of mere counters are often equal.
   */
  const sets = fc
    .record({
      dates: fc.constantFrom(1, 2, 50, 4_000_000_000),
      shared: fc.constantFrom('', 'ab', 'ab'.repeat(24)),
      clientShare: fc.integer({ min: 0, max: 4 }),
      serverShare: fc.integer({ min: 0, max: 4 }),
      count: fc.constantFrom(0, 1, 31, 33, 600),
      seed: fc.integer({ min: 0, max: 1_000 }),
      limits: fc.constantFrom([UNLIMITED, UNLIMITED], [MIN_MESSAGE_BYTES, MIN_MESSAGE_BYTES], [UNLIMITED, 5_000]),
    })
    .map(({ dates, shared, clientShare, serverShare, count, seed, limits }) => {
      const all = pool.slice(0, count).map(({ id }, n) => {
        const [date, who] = [parseInt(id.slice(0, 12), 16) % dates, sha256(`${seed} ${n}`)];
        return {
          item: { created_at: date, id: (shared + id).slice(0, 64 - 4) + n.toString(16).padStart(4, '0') },
          who,
        };
      });
      return {
        client: all.flatMap(({ item, who }) => (who[0]! % 5 <= clientShare ? [item] : [])),
        server: all.flatMap(({ item, who }) => (who[1]! % 5 <= serverShare ? [item] : [])),
        limits: limits as [number, number],
      };
    });

  it('reconcile to exactly what one has and what it needs, within the limits of the messages', () => {
    fc.assert(
      fc.property(sets, ({ client, server, limits }) => {
        const { have, need } = run(client, server, limits);
        expect(have).toEqual(difference(client, server));
        expect(need).toEqual(difference(server, client));
      }),
      { numRuns: 100, endOnFailure: true },
    );
  });

  it('of 100,000 that differ in one event: three round trips and 5 kB', () => {
    const all = Array.from({ length: 100_000 }, (_, n) => ({ id: sha256Hex(`large ${n}`), created_at: n }));
    const { have, need, rounds, bytes } = run(all, all.toSpliced(54_321, 1));
    expect({ have, need }).toEqual({ have: [all[54_321]!.id], need: [] });
    expect(rounds).toBeLessThanOrEqual(3);
    expect(bytes).toBeLessThan(5_000);
  });
});

describe('a hostile message', () => {
  const set = new SyncSet(pool);
  const refusals: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['no version', '00'],
    ['an unknown mode', '61000003'],
    ['a leading zero', '6180010000'],
    ['a number of 2^53', '61' + '9080808080808000' + '0000'],
    ['a list longer than the message', '61000002' + 'ffffff7f'],
    ['a prefix above 32 bytes', '610121' + '00'.repeat(40)],
    ['half a fingerprint', '61000001' + '00'.repeat(8)],
    ['bounds that go back', '61' + '0101ff' + '00' + '010101' + '00'],
  ];

  it.each(refusals)('with %s is refused, and never more than refused', (_what, message) => {
    expect(() => respond(set, Buffer.from(message, 'hex'), UNLIMITED)).toThrow(
      expect.objectContaining({ code: 'bad-event' }) as Error,
    );
  });

  it('of thousands of ranges that all differ is answered within the limit', () => {
    const range = '01' + '20' + 'ff'.repeat(32) + '01' + '00'.repeat(16);
    const message = Buffer.from('61' + range.repeat(2_000), 'hex');
    expect(respond(set, message, MIN_MESSAGE_BYTES).length).toBeLessThanOrEqual(MIN_MESSAGE_BYTES);
  });

  it('in another version ends the asking', () => {
    expect(() => reconcile(set, Buffer.of(0x60), UNLIMITED)).toThrow('another version');
  });
});
