import { describe, expect, it, onTestFinished } from 'vitest';
import type { Filter, NostrEvent, Relays } from '../../src/ports.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { connectRelays } from '../../src/relay/pool.js';
import { fastClock, note, NOW, pubkeyOf, relayForTest, signerOf } from './samples.js';

/** What every implementation of the Relays port does; `client()` makes one more client of the same relays. */
type Setup = () => Promise<{ readonly client: () => Relays }>;

const setups: Record<string, Setup> = {
  'memory relays': async () => {
    const network = memoryNetwork();
    return { client: () => network.relays() };
  },
  'the pool with the embedded relay': async () => {
    const relay = await relayForTest();
    return {
      client: () => {
        const pool = connectRelays([relay.url], { clock: fastClock, signer: signerOf('alice') });
        onTestFinished(() => pool.close());
        return pool;
      },
    };
  },
};

/** Collects what a subscription delivers and waits for a number of events. */
function collector() {
  const events: NostrEvent[] = [];
  let wake = () => {};
  return {
    events,
    onEvent: (event: NostrEvent) => {
      events.push(event);
      wake();
    },
    until: async (count: number) => {
      while (events.length < count) await new Promise<void>((resolve) => (wake = resolve));
      return events;
    },
  };
}

describe.each(Object.entries(setups))('%s', (_name, setup) => {
  it('gives a published event to another client, unchanged', async () => {
    const { client } = await setup();
    const event = note('alice', {
      content: 'quote " backslash \\ newline \n nul \u0000 snowman ☃',
      tags: [['t', 'x']],
    });
    const [writer, reader] = [client(), client()];
    const outcomes = await writer.publish(event);
    expect(outcomes).toMatchObject([{ relay: writer.urls[0], state: 'stored' }]);
    const { events, answered, silent } = await reader.fetch([{ ids: [event.id] }]);
    expect(events).toEqual([event]);
    expect([answered, silent]).toEqual([reader.urls, []]);
  });

  it('says stored for a duplicate', async () => {
    const relays = (await setup()).client();
    const event = note('alice');
    await relays.publish(event);
    expect(await relays.publish(event)).toMatchObject([{ state: 'stored' }]);
    expect((await relays.fetch([{}])).events).toHaveLength(1);
  });

  it('refuses an event whose signature is of another', async () => {
    const relays = (await setup()).client();
    const forged = { ...note('alice'), sig: note('bob').sig };
    expect(await relays.publish(forged)).toMatchObject([{ state: 'refused' }]);
    expect((await relays.fetch([{}])).events).toEqual([]);
  });

  it('selects by ids, authors, kinds, tags, since and until', async () => {
    const relays = (await setup()).client();
    const a = note('alice', { kind: 1, created_at: NOW - 30, tags: [['t', 'one']] });
    const b = note('bob', {
      kind: 2,
      created_at: NOW - 20,
      tags: [
        ['t', 'two', 'ignored'],
        ['p', pubkeyOf('alice')],
      ],
    });
    const c = note('bob', {
      kind: 1,
      created_at: NOW - 10,
      tags: [
        ['t', 'two'],
        ['e', a.id],
      ],
    });
    for (const event of [a, b, c]) await relays.publish(event);
    const found = async (filter: Filter) => (await relays.fetch([filter])).events;
    expect(await found({})).toEqual([c, b, a]);
    expect(await found({ ids: [a.id, c.id] })).toEqual([c, a]);
    expect(await found({ authors: [b.pubkey] })).toEqual([c, b]);
    expect(await found({ kinds: [1] })).toEqual([c, a]);
    expect(await found({ '#t': ['two'] })).toEqual([c, b]);
    expect(await found({ '#t': ['ignored'] })).toEqual([]);
    expect(await found({ '#e': [a.id] })).toEqual([c]);
    expect(await found({ '#p': [a.pubkey], kinds: [2] })).toEqual([b]);
    expect(await found({ since: NOW - 20 })).toEqual([c, b]);
    expect(await found({ until: NOW - 20 })).toEqual([b, a]);
    expect(await found({ limit: 2 })).toEqual([c, b]);
    expect(await found({ authors: [b.pubkey], limit: 1 })).toEqual([c]);
    expect((await relays.fetch([{ ids: [a.id] }, { kinds: [2] }, { kinds: [2], limit: 1 }])).events).toEqual([b, a]);
  });

  it('keeps the newest at an address, the lowest id of equal seconds', async () => {
    const relays = (await setup()).client();
    const tags = [['d', 'x']];
    const old = note('alice', { kind: 30_000, created_at: NOW - 2, tags });
    const twins = ['1', '2'].map((content) => note('alice', { kind: 30_000, created_at: NOW - 1, tags, content }));
    const other = note('alice', { kind: 30_000, created_at: NOW - 3, tags: [['d', 'y']] });
    for (const event of [...twins, old, other]) await relays.publish(event);
    const lowest = twins.sort((a, b) => (a.id < b.id ? -1 : 1))[0];
    expect((await relays.fetch([{ kinds: [30_000] }])).events).toEqual([lowest, other]);
  });

  it('deletes on request of the author only, and for good', async () => {
    const relays = (await setup()).client();
    const event = note('alice');
    await relays.publish(event);
    await relays.publish(note('bob', { kind: 5, tags: [['e', event.id]] }));
    expect((await relays.fetch([{ kinds: [1] }])).events).toEqual([event]);
    await relays.publish(note('alice', { kind: 5, tags: [['e', event.id]] }));
    expect(await relays.publish(event)).toMatchObject([{ state: 'refused' }]);
    expect((await relays.fetch([{ kinds: [1] }])).events).toEqual([]);
  });

  it('forwards ephemeral events and stores none', async () => {
    const { client } = await setup();
    const [writer, reader] = [client(), client()];
    const seen = collector();
    const marker = note('alice', { content: 'subscribed' });
    await writer.publish(marker);
    reader.subscribe([{ kinds: [1, 20_001] }], seen.onEvent);
    await seen.until(1);
    const event = note('alice', { kind: 20_001 });
    expect(await writer.publish(event)).toMatchObject([{ state: 'stored' }]);
    expect(await seen.until(2)).toEqual([marker, event]);
    expect((await reader.fetch([{ kinds: [20_001] }])).events).toEqual([]);
  });

  it('delivers stored and new events of a subscription once each, asynchronously, until it is closed', async () => {
    const { client } = await setup();
    const [writer, reader] = [client(), client()];
    const before = note('alice', { content: 'before' });
    const after = note('alice', { content: 'after' });
    await writer.publish(before);
    const seen = collector();
    const subscription = reader.subscribe([{ kinds: [1] }, { authors: [before.pubkey] }], seen.onEvent);
    expect(seen.events).toEqual([]);
    await seen.until(1);
    await writer.publish(note('alice', { kind: 1, content: 'unrelated?' }));
    await writer.publish(after);
    await writer.publish(after);
    const got = await seen.until(3);
    expect(got[0]).toEqual(before);
    expect(got[2]).toEqual(after);
    subscription.close();
    const second = collector();
    reader.subscribe([{ kinds: [1] }], second.onEvent);
    await writer.publish(note('alice', { content: 'last' }));
    await second.until(4);
    expect(seen.events).toHaveLength(3);
  });

  it('shows a gift wrap to its recipient', async () => {
    const relays = (await setup()).client();
    const wrap = note('one-time', { kind: 1059, tags: [['p', pubkeyOf('alice')]] });
    await relays.publish(wrap);
    expect((await relays.fetch([{ kinds: [1059], '#p': [pubkeyOf('alice')] }])).events).toEqual([wrap]);
  });

  it('answers unreachable or silent for a relay that is not there', async () => {
    const relays = (await setup()).client();
    const gone = ['ws://127.0.0.1:9'];
    expect(await relays.publish(note('alice'), gone)).toMatchObject([
      { relay: gone[0], state: expect.not.stringMatching('stored') },
    ]);
    expect(await relays.fetch([{}], { relays: gone })).toEqual({ events: [], answered: [], silent: gone });
  });
});
