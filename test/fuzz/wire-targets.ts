import { decodeIndex, openInline, parseBlobPointer, sealBlob } from '../../src/blob/blob.js';
import { openChunk, sealChunk } from '../../src/blob/chunk.js';
import { blobKeys } from '../../src/blob/keys.js';
import { leafHash, merkleRoot } from '../../src/merkle.js';
import { pack, unpack } from '../../src/blob/pack.js';
import { fromHex, hex, sha256, utf8, type EventId, type Sha256 } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { encodeSealedModel, parseSealedModel } from '../../src/protocol/arena/submission.js';
import { parseArtifactListing } from '../../src/protocol/artifact.js';
import { parseChunk } from '../../src/protocol/chunk.js';
import { parseListing, parseSnapshot } from '../../src/protocol/dataset.js';
import { EVENT_TYPES, parseJobEvent, parseJobEvents } from '../../src/protocol/events.js';
import { parseGrant } from '../../src/protocol/grant.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { locatorHash, openLocator, openShardLocator } from '../../src/protocol/locator.js';
import { parseOffer } from '../../src/protocol/offer.js';
import { parseSealedBid } from '../../src/protocol/sealed-bid.js';
import { parseSignedEvent } from '../../src/relay/event-shape.js';
import { encodeArenaAuditKeys, parseArenaAuditKeys } from '../../src/roles/arena/audit-keys.js';
import { encodeAuditKeys, parseAuditKeys } from '../../src/roles/audit.js';
import { openSealedSale, openSealedUpdate } from '../../src/roles/measure.js';
import {
  readVectors,
  type EventVectors,
  type GrantVectors,
  type LocatorVectors,
  type PartsVectors,
  type ShardLocatorVectors,
} from '../protocol/vectors.js';
import { signerOf } from '../relay/samples.js';
import { mutateBytes, mutateJson, mutateJsonText, mutateText, type Random } from './mutate.js';
import * as blobs from './reference/blobs.js';
import {
  arenaAuditKeys,
  auditKeys,
  locator as locatorContent,
  pointer as pointerFields,
  sealedBid as sealedBidFields,
  sealedModel as sealedModelFields,
  sealedSale,
  sealedUpdate,
} from './reference/contents.js';
import { readGrant, readProtocolEvent } from './reference/events.js';
import { readContent, readJson } from './reference/json.js';
import { target, type Target } from './target.js';

/** Events, grants and blobs, as docs/protocol.md has them. */

const files = [...Object.keys(EVENT_TYPES), 'snapshot', 'listing', 'artifact-listing', 'offer'];
export const events = files.flatMap((file) => readVectors<EventVectors>(file).valid.map(({ event }) => event));
const unchained = events.filter(({ kind }) => kind === KINDS.snapshot || kind >= 30_000);
const chunks = readVectors<EventVectors>('chunk').valid.map(({ event }) => event);
export const grants = [
  'round-grant',
  'shard-grant',
  'eval-grant',
  'update-grant',
  'segment-grant',
  'group-grant',
  'model-grant',
].flatMap((file) => readVectors<GrantVectors>(file).valid);
const sealedBid = JSON.stringify({
  ...{ capacity: 1, engine: 'wasm/1', throughput: 5_000, expires: 1_760_086_400 },
  ...{ salt: 'a1'.repeat(32), priceMsat: '21000' },
});
const locators = readVectors<LocatorVectors>('locator').valid;
const shardLocators = readVectors<ShardLocatorVectors>('shard-locator').valid;
const [inParts] = readVectors<PartsVectors>('parts').valid as [PartsVectors['valid'][number]];

/** Text of a valid JSON text, changed as text or by its value. */
export const jsonOrText = (random: Random, sample: string): string =>
  random.below(4) === 0 ? mutateText(random, [sample]) : mutateJsonText(random, JSON.parse(sample));

