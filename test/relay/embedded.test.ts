import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startRelay } from '../../src/relay/embedded.js';
import { note, NOW, pubkeyOf, RawClient, relayForTest } from './samples.js';

const HEX = 'a'.repeat(64);
const ANY: unknown = expect.any(String);
const deepList = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

async function relayAndClient(options = {}) {
  const relay = await relayForTest(options);
  return { relay, client: await RawClient.connect(relay.url) };
}

describe('NIP-01', () => {
  it('sends what arrives after EOSE to open subscriptions and nothing after CLOSE', async () => {
    const { relay, client } = await relayAndClient();
    client.send('REQ', 'live', { kinds: [7] });
    await client.next('EOSE', 'live');
    const writer = await RawClient.connect(relay.url);
    const event = note('alice', { kind: 7 });
    expect(await writer.publish(event)).toEqual([true, '']);
    expect(await client.next('EVENT', 'live')).toEqual(['EVENT', 'live', event]);
    client.send('CLOSE', 'live');
    client.send('REQ', 'other', { kinds: [8] });
    await client.next('EOSE', 'other');
    await writer.publish(note('alice', { kind: 7, content: 'unheard' }));
    const heard = note('alice', { kind: 8 });
    await writer.publish(heard);
    expect(await client.next('EVENT')).toEqual(['EVENT', 'other', heard]);
  });

  it('answers duplicate without storing twice, and says so for a superseded version', async () => {
    const { client } = await relayAndClient();
    const newer = note('alice', { kind: 10_002, created_at: NOW });
    const older = note('alice', { kind: 10_002, created_at: NOW - 1 });
    await client.publish(newer);
    expect(await client.publish(newer)).toEqual([true, 'duplicate: already have this event']);
    expect(await client.publish(older)).toEqual([true, 'duplicate: have a newer version']);
    expect(await client.query({})).toEqual([newer]);
  });

  it('refuses a wrong id, a wrong signature and a date more than 900 s ahead', async () => {
    const { client } = await relayAndClient();
    const event = note('alice');
    const cases = [
      [{ ...event, content: 'other' }, 'invalid: the id is not the hash'],
      [{ ...event, sig: note('bob').sig }, 'invalid: the signature does not verify'],
      [note('alice', { created_at: NOW + 901 }), 'invalid: created_at is 901 s ahead'],
      [note('alice', { kind: 22_242 }), 'invalid: send kind 22242 with AUTH'],
    ] as const;
    for (const [bad, reason] of cases) expect(await client.publish(bad)).toEqual([false, reason]);
    expect(await client.publish(note('alice', { created_at: NOW + 900 }))).toEqual([true, '']);
  });

  it('caps a request at its limit, newest first, and a huge limit at its own', async () => {
    const { client } = await relayAndClient({ maxLimit: 3 });
    const events = Array.from({ length: 5 }, (_, i) => note('alice', { created_at: NOW - i }));
    for (const event of events.toReversed()) await client.publish(event);
    expect(await client.query({ limit: 2 })).toEqual(events.slice(0, 2));
    expect(await client.query({ limit: 1_000_000 })).toEqual(events.slice(0, 3));
    expect(await client.query({ limit: 0 })).toEqual([]);
  });

  it('replaces a subscription with the same id', async () => {
    const { client } = await relayAndClient();
    client.send('REQ', 's', { kinds: [1] });
    client.send('REQ', 's', { kinds: [2] });
    await client.next('EOSE', 's');
    const event = note('alice', { kind: 2 });
    await client.publish(note('alice', { kind: 1 }));
    client.send('EVENT', event);
    expect((await client.next('EVENT', 's'))[2]).toEqual(event);
  });
});

