import { v2 as nip44 } from 'nostr-tools/nip44';
import { finalizeEvent } from 'nostr-tools/pure';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Pubkey } from '../../src/hash.js';
import type { Clock, EventTemplate } from '../../src/ports.js';
import { openBunker, type Bunker } from '../../src/relay/bunker.js';
import { startRelay } from '../../src/relay/embedded.js';
import { wrapRumor, unwrapRumor } from '../../src/relay/gift-wrap.js';
import { hasValidSignature } from '../../src/schnorr.js';
import { systemClock } from '../../src/config/clock.js';
import { startTestBunker, type TestBunker, type TestBunkerOptions } from '../support/test-bunker.js';
import { poolForTest, relayForTest, secretOf, seededRandom, signerOf } from './samples.js';

const template = (content = 'x'): EventTemplate => ({
  kind: 4620,
  created_at: 1_800_000_000,
  tags: [['t', 'a']],
  content,
});

interface Session {
  readonly bunker: TestBunker;
  readonly client: Bunker;
  readonly pages: string[];
}

/** A bunker on a relay, and a client that has connected to it. */
async function session(
  behave?: TestBunkerOptions['behave'],
  { timeoutMs = 10_000, clock = systemClock, isConnected = true } = {},
): Promise<Session> {
  const nowSec = () => Math.floor(Date.now() / 1000);
  const { url } = await relayForTest({ nowSec });
  const bunker = await startTestBunker({
    relay: url,
    secret: secretOf('bunker'),
    user: secretOf('user'),
    ...(behave && { behave }),
  });
  const pages: string[] = [];
  const own = signerOf('client');
  const client = openBunker({
    relays: poolForTest([url], { clock: systemClock, signer: own }),
    client: own,
    bunker: bunker.pubkey as Pubkey,
    ...{ clock, random: seededRandom('bunker'), timeoutMs, onAuthUrl: (page: string) => pages.push(page) },
  });
  onTestFinished(() => client.close());
  if (isConnected) await client.connect('let-me-in');
  return { bunker, client, pages };
}

describe('a bunker', () => {
  it('connects once with its secret and names the key it holds', async () => {
    const { bunker, client } = await session();
    expect(await client.userPubkey()).toBe(bunker.user);
    await client.ping();
    expect(bunker.asked).toEqual(['connect', 'get_public_key', 'ping']);
    await expect(client.connect('let-me-in')).rejects.toMatchObject({
      code: 'bunker-refused',
      got: 'unauthorized',
    });
  });

  it('signs exactly what it was asked to, and changes nothing of it', async () => {
    const { bunker, client } = await session();
    const asked = template();
    const event = await client.signerFor(bunker.user as Pubkey).sign(asked);
    expect(event).toMatchObject({ ...template(), pubkey: bunker.user });
    expect(hasValidSignature(event)).toBe(true);
    expect(asked).toEqual(template());
  });

  it('seals and opens what the key itself would, of any length', async () => {
    const { bunker, client } = await session();
    const remote = client.signerFor(bunker.user as Pubkey);
    const other = signerOf('other');
    for (const length of [1, 32, 33, 256, 257, 1_000, 20_000]) {
      const text = 'é'.padEnd(length, 'a');
      expect(await other.decrypt(remote.pubkey, await remote.encrypt(other.pubkey, text))).toBe(text);
      expect(await remote.decrypt(other.pubkey, await other.encrypt(remote.pubkey, text))).toBe(text);
    }
    const wrap = await wrapRumor(
      { kind: 14, content: 'hi', tags: [] },
      other,
      remote.pubkey,
      seededRandom('w'),
      1_800_000_000,
    );
    expect(await unwrapRumor(wrap, remote)).toMatchObject({ content: 'hi', pubkey: other.pubkey });
  });

  it('does not open what is not for its key: wrong-key, and not a refusal', async () => {
    const { bunker, client } = await session();
    const foreign = await signerOf('other').encrypt(signerOf('third').pubkey, 'not for you');
    await expect(
      client.signerFor(bunker.user as Pubkey).decrypt(signerOf('other').pubkey, foreign),
    ).rejects.toMatchObject({ code: 'wrong-key' });
  });

  it('takes no message that would not fit', async () => {
    const { bunker, client } = await session();
    await expect(client.signerFor(bunker.user as Pubkey).sign(template('x'.repeat(70_000)))).rejects.toMatchObject({
      code: 'too-large',
    });
  });

  it('of several answers the first counts', async () => {
    const { bunker, client } = await session(({ method }, honest) =>
      method === 'sign_event' ? [honest(), { error: 'too late' }, { result: '{}' }] : undefined,
    );
    const remote = client.signerFor(bunker.user as Pubkey);
    const events = await Promise.all(['a', 'b', 'c'].map((text) => remote.sign(template(text))));
    expect(events.map(({ content }) => content)).toEqual(['a', 'b', 'c']);
  });
});

