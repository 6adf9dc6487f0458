import { describe, expect, it, vi } from 'vitest';
import { provider } from '../../src/secp/provider.js';
import { connectRelays } from '../../src/relay/pool.js';
import type { NostrEvent } from '../../src/ports.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { fastClock, note, NOW, pubkeyOf, RawClient, relayForTest, signerOf } from './samples.js';

/** Who may write to the embedded relay and read from it, how much, how fast, and what refusing costs. */

const sizeOf = (event: NostrEvent) => JSON.stringify(event).length;
const allowed = new Set([pubkeyOf('alice')]);
const wrapTo = (name: string, content = '') => note('one-time', { kind: 1059, content, tags: [['p', pubkeyOf(name)]] });

async function relayAndClient(options: Parameters<typeof relayForTest>[0] = {}) {
  const relay = await relayForTest(options);
  return { relay, client: await RawClient.connect(relay.url) };
}

describe('an allow-list', () => {
  it('takes events of its keys and gift wraps to them, and of others what they sent logged in with such a key', async () => {
    const { relay, client } = await relayAndClient({ access: { allowed } });
    const stranger = 'auth-required: log in with a key that may write here';
    expect(await client.publish(note('alice'))).toEqual([true, '']);
    expect(await client.publish(note('bob'))).toEqual([false, stranger]);
    expect(await client.publish(wrapTo('alice'))).toEqual([true, '']);
    expect(await client.publish(wrapTo('bob'))).toEqual([false, stranger]);
    expect(await client.query({ kinds: [1] })).toEqual([note('alice')]);

    const alice = await RawClient.connect(relay.url);
    await alice.authenticate('alice', relay.url, await alice.challenge());
    expect(await alice.publish(note('a key that is used once', { kind: 4621 }))).toEqual([true, '']);
    const bob = await RawClient.connect(relay.url);
    await bob.authenticate('bob', relay.url, await bob.challenge());
    expect(await bob.publish(note('bob'))).toEqual([false, expect.stringMatching(/^restricted:/)]);
  });

  it('lets our own pool write with keys of a dataset, because it logs in', async () => {
    const relay = await relayForTest({ access: { allowed } });
    const pool = connectRelays([relay.url], { clock: fastClock, signer: signerOf('alice') });
    for (const isBulk of [false, true]) {
      const chunk = note('dataset key', { kind: 4621, content: String(isBulk) });
      expect(await pool.publish(chunk, undefined, { isBulk })).toMatchObject([{ state: 'stored' }]);
    }
    await pool.close();
  });

  it('honours requests to delete of whoever owns what they delete, and stores no others', async () => {
    const { relay, client } = await relayAndClient({ access: { allowed } });
    const alice = await RawClient.connect(relay.url);
    await alice.authenticate('alice', relay.url, await alice.challenge());
    const [one, two] = ['1', '2'].map((content) => note('once', { content, created_at: NOW - 1 }));
    for (const event of [one!, two!]) await alice.publish(event);
    const deletion = (of: string, author: string) => note(author, { kind: 5, tags: [['e', of]] });
    expect((await client.publish(deletion(one!.id, 'bob')))[0]).toBe(false);
    expect(await client.publish(deletion(one!.id, 'once'))).toEqual([true, '']);
    expect((await client.publish(deletion(one!.id.replace(/^./, 'f'), 'once')))[0]).toBe(false);
    const vanish = (author: string) => note(author, { kind: 62, tags: [['relay', relay.url]] });
    expect((await client.publish(vanish('bob')))[0]).toBe(false);
    expect(await client.publish(vanish('once'))).toEqual([true, '']);
    expect(await client.query({ kinds: [1] })).toEqual([]);
  });

  it('with --private answers nobody else: not queries, counts or reconciliations', async () => {
    const { relay, client } = await relayAndClient({ access: { allowed, isPrivate: true } });
    await client.publish(note('alice'));
    expect(await client.query({})).toBe('auth-required: log in with a key that may read here');
    client.send('COUNT', 'c', {});
    expect((await client.next('CLOSED', 'c'))[2]).toMatch(/^auth-required:/);
    client.send('NEG-OPEN', 'n', {}, '61');
    expect((await client.next('NEG-ERR', 'n'))[2]).toMatch(/^auth-required:/);
    const bob = await RawClient.connect(relay.url);
    await bob.authenticate('bob', relay.url, await bob.challenge());
    expect(await bob.query({})).toMatch(/^restricted:/);
    const alice = await RawClient.connect(relay.url);
    await alice.authenticate('alice', relay.url, await alice.challenge());
    expect(await alice.query({})).toEqual([note('alice')]);
    const answer = await fetch(relay.url.replace('ws:', 'http:'), { headers: { Accept: 'application/nostr+json' } });
    expect(await answer.json()).toMatchObject({ limitation: { auth_required: true, restricted_writes: true } });
  });
});

