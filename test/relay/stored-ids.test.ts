import { expect, it } from 'vitest';
import { hex, sha256Hex } from '../../src/hash.js';
import { respond } from '../../src/relay/negentropy.js';
import { storedIds } from '../../src/relay/stored-ids.js';
import { SyncSet } from '../../src/relay/sync-set.js';
import { fastClock, note, NOW, poolForTest, relayForTest, ScriptedRelay } from './samples.js';

/** What a relay has, asked without its sending it. */

const options = { clock: fastClock, timeoutMs: 5_000 };
const ids = Array.from({ length: 1_200 }, (_, i) => sha256Hex(`id ${i}`) as string);

it('knows exactly which of many events the embedded relay has', async () => {
  const relay = await relayForTest();
  const events = Array.from({ length: 700 }, (_, i) => note('alice', { content: `${i}`, created_at: NOW - (i % 9) }));
  const [there, away] = [events.slice(0, 650), events.slice(650)];
  const pool = poolForTest([relay.url]);
  await Promise.all(there.map((event) => pool.publish(event)));
  const asked = [...away, ...there.toReversed()].map(({ id }) => id as string);
  expect(await storedIds(relay.url, asked, options)).toEqual(new Set(there.map(({ id }) => id)));
  expect(await storedIds(relay.url, ids.slice(0, 3), options)).toEqual(new Set());
});

it('takes nothing for an answer that was not asked for', async () => {
  const relay = await ScriptedRelay.start(([verb, id, , message], reply) => {
    if (verb !== 'NEG-OPEN') return;
    const set = new SyncSet([...ids.slice(0, 3), sha256Hex('another')].map((one) => ({ id: one, created_at: 1 })));
    reply('NEG-MSG', id, hex(respond(set, Buffer.from(message as string, 'hex'), 60_000)));
  });
  expect(await storedIds(relay.url, ids.slice(1, 5), options)).toEqual(new Set(ids.slice(1, 3)));
});

const NOT_SAYING: Readonly<Record<string, (id: unknown) => readonly unknown[]>> = {
  'a relay that does not know the question': () => ['NOTICE', 'invalid: unknown command'],
  'a relay that refuses': (id) => ['NEG-ERR', id, 'blocked: not here'],
  'no hex': (id) => ['NEG-MSG', id, 'zz'],
  'a broken message': (id) => ['NEG-MSG', id, '610000'],
  'another version': (id) => ['NEG-MSG', id, '60'],
  'a relay that never comes to an end': (id) => ['NEG-MSG', id, '61000001' + 'ab'.repeat(16)],
};

it.each(Object.entries(NOT_SAYING))('says that nothing is known: %s', async (_what, answer) => {
  const relay = await ScriptedRelay.start(([verb, id], reply) => {
    if (verb === 'NEG-OPEN' || verb === 'NEG-MSG') reply(...answer(id));
  });
  expect(await storedIds(relay.url, ids, options)).toBeNull();
  expect(relay.received.length).toBeLessThan(60);
});

it('waits no longer than it is told to for a silent relay, and not for one that is not there', async () => {
  const silent = await ScriptedRelay.start(() => undefined);
  expect(await storedIds(silent.url, ids, { ...options, timeoutMs: 50 })).toBeNull();
  expect(await storedIds('ws://127.0.0.1:9', ids, options)).toBeNull();
  expect(await storedIds(silent.url, ids, { ...options, signal: AbortSignal.abort() })).toBeNull();
});