describe('NIP-09 and NIP-62', () => {
  it('deletes an address up to the date of the request', async () => {
    const { client } = await relayAndClient();
    const tags = [['d', 'x']];
    const [old, fresh] = [NOW - 10, NOW].map((created_at) => note('alice', { kind: 30_001, created_at, tags }));
    await client.publish(old!);
    const address = `30001:${pubkeyOf('alice')}:x`;
    await client.publish(note('bob', { kind: 5, created_at: NOW, tags: [['a', address]] }));
    expect(await client.query({ kinds: [30_001] })).toEqual([old]);
    await client.publish(note('alice', { kind: 5, created_at: NOW - 5, tags: [['a', address]] }));
    expect(await client.query({ kinds: [30_001] })).toEqual([]);
    expect(await client.publish(old!)).toEqual([false, 'blocked: its author deleted this event']);
    expect(await client.publish(fresh!)).toEqual([true, '']);
  });

  it('lets the recipient of a gift wrap delete it', async () => {
    const { client } = await relayAndClient();
    const wrap = note('one-time', { kind: 1059, tags: [['p', pubkeyOf('alice')]] });
    await client.publish(wrap);
    await client.publish(note('alice', { kind: 5, tags: [['e', wrap.id]] }));
    expect(await client.publish(wrap)).toEqual([false, 'blocked: its author deleted this event']);
  });

  it('forgets everything of a key on its request to vanish, and only if it names this relay', async () => {
    const { relay, client } = await relayAndClient();
    const [mine, theirs] = [note('alice', { created_at: NOW - 1 }), note('bob')];
    await client.publish(mine);
    await client.publish(theirs);
    const elsewhere = note('alice', { kind: 62, tags: [['relay', 'wss://other.example']] });
    expect(await client.publish(elsewhere)).toEqual([false, 'invalid: the request to vanish names another relay']);
    expect(await client.publish(note('alice', { kind: 62, tags: [['relay', relay.url]] }))).toEqual([true, '']);
    expect(await client.query({ kinds: [1] })).toEqual([theirs]);
    expect(await client.publish(mine)).toEqual([false, 'blocked: its author deleted this event']);
  });
});

it('NIP-11: answers HTTP with its information and the limits it enforces', async () => {
  const relay = await relayForTest({ maxEventBytes: 70_000, maxLimit: 77 });
  const url = relay.url.replace('ws:', 'http:');
  const response = await fetch(url, { headers: { Accept: 'application/nostr+json' } });
  expect(response.headers.get('content-type')).toBe('application/nostr+json');
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
  const { supported_nips, limitation } = (await response.json()) as Record<string, unknown>;
  expect(supported_nips).toEqual(expect.arrayContaining([1, 9, 11, 40, 42, 45]));
  expect(limitation).toMatchObject({ max_limit: 77, max_message_length: 74_096, auth_required: false });
  expect((await fetch(url)).status).toBe(426);
});

it('NIP-40: refuses what has expired and stops serving what expires', async () => {
  let now = NOW;
  const { client } = await relayAndClient({ nowSec: () => now });
  const expiring = (at: number) => note('alice', { tags: [['expiration', String(at)]] });
  expect(await client.publish(expiring(NOW))).toEqual([false, 'invalid: expired']);
  expect(await client.publish(expiring(NOW + 5))).toEqual([true, '']);
  expect(await client.query({})).toEqual([expiring(NOW + 5)]);
  now = NOW + 5;
  expect(await client.query({})).toEqual([]);
});

