import { describe, expect, it } from 'vitest';
import { matcher, newestFirst } from '../../src/relay/filter.js';
import type { Filter, NostrEvent } from '../../src/ports.js';
import { strictRelay } from '../support/faults/strict-relay.js';
import { note, NOW, poolForTest, pubkeyOf, relayForTest, ScriptedRelay, signerOf, type Message } from './samples.js';

/** A port nobody listens on: IANA's discard. */
const DEAD = 'ws://127.0.0.1:9';

const eventOf = (message: Message) => message[1] as NostrEvent;

/** Answers requests from a list, at most `cap` per request. */
function library(events: readonly NostrEvent[], cap: number) {
  return ([verb, id, ...filters]: Message, reply: (...message: Message) => void) => {
    if (verb !== 'REQ') return;
    const found = events.filter(matcher(filters as Filter[])).sort(newestFirst);
    for (const event of found.slice(0, Math.min(cap, (filters[0] as Filter).limit ?? cap))) reply('EVENT', id, event);
    reply('EOSE', id);
  };
}

describe('publishing', () => {
  it('tells the outcome per relay: stored, refused with the reason, unreachable', async () => {
    const good = await relayForTest();
    const strict = await ScriptedRelay.start(([, event], reply) =>
      reply('OK', (event as NostrEvent).id, false, 'blocked: not here\u001b[2J'),
    );
    const pool = poolForTest([good.url, DEAD, strict.url]);
    expect(await pool.publish(note('alice'))).toEqual([
      { relay: good.url, state: 'stored', message: '' },
      { relay: DEAD, state: 'unreachable', message: expect.stringContaining('ECONNREFUSED') },
      { relay: strict.url, state: 'refused', message: 'blocked: not here [2J' },
    ]);
  });

  it('reaches relays that others name, with 64 connections at a time', async () => {
    const [own, other] = [await relayForTest(), await strictRelay({})];
    const pool = poolForTest([own.url]);
    for (let at = 0; at < 70; at++) {
      const [outcome] = await pool.publish(note('alice', { content: `${at}` }), [`${other.url}/${at}`]);
      expect(outcome).toMatchObject({ state: 'stored' });
    }
    expect(other.connections()).toBe(70);
    await expect.poll(other.open).toBe(64);
  });

  it('takes duplicate: as stored', async () => {
    const relay = await ScriptedRelay.start((message, reply) =>
      reply('OK', eventOf(message).id, false, 'duplicate: have it'),
    );
    expect(await poolForTest([relay.url]).publish(note('alice'))).toMatchObject([{ state: 'stored' }]);
  });

  it('keeps many events in flight on one connection', async () => {
    const held: NostrEvent[] = [];
    const relay = await ScriptedRelay.start((message, reply) => {
      held.push(eventOf(message));
      // Answers only when all 64 are there, last one first.
      if (held.length === 64) for (const { id } of held.toReversed()) reply('OK', id, true, '');
    });
    const pool = poolForTest([relay.url]);
    const events = Array.from({ length: 64 }, (_, i) => note('alice', { content: String(i) }));
    const outcomes = await Promise.all(events.map((event) => pool.publish(event)));
    expect(outcomes.flat().every(({ state }) => state === 'stored')).toBe(true);
    expect(relay.connections).toBe(1);
  });

  it('waits and tries again when rate-limited, and reports it when that does not end', async () => {
    let refusals = 2;
    const relay = await ScriptedRelay.start((message, reply) => {
      const { id, kind } = eventOf(message);
      if (kind === 2 || refusals-- > 0) reply('OK', id, false, 'rate-limited: slow down');
      else reply('OK', id, true, '');
    });
    const pool = poolForTest([relay.url]);
    expect(await pool.publish(note('alice'))).toMatchObject([{ state: 'stored' }]);
    expect(relay.received).toHaveLength(3);
    expect(await pool.publish(note('alice', { kind: 2 }))).toMatchObject([
      { state: 'refused', message: 'rate-limited: slow down' },
    ]);
    // One of many comes back at once: who sends them keeps the pace.
    const before = relay.received.length;
    const [outcome] = await pool.publish(note('alice', { kind: 2, content: 'x' }), pool.urls, { isBulk: true });
    expect(outcome).toEqual({ relay: relay.url, state: 'refused', message: 'rate-limited: slow down' });
    expect(relay.received).toHaveLength(before + 1);
  });

  it('calls a relay unreachable that takes the event and says nothing', async () => {
    const relay = await ScriptedRelay.start((_message, reply) => reply('NOTICE', 'hm'));
    const pool = poolForTest([relay.url], { timeoutMs: 50 });
    expect(await pool.publish(note('alice'))).toMatchObject([
      { state: 'unreachable', message: expect.stringMatching(/^no answer in \d+ ms; it said: hm$/) },
    ]);
  });

  it('tells why where the refusal does not name the event', async () => {
    const relay = await ScriptedRelay.start((_message, reply) => reply('OK', '', false, 'invalid: too long'));
    const pool = poolForTest([relay.url], { timeoutMs: 300 });
    expect(await pool.publish(note('alice'))).toMatchObject([
      { state: 'unreachable', message: expect.stringMatching(/^no answer in \d+ ms; it said: invalid: too long$/) },
    ]);
  });

  it('sends again what was in flight when the connection dropped', async () => {
    let isFirst = true;
    const relay = await ScriptedRelay.start((message, reply, socket) => {
      if (!isFirst) return reply('OK', eventOf(message).id, true, '');
      isFirst = false;
      socket.terminate();
    });
    expect(await poolForTest([relay.url]).publish(note('alice'))).toMatchObject([{ state: 'stored' }]);
    expect(relay.connections).toBe(2);
  });

  it('gives up on a relay that drops the connection every time', async () => {
    const relay = await ScriptedRelay.start((_message, _reply, socket) => socket.terminate());
    expect(await poolForTest([relay.url]).publish(note('alice'))).toMatchObject([{ state: 'unreachable' }]);
    expect(relay.connections).toBe(3);
  });

  it('blames the longest event when the relay closes for size, and saves the others', async () => {
    const relay = await relayForTest({ maxEventBytes: 20_000 });
    const pool = poolForTest([relay.url]);
    const [small, big] = [note('alice'), note('alice', { content: 'x'.repeat(30_000) })];
    const outcomes = await Promise.all([pool.publish(small), pool.publish(big)]);
    expect(outcomes.flat().map(({ state }) => state)).toEqual(['stored', 'refused']);
  });

  it('does not send what no relay takes', async () => {
    const relay = await relayForTest();
    const [outcome] = await poolForTest([relay.url]).publish(note('alice', { content: 'x'.repeat(600_000) }));
    expect(outcome).toMatchObject({ state: 'refused', message: expect.stringMatching(/^invalid: 600\d+ characters/) });
  });

  it('finds a relay again that was down', async () => {
    const first = await relayForTest();
    const pool = poolForTest([first.url]);
    await pool.publish(note('alice'));
    await first.close();
    expect(await pool.publish(note('bob'))).toMatchObject([{ state: 'unreachable' }]);
    await relayForTest({ port: first.port });
    expect(await pool.publish(note('bob'))).toMatchObject([{ state: 'stored' }]);
  });

  it('publishes to inbox relays beyond its own only where the network allows', async () => {
    const [own, inbox] = [await relayForTest(), await relayForTest()];
    const event = note('alice');
    expect(await poolForTest([own.url]).publish(event, [inbox.url])).toMatchObject([{ state: 'stored' }]);
    expect(await poolForTest([own.url], { network: 'bitcoin' }).publish(event, [inbox.url])).toMatchObject([
      { relay: inbox.url, state: 'refused', message: expect.stringContaining('for tests') },
    ]);
  });
});