function brokenTags(random: Random, tags: NostrEvent['tags']): readonly (readonly string[])[] {
  const at = random.below(tags.length);
  const [name, value] = tags[at] as [string, string];
  const put = (...with_: readonly (readonly string[])[]) => [...tags.slice(0, at), ...with_, ...tags.slice(at + 1)];
  return random.pick([
    ...[put(), put([name, mutateText(random, [value])]), put([name, `0${value}`]), put([name, value, 'more'])],
    ...[put([name]), put([name, 'first'], [name, value]), put([name, value], [name, 'second']), [...tags].reverse()],
    ...[
      put([name, value.toUpperCase()]),
      put([name, ` ${value}`]),
      put([name, value], ...Array<string[]>(random.pick([5, 600])).fill(['x', 'y'])),
    ],
    ...[
      put([name, value, ...Array<string>(random.pick([6, 7])).fill('x')]),
      put([name, value], ['alt', 'a'.repeat(1_024 + random.below(2))]),
    ],
  ]);
}

/** JSON of an event of which one part is not as it was. */
function brokenEvent(random: Random): string {
  const event = random.pick(events);
  switch (random.below(8)) {
    case 0:
      return jsonOrText(random, JSON.stringify(event));
    case 1:
      return JSON.stringify({ ...event, tags: brokenTags(random, event.tags) });
    case 2: {
      const other = random.pick(events);
      return JSON.stringify({
        ...event,
        ...random.pick([{ kind: other.kind }, { tags: other.tags }, { content: other.content }]),
      });
    }
    default:
      return JSON.stringify({ ...event, content: jsonOrText(random, event.content) });
  }
}

/** The parsed value without what the product adds for itself. */
function parseAny(text: string): unknown {
  const event = parseSignedEvent(JSON.parse(text));
  switch (event.kind) {
    case KINDS.snapshot:
      return parseSnapshot(event);
    case KINDS.listing:
      return parseListing(event);
    case KINDS.artifactListing:
      return parseArtifactListing(event);
    case KINDS.offer:
      return parseOffer(event);
    case KINDS.chunk:
      return parseChunk(event);
    default: {
      const { type: _, ...parsed } = parseJobEvent(event);
      return parsed;
    }
  }
}

const [key, context] = [sha256('key'), sha256('context')];
const keys = blobKeys(key);
const plain = utf8('hello '.repeat(900));
const small = sealBlob(plain, {
  ...{ key, context, part: 0, uploadSecret: sha256('upload'), inline: 'allow' },
  ...{ baseTimeSec: 1_800_000_000, expirationSec: 1_900_000_000 },
});
const packed = [pack(plain), pack(new Uint8Array(5_000)), pack(utf8('{}'))];
const sizes = [0, 1, 2, 5_000, 5_400, 1_048_575, 1_048_576, 1_048_577, 2 ** 40];
const place = { context, part: 0, index: 0, count: 1, purpose: 'inline' } as const;
const sealedChunk = sealChunk(new Uint8Array(1_024), keys.data, place);

const leaves = [0, 1, 2].map((i) => leafHash(Uint8Array.of(i)));
const index = new Uint8Array(48_000);
leaves.forEach((leaf, i) => index.set([...sha256(`${i}`), ...leaf], 64 * i));
const many = {
  ...small.pointer,
  ...{
    chunks: 3,
    packed: 100_000,
    size: 100_000,
    root: hex(merkleRoot(leaves)) as Sha256,
    ids: ['ab'.repeat(32) as EventId],
  },
};

const alice = signerOf('alice');
const bob = signerOf('bob');
const pointers = locators.flatMap(({ content }) => (JSON.parse(content) as { shards: unknown[] }).shards);
const stateBlob = { key: 'ab'.repeat(32), pointer: pointers[0] };
const update = JSON.stringify({ ...stateBlob, state: stateBlob });
const offered = JSON.stringify({
  ...{ z: 'ab'.repeat(32), wrapped: 'cd'.repeat(32), pointer: pointers[0] },
  state: { pointer: pointers[0], coding: 'ordered-words' },
});
const manyBlob = { key, pointer: { ...many, ids: [...many.ids] } };
const sealedModel = encodeSealedModel({
  ...{ key, salt: sha256('salt'), pointer: { ...many, ids: [...many.ids] } },
  metrics: { lossPpm: 400_000, accuracyPpm: 900_000 },
}).trimEnd();
const set = { locator: '{}', blind: key, shards: [key], salt: key };
const arenaAudit = encodeArenaAuditKeys({
  ...{ job: 'ab'.repeat(32) as EventId, mode: 'arena', data: { a: set, b: set } },
  models: [
    {
      ...{ submission: 'cd'.repeat(32) as EventId, ...manyBlob, salt: key },
      metrics: { lossPpm: 400_000, accuracyPpm: null },
    },
  ],
});
const audit = encodeAuditKeys({
  ...{
    job: 'ab'.repeat(32) as EventId,
    seed: key,
    rounds: [{ round: 0, key }],
    roots: [{ round: 0, key }],
    artifact: null,
  },
  updates: [
    { submission: 'cd'.repeat(32) as EventId, ...manyBlob, state: null },
    { submission: 'ef'.repeat(32) as EventId, ...manyBlob, state: manyBlob },
  ],
});