describe('NIP-42 and gift wraps', () => {
  const wrap = note('one-time', { kind: 1059, tags: [['p', pubkeyOf('alice')]] });

  it('closes requests and counts for wraps until the client authenticates', async () => {
    const { client } = await relayAndClient();
    const reason = 'auth-required: gift wraps are served to their recipient only';
    expect(await client.query({ kinds: [1, 1059] })).toBe(reason);
    client.send('COUNT', 'c', { kinds: [1059] });
    expect(await client.next('CLOSED', 'c')).toEqual(['CLOSED', 'c', reason]);
  });

  it('serves a wrap to its recipient and to nobody else: stored, live and counted', async () => {
    const relay = await relayForTest();
    const [alice, bob, stranger, writer] = await Promise.all([1, 2, 3, 4].map(() => RawClient.connect(relay.url)));
    for (const [client, name] of [
      [alice, 'alice'],
      [bob, 'bob'],
    ] as const) {
      expect(await client!.authenticate(name, relay.url, await client!.challenge())).toEqual([true, '']);
      client!.send('REQ', 'live', { kinds: [1059, 1] });
    }
    stranger!.send('REQ', 'live', {});
    await Promise.all([alice, bob, stranger].map((client) => client!.next('EOSE', 'live')));
    expect(await writer!.publish(wrap)).toEqual([true, '']);
    const marker = note('carol');
    await writer!.publish(marker);
    expect((await alice!.next('EVENT'))[2]).toEqual(wrap);
    expect((await bob!.next('EVENT'))[2]).toEqual(marker);
    expect((await stranger!.next('EVENT'))[2]).toEqual(marker);
    expect(await alice!.query({ ids: [wrap.id] })).toEqual([wrap]);
    expect(await bob!.query({ ids: [wrap.id] })).toEqual([]);
    expect(await stranger!.query({ '#p': [pubkeyOf('alice')] })).toEqual([]);
    for (const [client, count] of [
      [alice, 1],
      [bob, 0],
    ] as const) {
      client!.send('COUNT', 'c', { kinds: [1059] });
      expect(await client!.next('COUNT')).toEqual(['COUNT', 'c', { count }]);
    }
  });

  it('limits apply to what the client may see, not to what is hidden from it', async () => {
    const { client } = await relayAndClient();
    const visible = note('alice', { created_at: NOW - 1 });
    await client.publish(visible);
    await client.publish(wrap);
    expect(await client.query({ limit: 1 })).toEqual([visible]);
  });

  it('refuses a login with another challenge, for another relay, or of another time', async () => {
    const { relay, client } = await relayAndClient();
    const challenge = await client.challenge();
    const cases = [
      [relay.url, 'another', NOW, 'invalid: another challenge'],
      ['ws://evil.example', challenge, NOW, 'invalid: signed for another relay'],
      [relay.url, challenge, NOW - 601, 'invalid: not fresh'],
    ] as const;
    for (const [url, answer, at, reason] of cases) {
      expect(await client.authenticate('alice', url, answer, at)).toEqual([false, reason]);
    }
    expect(await client.query({ kinds: [1059] })).toMatch(/^auth-required:/);
    const localhost = relay.url.replace('127.0.0.1', 'localhost');
    expect(await client.authenticate('alice', localhost, challenge)).toEqual([true, '']);
  });

  it('NIP-70: takes a protected event from its author only', async () => {
    const { relay, client } = await relayAndClient();
    const event = note('alice', { tags: [['-']] });
    expect((await client.publish(event))[1]).toMatch(/^auth-required:/);
    const author = await RawClient.connect(relay.url);
    await author.authenticate('alice', relay.url, await author.challenge());
    expect(await author.publish(event)).toEqual([true, '']);
  });
});

it('NIP-45: counts matches of all filters once', async () => {
  const { client } = await relayAndClient({ maxLimit: 1 });
  const events = [1, 1, 2].map((kind, i) => note('alice', { kind, content: String(i) }));
  for (const event of events) await client.publish(event);
  client.send('COUNT', 'c', { kinds: [1] }, { ids: events.map(({ id }) => id) });
  expect(await client.next('COUNT')).toEqual(['COUNT', 'c', { count: 3 }]);
});