describe('a refusing bunker', () => {
  it('is told by its own words, for signing and for opening', async () => {
    const { bunker, client } = await session(({ method }) =>
      /sign_event|nip44/.test(method) ? { error: 'the owner said no' } : undefined,
    );
    const remote = client.signerFor(bunker.user as Pubkey);
    const payload = await signerOf('other').encrypt(remote.pubkey, 'hi');
    for (const attempt of [remote.sign(template()), remote.decrypt(signerOf('other').pubkey, payload)])
      await expect(attempt).rejects.toMatchObject({
        code: 'bunker-refused',
        got: 'the owner said no',
        remedy: expect.stringContaining('new bunker:// address'),
      });
  });
});

describe('a silent bunker', () => {
  it('is unreachable after the time it has, after being asked twice', async () => {
    const { bunker, client } = await session(({ method }) => (method === 'sign_event' ? null : undefined), {
      timeoutMs: 300,
    });
    await expect(client.signerFor(bunker.user as Pubkey).sign(template())).rejects.toMatchObject({
      code: 'bunker-unreachable',
      got: 'silence',
      remedy: expect.stringContaining('run the same command again'),
    });
    expect(bunker.asked.filter((method) => method.startsWith('sign_event'))).toHaveLength(2);
  });

  it('that lost the first question answers the second: one event, the same id', async () => {
    let lost = 0;
    const { bunker, client } = await session(
      ({ method }, honest) => {
        if (method !== 'sign_event' || lost++ > 0) return undefined;
        honest(); // it signed, and its answer went nowhere
        return null;
      },
      { timeoutMs: 1_000 },
    );
    const event = await client.signerFor(bunker.user as Pubkey).sign(template());
    expect(bunker.signed).toEqual([event.id, event.id]);
  });

  it('whose relay is down is unreachable at once, and comes back with it', async () => {
    const nowSec = () => Math.floor(Date.now() / 1000);
    const first = await startRelay({ port: 0, nowSec });
    const { url, port } = first;
    // The second one knows the client, as a real one does after a restart.
    const start = (clients: string[]) =>
      startTestBunker({ relay: url, secret: secretOf('bunker'), user: secretOf('user'), clients });
    const bunker = await start([signerOf('client').pubkey]);
    const own = signerOf('client');
    const client = openBunker({
      relays: poolForTest([url], { clock: systemClock, signer: own }),
      ...{ client: own, bunker: bunker.pubkey as Pubkey, clock: systemClock },
      ...{ random: seededRandom('bunker'), timeoutMs: 10_000, onAuthUrl: () => undefined },
    });
    onTestFinished(() => client.close());
    const remote = client.signerFor(bunker.user as Pubkey);
    await remote.sign(template('before'));
    await bunker.close();
    await first.close();
    await expect(remote.sign(template('meanwhile'))).rejects.toMatchObject({
      code: 'bunker-unreachable',
      expected: expect.stringContaining(url),
    });
    const second = await startRelay({ port, nowSec });
    onTestFinished(() => second.close());
    await start([...bunker.clients]);
    expect((await remote.sign(template('after'))).content).toBe('after');
  });

  it('that waits for its owner: the page is told once, and the answer is waited for beyond the usual time', async () => {
    let approve!: () => void;
    const approved = new Promise<void>((done) => (approve = done));
    let laterMs = 0;
    const clock: Clock = {
      ...systemClock,
      nowMs: () => Date.now() + laterMs,
      wait: (ms, signal) => systemClock.wait(Math.min(ms, 5), signal),
    };
    const { bunker, client, pages } = await session(
      ({ method }, honest) =>
        method === 'sign_event'
          ? [
              { result: 'auth_url', error: 'javascript:alert(1)' },
              { result: 'auth_url', error: 'https://bunker.example/ok?x=1' },
              { result: 'auth_url', error: 'https://bunker.example/again' },
              approved.then(honest),
            ]
          : undefined,
      { timeoutMs: 60_000, clock },
    );
    const signing = client.signerFor(bunker.user as Pubkey).sign(template());
    await vi.waitFor(() => expect(pages).toEqual(['https://bunker.example/ok?x=1']));
    laterMs = 250_000;
    approve();
    expect((await signing).content).toBe('x');
    expect(pages).toHaveLength(1);
    expect(bunker.asked.filter((method) => method === 'sign_event:4620')).toHaveLength(1);
  });

  it('is waited for no longer than the run lasts', async () => {
    const { bunker, client } = await session(({ method }) => (method === 'sign_event' ? null : undefined));
    const signing = client.signerFor(bunker.user as Pubkey).sign(template());
    const end = expect(signing).rejects.toMatchObject({ code: 'interrupted' });
    await vi.waitFor(() => expect(bunker.asked).toContain('sign_event:4620'));
    await client.close();
    await end;
  });
});