it('opens no connection to this machine for a stranger where the own relays are elsewhere', async () => {
  const here = await ScriptedRelay.start(() => undefined);
  for (const url of [here.url, here.url.replace('127.0.0.1', 'localhost'), here.url.replace('127.0.0.1', '[::1]')])
    expect(await poolForTest(['wss://relay.example']).publish(note('alice'), [url])).toMatchObject([
      { state: 'refused', message: expect.stringContaining('for tests') },
    ]);
  expect(here.connections).toBe(0);
});

describe('authentication', () => {
  it('answers the challenge and sends again what needed it, gift wraps included', async () => {
    const relay = await relayForTest();
    const wrap = note('one-time', { kind: 1059, tags: [['p', pubkeyOf('alice')]] });
    const protectedEvent = note('alice', { tags: [['-']] });
    const alice = poolForTest([relay.url], { signer: signerOf('alice') });
    expect(await alice.publish(protectedEvent)).toMatchObject([{ state: 'stored' }]);
    await poolForTest([relay.url]).publish(wrap);
    const fresh = poolForTest([relay.url], { signer: signerOf('alice') });
    expect(await fresh.fetch([{ kinds: [1059] }])).toEqual({ events: [wrap], answered: [relay.url], silent: [] });
    const live = poolForTest([relay.url], { signer: signerOf('alice') });
    const got = await new Promise((resolve) => live.subscribe([{ kinds: [1059] }], resolve));
    expect(got).toEqual(wrap);
  });

  it('counts a relay as silent that wants a login it cannot have', async () => {
    const relay = await relayForTest();
    const pool = poolForTest([relay.url]);
    expect(await pool.fetch([{ kinds: [1059] }])).toEqual({ events: [], answered: [], silent: [relay.url] });
    expect(await pool.publish(note('alice', { tags: [['-']] }))).toMatchObject([
      { state: 'refused', message: expect.stringMatching(/^auth-required:/) },
    ]);
  });

  it('takes no for an answer when the login is refused', async () => {
    const relay = await ScriptedRelay.start(
      ([verb, event], reply) => {
        const { id } = event as NostrEvent;
        if (verb === 'AUTH') reply('OK', id, false, 'restricted: members only');
        else reply('OK', id, false, 'auth-required: members only');
      },
      (reply) => reply('AUTH', 'challenge'),
    );
    const pool = poolForTest([relay.url], { signer: signerOf('alice') });
    expect(await pool.publish(note('alice'))).toMatchObject([
      { state: 'refused', message: expect.stringMatching(/^auth-required:/) },
    ]);
  });

  it('signs the challenge for this relay', async () => {
    const relay = await ScriptedRelay.start(
      ([verb, event], reply) => verb !== 'REQ' && reply('OK', (event as NostrEvent).id, true, ''),
      (reply) => reply('AUTH', 'the challenge'),
    );
    const pool = poolForTest([relay.url], { signer: signerOf('alice') });
    await pool.publish(note('alice'));
    const login = relay.received.find(([verb]) => verb === 'AUTH');
    expect(login?.[1]).toMatchObject({
      kind: 22_242,
      pubkey: pubkeyOf('alice'),
      created_at: NOW,
      tags: [
        ['relay', relay.url],
        ['challenge', 'the challenge'],
      ],
    });
  });
});

