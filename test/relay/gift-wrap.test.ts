import { v2 as nip44 } from 'nostr-tools/nip44';
import { unwrapEvent, wrapEvent } from 'nostr-tools/nip59';
import { describe, expect, it } from 'vitest';
import { hex, type EventId } from '../../src/hash.js';
import { MAX_RUMOR_BYTES, unwrapRumor, wrapRumor } from '../../src/relay/gift-wrap.js';
import { localSigner } from '../../src/signer.js';
import { eventHash, hasValidSignature } from '../../src/schnorr.js';
import type { NostrEvent } from '../../src/ports.js';
import { note, NOW, pubkeyOf, secretOf, seededRandom, signerOf } from './samples.js';

const alice = signerOf('alice');
const bob = signerOf('bob');
const grant = { kind: 4624, content: 'the key ☃', tags: [['purpose', 'shard']] };
const wrapped = (rumor = grant) => wrapRumor(rumor, alice, bob.pubkey, seededRandom('wrap'), NOW);

/** A gift wrap of anything, as a dishonest author could make it. */
async function wrapOf(seal: object): Promise<NostrEvent> {
  const oneTime = signerOf('one-time');
  const content = await oneTime.encrypt(bob.pubkey, JSON.stringify(seal));
  return oneTime.sign({ kind: 1059, created_at: NOW, tags: [['p', bob.pubkey]], content });
}
async function sealOf(rumor: object, fields = {}): Promise<NostrEvent> {
  const content = await alice.encrypt(bob.pubkey, JSON.stringify(rumor));
  return alice.sign({ kind: 13, created_at: NOW, tags: [], content, ...fields });
}
function rumorOf(pubkey = alice.pubkey) {
  const unsigned = { pubkey, created_at: NOW, ...grant };
  return { ...unsigned, id: hex(eventHash(unsigned)) as EventId };
}

describe('a gift wrap', () => {
  it('gives the recipient the rumor and its author', async () => {
    expect(await unwrapRumor(await wrapped(), bob)).toEqual(rumorOf());
  });

  it('shows strangers a one-time key, the recipient and a date in the two days before', async () => {
    const wrap = await wrapped();
    expect(hasValidSignature(wrap)).toBe(true);
    expect(wrap).toMatchObject({ kind: 1059, tags: [['p', bob.pubkey]] });
    expect(wrap.pubkey).not.toBe(alice.pubkey);
    const dates = await Promise.all(
      Array.from({ length: 20 }, async (_, i) =>
        wrapRumor(grant, alice, bob.pubkey, seededRandom(`dates ${i}`), NOW).then((one) => NOW - one.created_at),
      ),
    );
    expect(Math.min(...dates)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...dates)).toBeLessThan(172_800);
    expect(new Set(dates).size).toBe(20);
  });

  it('opens in nostr-tools, and opens what nostr-tools wraps', async () => {
    expect(unwrapEvent(structuredClone(await wrapped()) as never, secretOf('bob'))).toEqual(rumorOf());
    const foreign = wrapEvent({ ...grant, created_at: NOW }, secretOf('alice'), bob.pubkey);
    expect(await unwrapRumor(foreign as never, bob)).toEqual(rumorOf());
  });

  it('may be written to oneself', async () => {
    const wrap = await wrapRumor(grant, alice, alice.pubkey, seededRandom('self'), NOW);
    expect((await unwrapRumor(wrap, alice)).content).toBe(grant.content);
  });

  it('carries a rumor of 28,672 bytes in less than 65,536, and refuses one byte more', async () => {
    const empty = Buffer.byteLength(JSON.stringify({ ...rumorOf(), content: '' }));
    const largest = { ...grant, content: 'x'.repeat(MAX_RUMOR_BYTES - empty) };
    const wrap = await wrapped(largest);
    expect(JSON.stringify(wrap).length).toBeLessThan(65_536);
    expect((await unwrapRumor(wrap, bob)).content).toBe(largest.content);
    const tooLarge = { ...grant, content: `${largest.content}x` };
    await expect(wrapped(tooLarge)).rejects.toMatchObject({ code: 'too-large', got: '28673 bytes' });
  });

  it('does not open for another key', async () => {
    await expect(unwrapRumor(await wrapped(), signerOf('carol'))).rejects.toMatchObject({ code: 'wrong-key' });
  });

  it.each([
    ['a wrap of another kind', async () => ({ ...(await wrapped()), kind: 1 }), 'a gift wrap has another kind'],
    ['a seal of another kind', async () => wrapOf(await sealOf(rumorOf(), { kind: 14 })), 'a seal has another kind'],
    ['a seal with tags', async () => wrapOf(await sealOf(rumorOf(), { tags: [['p', bob.pubkey]] })), 'a seal has tags'],
    [
      'a seal with a signature of another event',
      async () => wrapOf({ ...(await sealOf(rumorOf())), sig: note('alice').sig }),
      'a seal is not signed by its author',
    ],
    [
      'a seal whose author was exchanged',
      async () => wrapOf({ ...(await sealOf(rumorOf())), pubkey: pubkeyOf('carol') }),
      'a seal is not signed by its author',
    ],
    [
      'a rumor in the name of somebody else',
      async () => wrapOf(await sealOf(rumorOf(pubkeyOf('carol')))),
      'a rumor names another author than its seal',
    ],
    [
      'a rumor with an id of other content',
      async () => wrapOf(await sealOf({ ...rumorOf(), content: 'changed' })),
      'the id of a rumor is not its hash',
    ],
    ['a rumor without an id', async () => wrapOf(await sealOf({ ...rumorOf(), id: undefined })), 'id is malformed'],
    ['a seal that is a list', async () => wrapOf([]), 'event is malformed'],
    ['a rumor that is a string', async () => wrapOf(await sealOf('rumor' as never)), 'event is malformed'],
  ])('is refused with %s', async (_what, make, message) => {
    await expect(unwrapRumor(await make(), bob)).rejects.toMatchObject({ code: 'bad-event', message });
  });

  it('is refused when a layer is not JSON', async () => {
    const oneTime = signerOf('one-time');
    const content = await oneTime.encrypt(bob.pubkey, 'not json');
    const wrap = await oneTime.sign({ kind: 1059, created_at: NOW, tags: [], content });
    await expect(unwrapRumor(wrap, bob)).rejects.toMatchObject({ code: 'bad-event', message: 'a seal is not JSON' });
  });

  it('is refused for its size before anything is decrypted', async () => {
    const reader = { ...bob, decrypt: () => Promise.reject(new Error('decrypted')) };
    const wrap = note('one-time', { kind: 1059, content: 'A'.repeat(65_537) });
    await expect(unwrapRumor(wrap, reader)).rejects.toMatchObject({ code: 'too-large' });
    const inner = await wrapOf(await sealOf({ ...rumorOf(), content: 'x'.repeat(28_700) }));
    await expect(unwrapRumor(inner, bob)).rejects.toMatchObject({ code: 'too-large' });
  });
});

