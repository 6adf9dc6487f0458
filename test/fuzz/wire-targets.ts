import { bech32 } from '@scure/base';
import { neventEncode, nprofileEncode } from 'nostr-tools/nip19';
import { parseBlobPointer } from '../../src/blob/blob.js';
import { formatEventId, formatPubkey, formatSecretKey, parseEventReference } from '../../src/config/identifiers.js';
import { parsePubkey, parseSecretKey } from '../../src/config/identifiers.js';
import { sha256, type EventId, type Pubkey, type Sha256 } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { parseArtifactListing } from '../../src/protocol/artifact.js';
import { parseChunk } from '../../src/protocol/chunk.js';
import { parseListing, parseSnapshot } from '../../src/protocol/dataset.js';
import { EVENT_TYPES, parseJobEvent } from '../../src/protocol/events.js';
import { parseGrant } from '../../src/protocol/grant.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { locatorHash, openLocator } from '../../src/protocol/locator.js';
import { isAuthentic, isUnescaped } from '../../src/relay/event-json.js';
import { parseFilter, parseSignedEvent } from '../../src/relay/event-shape.js';
import { unwrapRumor, wrapRumor } from '../../src/relay/gift-wrap.js';
import { parseMessage } from '../../src/relay/message.js';
import { readEvent } from '../../src/relay/paging.js';
import { Session, type RelayCore } from '../../src/relay/protocol.js';
import { checkRelayUrl } from '../../src/relay/relay-url.js';
import { memoryStore } from '../../src/relay/store-memory.js';
import { eventHash } from '../../src/schnorr.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { cleanText, readLookup, readNetwork, readPayment } from '../../src/wallet/nwc-answers.js';
import { formatWalletUri, parseWalletUri } from '../../src/wallet/wallet-uri.js';
import { readVectors, type EventVectors, type GrantVectors, type LocatorVectors } from '../protocol/vectors.js';
import { note, NOW, secretOf, seededRandom, signerOf } from '../relay/samples.js';
import { FakeLightning } from '../support/fake-wallet.js';
import { mutateJson, mutateJsonText, mutateText, nasty, type Random } from './mutate.js';
import { target, type Target } from './target.js';

const files = [...Object.keys(EVENT_TYPES), 'snapshot', 'listing', 'artifact-listing'];
const events = files.flatMap((file) => readVectors<EventVectors>(file).valid.map(({ event }) => event));
const chunks = readVectors<EventVectors>('chunk').valid.map(({ event }) => event);
const grants = ['round-grant', 'shard-grant'].flatMap((file) => readVectors<GrantVectors>(file).valid);
const locators = readVectors<LocatorVectors>('locator').valid;

function brokenEvent(random: Random): unknown {
  const event = random.pick(events);
  if (random.below(4) === 0) return mutateJson(random, event);
  const content =
    random.below(3) === 0 ? mutateText(random, [event.content]) : mutateJsonText(random, JSON.parse(event.content));
  return { ...event, content };
}

function parseAny(value: unknown): void {
  const event = parseSignedEvent(value);
  const parse =
    event.kind === KINDS.snapshot
      ? parseSnapshot
      : event.kind === KINDS.listing
        ? parseListing
        : event.kind === KINDS.artifactListing
          ? parseArtifactListing
          : event.kind === KINDS.chunk
            ? parseChunk
            : parseJobEvent;
  parse(event);
}

const jsonOrText = (random: Random, sample: string): string =>
  random.below(3) === 0 ? mutateText(random, [sample]) : mutateJsonText(random, JSON.parse(sample));