describe('fetching', () => {
  it('names a dead relay silent and still has the events of the other', async () => {
    const relay = await relayForTest();
    const pool = poolForTest([DEAD, relay.url]);
    const event = note('alice');
    await pool.publish(event);
    expect(await pool.fetch([{}])).toEqual({ events: [event], answered: [relay.url], silent: [DEAD] });
    expect(await pool.fetch([{ kinds: [7] }])).toEqual({ events: [], answered: [relay.url], silent: [DEAD] });
  });

  it('keeps what a relay sent before it fell silent, without calling it an answer', async () => {
    const event = note('alice');
    const relay = await ScriptedRelay.start(([verb, id], reply) => verb === 'REQ' && reply('EVENT', id, event));
    const pool = poolForTest([relay.url]);
    expect(await pool.fetch([{}], { timeoutMs: 50 })).toEqual({ events: [event], answered: [], silent: [relay.url] });
  });

  it('takes nothing it did not ask for, nothing forged, nothing malformed', async () => {
    const good = note('alice', { kind: 7 });
    const lies = [
      note('alice', { kind: 8 }),
      { ...note('alice', { kind: 7, content: 'a' }), content: 'b' },
      { ...note('alice', { kind: 7, content: 'c' }), sig: note('bob').sig },
      { ...good, id: 5 },
      null,
      good,
    ];
    const relay = await ScriptedRelay.start(([verb, id], reply) => {
      if (verb !== 'REQ') return;
      for (const lie of lies) reply('EVENT', id, lie);
      reply('EVENT', 'nobody asked', good);
      reply('EOSE', id);
    });
    const pool = poolForTest([relay.url]);
    expect((await pool.fetch([{ kinds: [7] }])).events).toEqual([good]);
    const unsigned = lies[2] as NostrEvent;
    const trusting = await pool.fetch([{ kinds: [7] }], { trustIds: true });
    expect(trusting.events.map(({ id }) => id).sort()).toEqual([good.id, unsigned.id].sort());
  });

  it('pages until complete past the cap of a relay, through equal seconds', async () => {
    const events = Array.from({ length: 333 }, (_, i) =>
      note('alice', { created_at: NOW - Math.floor(i / 7), content: String(i) }),
    );
    const relay = await ScriptedRelay.start(library(events, 100));
    const pool = poolForTest([relay.url]);
    const { events: found, answered } = await pool.fetch([{ kinds: [1] }]);
    expect(found.map(({ id }) => id).sort()).toEqual(events.map(({ id }) => id).sort());
    expect(answered).toEqual([relay.url]);
    expect((await pool.fetch([{ kinds: [1], limit: 150 }])).events).toHaveLength(150);
  });

  it('asks for many ids in several requests and again for what a cap left out', async () => {
    const events = Array.from({ length: 300 }, (_, i) => note('alice', { content: String(i) }));
    const relay = await ScriptedRelay.start(library(events, 60));
    const ids = events.map(({ id }) => id);
    const { events: found } = await poolForTest([relay.url]).fetch([{ ids }]);
    expect(found.map(({ id }) => id).sort()).toEqual(ids.sort());
    const asked = relay.received
      .filter(([verb]) => verb === 'REQ')
      .map(([, , filter]) => (filter as Filter).ids!.length);
    expect(Math.max(...asked)).toBe(256);
  });

  it('ends its requests and answers closed ones as silent', async () => {
    const relay = await ScriptedRelay.start(([verb, id, filter], reply) => {
      if (verb === 'REQ') reply((filter as Filter).kinds![0] === 1 ? 'EOSE' : 'CLOSED', id, 'blocked: no');
    });
    const pool = poolForTest([relay.url]);
    expect((await pool.fetch([{ kinds: [1] }])).answered).toEqual([relay.url]);
    expect((await pool.fetch([{ kinds: [2] }])).silent).toEqual([relay.url]);
    expect(relay.received.filter(([verb]) => verb === 'CLOSE')).toHaveLength(1);
  });

  it('joins two relays: each event once, a limit over both', async () => {
    const relays = [await relayForTest(), await relayForTest()];
    const pool = poolForTest(relays.map(({ url }) => url));
    const events = [0, 1, 2, 3].map((i) => note('alice', { created_at: NOW - i }));
    await pool.publish(events[0]!);
    for (const [i, event] of events.slice(1).entries()) await pool.publish(event, [relays[i % 2]!.url]);
    expect((await pool.fetch([{}])).events).toEqual(events);
    expect((await pool.fetch([{ limit: 2 }])).events).toEqual(events.slice(0, 2));
  });
});