describe('a lying bunker', () => {
  const other = secretOf('somebody else');
  const asked = (text: string | undefined) => JSON.parse(text!) as EventTemplate & { tags: string[][] };
  const sealed = (text: string) => nip44.encrypt(text, nip44.utils.getConversationKey(other, signerOf('other').pubkey));

  it.each<[string, NonNullable<TestBunkerOptions['behave']>, string]>([
    [
      'another key',
      ({ params }) => ({ result: JSON.stringify(finalizeEvent(asked(params[0]), other)) }),
      'another key',
    ],
    [
      'another content',
      ({ params }) => ({
        result: JSON.stringify(finalizeEvent({ ...asked(params[0]), content: 'pay me' }, secretOf('user'))),
      }),
      'another event',
    ],
    [
      'another time',
      ({ params }) => ({
        result: JSON.stringify(finalizeEvent({ ...asked(params[0]), created_at: 1 }, secretOf('user'))),
      }),
      'another event',
    ],
    [
      'a forged signature',
      ({ params }) => ({
        result: JSON.stringify({ ...finalizeEvent(asked(params[0]), secretOf('user')), sig: 'ab'.repeat(64) }),
      }),
      'does not verify',
    ],
    ['no signature', () => ({ result: '{}' }), 'another key'],
    ['no event', () => ({ result: 'ok' }), 'no event'],
    ['nothing', () => ({ result: '' }), 'no event'],
  ])('that signs with %s is found out', async (_, behave, message) => {
    const { bunker, client } = await session((question, honest) =>
      question.method === 'sign_event' ? behave(question, honest) : undefined,
    );
    await expect(client.signerFor(bunker.user as Pubkey).sign(template())).rejects.toMatchObject({
      code: 'bad-event',
      message: expect.stringContaining(message),
    });
  });

  it('that seals nothing is found out by the form', async () => {
    for (const result of ['the plain text', sealed('a much longer text than the one it was given to seal'), '']) {
      const { bunker, client } = await session(({ method }) => (method === 'nip44_encrypt' ? { result } : undefined));
      await expect(
        client.signerFor(bunker.user as Pubkey).encrypt(signerOf('other').pubkey, 'hi'),
      ).rejects.toMatchObject({ code: 'bad-event' });
    }
  });

  it('that names no key is found out', async () => {
    const { client } = await session(({ method }) => (method === 'get_public_key' ? { result: 'npub1me' } : undefined));
    await expect(client.userPubkey()).rejects.toMatchObject({ code: 'bad-event' });
  });
});