/** A bech32 text whose data changed and whose checksum is right again. */
function mutateBech32(random: Random, samples: readonly string[]): string {
  const sample = random.pick(samples);
  if (random.below(3) === 0) return mutateText(random, [sample]);
  const { prefix, words } = bech32.decode(sample as `${string}1${string}`, false);
  for (let times = random.below(4); times >= 0; times--) {
    const at = random.below(words.length);
    if (random.below(3) > 0) words[at] = random.below(32);
    else words.splice(at, random.below(60), ...Array.from({ length: random.below(60) }, () => random.below(32)));
  }
  const human = random.below(4) === 0 ? mutateText(random, [prefix]).slice(0, 80) : prefix;
  return /^[\x21-\x7e]+$/.test(human) ? bech32.encode(human.toLowerCase(), words, false) : human;
}

const lightning = new FakeLightning({ nowSec: () => NOW });
const invoices = await Promise.all(
  [1n, 21_000n, 2_500_000_000n].map((msat) =>
    lightning.wallet('a').makeInvoice({ msat, descriptionHash: 'ab'.repeat(32) as Sha256, expirySec: 3_600 }),
  ),
);
const hash = 'cd'.repeat(32);
const identifiers = [
  ...[hash, formatPubkey(hash as Pubkey), formatEventId(hash as EventId, ['wss://relay.example'], hash as Pubkey)],
  ...[neventEncode({ id: hash, kind: 4623 }), nprofileEncode({ pubkey: hash, relays: ['wss://relay.example'] })],
  formatSecretKey(secretOf('a')),
];
const wallets = [formatWalletUri({ walletPubkey: hash as Pubkey, relays: ['ws://127.0.0.1:1'], secret: hash })];
const urls = ['wss://relay.example', 'ws://127.0.0.1:7777/path?x=1', 'wss://[::1]:1', 'wss://user:pass@host.example'];

const frames: readonly string[] = [
  ...[...events.slice(0, 6), note('a')].flatMap((event) => [
    JSON.stringify(['EVENT', event]),
    JSON.stringify(['EVENT', 'n0', event]),
  ]),
  ...['REQ', 'COUNT'].map((verb) =>
    JSON.stringify([verb, 'n0', { ids: [hash], kinds: [1], since: 1, until: 9, limit: 5, '#e': [hash], '#t': ['x'] }]),
  ),
  ...[
    ['EOSE', 'n0'],
    ['CLOSE', 'n0'],
    ['CLOSED', 'n0', 'auth-required: log in'],
    ['OK', hash, true, ''],
  ].map((frame) => JSON.stringify(frame)),
  ...[
    ['NOTICE', 'slow down'],
    ['AUTH', 'challenge'],
    ['AUTH', note('a', { kind: 22242 })],
  ].map((frame) => JSON.stringify(frame)),
];

const limits = {
  ...{ maxEventBytes: 131_072, maxTags: 2_000, maxTagValueChars: 1_024, maxSubscriptions: 20, maxFilters: 32 },
  ...{ maxSubscriptionIdChars: 64, maxFilterValues: 2_000, maxLimit: 100, maxFutureSec: 900 },
};
const core: RelayCore = {
  ...{ store: memoryStore(() => NOW), limits, nowSec: () => NOW, isOwnUrl: () => true, sessions: new Set() },
};
let answers = 0;
const session = new Session(core, () => void answers++, 'challenge');

const [alice, bob, once] = [signerOf('alice'), signerOf('bob'), signerOf('one time')];
const wrap = await wrapRumor(
  { kind: KINDS.grant, content: grants[0]!.content, tags: [] },
  ...([alice, bob.pubkey, seededRandom('wrap'), NOW] as const),
);

/** Broken at any of its three layers, what is around it right. */
async function brokenWrap(random: Random): Promise<NostrEvent> {
  const layer = random.below(3);
  const grant = random.pick(grants).content;
  if (layer === 0)
    return readEvent(mutateJson(random, wrap)) ?? { ...wrap, content: mutateText(random, [wrap.content]) };
  const plain = { kind: KINDS.grant, content: grant, tags: [], pubkey: alice.pubkey, created_at: NOW };
  const rumor = { id: Buffer.from(eventHash(plain)).toString('hex'), ...plain };
  const text = layer === 1 ? jsonOrText(random, JSON.stringify(rumor)) : JSON.stringify(rumor);
  const content = await alice.encrypt(bob.pubkey, text.slice(0, 60_000) || ' ');
  const seal = await alice.sign({ kind: 13, created_at: NOW, tags: [], content });
  const sealText = layer === 2 ? jsonOrText(random, JSON.stringify(seal)) : JSON.stringify(seal);
  const outer = await once.encrypt(bob.pubkey, sealText.slice(0, 60_000) || ' ');
  return once.sign({ kind: 1059, created_at: NOW, tags: [['p', bob.pubkey]], content: outer });
}

