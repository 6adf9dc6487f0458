import { describe, expect, it, onTestFinished } from 'vitest';
import { connectRelays } from '../../src/relay/pool.js';
import { startFaultyRelay, type FaultyRelay } from '../support/faults/faulty-relay.js';
import { relayFaults, silentRelay, type RelayFault } from '../support/faults/relay-faults.js';
import { note, NOW, relayForTest } from './samples.js';

/** The pool over real sockets, with relays that are silent, slow, forgetful, lying or closing. */

const TIMEOUT_MS = 400;

async function faulty(fault: RelayFault): Promise<FaultyRelay> {
  const relay = await startFaultyRelay(fault);
  onTestFinished(() => relay.close());
  return relay;
}

function pool(urls: readonly string[], timeoutMs = TIMEOUT_MS) {
  const relays = connectRelays(urls, { timeoutMs });
  onTestFinished(() => relays.close());
  return relays;
}

/** Slow ones are too slow for a client in a hurry. */
const sorts = Object.entries(relayFaults);
const events = Array.from({ length: 8 }, (_, i) => note('alice', { content: `event ${i}`, created_at: NOW + i }));

describe.each(sorts)('a relay of the sort %s', (name, fault) => {
  it('beside a good one: every event is stored and read back, and nothing else', async () => {
    const [good, bad] = [await relayForTest(), await faulty(fault)];
    const relays = pool([good.url, bad.url]);
    for (const event of events) {
      const outcomes = await relays.publish(event);
      expect(outcomes.find(({ relay }) => relay === good.url)?.state).toBe('stored');
    }
    const found = await relays.fetch([{ kinds: [1] }]);
    expect([...found.events].sort((a, b) => a.created_at - b.created_at)).toEqual(events);
    expect(found.answered).toContain(good.url);
    expect(found.silent.concat(found.answered).sort()).toEqual([good.url, bad.url].sort());
  });

  it('alone: what it says counts for no more than it shows', async () => {
    const bad = await faulty(fault);
    const relays = pool([bad.url]);
    const outcomes = [];
    for (const event of events) outcomes.push((await relays.publish(event))[0]!.state);
    const found = await relays.fetch([{ kinds: [1] }]);
    const ids = new Set(events.map(({ id }) => id));
    expect(found.events.every((event) => ids.has(event.id) && events.some(({ sig }) => sig === event.sig))).toBe(true);
    const isMute = ['silent', 'slow', 'closes sockets'].includes(name);
    expect(new Set(outcomes)).toEqual(new Set([isMute ? 'unreachable' : 'stored']));
    const endsWithoutEose = isMute || ['CLOSED messages', 'hangs up in the middle of a message'].includes(name);
    expect(found.answered).toEqual(endsWithoutEose ? [] : [bad.url]);
    expect(found.events.length).toBeLessThan(events.length);
  });
});

it('a silent relay costs its full time once, and gets it again after it was heard', async () => {
  let isSilent = true;
  const bad = await faulty({
    ...silentRelay,
    take: () => ({ keep: false, say: isSilent ? 'nothing' : 'ok' }),
  });
  const relays = pool([bad.url], 1_000);
  const lengthOf = async (index: number): Promise<[string, number]> => {
    const start = performance.now();
    const [outcome] = await relays.publish(events[index]!);
    return [outcome!.state, performance.now() - start];
  };
  const [first, firstMs] = await lengthOf(0);
  const [second, secondMs] = await lengthOf(1);
  isSilent = false;
  const [third] = await lengthOf(2);
  isSilent = true;
  const [fourth, fourthMs] = await lengthOf(3);
  expect([first, second, third, fourth]).toEqual(['unreachable', 'unreachable', 'stored', 'unreachable']);
  expect(firstMs).toBeGreaterThanOrEqual(999);
  expect(secondMs).toBeLessThan(700);
  expect(fourthMs).toBeGreaterThanOrEqual(999);
});
