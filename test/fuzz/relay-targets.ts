import { join } from 'node:path';
import { localSigner } from '../../src/signer.js';
import { isAuthentic, isUnescaped } from '../../src/relay/event-json.js';
import { parseFilter, parseRumor } from '../../src/relay/event-shape.js';
import { unwrapRumor, wrapRumor } from '../../src/relay/gift-wrap.js';
import { openDump } from '../../src/relay/dump-reader.js';
import { parseMessage } from '../../src/relay/message.js';
import { readEvent } from '../../src/relay/paging.js';
import { Session, type RelayCore } from '../../src/relay/protocol.js';
import { checkRelayUrl } from '../../src/relay/relay-url.js';
import { memoryStore } from '../../src/relay/store-memory.js';
import { OPEN } from '../../src/relay/access.js';
import { SyncBudget } from '../../src/relay/sync-sessions.js';
import { openLogStore } from '../../src/relay/store-log.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { parseGrant } from '../../src/protocol/grant.js';
import { parseJson } from '../../src/protocol/json.js';
import { eventHash } from '../../src/schnorr.js';
import type { NostrEvent } from '../../src/ports.js';
import { note, NOW, secretOf, seededRandom, signerOf } from '../relay/samples.js';
import { mutateBytes, mutateJson, mutateJsonText, mutateText, type Random } from './mutate.js';
import { fileOf } from './files.js';
import { checked, plainOf, readDump } from './reference/files.js';
import * as reference from './reference/events.js';
import { JsonObject, fieldOf, readContent, readJson, refuse } from './reference/json.js';
import { openNip44 } from './reference/nip44.js';
import { target, type Target } from './target.js';
import { events, grants, jsonOrText } from './wire-targets.js';

/** What relays, and clients of a relay, say. */