describe('hostile input', () => {
  it('ends the connection on a frame above the limit before parsing it', async () => {
    const { client } = await relayAndClient({ maxEventBytes: 10_000 });
    client.sendText('['.repeat(20_000));
    expect(await client.closed()).toBe(1009);
  });

  it('answers an event just above the limit with its size', async () => {
    const { client } = await relayAndClient({ maxEventBytes: 10_000 });
    const [isAccepted, reason] = await client.publish(note('alice', { content: 'x'.repeat(10_000) }));
    expect([isAccepted, reason]).toEqual([
      false,
      expect.stringMatching(/^invalid: event of 10\d+ bytes, the limit is 10000$/),
    ]);
  });

  it.each([
    'not json',
    '{}',
    'null',
    '[]',
    '["NOPE"]',
    '["REQ"]',
    '["REQ",5,{}]',
    `["REQ","${'x'.repeat(65)}",{}]`,
    '["COUNT",""]',
    '['.repeat(100_000),
    `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
    '{"a":'.repeat(20_000),
  ])('says NOTICE and lives on after %.30s', async (text) => {
    const { client } = await relayAndClient();
    client.sendText(text);
    expect((await client.next('NOTICE'))[1]).toMatch(/^invalid:/);
    expect(await client.query({})).toEqual([]);
  });

  it.each([
    ['a number', '5'],
    ['a deep list', deepList(20_000)],
    ['a short id', { ...note('alice'), id: 'abc' }],
    ['an upper-case id', { ...note('alice'), id: note('alice').id.toUpperCase() }],
    ['a fractional date', { ...note('alice'), created_at: 1.5 }],
    ['a negative date', { ...note('alice'), created_at: -1 }],
    ['a huge kind', { ...note('alice'), kind: 65_536 }],
    ['a tag that is no list', { ...note('alice'), tags: ['t'] }],
    ['a tag of a number', { ...note('alice'), tags: [['t', 5]] }],
    ['a tag of deep lists', JSON.stringify({ ...note('alice'), tags: '?' }).replace('"?"', deepList(9_000))],
    ['content that is no string', { ...note('alice'), content: {} }],
    ['too many tags', note('alice', { tags: Array.from({ length: 2_001 }, () => ['t']) })],
    ['a long tag value', note('alice', { tags: [['t', 'x'.repeat(1_025)]] })],
  ])('refuses an event with %s', async (_what, event) => {
    const { client } = await relayAndClient();
    client.sendText(`["EVENT",${typeof event === 'string' ? event : JSON.stringify(event)}]`);
    expect(await client.next('OK')).toMatchObject(['OK', ANY, false, expect.stringMatching(/^invalid:/)]);
  });

  it.each([
    ['no filter', []],
    ['too many filters', Array.from({ length: 33 }, () => ({}))],
    ['a filter that is a list', [[]]],
    ['too many ids', [{ ids: Array.from({ length: 2_001 }, () => HEX) }]],
    ['too many values over all lists', [{ ids: Array(1_500).fill(HEX), kinds: Array(501).fill(1) }]],
    ['an id prefix', [{ ids: ['abcd'] }]],
    ['an unknown field', [{ search: 'x' }]],
    ['a long tag name', [{ '#job': ['x'] }]],
    ['a limit that is a string', [{ limit: '5' }]],
    ['a negative limit', [{ limit: -1 }]],
    ['prototype tricks', [JSON.parse('{"__proto__":{"kinds":[1]}}')]],
  ])('closes a request with %s', async (_what, filters) => {
    const { client } = await relayAndClient();
    expect(await client.query(...(filters as object[]))).toMatch(/^invalid:/);
  });

  it('bounds the subscriptions of a connection', async () => {
    const { client } = await relayAndClient();
    for (let i = 0; i <= 200; i++) client.send('REQ', `s${i}`, { kinds: [1] });
    expect(await client.next('CLOSED')).toEqual(['CLOSED', 's200', 'error: more than 200 subscriptions']);
  });

  it('stores a canonical copy: no unknown fields, no second spelling of a key', async () => {
    const { client } = await relayAndClient();
    const event = note('alice', { content: 'true' });
    const text = JSON.stringify(event).replace('{"id"', '{ "extra":1,"content":"false" , "id"');
    client.sendText(`["EVENT",${text}]`);
    expect(await client.next('OK')).toEqual(['OK', event.id, true, '']);
    expect(await client.query({})).toEqual([event]);
  });

  it('survives bytes that are no WebSocket', async () => {
    const { relay, client } = await relayAndClient();
    await new Promise((resolve) => {
      const socket = connect(relay.port, '127.0.0.1', () => socket.end('\x16\x03\x01garbage\r\n\r\n'));
      socket
        .on('close', resolve)
        .on('error', () => {})
        .resume();
    });
    expect(await client.query({})).toEqual([]);
  });
});

it('names the port that is in use', async () => {
  const { port } = await relayForTest();
  await expect(startRelay({ port })).rejects.toMatchObject({
    code: 'port-in-use',
    message: `another process listens on port ${port}`,
  });
});

it('refuses an address this machine does not have', async () => {
  await expect(startRelay({ port: 0, host: '192.0.2.1' })).rejects.toMatchObject({ code: 'bad-settings' });
});

it('closes twice as once, with clients connected', async () => {
  const { relay, client } = await relayAndClient();
  await Promise.all([relay.close(), relay.close()]);
  expect(await client.closed()).toBe(1001);
});