describe('the local signer', () => {
  it('speaks NIP-44 v2 with nostr-tools', async () => {
    const key = nip44.utils.getConversationKey(secretOf('bob'), alice.pubkey);
    expect(nip44.decrypt(await alice.encrypt(bob.pubkey, 'hello'), key)).toBe('hello');
    expect(await alice.decrypt(bob.pubkey, nip44.encrypt('hello', key))).toBe('hello');
  });

  it('signs and does not change the template', async () => {
    const template = Object.freeze({ kind: 1, created_at: NOW, content: 'x', tags: Object.freeze([['t', 'x']]) });
    const event = await alice.sign(template);
    expect(hasValidSignature(event)).toBe(true);
    expect(event).toMatchObject({ ...template, pubkey: alice.pubkey });
  });

  it('answers wrong-key for tampered, foreign and malformed payloads, without the content', async () => {
    const payload = await alice.encrypt(bob.pubkey, 'secret text');
    const bad = [payload.slice(0, -4) + 'AAAA', 'hello', '', `#${payload}`];
    for (const text of bad) await expect(bob.decrypt(alice.pubkey, text)).rejects.toMatchObject({ code: 'wrong-key' });
  });

  it('refuses secrets and peers that are no keys', async () => {
    expect(() => localSigner(new Uint8Array(32))).toThrowError(expect.objectContaining({ code: 'bad-key' }));
    expect(() => localSigner(new Uint8Array(31))).toThrowError(expect.objectContaining({ code: 'bad-key' }));
    const noPoint = 'f'.repeat(64) as typeof bob.pubkey;
    await expect(alice.encrypt(noPoint, 'x')).rejects.toMatchObject({ code: 'bad-key' });
  });

  it('keeps its own copy of the secret', async () => {
    const secret = Uint8Array.from(secretOf('alice'));
    const signer = localSigner(secret);
    secret.fill(0);
    const event = await signer.sign({ kind: 1, created_at: NOW, content: '', tags: [] });
    expect(event).toEqual(note('alice'));
  });
});
