import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Hex, type EventId } from '../../src/hash.js';
import type { NostrEvent, Relays } from '../../src/ports.js';
import { encodeGrant } from '../../src/protocol/grant.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { buildRelayList, INBOX_RELAYS, listedRelays, newestList, RELAY_LIST } from '../../src/protocol/relay-lists.js';
import { unwrapRumor, wrapRumor } from '../../src/relay/gift-wrap.js';
import { allowedRelayUrl } from '../../src/relay/relay-url.js';
import { createBell } from '../../src/roles/bell.js';
import { sendEach, type SentGrant } from '../../src/roles/customer-grants.js';
import { openInbox } from '../../src/roles/inbox.js';
import { findInboxes, keepRelayLists } from '../../src/roles/relay-lists.js';
import { fastClock, note, NOW, poolForTest, pubkeyOf, relayForTest, seededRandom, signerOf } from '../relay/samples.js';
import { quietProgress } from '../support/market-world.js';
import type { RelayFault } from '../support/faults/relay-faults.js';
import { memoryNetwork } from '../support/memory-relays.js';

const onMain = (url: string) => allowedRelayUrl(url, 'bitcoin', []);
const onSandbox = (url: string) => allowedRelayUrl(url, 'sandbox', ['ws://127.0.0.1:1']);
const inboxOf = (who: string, urls: readonly unknown[], createdAt = NOW): NostrEvent =>
  note(who, { kind: INBOX_RELAYS, tags: urls.map((url) => ['relay', url as string]), created_at: createdAt });

