import { describe, expect, it } from 'vitest';
import { hex } from '../../src/hash.js';
import { initiate, reconcile } from '../../src/relay/negentropy.js';
import { SyncSet } from '../../src/relay/sync-set.js';
import type { NostrEvent } from '../../src/ports.js';
import { note, NOW, pubkeyOf, RawClient, relayForTest } from './samples.js';

/** NIP-77 at the embedded relay. */

async function stored(events: readonly NostrEvent[], options = {}) {
  const relay = await relayForTest(options);
  const client = await RawClient.connect(relay.url);
  for (const event of events) await client.publish(event);
  return { relay, client };
}

/** What the relay lacks, and what it has besides, of a filter. */
async function compare(client: RawClient, filter: object, ours: readonly NostrEvent[]) {
  const set = new SyncSet(ours);
  const [have, need] = [new Set<string>(), new Set<string>()];
  client.send('NEG-OPEN', 's', filter, hex(initiate(set)));
  for (;;) {
    const [, , message] = await client.next('NEG-MSG', 's');
    const difference = reconcile(set, Buffer.from(message as string, 'hex'), 60_000);
    for (const id of difference.have) have.add(id);
    for (const id of difference.need) need.add(id);
    if (difference.next === undefined) break;
    client.send('NEG-MSG', 's', hex(difference.next));
  }
  client.send('NEG-CLOSE', 's');
  return { have: [...have].sort(), need: [...need].sort() };
}

const notes = Array.from({ length: 80 }, (_, i) => note(i % 2 ? 'alice' : 'bob', { content: `${i}`, created_at: NOW - i })); // prettier-ignore
const ids = (events: readonly NostrEvent[]) => events.map(({ id }) => id).sort();

it('tells exactly what each side lacks, of the events that the filter names', async () => {
  const { client } = await stored(notes.slice(0, 70));
  expect(await compare(client, {}, notes.slice(5))).toEqual({ have: ids(notes.slice(70)), need: ids(notes.slice(0, 5)) }); // prettier-ignore
  const ofAlice = notes.filter(({ pubkey }) => pubkey === pubkeyOf('alice'));
  expect(await compare(client, { authors: [pubkeyOf('alice')] }, ofAlice)).toEqual({
    have: ids(ofAlice.filter((event) => notes.indexOf(event) >= 70)),
    need: [],
  });
  expect(await compare(client, { kinds: [7] }, [])).toEqual({ have: [], need: [] });
});

it('does not tell of gift wraps but to their recipient', async () => {
  const wrap = note('one-time', { kind: 1059, tags: [['p', pubkeyOf('alice')]] });
  const { relay, client } = await stored([wrap]);
  expect(await compare(client, {}, [])).toEqual({ have: [], need: [] });
  client.send('NEG-OPEN', 'w', { kinds: [1059] }, '61');
  expect((await client.next('NEG-ERR', 'w'))[2]).toMatch(/^auth-required:/);
  const alice = await RawClient.connect(relay.url);
  await alice.authenticate('alice', relay.url, await alice.challenge());
  expect(await compare(alice, { kinds: [1059] }, [])).toEqual({ have: [], need: [wrap.id] });
});

describe('limits', () => {
  const limits = { maxSyncs: 2, maxSyncEvents: 3 };

  it('refuses a query that is too big, with the limit', async () => {
    const { client } = await stored(notes.slice(0, 4), { limits });
    client.send('NEG-OPEN', 'big', {}, '61');
    expect(await client.next('NEG-ERR')).toEqual(['NEG-ERR', 'big', 'blocked: this query is too big', 3]);
    client.send('NEG-OPEN', 'small', { limit: 3 }, '61');
    expect(await client.next('NEG-MSG')).toEqual(['NEG-MSG', 'small', '61']);
  });

  it('bounds what is open at once; the same id anew, or a closed one, makes room', async () => {
    const { client } = await stored([], { limits });
    for (const id of ['a', 'b', 'b', 'c']) client.send('NEG-OPEN', id, {}, '61');
    expect(await client.next('NEG-ERR')).toEqual(['NEG-ERR', 'c', 'blocked: more than 2 reconciliations']);
    client.send('NEG-CLOSE', 'a');
    client.send('NEG-OPEN', 'c', {}, '61');
    expect(await client.next('NEG-MSG')).toEqual(['NEG-MSG', 'c', '61']);
  });

  it.each([
    ['a message for nothing that is open', ['NEG-MSG', 's', '61'], /^closed: no reconciliation/],
    ['a message that is no hex', ['NEG-OPEN', 's', {}, 'zz'], /^invalid: a message is bytes as lowercase hex/],
    ['an empty message', ['NEG-OPEN', 's', {}, ''], /^invalid: a message is bytes/],
    ['a filter that is none', ['NEG-OPEN', 's', { search: 'x' }, '61'], /^invalid: filter is malformed/],
    ['a broken message', ['NEG-OPEN', 's', {}, '610000'], /^invalid: a message of Negentropy is malformed/],
    ['a long list that is not there', ['NEG-OPEN', 's', {}, '61000002ffffff7f'], /^invalid:/],
    ['another verb', ['NEG-NOPE', 's'], /^invalid: expected NEG-OPEN/],
  ])('answers %s with NEG-ERR and lives on', async (_what, message, reason) => {
    const { client } = await stored([]);
    client.send(...message);
    expect((await client.next('NEG-ERR', 's'))[2]).toMatch(reason);
    expect(await compare(client, {}, [])).toEqual({ have: [], need: [] });
  });
});
