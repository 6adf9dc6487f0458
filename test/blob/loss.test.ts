import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sealBlob } from '../../src/blob/blob.js';
import { downloadBlob, MissingChunks, uploadBlob, verifyStored } from '../../src/blob/transfer.js';
import { isNmktError } from '../../src/errors.js';
import { sha256 } from '../../src/hash.js';
import type { NostrEvent, Relays } from '../../src/ports.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { relayFaults, type Answering, type RelayFault, type Taking } from '../support/faults/relay-faults.js';
import { virtualClock } from '../support/virtual-clock.js';
import { KEY, OPTIONS, noise } from './samples.js';

/** Two mirrors, one or both of which fail in every way: the blob arrives whole, or the error says what is missing. */

const [A, B] = ['wss://a.example', 'wss://b.example'] as const;
const PLAIN = noise(1_000_000);
const { events, pointer } = sealBlob(PLAIN, OPTIONS); // 21 of data, one index
const READ = { key: KEY, context: OPTIONS.context, part: OPTIONS.part, maxBytes: PLAIN.length };

const download = (relays: Relays) => downloadBlob(relays, pointer, { ...READ, stealAfterMs: 1 });
const isWhole = (bytes: Uint8Array) => Buffer.compare(bytes, PLAIN) === 0;

describe.each(Object.entries(relayFaults))('a relay that is "%s"', (_, fault) => {
  test('does not keep a blob from the other mirror', async () => {
    const network = memoryNetwork([A, B]);
    network.setFault(A, fault);
    const result = await uploadBlob(network.relays(), events);
    expect(result.relays[1]).toMatchObject({ relay: B, stored: events.length });
    expect(isWhole(await download(network.relays()))).toBe(true);
  });

  test('that became so after the upload does not keep a reader from it', async () => {
    const network = memoryNetwork([A, B]);
    await uploadBlob(network.relays(), events);
    network.setFault(A, fault);
    expect(isWhole(await download(network.relays()))).toBe(true);
  });

  test('is told from one that has everything by a read-back', async () => {
    const network = memoryNetwork([A, B]);
    network.setFault(A, fault);
    await uploadBlob(network.relays(), events);
    const [a, b] = await verifyStored(network.relays(), events);
    expect(b).toMatchObject({ hasAnswered: true, found: events.length });
    const isSlowOnly = fault === relayFaults['slow'];
    expect(a!.found === events.length).toBe(isSlowOnly);
  });

  test('alone ends in the blob, or in what is missing and who was asked', async () => {
    const network = memoryNetwork([A]);
    const uploaded = await uploadBlob(network.relays(), events).catch((error: unknown) => error);
    network.setFault(A, fault);
    const got = await download(network.relays()).catch((error: unknown) => error);
    if (got instanceof Uint8Array) expect(isWhole(got)).toBe(true);
    else expect(got).toBeInstanceOf(MissingChunks);
    if (got instanceof MissingChunks)
      expect(got.got).toMatch(/missing: [\d, ]+.*(answered|silent): .*wss:\/\/a\.example/);
    expect(uploaded).toMatchObject({ events: events.length });
  });
});

/** A relay that misbehaves by chance, the same chance for one seed. */
function randomFault(seed: number, badness: number): RelayFault {
  let drawn = 0;
  const chance = (): number => sha256(`${seed} ${drawn++}`)[0]! / 256;
  const take = (): Taking => {
    const luck = chance();
    if (luck < badness / 3) return { keep: false, say: 'ok' };
    if (luck < (2 * badness) / 3) return { keep: chance() < 0.5, say: 'nothing' };
    return luck < badness ? { keep: false, say: 'drop' } : { keep: true, say: 'ok' };
  };
  const answer = (_: unknown, found: readonly NostrEvent[], stored: readonly NostrEvent[]): Answering => {
    const changed = found.flatMap((event): unknown[] => {
      const luck = chance();
      if (luck >= badness) return chance() < badness ? [event, event] : [event];
      if (luck < badness / 4) return []; // lost
      if (luck < badness / 2) return [{ ...event, content: event.content.slice(0, -4) }]; // cut short
      if (luck < (3 * badness) / 4) return [stored[Math.floor(chance() * stored.length)]]; // another one
      return [{ ...event, content: event.content.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')) }];
    });
    const shuffled = changed.map((event) => ({ event, at: chance() })).sort((a, b) => a.at - b.at);
    const ends = ['eose', 'eose-first', 'drop', 'closed', 'nothing', 'half'] as const;
    const end = chance() < badness ? ends[Math.floor(chance() * ends.length)]! : 'eose';
    return { events: shuffled.map(({ event }) => event), end };
  };
  return { take, answer, passesOn: true };
}

describe('relays that fail by chance', () => {
  test('never give a wrong byte: the blob is whole, or the error names the chunks', async () => {
    const [outcomes, code] = [{ whole: 0, missing: 0 }, 'relay-unreachable'];
    await fc.assert(
      fc.asyncProperty(fc.nat(1_000_000), fc.nat(1_000_000), fc.constantFrom(0.05, 0.2, 0.5), async (a, b, badness) => {
        const network = memoryNetwork([A, B]);
        network.setFault(A, randomFault(a, badness));
        network.setFault(B, randomFault(b, badness));
        const uploaded = await uploadBlob(network.relays(), events).catch((error: unknown) => error);
        if (isNmktError(uploaded)) {
          expect(uploaded.code).toBe(code);
          return;
        }
        const got = await download(network.relays()).catch((error: unknown) => error);
        if (got instanceof Uint8Array) {
          outcomes.whole++;
          expect(isWhole(got)).toBe(true);
        } else {
          outcomes.missing++;
          expect(got).toBeInstanceOf(MissingChunks);
          expect((got as MissingChunks).got).toMatch(/missing: \d/);
        }
      }),
      { numRuns: 60, seed: 20261126 },
    );
    expect(outcomes.whole).toBeGreaterThan(5);
    expect(outcomes.missing).toBeGreaterThan(5);
  });

  test.each(['rate-limited: slow down', 'auth-required: who are you', 'pow: 28 bits needed'])(
    'a mirror that answers "%s" to everything costs nothing but itself',
    async (message) => {
      const network = memoryNetwork([A, B]);
      const relays = network.relays();
      let refused = 0;
      const strict: Relays = {
        ...relays,
        urls: relays.urls,
        publish: async (event, to) => {
          if (to![0] !== A) return relays.publish(event, to);
          refused++;
          await new Promise(setImmediate);
          return [{ relay: A, state: 'refused', message, postponed: 4 }];
        },
        fetch: (filters, options) => relays.fetch(filters, options),
      };
      const result = await uploadBlob(strict, events, { window: { first: 4, min: 2, max: 4 }, clock: virtualClock() });
      expect(result.relays[0]).toMatchObject({ stored: 0, message });
      // What is put off is tried again, ever more rarely, for half a minute.
      expect(refused).toBeLessThanOrEqual(message.startsWith('rate-limited:') ? 40 : 12);
      expect(isWhole(await download(relays))).toBe(true);
    },
  );

  test('a relay that keeps a batch to itself is not waited for', async () => {
    const network = memoryNetwork([A, B]);
    const relays = network.relays();
    await uploadBlob(relays, events);
    const asked: string[] = [];
    const stuck: Relays = {
      ...relays,
      urls: relays.urls,
      fetch: (filters, options) => {
        const relay = options!.relays![0]!;
        asked.push(relay);
        return relay === A ? new Promise(() => {}) : relays.fetch(filters, options);
      },
    };
    expect(isWhole(await download(stuck))).toBe(true);
    expect(asked).toContain(A);
  });
});