it('lives on after messages that are no messages', async () => {
  const nonsense = [
    'x',
    '{}',
    '[]',
    '[[]]',
    '["EVENT"]',
    '["EOSE",{"toString":1}]',
    '["OK","",false,""]',
    '["OK",null]',
  ];
  const deep = `["CLOSED",${'['.repeat(50_000)}${']'.repeat(50_000)},5]`;
  const relay = await ScriptedRelay.start((message, reply, socket) => {
    for (const text of [...nonsense, deep]) socket.send(text);
    if (message[0] === 'EVENT') reply('OK', eventOf(message).id, true, { not: 'text' });
  });
  const pool = poolForTest([relay.url], { signer: signerOf('alice') });
  expect(await pool.publish(note('alice'))).toEqual([{ relay: relay.url, state: 'stored', message: '' }]);
});

it('keeps few requests open at once', async () => {
  const open = new Set<unknown>();
  let most = 0;
  const relay = await ScriptedRelay.start(([verb, id], reply) => {
    if (verb === 'CLOSE') open.delete(id);
    if (verb !== 'REQ') return;
    most = Math.max(most, open.add(id).size);
    setImmediate(() => reply('EOSE', id));
  });
  const ids = Array.from({ length: 5_000 }, (_, i) => i.toString(16).padStart(64, '0'));
  expect((await poolForTest([relay.url]).fetch([{ ids }])).answered).toEqual([relay.url]);
  expect(most).toBe(6);
});

