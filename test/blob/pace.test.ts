import { describe, expect, it } from 'vitest';
import { uploadBlob } from '../../src/blob/transfer.js';
import { isNmktError } from '../../src/errors.js';
import type { NostrEvent, PublishOutcome, Relays } from '../../src/ports.js';
import { virtualClock, type VirtualClock } from '../support/virtual-clock.js';

/** Relays that count, in virtual time: the lanes wait on the same clock as the relays refill. */

const [A, B] = ['wss://a.example', 'wss://b.example'] as const;
const events = (count: number) => Array.from({ length: count }, (_, at) => ({ id: `${at}` }) as unknown as NostrEvent);
const LIMITED = 'rate-limited: slow down';

interface Counted {
  /** Of each answer, milliseconds from the start. */
  readonly stored: number[];
  readonly refused: number[];
  readonly ids: Set<string>;
}
type Judge = (atMs: number) => string;

/** @param judges  by relay: empty takes the event */
function counting(judges: Readonly<Record<string, Judge>>, clock: VirtualClock, rttMs: number) {
  const startMs = clock.nowMs();
  const counts = new Map(
    Object.keys(judges).map((url): [string, Counted] => [url, { stored: [], refused: [], ids: new Set() }]),
  );
  const relays = {
    urls: Object.keys(judges),
    async publish(event: NostrEvent, to: readonly string[]): Promise<PublishOutcome[]> {
      const relay = to[0]!;
      await clock.wait(rttMs / 2);
      const message = judges[relay]!(clock.nowMs() - startMs);
      await clock.wait(rttMs / 2);
      const count = counts.get(relay)!;
      (message === '' ? count.stored : count.refused).push(clock.nowMs() - startMs);
      if (message === '') count.ids.add(event.id);
      return [{ relay, state: message === '' ? 'stored' : 'refused', message }];
    },
  } as unknown as Relays;
  return { relays, of: (url: string) => counts.get(url)!, elapsedMs: () => clock.nowMs() - startMs };
}

/** So many at once, then so many a second. */
function bucket(perSec: number, atOnce: number): Judge {
  let [tokens, last] = [atOnce, 0];
  return (atMs) => {
    tokens = Math.min(atOnce, tokens + ((atMs - last) * perSec) / 1_000);
    last = atMs;
    if (tokens < 1) return LIMITED;
    tokens--;
    return '';
  };
}
/** So many in each whole minute. */
function byTheMinute(perMinute: number): Judge {
  const taken = new Map<number, number>();
  return (atMs) => {
    const minute = Math.floor(atMs / 60_000);
    const count = taken.get(minute) ?? 0;
    if (count >= perMinute) return LIMITED;
    taken.set(minute, count + 1);
    return '';
  };
}
const always =
  (message: string): Judge =>
  () =>
    message;

describe('an upload to a relay that takes so many events a second', () => {
  it.each([
    { perSec: 50, atOnce: 50, rttMs: 2 },
    { perSec: 50, atOnce: 1, rttMs: 2 },
    { perSec: 50, atOnce: 10, rttMs: 50 },
    { perSec: 300, atOnce: 100, rttMs: 20 },
    { perSec: 5, atOnce: 5, rttMs: 20 },
  ])('finds its pace: $perSec a second, $atOnce at once, $rttMs ms away', async ({ perSec, atOnce, rttMs }) => {
    const clock = virtualClock();
    const { relays, of, elapsedMs } = counting({ [A]: bucket(perSec, atOnce) }, clock, rttMs);
    const count = perSec * 20;
    const told: string[] = [];
    const onLimited = (...words: string[]) => void told.push(words.join(' '));
    const { relays: tallies } = await uploadBlob(relays, events(count), { clock, onLimited });
    expect(told).toEqual([`${A} ${LIMITED}`]);
    expect(tallies[0]).toMatchObject({ stored: count, refused: 0, skipped: 0 });
    expect(of(A).ids.size).toBe(count);
    const late = (times: readonly number[]) => times.filter((at) => at > 1_000).length;
    const [stored, refused] = [late(of(A).stored), late(of(A).refused)];
    const allowed = (perSec * (elapsedMs() - 1_000)) / 1_000;
    expect(stored / allowed).toBeGreaterThanOrEqual(0.8);
    expect(refused / (stored + refused)).toBeLessThanOrEqual(0.1);
  });

  it('gets everything to one that counts by the minute, when there is no other', async () => {
    const clock = virtualClock();
    const { relays, of, elapsedMs } = counting({ [A]: byTheMinute(8) }, clock, 20);
    expect((await uploadBlob(relays, events(30), { clock })).relays[0]).toMatchObject({ stored: 30 });
    expect(elapsedMs()).toBeLessThan(10 * 60_000);
    expect(of(A).refused.length).toBeLessThan(150);
  });

  it.each([
    ['counts by the minute', byTheMinute(8)],
    ['takes one a second', bucket(1, 1)],
  ])('does not wait long for one that %s when another one has everything', async (_, slow) => {
    const clock = virtualClock();
    const { relays, of, elapsedMs } = counting({ [A]: slow, [B]: always('') }, clock, 20);
    const { relays: tallies } = await uploadBlob(relays, events(2_000), { clock });
    expect(tallies[1]).toMatchObject({ relay: B, stored: 2_000 });
    expect(tallies[0]).toMatchObject({ relay: A, message: LIMITED });
    expect(tallies[0]!.stored + tallies[0]!.skipped).toBe(2_000);
    expect(of(A).stored.length).toBe(tallies[0]!.stored);
    expect(tallies[0]!.stored).toBeGreaterThan(0);
    expect(elapsedMs()).toBeLessThan(5 * 60_000);
  });
});

describe('relays that take nothing, ever', () => {
  it.each([
    [LIMITED, 130_000],
    ['auth-required: members only', 1_000],
    ['pow: 28 bits needed. (12)', 1_000],
  ])('with "%s" end the upload in time, with every missing chunk and who was asked', async (message, limitMs) => {
    const clock = virtualClock();
    const { relays, of, elapsedMs } = counting({ [A]: always(message), [B]: always(message) }, clock, 20);
    const error = await uploadBlob(relays, events(30), { clock }).catch((thrown: unknown) => thrown);
    if (!isNmktError(error)) throw error;
    expect(error).toMatchObject({ code: 'relay-refused', exitStatus: 4 });
    expect(error.value).toMatchObject({ events: 30, missing: 30, ranges: [[0, 29]] });
    for (const part of ['missing: 1-30; ', A, B, `(${message})`]) expect(error.got).toContain(part);
    expect(elapsedMs()).toBeLessThanOrEqual(limitMs);
    // Not a storm: a window, and then less and less.
    for (const url of [A, B]) expect(of(url).refused.length).toBeLessThan(150);
  });

  it('names exactly the chunks that are nowhere', async () => {
    const clock = virtualClock();
    const refuses = (numbers: readonly number[]) => new Set(numbers.map(String));
    const no = { [A]: refuses([2, 3, 4, 9]), [B]: refuses([3, 4, 9, 11]) };
    const relays = {
      urls: [A, B],
      publish: async (event: NostrEvent, [relay]: readonly [keyof typeof no]) => [
        no[relay].has(event.id)
          ? { relay, state: 'refused', message: 'invalid: not this one' }
          : { relay, state: 'stored', message: '' },
      ],
    } as unknown as Relays;
    await expect(uploadBlob(relays, events(12), { clock })).rejects.toMatchObject({
      got: expect.stringContaining('missing: 4-5, 10; '),
      value: {
        missing: 3,
        ranges: [
          [3, 4],
          [9, 9],
        ],
      },
    });
  });
});