export const wireTargets: readonly Target[] = [
  target('events of a job, snapshots and listings', ['bad-event', 'unsupported-version'], {
    share: 6,
    make: brokenEvent,
    run: (text) => parseAny(parsable(text)),
    reference: (text) => readProtocolEvent(readJson(text)),
  }),
  target('what stands in no chain: snapshots, listings, offers', ['bad-event', 'unsupported-version'], {
    make: (random) => {
      const event = random.pick(unchained);
      return JSON.stringify({ ...event, content: jsonOrText(random, event.content) });
    },
    run: (text) => parseAny(parsable(text)),
    reference: (text) => readProtocolEvent(readJson(text)),
  }),
  target('chunks', ['bad-event'], {
    share: 0.5,
    make: (random) => {
      const { content, ...event } = random.pick(chunks);
      const head = random.below(2) === 0 ? 40 : 0;
      const end = mutateText(random, [content.slice(-40)]);
      return JSON.stringify({
        ...event,
        content: mutateText(random, [content.slice(0, head)]) + content.slice(head, -40) + end,
      });
    },
    run: parseAny,
    reference: (text) => readProtocolEvent(readJson(text)),
  }),
  target('grants', ['bad-event'], {
    share: 3,
    make: (random) =>
      [random.below(20) === 0 ? 1 : KINDS.grant, jsonOrText(random, random.pick(grants).content)] as const,
    run: ([kind, content]) => parseGrant(kind, content),
    reference: ([kind, content]) => readGrant(kind, content),
  }),
  target('locators', ['bad-event'], {
    share: 2,
    make: (random) => jsonOrText(random, random.pick(locators).content),
    run: (text) => openLocator(text, sha256('blind'), locatorHash(text, sha256('blind'))),
    reference: (text) => locatorContent(readContent(text)),
  }),
  target('locators of one shard among many', ['bad-event', 'hash-mismatch'], {
    make: (random) => {
      const { content, ...rest } = random.pick(shardLocators);
      return { ...rest, content: random.below(3) === 0 ? content : jsonOrText(random, content) };
    },
    run: ({ content, blind, promised, shard, count }) =>
      openShardLocator(content, { blind: fromHex(blind), promised: promised as Sha256, shard, count }),
    // Whatever still leads to the root is what the vectors have.
    reference: ({ shard }) => shardLocators.find((one) => one.shard === shard)!.parsed,
  }),
  target('contents in parts', [], {
    share: 0.3,
    make: (random) => {
      const { event, parts } = inParts;
      const at = random.below(3);
      const change = <T>(one: T, i: number): T => (i === at ? (mutateJson(random, one) as T) : one);
      return [event, ...parts].map((one, i) =>
        i === 0 && random.below(2) === 0
          ? { ...one, content: jsonOrText(random, one.content) }
          : { ...one, ...(change({ kind: one.kind, pubkey: one.pubkey }, i) as object) },
      );
    },
    run: (events) => parseJobEvents(events).map(({ contentHash }) => contentHash),
  }),
  target('blob pointers', ['bad-blob'], {
    share: 3,
    make: (random) => {
      const packedBytes = random.pick([1, 23_999, 24_000, 24_001, 48_000, 48_001, 100_000, 36_000_000, 36_000_001]);
      const chunkCount = random.pick([0, Math.ceil(packedBytes / 48_000)]);
      const size = Math.max(0, Math.ceil((packedBytes - 1_024) / 1.1) + random.pick([-1, 0, 1, 1_000]));
      const idCount = chunkCount < 2 ? chunkCount : Math.ceil(chunkCount / 750);
      const ids = Array.from({ length: Math.max(0, idCount + random.pick([0, 0, 0, 1])) }, (_, i) =>
        hex(sha256(`${i}`)),
      );
      return JSON.stringify(
        mutateJson(random, {
          ...(random.pick(pointers) as object),
          size,
          packed: packedBytes,
          chunks: chunkCount,
          ids,
        }),
      );
    },
    run: (text) => parseBlobPointer(JSON.parse(text)),
    reference: (text) => blobs.consistent(pointerFields(readContent(text)) as blobs.Pointer),
  }),
  target('sealed updates', ['ZodError', 'RangeError'], {
    make: (random) => jsonOrText(random, update),
    run: (text) =>
      openSealedUpdate({ ...bob, decrypt: async () => text }, {
        author: alice.pubkey,
        content: { sealed: '' },
      } as never),
    reference: (text) => sealedUpdate(readContent(text)),
  }),
  target('sealed sales', ['ZodError', 'RangeError'], {
    make: (random) => jsonOrText(random, offered),
    run: (text) =>
      openSealedSale({ ...bob, decrypt: async () => text }, {
        author: alice.pubkey,
        content: { sealed: '' },
      } as never),
    reference: (text) => sealedSale(readContent(text)),
  }),
  target('sealed bids', ['bad-event'], {
    make: (random) => jsonOrText(random, sealedBid),
    run: parseSealedBid,
    reference: (text) => sealedBidFields(readContent(text)),
  }),
  target('sealed models of an arena', ['bad-event'], {
    make: (random) => jsonOrText(random, sealedModel).padEnd(8_192 - (random.below(20) === 0 ? 1 : 0)),
    run: parseSealedModel,
    reference: (text) => sealedModelFields(readContent(text)),
  }),
  target('audit keys', ['ZodError'], {
    make: (random) => jsonOrText(random, audit),
    run: parseAuditKeys,
    reference: (text) => auditKeys(readContent(text)),
  }),
  target('audit keys of an arena', ['ZodError'], {
    share: 0.5,
    make: (random) => jsonOrText(random, arenaAudit),
    run: parseArenaAuditKeys,
    reference: (text) => arenaAuditKeys(readContent(text)),
  }),
  target('brotli', ['too-large', 'bad-blob'], {
    share: 2,
    make: (random) => ({ bytes: mutateBytes(random, packed), size: random.pick(sizes) }),
    run: ({ bytes, size }) => unpack(bytes, size, 1 << 20),
    reference: ({ bytes, size }) => blobs.unpacked(bytes, size),
  }),
  target('sealed chunks', ['bad-blob'], {
    make: (random) => mutateBytes(random, [sealedChunk]),
    run: (sealed) => void openChunk(sealed, keys.data, place),
    reference: (sealed) => {
      if (Buffer.compare(sealed, sealedChunk) !== 0) throw new Error('a changed chunk was opened');
    },
  }),
  target('blobs inside events', ['bad-blob', 'hash-mismatch', 'wrong-key', 'too-large'], {
    make: (random) => ({
      pointer:
        random.below(2) === 0 ? small.pointer : { ...small.pointer, ...(mutateJson(random, small.pointer) as object) },
      inline: random.below(2) === 0 ? small.inline! : mutateText(random, [small.inline!]),
    }),
    run: ({ pointer, inline }) => openInline(pointer, inline, key, context, 0, 1 << 20),
    reference: ({ pointer, inline }) => blobs.checkInline(pointer, inline, plain),
  }),
  target('indexes of blobs', ['bad-blob', 'hash-mismatch'], {
    make: (random) => mutateBytes(random, [index, index.subarray(0, 192)]),
    run: (bytes) => decodeIndex(bytes, many).map(({ id, leaf }) => ({ id, leaf })),
    reference: (bytes) => blobs.readIndex(bytes, many),
  }),
];

/** A text that is no JSON never reaches the readers of events: the frame around it would not be JSON either. */
function parsable(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return '{}';
  }
}
