import { expect, it, onTestFinished } from 'vitest';
import { sealBlob } from '../../src/blob/blob.js';
import { downloadBlob, uploadBlob } from '../../src/blob/transfer.js';
import { connectRelays } from '../../src/relay/pool.js';
import type { Relays } from '../../src/ports.js';
import { note, pubkeyOf, signerOf } from '../relay/samples.js';
import { startDelay } from '../support/faults/proxies.js';
import { strictRelay, type Strictness } from '../support/faults/strict-relay.js';
import { KEY, OPTIONS, noise } from './samples.js';

/** Chunks are signed by a key of their own: a relay learns whose they are where it demands a login, and nowhere else. */

const PLAIN = noise(6_000_000);
const { events, pointer } = sealBlob(PLAIN, OPTIONS); // 125 of data, one index
const READ = { key: KEY, context: OPTIONS.context, part: OPTIONS.part, maxBytes: PLAIN.length };
const MEMBERS = 'auth-required: members only';

function connect(url: string): Relays {
  const relays = connectRelays([url], { signer: signerOf('customer'), network: 'sandbox', timeoutMs: 5_000 });
  onTestFinished(() => relays.close());
  return relays;
}

/** A relay 30 ms away, so that there are several connections. */
async function far(strictness: Strictness) {
  const relay = await strictRelay({ challenges: true, login: true, ...strictness });
  const proxy = await startDelay(relay.url, 15);
  onTestFinished(() => proxy.close());
  return { relay, relays: connect(proxy.url) };
}

it.each<[string, NonNullable<Strictness['onEvent']>]>([
  ['on every connection', (_, isIn) => (isIn ? undefined : MEMBERS)],
  ['from the second connection on', (_, isIn, connection) => (isIn || connection === 1 ? undefined : MEMBERS)],
  ['after some events', ((seen) => (_, isIn) => (isIn || ++seen <= 20 ? undefined : MEMBERS))(0)],
])('a login that is demanded %s is made there, and nothing is lost', async (_, onEvent) => {
  const { relay, relays } = await far({ onEvent });
  expect((await uploadBlob(relays, events)).relays[0]).toMatchObject({ stored: events.length, refused: 0, skipped: 0 });
  expect(new Set(relay.kept().map(({ id }) => id))).toEqual(new Set(events.map(({ id }) => id)));
  expect(relay.connections()).toBeGreaterThan(1);
  // Once for each connection that needs it, as the customer: an upload key is known to nobody.
  const connections = relay.logins.map(([connection]) => connection);
  expect(connections.length).toBeGreaterThan(0);
  expect(new Set(connections).size).toBe(connections.length);
  expect(new Set(relay.logins.map(([, who]) => who))).toEqual(new Set([pubkeyOf('customer')]));
});

it('nobody logs in for chunks where a relay only offers it; what the customer signs goes over another connection', async () => {
  const { relay, relays } = await far({});
  await uploadBlob(relays, events);
  expect(Buffer.compare(await downloadBlob(relays, pointer, READ), PLAIN)).toBe(0);
  expect(relay.logins).toEqual([]);
  const carried = relay.connections();
  await relays.publish(note('customer'));
  expect(relay.connections()).toBe(carried + 1);
  expect(relay.logins.every(([connection]) => connection === carried + 1)).toBe(true);
});

it('readers log in where chunks are for members, and get all of them', async () => {
  const { relay, relays } = await far({ onRequest: (isIn) => (isIn ? undefined : MEMBERS) });
  await uploadBlob(relays, events);
  expect(relay.logins).toEqual([]);
  expect(Buffer.compare(await downloadBlob(relays, pointer, READ), PLAIN)).toBe(0);
  expect(relay.logins.length).toBeGreaterThan(0);
});

it('a login that is refused is said, and another relay carries on', async () => {
  const shut = await strictRelay({ challenges: true, login: false, onEvent: () => MEMBERS });
  const open = await strictRelay({});
  const relays = connectRelays([shut.url, open.url], { signer: signerOf('customer'), timeoutMs: 5_000 });
  onTestFinished(() => relays.close());
  const result = await uploadBlob(relays, events);
  expect(result.relays).toMatchObject([
    // Its last words, or ours about what still waited for the login: whichever came later.
    { stored: 0, message: expect.stringMatching(/^auth-required: (login refused|members only)$/) },
    { stored: events.length, message: '' },
  ]);
  expect(shut.logins.length).toBe(shut.connections());
});