describe('a quota', () => {
  const notes = ['a', 'b', 'c'].map((content) =>
    note('alice', { content: content.repeat(1_000), created_at: NOW - 1 }),
  );

  it('of bytes: refused when used up, free again after a deletion, the same after a restart', async () => {
    const dir = temporaryFolder();
    const bytes = 2 * (sizeOf(notes[0]!) + 1) + 10;
    const access = { quota: { bytes, events: Infinity } };
    const first = await relayAndClient({ dir, access });
    const refusal = `blocked: quota of ${bytes} bytes per key is used up`;
    // At once: what waits for the disk counts too.
    for (const event of notes) first.client.send('EVENT', event);
    const answers = await Promise.all(notes.map(async () => (await first.client.next('OK')).slice(2)));
    expect(answers.sort()).toEqual([[false, refusal], [true, ''], [true, '']]); // prettier-ignore
    expect(await first.client.publish(note('bob'))).toEqual([true, '']);
    await first.relay.close();

    const { client } = await relayAndClient({ dir, access });
    expect(await client.publish(notes[2]!)).toEqual([false, refusal]);
    expect((await client.publish(note('alice', { kind: 5, tags: [['e', 'f'.repeat(64)]] })))[0]).toBe(false);
    expect(await client.publish(note('alice', { kind: 5, tags: notes.slice(0, 2).map(({ id }) => ['e', id]) }))).toEqual([true, '']); // prettier-ignore
    expect(await client.publish(notes[2]!)).toEqual([true, '']);
  });

  it('of events: a new version counts for the one it replaces, a gift wrap for its recipient alone', async () => {
    const { client } = await relayAndClient({ access: { quota: { bytes: Infinity, events: 1 } } });
    const version = (created_at: number) => note('alice', { kind: 0, created_at });
    expect(await client.publish(version(NOW - 1))).toEqual([true, '']);
    expect(await client.publish(version(NOW))).toEqual([true, '']);
    const refusal = [false, 'blocked: quota of 1 events per key is used up'];
    expect(await client.publish(note('alice'))).toEqual(refusal);
    expect(await client.publish(wrapTo('alice'))).toEqual([true, '']);
    expect(await client.publish(wrapTo('alice', 'another'))).toEqual(refusal);
    expect(await client.publish(wrapTo('bob'))).toEqual([true, '']);
  });
});

describe('before a signature is checked', () => {
  const limits = { maxMessagesPerSec: 3 };

  it('everything that costs less has refused the event', async () => {
    const { client } = await relayAndClient({
      access: { allowed, quota: { bytes: 2_000, events: 3 } },
      maxEventBytes: 10_000,
    });
    const kept = note('alice', { kind: 10_000 });
    const deletion = note('alice', { kind: 5, tags: [['e', note('alice').id]] });
    for (const event of [kept, deletion]) await client.publish(event);
    const verify = vi.spyOn(provider(), 'verify');
    const sent = [
      note('alice', { content: 'x'.repeat(10_000) }),
      note('alice', { content: 'x'.repeat(2_000) }),
      note('alice', { created_at: NOW + 901 }),
      note('alice', { tags: [['-']] }),
      note('alice', { tags: [['expiration', '1']] }),
      note('alice', { kind: 62 }),
      note('alice', { kind: 22_242 }),
      note('alice'),
      note('bob'),
      { ...note('alice', { content: 'changed' }), content: 'later' },
    ];
    for (const event of sent) expect((await client.publish(event))[0], JSON.stringify(event).slice(0, 400)).toBe(false);
    for (const event of [kept, note('alice', { kind: 10_000, created_at: NOW - 1 })])
      expect((await client.publish(event))[1]).toMatch(/^duplicate:/);
    expect(verify).not.toHaveBeenCalled();
    expect((await client.publish({ ...note('alice', { content: 'y' }), sig: kept.sig }))[0]).toBe(false);
    expect(verify).toHaveBeenCalledTimes(1);
    verify.mockRestore();
  });

  it('and before it is parsed, messages that come too fast, each by its name', async () => {
    let now = NOW;
    const { client } = await relayAndClient({ limits, nowSec: () => now });
    for (let i = 0; i < 3; i++) client.send('CLOSE', 'x');
    const reason = 'rate-limited: at most 3 messages a second';
    const event = note('alice');
    const verify = vi.spyOn(provider(), 'verify');
    expect(await client.publish(event)).toEqual([false, reason]);
    expect(verify).not.toHaveBeenCalled();
    verify.mockRestore();
    expect(await client.query({})).toBe(reason);
    client.send('NEG-OPEN', 'n', {}, '61');
    expect(await client.next('NEG-ERR')).toEqual(['NEG-ERR', 'n', reason]);
    client.sendText('['.repeat(1_000));
    expect(await client.next('NOTICE')).toEqual(['NOTICE', reason]);
    now++;
    expect(await client.publish(event)).toEqual([true, '']);
  });

  it('a connection that sends 32 events with broken signatures is ended', async () => {
    const { client } = await relayAndClient();
    for (let i = 0; i < 40; i++) client.send('EVENT', { ...note('alice', { content: `${i}` }), sig: note('bob').sig });
    expect(await client.closed()).toBe(1008);
  });
});
