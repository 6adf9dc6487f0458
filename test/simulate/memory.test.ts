import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/hash.js';
import type { Filter } from '../../src/ports.js';
import { signEvent } from '../../src/schnorr.js';
import { memoryNetwork } from '../../src/simulate/memory-relays.js';
import { virtualClock } from '../../src/simulate/virtual-clock.js';

const note = (content: string) =>
  signEvent({ kind: 1, created_at: 1_800_000_000, tags: [['p', content]], content }, sha256('key'));

describe('a virtual clock', () => {
  it('stands still while real work is held, and goes on after it', async () => {
    const clock = virtualClock();
    const began = clock.nowMs();
    const order: string[] = [];
    const work = new Promise<void>((done) => setTimeout(done, 20)).then(() => void order.push('work'));
    const waiting = clock.wait(60_000).then(() => void order.push('minute'));
    await clock.hold(work);
    expect(clock.nowMs()).toBe(began);
    await waiting;
    expect(order).toEqual(['work', 'minute']);
    expect(clock.nowMs()).toBe(began + 60_000);
  });

  it('goes on also when the work fails', async () => {
    const clock = virtualClock();
    await expect(clock.hold(Promise.reject(new Error('no')))).rejects.toThrow('no');
    await clock.wait(1_000);
  });
});

describe('a memory network with a latency', () => {
  it('brings what is published meanwhile in one turn, in order, after its time', async () => {
    const clock = virtualClock();
    const network = memoryNetwork(undefined, { wait: (ms) => clock.wait(ms), latencyMs: 100 });
    const [reader, writer] = [network.relays(), network.relays()];
    const heard: [string, number][] = [];
    reader.subscribe([{ kinds: [1] }], ({ content }) => heard.push([content, clock.nowMs() - began]));
    const began = clock.nowMs();
    await writer.publish(note('a'));
    await writer.publish(note('b'));
    expect(heard).toEqual([]);
    await clock.wait(1_000);
    await writer.publish(note('c'));
    await clock.wait(1_000);
    expect(heard).toEqual([
      ['a', 100],
      ['b', 100],
      ['c', 1_100],
    ]);
  });

  it('finds by id and by tag what a scan of all events finds', async () => {
    const relays = memoryNetwork().relays();
    const events = ['a', 'b', 'c', 'a'].map(note);
    for (const event of events) await relays.publish(event);
    const found = async (filter: Filter) => (await relays.fetch([filter])).events.map(({ content }) => content).sort();
    expect(await found({ '#p': ['a', 'c'] })).toEqual(['a', 'c']);
    expect(await found({ ids: [events[1]!.id] })).toEqual(['b']);
    expect(await found({ '#p': ['a'], kinds: [2] })).toEqual([]);
    expect(await found({ kinds: [1] })).toEqual(['a', 'b', 'c']);
  });
});