export const wireTargets: readonly Target[] = [
  target('events of a job, snapshots and listings', brokenEvent, parseAny, 4),
  target(
    'chunks',
    (random) => ({ ...random.pick(chunks), content: mutateText(random, [random.pick(chunks).content]) }),
    parseAny,
    0.5,
  ),
  target(
    'grants',
    (random) => [random.below(9) === 0 ? 1 : KINDS.grant, jsonOrText(random, random.pick(grants).content)] as const,
    ([kind, content]) => parseGrant(kind, content),
    2,
  ),
  target(
    'locators',
    (random) => jsonOrText(random, random.pick(locators).content),
    (text) => {
      const blind = sha256('blind');
      openLocator(text, blind, locatorHash(text, blind));
    },
    2,
  ),
  target(
    'blob pointers',
    (random) => mutateJson(random, (JSON.parse(random.pick(locators).content) as { shards: unknown[] }).shards[0]),
    parseBlobPointer,
  ),
  target(
    'gift wraps',
    brokenWrap,
    async (event) => {
      const { kind, content } = await unwrapRumor(event, bob);
      parseGrant(kind, content);
    },
    0.1,
  ),
  target(
    'frames at the relay',
    (random) => jsonOrText(random, random.pick(frames)),
    async (text) => {
      const before = answers;
      await session.receive(Buffer.from(text));
      const isSilent = answers === before && parseMessage(text)?.[0] !== 'CLOSE';
      if (isSilent) throw new Error('the relay said nothing');
    },
    2,
  ),
  target(
    'frames at the client',
    (random) => jsonOrText(random, random.pick(frames)),
    (text) => {
      const message = parseMessage(text);
      const event = readEvent(message?.[2]) ?? readEvent(message?.[1]);
      if (event !== undefined) isAuthentic(event, isUnescaped(text));
    },
  ),
  target(
    'filters',
    (random) => mutateJson(random, (JSON.parse(frames.find((text) => text.startsWith('["REQ'))!) as unknown[])[2]),
    (value) => parseFilter(value, { maxValues: 1_000, maxTagValueChars: 256 }),
  ),
  target(
    'invoices',
    (random) =>
      mutateBech32(
        random,
        invoices.map(({ invoice }) => invoice),
      ),
    decodeInvoice,
    0.7,
  ),
  target('wallet connections', (random) => mutateText(random, wallets), parseWalletUri),
  target(
    'answers of wallets',
    nasty,
    (value) => {
      const row = { preimage: value, fees_paid: value, type: value, state: value, settled_at: value };
      readPayment(row, hash);
      readLookup({ ...row, state: 'settled' }, hash);
      readNetwork(value);
      cleanText(value, ['secret']);
    },
    0.5,
  ),
  target(
    'relay URLs',
    (random) => mutateText(random, urls),
    (text) => checkRelayUrl(text, 'sandbox'),
  ),
  target('identifiers of events', (random) => mutateBech32(random, identifiers.slice(1)), parseEventReference),
  target('identifiers of people', (random) => mutateBech32(random, identifiers.slice(1)), parsePubkey),
  target(
    'private keys',
    (random) => mutateBech32(random, identifiers.slice(1)),
    (text) => {
      const key = parseSecretKey(text, 'a test');
      if (key.length !== 32) throw new Error(`${key.length} bytes`);
    },
  ),
  target('hex identifiers', (random) => mutateText(random, [hash]), parseEventReference, 0.5),
];