describe('subscribing', () => {
  it('subscribes again after a reconnect and delivers each event once', async () => {
    const [before, after] = [note('alice', { content: 'before' }), note('alice', { content: 'after' })];
    const relay = await ScriptedRelay.start(([verb, id], reply) => {
      if (verb !== 'REQ') return;
      reply('EVENT', id, before);
      if (relay.connections === 1) setImmediate(() => relay.drop());
      else reply('EVENT', id, after);
    });
    const pool = poolForTest([relay.url]);
    const got: NostrEvent[] = [];
    await new Promise<void>((resolve) => {
      pool.subscribe([{ kinds: [1] }], (event) => {
        got.push(event);
        if (event.id === after.id) resolve();
      });
    });
    expect(got).toEqual([before, after]);
    expect(relay.connections).toBe(2);
  });

  it('delivers an event of two relays once', async () => {
    const relays = [await relayForTest(), await relayForTest()];
    const pool = poolForTest(relays.map(({ url }) => url));
    const [event, last] = [note('alice', { content: 'x' }), note('alice', { content: 'last' })];
    const got: NostrEvent[] = [];
    const done = new Promise<void>((resolve) => {
      pool.subscribe([{ kinds: [1] }], (each) => {
        got.push(each);
        if (each.id === last.id) resolve();
      });
    });
    await pool.publish(event);
    await pool.publish(last);
    await done;
    expect(got.filter(({ id }) => id === event.id)).toHaveLength(1);
  });

  it('gets stored events beyond the cap of a relay', async () => {
    const events = Array.from({ length: 130 }, (_, i) => note('alice', { created_at: NOW - i }));
    const relay = await ScriptedRelay.start(library(events, 60));
    const got = new Set<string>();
    await new Promise<void>((resolve) => {
      poolForTest([relay.url]).subscribe([{ kinds: [1] }], ({ id }) => {
        if (got.add(id).size === events.length) resolve();
      });
    });
    expect(got.size).toBe(130);
  });
});

it('connects only when something is asked, and answers at once after close', async () => {
  const relay = await ScriptedRelay.start(() => {});
  const pool = poolForTest([relay.url]);
  await pool.close();
  expect(relay.connections).toBe(0);
  expect(await pool.publish(note('alice'))).toMatchObject([{ state: 'unreachable' }]);
  expect((await pool.fetch([{}])).silent).toEqual([relay.url]);
});

it('ends what is in flight when it closes', async () => {
  const relay = await ScriptedRelay.start(() => {});
  const pool = poolForTest([relay.url]);
  const publishing = pool.publish(note('alice'));
  const fetching = pool.fetch([{}]);
  await pool.close();
  expect(await publishing).toMatchObject([{ state: 'unreachable' }]);
  expect((await fetching).silent).toEqual([relay.url]);
});