describe('a list of relays', () => {
  it('is read to eight relays that may be connected to, whatever it holds', () => {
    const hostile = [
      ...[
        'ws://localhost:1',
        'ws://127.0.0.1:22',
        'wss://10.0.0.1',
        'wss://[::1]',
        'wss://192.168.1.1',
        'wss://169.254.169.254',
      ],
      ...[
        'http://a.example',
        'not a url',
        '',
        'wss://user:pass@a.example',
        'wss://printer.local',
        'ws://a.example',
        'wss://router',
      ],
      ...['wss://A.example/', 'wss://a.example', 'wss://a.example:443'],
      ...Array.from({ length: 100 }, (_, at) => `wss://r${at}.example`),
    ];
    const eight = ['wss://a.example', ...Array.from({ length: 7 }, (_, at) => `wss://r${at}.example`)];
    expect(listedRelays(inboxOf('t', hostile), onMain)).toEqual(eight);
    expect(listedRelays(inboxOf('t', hostile), onSandbox).slice(0, 2)).toEqual([
      'ws://localhost:1',
      'ws://127.0.0.1:22',
    ]);
  });

  it('of a thousand relays that nobody may connect to costs a few looks', () => {
    let looks = 0;
    const tags = Array.from({ length: 1_000 }, (_, at) => ['relay', `wss://10.0.0.${at % 256}`]);
    expect(listedRelays(note('t', { kind: INBOX_RELAYS, tags }), (url) => (looks++, onMain(url)))).toEqual([]);
    expect(looks).toBe(256);
  });

  it('of any tags gives what may be connected to, or nothing', () => {
    const values = fc.oneof(
      fc.string(),
      fc.constantFrom('relay', 'r', 'wss://a.example', 'ws://127.0.0.1:9', 'wss://b.example/x'),
    );
    fc.assert(
      fc.property(fc.array(fc.array(values)), fc.constantFrom(RELAY_LIST, INBOX_RELAYS), (tags, kind) => {
        const found = listedRelays({ kind, tags }, onMain);
        expect(found.length).toBeLessThanOrEqual(8);
        expect(found.every((url) => onMain(url) === url)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('counts by its time, then by the lowest id, and only of its author', () => {
    const [old, a, b] = [
      inboxOf('t', ['wss://a.example'], NOW - 1),
      inboxOf('t', ['wss://b.example']),
      inboxOf('t', ['wss://c.example']),
    ];
    const lower = a.id < b.id ? a : b;
    expect(newestList([old, a, b, inboxOf('u', [], NOW + 9)], INBOX_RELAYS, pubkeyOf('t'))).toBe(lower);
  });
});

describe('the lists of a trainer', () => {
  const [A, B] = ['wss://a.example', 'wss://b.example'] as const;
  const stage = (nowSec = NOW) => {
    const network = memoryNetwork([A, B]);
    const said: string[] = [];
    const keep = (inbox: readonly string[] = [A, B], relays: Relays = network.relays(), at = nowSec) =>
      keepRelayLists(
        {
          ...{ relays, signer: signerOf('t'), progress: quietProgress(said), allowedRelay: onMain },
          clock: { ...fastClock, nowSec: () => at },
        },
        inbox,
      );
    const lists = () =>
      network.events().map(({ kind, created_at, tags }) => [kind, created_at, ...tags.map(([, url]) => url)]);
    return { network, keep, lists, said };
  };

  it('are published once, and again, newer, when they change; also where the clock went back', async () => {
    const { keep, lists } = stage();
    expect(await keep()).toEqual([A, B]);
    const both = [expect.arrayContaining([RELAY_LIST, NOW, A, B]), expect.arrayContaining([INBOX_RELAYS, NOW, A, B])];
    expect(lists()).toEqual(expect.arrayContaining(both));
    await keep();
    expect(lists()).toHaveLength(2);
    await keep([B], undefined, NOW - 500);
    expect(lists()).toContainEqual([INBOX_RELAYS, NOW + 1, B, 'nmkt']);
    expect(lists()).toHaveLength(2);
  });

  it("are their owner's where another program made them: they stay, and grants are read there too", async () => {
    const { keep, network, lists, said } = stage();
    const own = inboxOf('t', ['wss://dm.example', A, 'wss://10.0.0.1']);
    await network.relays().publish(own);
    expect(await keep()).toEqual([A, B, 'wss://dm.example']);
    expect(network.events().find(({ kind }) => kind === INBOX_RELAYS)!.id).toBe(own.id);
    expect(
      lists()
        .map(([kind]) => kind)
        .sort(),
    ).toEqual([RELAY_LIST, INBOX_RELAYS]);
    expect(said.join()).toContain('wss://dm.example');
  });

  it('are not published while most relays are silent: they may hold one', async () => {
    const { keep, network, lists } = stage();
    const mute: RelayFault = {
      take: () => ({ keep: true, say: 'ok' }),
      answer: () => ({ events: [], end: 'nothing' }),
      passesOn: true,
    };
    network.setFault(A, mute);
    network.setFault(B, mute);
    expect(await keep()).toEqual([A, B]);
    expect(lists()).toEqual([]);
    network.setFault(B, null);
    await keep();
    expect(lists()).toHaveLength(2);
  });
});

describe('a grant', () => {
  const content = (round: number) =>
    encodeGrant({
      purpose: 'round',
      job: sha256Hex('job') as string as EventId,
      round,
      key: seededRandom('key')(32),
      notAfter: NOW + 900,
    });

  /** Two relays: the customer's, and one that the trainer alone knows. The trainer writes to the customer's. */
  async function stage(inbox: (a: string, b: string) => NostrEvent | null) {
    const [a, b] = [await relayForTest(), await relayForTest()];
    const trainer = signerOf('trainer');
    const customer = poolForTest([a.url], { signer: signerOf('customer'), timeoutMs: 2_000 });
    const list = inbox(a.url, b.url);
    if (list !== null) await customer.publish(list);
    const urls = await keepRelayLists(
      {
        ...{ relays: poolForTest([a.url], { signer: trainer }), signer: trainer, clock: fastClock },
        ...{ progress: quietProgress([]), allowedRelay: onSandbox },
      },
      [a.url],
    );
    const said: string[] = [];
    const sent = new Map<string, SentGrant>();
    const wrap = (text: string) =>
      wrapRumor(
        { kind: KINDS.grant, content: text, tags: [] },
        signerOf('customer'),
        trainer.pubkey,
        seededRandom('wrap'),
        NOW,
      );
    const send = () =>
      sendEach(
        { relays: customer, allowedRelay: onSandbox, progress: quietProgress(said) },
        [{ id: 'one', to: trainer.pubkey, content: content(0) }],
        wrap,
        sent,
      );
    /** What the trainer reads when it starts with these relays. */
    const arrives = async (from: readonly string[]) => {
      const box = openInbox(poolForTest(from, { signer: trainer }), trainer.pubkey, fastClock, (one) =>
        unwrapRumor(one, trainer),
      );
      const bell = createBell(fastClock);
      box.watch(bell);
      while (box.roundGrants(sha256Hex('job') as string as EventId).length === 0)
        await bell.wait(60_000, new AbortController().signal);
      return box.roundGrants(sha256Hex('job') as string as EventId).map(({ from: who }) => who);
    };
    const wrapsOn = async (url: string) => {
      const { events } = await poolForTest([url], { signer: trainer }).fetch([
        { kinds: [1059], '#p': [trainer.pubkey] },
      ]);
      return events.length;
    };
    return { a, b, urls, send, arrives, wrapsOn, sent, said };
  }

  it('goes to the inbox that its trainer names, on a relay that the customer did not know, and is read there', async () => {
    const { a, b, urls, send, arrives, wrapsOn, sent } = await stage((_, inbox) => inboxOf('trainer', [inbox]));
    expect(urls).toEqual([a.url, b.url]);
    await send();
    expect(await arrives(urls)).toEqual([pubkeyOf('customer')]);
    expect([await wrapsOn(a.url), await wrapsOn(b.url)]).toEqual([0, 1]);
    await send();
    expect(sent.get('one')).toMatchObject({ isOnSome: true });
    expect(await wrapsOn(b.url)).toBe(1);
  });

  it('goes to the relays of the job where none is named', async () => {
    const { a, b, urls, send, arrives, wrapsOn } = await stage(() => null);
    await send();
    expect(await arrives(urls)).toEqual([pubkeyOf('customer')]);
    expect([await wrapsOn(a.url), await wrapsOn(b.url)]).toEqual([1, 0]);
  });

  it('goes to the relays of the job when no relay of the inbox takes it', async () => {
    const { a, send, wrapsOn, said } = await stage(() => inboxOf('trainer', ['ws://127.0.0.1:9', 'wss://10.0.0.1']));
    await send();
    expect(await wrapsOn(a.url)).toBe(1);
    expect(said).toEqual([]);
  });

  it('is not sent to what a list alone may name: no list is better than one of private addresses', async () => {
    const network = memoryNetwork();
    await network.relays().publish(inboxOf('trainer', ['wss://10.0.0.1', 'ws://127.0.0.1:9']));
    const found = await findInboxes([pubkeyOf('trainer')], { relays: network.relays(), allowedRelay: onMain });
    expect(found.size).toBe(0);
  });
});

it('a list names at most eight relays', () => {
  const many = Array.from({ length: 12 }, (_, at) => `wss://r${at}.example`);
  expect(buildRelayList(INBOX_RELAYS, many, NOW).tags.filter(([name]) => name === 'relay')).toHaveLength(8);
});