const hash = 'cd'.repeat(32);
const filter = { ids: [hash], authors: [hash], kinds: [1], since: 1, until: 9, limit: 5, '#e': [hash], '#t': ['x'] };
const frames: readonly string[] = [
  ...[...events.slice(0, 6), note('a'), note('b', { content: 'a "quoted" \\ 😀' })].flatMap((event) => [
    JSON.stringify(['EVENT', event]),
    JSON.stringify(['EVENT', 'n0', event]),
  ]),
  ...['REQ', 'COUNT'].map((verb) => JSON.stringify([verb, 'n0', filter])),
  ...[
    ['EOSE', 'n0'],
    ['CLOSE', 'n0'],
    ['NEG-OPEN', 'n0', {}, '610000020120' + hash],
    ['NEG-MSG', 'n0', '6100000200'],
    ['NEG-CLOSE', 'n0'],
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
  ...{ maxMessagesPerSec: Infinity, maxSyncs: 2, maxSyncEvents: 1_000 },
};
const core: RelayCore = {
  ...{ store: memoryStore(() => NOW), limits, nowSec: () => NOW, isOwnUrl: () => true, sessions: new Set() },
  ...{ syncBudget: new SyncBudget(), access: OPEN, isBusy: () => false },
};
let answers: string[] = [];
const session = new Session(core, (frame) => void answers.push(frame.toString()), 'challenge');

/** An event it has already is known by its id alone. */
const isTaken = (): boolean =>
  answers.some((answer) => /^\["OK",".*",true,/.test(answer) && !answer.includes('"duplicate:'));

const [alice, bob, once] = [signerOf('alice'), signerOf('bob'), signerOf('one time')];
const wrap = await wrapRumor(
  { kind: KINDS.grant, content: grants[0]!.content, tags: [] },
  ...([alice, bob.pubkey, seededRandom('wrap'), NOW] as const),
);

/** Broken at any of its three layers, what is around it right. */
async function brokenWrap(random: Random): Promise<NostrEvent> {
  const layer = random.below(4);
  const grant = random.pick(grants).content;
  if (layer === 0)
    return readEvent(mutateJson(random, wrap)) ?? { ...wrap, content: mutateText(random, [wrap.content]) };
  const plain = { kind: KINDS.grant, content: grant, tags: [], pubkey: alice.pubkey, created_at: NOW };
  const rumor = { id: Buffer.from(eventHash(plain)).toString('hex'), ...plain };
  const text = layer === 1 ? jsonOrText(random, JSON.stringify(rumor)) : JSON.stringify(rumor);
  const content = await alice.encrypt(bob.pubkey, text.slice(0, 60_000) || ' ');
  const seal = await alice.sign({ kind: 13, created_at: NOW, tags: layer === 3 ? [['p', hash]] : [], content });
  const sealText = layer === 2 ? jsonOrText(random, JSON.stringify(seal)) : JSON.stringify(seal);
  const outer = await once.encrypt(bob.pubkey, sealText.slice(0, 60_000) || ' ');
  return once.sign({ kind: 1059, created_at: NOW, tags: [['p', bob.pubkey]], content: outer });
}

/** NIP-59: the author of the seal is the author of the rumor, and the seal carries no tags. */
function readWrap(event: NostrEvent): unknown {
  if (event.kind !== 1059) return refuse('no gift wrap');
  const seal = checked(reference.readEvent(readJson(openNip44(event.content, secretOf('bob'), event.pubkey))));
  if (seal.kind !== 13 || seal.tags.length > 0) return refuse('no seal');
  const rumor = reference.readRumor(readJson(openNip44(seal.content, secretOf('bob'), seal.pubkey)));
  if (rumor.pubkey !== seal.pubkey || reference.idOf(rumor) !== rumor.id) return refuse('another author or id');
  return { rumor, grant: reference.readGrant(rumor.kind, rumor.content) };
}

/** What a client takes from a frame: an event that is authentic. */
function takeEvent(text: string): unknown {
  const message = parseMessage(text);
  const event = readEvent(message?.[2]) ?? readEvent(message?.[1]);
  return event !== undefined && isAuthentic(event, isUnescaped(text)) ? event : null;
}

const payloads = await Promise.all(
  ['x', 'a'.repeat(32), 'b'.repeat(33), 'c'.repeat(300), '😀'.repeat(70)].map((text) =>
    alice.encrypt(bob.pubkey, text),
  ),
);
const urls = ['wss://relay.example', 'ws://127.0.0.1:7777/path?x=1', 'wss://[::1]:1', 'wss://user:pass@host.example'];
const addresses = [
  '10.0.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '[fe80::1]',
  '0x7f.1',
  '2130706433',
  '169.254.169.254',
  'localhost.',
  '[::ffff:10.0.0.1]',
];

const phaseOf = ({ tags }: NostrEvent) => tags.find(([name]) => name === 'phase')?.[1] ?? '';
/** Lines of dumps: two notes, and what spot checks leave behind. */
const dumped = [note('a'), note('b'), ...events.filter((event) => /^(draw|fraud|reveal)$/.test(phaseOf(event)))];

/** A mutation that leaves most lines alone, so that most dumps are read to their end. */
function brokenDump(random: Random): Buffer {
  const lines = Array.from({ length: 3 }, () => JSON.stringify(random.pick(dumped)));
  const at = random.below(lines.length);
  const changed = lines.map((line, i) => (i === at ? jsonOrText(random, line) : line)).join('\n');
  if (random.below(4) > 0) return Buffer.from(random.below(2) === 0 ? changed : `${changed}\n`);
  return Buffer.from(mutateBytes(random, [Buffer.from(lines.map((line) => `${line}\n`).join(''))]));
}

/** IPv4 in a range that no public relay has, by numbers. */
function isPrivateV4(host: string): boolean {
  const [a = 0, b = 0] = host.split('.').map(Number);
  return (
    [0, 10, 127].includes(a) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254) ||
    a >= 224
  );
}

export const relayTargets: readonly Target[] = [
  target('gift wraps', ['bad-event', 'too-large', 'wrong-key', 'bad-key'], {
    share: 0.1,
    make: brokenWrap,
    run: async (event) => {
      const rumor = await unwrapRumor(event, bob);
      return { rumor, grant: parseGrant(rumor.kind, rumor.content) };
    },
    reference: readWrap,
  }),
  target('NIP-44 payloads', ['wrong-key'], {
    share: 0.5,
    make: (random) => {
      const payload = random.pick(payloads);
      return random.below(2) === 0
        ? mutateText(random, [payload])
        : Buffer.from(mutateBytes(random, [Buffer.from(payload, 'base64')])).toString('base64');
    },
    run: (payload) => localSigner(secretOf('bob')).decrypt(alice.pubkey, payload),
    reference: (payload) => openNip44(payload, secretOf('bob'), alice.pubkey),
  }),
  target('rumors', ['bad-event'], {
    make: (random) => JSON.stringify(mutateJson(random, { ...note('a'), sig: undefined })),
    run: (text) => parseRumor(JSON.parse(text)),
    reference: (text) => reference.readRumor(readJson(text)),
  }),
  target('JSON of contents', [], {
    share: 3,
    make: (random) => jsonOrText(random, random.pick(events).content),
    run: (text) => parseJson(text) ?? null,
    reference: (text) => {
      const value = parseJson(text);
      return value === undefined ? null : plainOf(readContent(text));
    },
  }),
  target('frames at the relay', [], {
    share: 2,
    make: (random) => jsonOrText(random, random.pick(frames)),
    run: async (text) => {
      answers = [];
      await session.receive(Buffer.from(text));
      if (answers.length === 0 && !['CLOSE', 'NEG-CLOSE'].includes(parseMessage(text)?.[0] as string))
        throw new Error('the relay said nothing');
      return isTaken();
    },
    reference: (text) => {
      if (!isTaken()) return false;
      const [verb, event] = reference.readFrame(Buffer.from(text).toString());
      if (verb !== 'EVENT' && verb !== 'AUTH') return refuse('a frame that holds no event');
      checked(reference.readEvent(event));
      return true;
    },
  }),
  target('frames at the client', [], {
    share: 2,
    make: (random) => jsonOrText(random, random.pick(frames)),
    run: takeEvent,
    reference: (text) => {
      if (takeEvent(text) === null) return null;
      const [, first, second] = reference.readFrame(text);
      return checked(
        reference.readEvent(second instanceof JsonObject && fieldOf(second, 'sig') !== undefined ? second : first),
      );
    },
  }),
  target('filters', ['bad-event', 'too-large'], {
    share: 3,
    make: (random) => mutateJsonText(random, filter),
    run: (text) => parseFilter(parseMessage(`[${text}]`)?.[0], { maxValues: 1_000, maxTagValueChars: 256 }),
    reference: (text) => reference.readFilter(readJson(text), 1_000, 256),
  }),
  target('relay URLs', ['bad-settings'], {
    make: (random) => mutateText(random, [...urls, ...addresses.map((host) => `wss://${host}/`)]),
    run: (text) => checkRelayUrl(text, random01(text) ? 'sandbox' : 'bitcoin'),
    reference: (text) => {
      const { protocol, hostname, username, password, hash: fragment } = new URL(text);
      const isHere = /^localhost\.?$/.test(hostname) || hostname === '[::1]' || hostname.startsWith('127.');
      if (username + password + fragment !== '' || !['ws:', 'wss:'].includes(protocol)) refuse('no address');
      if (isHere && !random01(text)) refuse('this machine');
      if (!isHere && protocol === 'ws:') refuse('not encrypted');
      if (!isHere && /^[\d.]+$/.test(hostname) && isPrivateV4(hostname)) refuse('a private network');
      if (!isHere && /^\[f[c-f][0-9a-f]{2}:/.test(hostname)) refuse('a private network');
    },
  }),
  target('dumps', ['bad-event', 'too-large', 'bad-usage'], {
    share: 0.5,
    make: brokenDump,
    run: async (file) => {
      const opened = await openDump(fileOf('job.ndjson', file));
      const { events: found } = await opened.fetch([{}]);
      await opened.close();
      return [...found].map(({ id }) => id).sort();
    },
    reference: (file) =>
      [
        ...new Set(
          readDump(file)
            .filter(({ kind }) => kind !== 4621)
            .map(({ id }) => id),
        ),
      ].sort(),
  }),
  target('logs of the relay', [], {
    share: 0.1,
    make: brokenDump,
    run: async (file) => {
      fileOf(join('log', 'events.jsonl'), file);
      const store = await openLogStore(fileOf('log'), () => NOW);
      const found = store.find({}, 10, () => true).map(({ head }) => head.id);
      await store.close();
      return found.length;
    },
    reference: (file) => {
      const lines = Buffer.from(file).toString().split('\n').slice(0, -1);
      const ids = lines.flatMap((line) => {
        try {
          const event = reference.readEvent(readJson(line));
          return reference.idOf(event) === event.id ? [event.id] : [];
        } catch {
          return [];
        }
      });
      return new Set(ids).size;
    },
  }),
];

/** Half of the texts, by their length. */
const random01 = (text: string): boolean => text.length % 2 === 0;
