import { hex, sha256, type Pubkey } from '../../src/hash.js';
import { rootSeed, trainingSeed } from '../../src/learning/seeds.js';
import type { NostrEvent } from '../../src/ports.js';
import { aliasRoot } from '../../src/protocol/arena/alias.js';
import { arenaScoreCommitment } from '../../src/protocol/arena/scores.js';
import { modelCommitment } from '../../src/protocol/arena/submission.js';
import { parseArtifactListing } from '../../src/protocol/artifact.js';
import { buildChunk, parseChunk } from '../../src/protocol/chunk.js';
import { parseListing, parseSnapshot } from '../../src/protocol/dataset.js';
import { EVENT_TYPES, parseJobEvent, type EventName } from '../../src/protocol/events.js';
import { parseGrant } from '../../src/protocol/grant.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { locatorHash, openLocator, openShardLocator, shardLocators } from '../../src/protocol/locator.js';
import { cut } from '../../src/protocol/parts.js';
import { parseOffer } from '../../src/protocol/offer.js';
import { bidCommitment } from '../../src/protocol/sealed-bid.js';
import { claimHash, payoutId } from '../../src/protocol/settlement.js';
import { commitmentOf } from '../../src/protocol/submission.js';
import { disputeOrder } from '../../src/protocol/dispute.js';
import { scoreCommitment, seatHash } from '../../src/protocol/validator.js';
import { signEvent } from '../../src/schnorr.js';
import { ENGINE, PRICE_MSAT, START_SEC, TERMS, customer, hashOf, people, scoreOf, type Person } from '../support/job-script.js';
import { badContents, hugeText, type Edit } from './protocol-edits.js';
import { derivedFrom, encodedGrants, sampleLocator, samples, type Samples } from './protocol-samples.js';

export type EventFile = keyof Samples;

/** msat as decimal strings, bytes as hex: what JSON can hold of a parsed value. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, part: unknown) =>
      typeof part === 'bigint' ? part.toString() : part instanceof Uint8Array ? hex(part) : part,
    ),
  );
}

export function parseAs(name: EventFile, event: NostrEvent): unknown {
  switch (name) {
    case 'snapshot':
      return parseSnapshot(event);
    case 'listing':
      return parseListing(event);
    case 'artifact-listing':
      return parseArtifactListing(event);
    case 'offer':
      return parseOffer(event);
    case 'chunk':
      return { sealed: sha256(parseChunk(event)) };
    default:
      return EVENT_TYPES[name].parse(event);
  }
}

const everyone: readonly Person[] = [customer, ...people];

/** Signed again by its author, so that nothing but the change is wrong with it. */
function resign(event: NostrEvent, change: Partial<Pick<NostrEvent, 'kind' | 'tags' | 'content'>>): NostrEvent {
  const author = everyone.find(({ pubkey }) => pubkey === event.pubkey) ?? customer;
  return signEvent({ ...event, ...change }, author.secret);
}

const retag = (event: NostrEvent, name: string, value: string | null): NostrEvent => {
  const has = event.tags.some((tag) => tag[0] === name);
  const tags = event.tags.flatMap((tag) => (tag[0] !== name ? [tag] : value === null ? [] : [[name, value]]));
  return resign(event, { tags: has || value === null ? tags : [...tags, [name, value]] });
};

interface Invalid {
  readonly name: string;
  readonly event: NostrEvent;
  readonly code: 'bad-event' | 'unsupported-version';
}

/** What is wrong with any kind that has an envelope. */
function badEnvelopes(event: NostrEvent): Invalid[] {
  const bad = (name: string, changed: NostrEvent): Invalid => ({ name, event: changed, code: 'bad-event' });
  const cases: Invalid[] = [
    { name: 'another version', event: retag(event, 'v', '2'), code: 'unsupported-version' },
    bad('no version', retag(event, 'v', null)),
    bad('another topic', retag(event, 't', 'nmkt2')),
    bad('another kind', resign(event, { kind: 1 })),
    bad('content that is no JSON', resign(event, { content: event.content.slice(0, -1) })),
    bad('content that is a list', resign(event, { content: `[${event.content}]` })),
    bad('a key __proto__', resign(event, { content: event.content.replace(/^\{/, '{"__proto__":{},') })),
    bad('a first field missing', resign(event, { content: event.content.replace(/^\{"[^"]+":/, '{"x":') })),
    bad('a tag longer than 1,024 characters', retag(event, 'alt', hugeText(1_025))),
  ];
  return cases;
}

/** JSON that readers of different languages would not read alike, of a content with one text in it. */
function badTexts(event: NostrEvent): Invalid[] {
  const bad = (name: string, content: string): Invalid => ({ name, event: resign(event, { content }), code: 'bad-event' });
  const added = (field: string) => event.content.replace(/}$/, `,${field}}`);
  return [
    bad('two equal keys', added('"reason":"another"')),
    bad('two equal keys, one with an escape', added('"r\\u0065ason":"another"')),
    bad('two equal keys in an unknown field', added('"x":[{"y":1,"y":1}]')),
    bad('a number with a point', added('"x":1.0')),
    bad('a number with an exponent', added('"x":[1e0]')),
    bad('a minus on zero', added('"x":-0')),
    bad('a lone surrogate', added('"x":"\\ud800"')),
    bad('a lone surrogate in a key', added('"\\udc00":1')),
  ];
}

function badChains(name: EventName, event: NostrEvent): Invalid[] {
  const bad = (what: string, changed: NostrEvent): Invalid => ({ name: what, event: changed, code: 'bad-event' });
  const cases = [
    bad('no seq', retag(event, 'seq', null)),
    bad('a seq with a leading zero', retag(event, 'seq', '01')),
    bad('another phase', retag(event, 'phase', 'other')),
  ];
  if (['job', 'arena-job', 'alliance-job'].includes(name)) return [...cases, bad('a job that is not the first', chainedAt(event, '1'))];
  const isFirst = event.tags.some(([tag, value]) => tag === 'seq' && value === '0');
  return [
    ...cases,
    bad('no job', retag(event, 'e', null)),
    bad('a job in upper case', retag(event, 'e', event.tags.find(([tag]) => tag === 'e')![1]!.toUpperCase())),
    isFirst ? bad('prev at seq 0', retag(event, 'prev', hashOf('prev'))) : bad('no prev', retag(event, 'prev', null)),
  ];
}

const chainedAt = (event: NostrEvent, seq: string) => retag(retag(event, 'seq', seq), 'prev', hashOf('prev'));

function edited(event: NostrEvent, [name, edit]: Edit): Invalid {
  const content = JSON.stringify(edit(JSON.parse(event.content) as never));
  return { name, event: resign(event, { content }), code: 'bad-event' };
}

function badChunks(event: NostrEvent): Invalid[] {
  const short = signEvent(buildChunk(new Uint8Array(100), START_SEC, START_SEC + 1), customer.secret);
  // 48,028 bytes end in "x=": the last character before the padding carries four unused bits.
  const stray = event.content.replace(/(.)==$/, (_, last: string) => `${last === 'w' ? 'x' : 'B'}==`);
  const bad = (name: string, changed: NostrEvent): Invalid => ({ name, event: changed, code: 'bad-event' });
  return [
    bad('too short', short),
    bad('no content', resign(short, { content: '' })),
    bad('another kind', resign(short, { kind: KINDS.round })),
    bad('stray low bits', resign(event, { content: stray })),
    bad('the alphabet of URLs', resign(event, { content: `-_${event.content.slice(2)}` })),
  ];
}

function eventVectors(name: EventFile) {
  const list = samples[name];
  const event = list[0]![1];
  const invalid =
    name === 'chunk'
      ? badChunks(event)
      : [
          ...badEnvelopes(event),
          ...(name === 'snapshot'
            ? []
            : name === 'listing' || name === 'artifact-listing'
              ? [
                  { name: 'no address', event: retag(event, 'd', null), code: 'bad-event' as const },
                  { name: 'no event', event: retag(event, 'e', null), code: 'bad-event' as const },
                ]
              : name === 'offer'
                ? [
                    { name: 'no address', event: retag(event, 'd', null), code: 'bad-event' as const },
                    { name: 'no expiration', event: retag(event, 'expiration', null), code: 'bad-event' as const },
                  ]
                : badChains(name, event)),
          ...badContents[name].map((edit) => edited(event, edit)),
          ...(name === 'withdrawn' ? badTexts(event) : []),
        ];
  return {
    kind: event.kind,
    valid: list.map(([what, one]) => ({ name: what, event: one, parsed: plain(parseAs(name, one)) })),
    invalid,
  };
}

function grantVectors(at: number, more: readonly number[] = []) {
  const { content, name } = encodedGrants[at]!;
  const json = JSON.parse(content) as Record<string, unknown>;
  const bad = (what: string, changed: unknown) => ({
    name: what,
    kind: KINDS.grant,
    content: typeof changed === 'string' ? changed : JSON.stringify(changed),
    code: 'bad-event',
  });
  const { key: _key, ...keyless } = json;
  const { submission: _submission, draw: _draw, root: _root, ...nameless } = json;
  const inside = { 'update-grant': 'update', 'segment-grant': 'state', 'model-grant': 'model' }[name];
  const key = inside === undefined ? json['key'] : (json[inside] as Record<string, unknown>)['key'];
  const withKey = (value: unknown) =>
    inside === undefined ? { ...json, key: value } : { ...json, [inside]: { ...(json[inside] as object), key: value } };
  const invalid = [
    { ...bad('another kind', json), kind: KINDS.award },
    bad('no JSON', content.slice(1)),
    bad('a list', [json]),
    inside === undefined ? bad('no key', keyless) : bad({ update: 'no submission', state: 'no draw', model: 'no root' }[inside]!, nameless),
    bad('a key in upper case', withKey(String(key).toUpperCase())),
    bad('a short key', withKey('00')),
    bad('another purpose', { ...json, purpose: at < 2 ? 'eval' : 'sale' }),
    bad('a time that is no integer', { ...json, notAfter: 1.5 }),
    bad('a key __proto__', content.replace(/^\{/, '{"__proto__":{},')),
    ...(name === 'round-grant'
      ? [
          bad('no key before', { ...json, before: [] }),
          bad('nine keys before', { ...json, before: Array.from({ length: 9 }, () => json['key']) }),
        ]
      : []),
    ...(name === 'shard-grant' || name === 'eval-grant' ? [bad('a locator of 26,001 characters', { ...json, locator: hugeText(26_001) })] : []),
  ];
  const valid = [at, ...more].map((index) => {
    const { name: what, content: text, hash } = encodedGrants[index]!;
    return { name: what, kind: KINDS.grant, content: text, hash, parsed: plain(parseGrant(KINDS.grant, text)) };
  });
  return { kind: KINDS.grant, valid, invalid };
}

function locatorVectors() {
  const { encoded, blind, promised } = sampleLocator;
  const one = { blind: hex(blind), promised };
  const bad = (name: string, content: string) => ({
    name,
    content,
    blind: hex(blind),
    promised: locatorHash(content, blind),
    code: 'bad-event',
  });
  return {
    valid: [{ name: 'two shards', content: encoded, ...one, parsed: openLocator(encoded, blind, promised) }],
    invalid: [
      { name: 'another blind', content: encoded, blind: hex(sha256('x')), promised, code: 'hash-mismatch' },
      { name: 'another hash', content: `${encoded} `, ...one, code: 'hash-mismatch' },
      bad('no JSON', encoded.slice(1)),
      bad('no shards', encoded.replace(/"shards":.*/, '"shards":[]}')),
      bad('an upload key in upper case', encoded.replace(/"upload":"\w+"/, (text) => text.toUpperCase())),
      bad('a size beyond 2^40', encoded.replace(/"size":\d+/, '"size":1099511627777')),
      bad('a key __proto__', encoded.replace(/^\{/, '{"__proto__":{},')),
    ],
  };
}

/** A list of 1,000 commitments, whose content comes in two parts, and what is wrong with others like it. */
function partsVectors() {
  const list = samples.list[0]![1];
  const job = list.tags.find(([name]) => name === 'e')![1]!;
  const ids = Array.from({ length: 1_000 }, (_, i) => hashOf(`commitment ${i}`));
  const content = JSON.stringify({ ...(JSON.parse(list.content) as object), ids });
  const { kind, created_at, tags } = list;
  const pieces = cut({ kind, created_at, tags, content })!;
  const parts = pieces.parts.map((part) => signEvent(part, customer.secret));
  const event = signEvent(pieces.event(parts.map(({ id }) => id)), customer.secret);
  const said = JSON.parse(event.content) as { parts: string[] };
  const like = (change: object, tag = '2') => retag(resign(event, { content: JSON.stringify({ ...said, ...change }) }), 'parts', tag);
  const stranger = signEvent({ ...pieces.parts[1]! }, people[0]!.secret);
  const elsewhere = resign(parts[1]!, { tags: retag(parts[1]!, 'e', hashOf('another job')).tags });
  const bad = (name: string, wrong: NostrEvent, with_ = parts) => ({ name, event: wrong, parts: with_, code: 'bad-event' });
  const naming = (part: NostrEvent) => like({ parts: [parts[0]!.id, part.id] });
  return {
    kind: KINDS.part,
    job,
    valid: [{ name: 'a list of 1,000 ids', event, parts, parsed: plain(parseJobEvent(event, content)) }],
    invalid: [
      bad('parts in another order', like({ parts: [...said.parts].reverse() })),
      bad('a part of another author', naming(stranger), [parts[0]!, stranger]),
      bad('a part of another job', naming(elsewhere), [parts[0]!, elsewhere]),
      bad('a part twice', like({ parts: [parts[0]!.id, parts[0]!.id] })),
      bad('one part', like({ parts: [parts[0]!.id] }, '1')),
      bad('65 parts', like({ parts: Array.from({ length: 65 }, (_, i) => hashOf(`part ${i}`)) }, '65')),
      bad('another hash', like({ sha256: hashOf('another') })),
      bad('another size', like({ size: content.length + 1 })),
      bad('a size that fits into one event', like({ size: 64_000 })),
      bad('a tag that counts otherwise', like({}, '3')),
    ],
  };
}

/** Of 65 shards, as a grant has it: one pointer and its way to the root. */
function shardLocatorVectors() {
  const { encoded, blind } = sampleLocator;
  const { upload, shards } = JSON.parse(encoded) as { upload: string; shards: object[] };
  const many = JSON.stringify({ upload, shards: Array.from({ length: 65 }, (_, i) => ({ ...shards[i % 2], sha256: hashOf(`shard ${i}`) })) });
  const promised = locatorHash(many, blind);
  const one = { blind: hex(blind), promised, count: 65 };
  const of = shardLocators(many);
  const opened = (shard: number) => openShardLocator(of(shard), { blind, promised, shard, count: 65 });
  const bad = (name: string, content: string, code = 'hash-mismatch', shard = 7) => ({ name, content, ...one, shard, code });
  const { path, ...rest } = JSON.parse(of(7)) as { path: string[] };
  return {
    whole: many,
    valid: [0, 7, 64].map((shard) => ({ name: `shard ${shard} of 65`, content: of(shard), ...one, shard, parsed: plain(opened(shard)) })),
    invalid: [
      bad('another shard', of(8)),
      bad('another path', JSON.stringify({ ...rest, path: [...path.slice(1), path[0]] })),
      bad('a path that is too short', JSON.stringify({ ...rest, path: path.slice(1) }), 'bad-event'),
      bad('a path that is too long', JSON.stringify({ ...rest, path: [...path, path[0]] }), 'bad-event'),
      bad('the whole locator', many, 'bad-event'),
      bad('copies that nobody promised', JSON.stringify({ ...rest, copies: 2, path })),
      bad('a shard that is not there', of(7), 'bad-event', 65),
    ],
  };
}

/** Hashes that two parties must agree on; all binary values hex. */
export function derivedVectors() {
  const { job, settlement, base } = derivedFrom;
  const trainer = derivedFrom.trainer as Pubkey;
  const commitment = { job, round: 3, shard: 7, trainer, baseHash: base, updateHash: hashOf('update'), checkpoints: [hashOf('state 1'), hashOf('state 2')], salt: sha256('salt') };
  const payout = payoutId(job, 3, trainer, 'trainer');
  const bid = { priceMsat: PRICE_MSAT, capacity: 1, engine: ENGINE, throughput: 5_000, expires: TERMS.deadline, salt: sha256('salt') };
  const claim = { job, settlement, payout, payee: trainer, amountMsat: PRICE_MSAT };
  const seed = sha256('seed');
  const row = { ...scoreOf(settlement, trainer, 7), ePpm: -1, spot: { segment: 2, hash: hashOf('end') } };
  const scored = { job, round: 3, list: settlement, validator: trainer, engine: derivedFrom.engine, data: hashOf('a'), scores: [row], salt: sha256('salt') };
  const model = { job, stage: 1, trainer, model: hashOf('model'), salt: sha256('salt') };
  const entries = [{ submission: settlement, model: hashOf('model'), salt: sha256('salt') }, { submission: job, model: null, salt: null }];
  const aliases = { job, stage: 1, list: settlement, entries, salt: sha256('alias salt') };
  const rows = [{ alias: 2, model: hashOf('model'), scorePpm: 410_000 }, { alias: 5, model: null, scorePpm: 999_000_000 }];
  const sheet = { job, round: 3, draw: settlement, validator: trainer, engine: derivedFrom.engine, data: hashOf('a'), scores: rows, salt: sha256('salt') };
  const drawn = [0, 1, 2].map((i) => ({ validator: people[i]!.pubkey, nonce: sha256('nonce', `${i}`) }));
  return {
    about: 'see the sections on commitments, payouts and seeds; all values hex',
    commitment: plain({ ...commitment, commitment: commitmentOf(commitment) }),
    bid: plain({ job, trainer, ...bid, bidCommitment: bidCommitment(job, trainer, bid) }),
    payout: { job, round: 3, payee: trainer, purpose: 'trainer', payout },
    claim: plain({ ...claim, claimHash: claimHash(claim) }),
    scoreCommitment: plain({ ...scored, commitment: scoreCommitment(scored) }),
    seat: { job, validator: trainer, hash: seatHash(job, trainer) },
    disputeOrder: plain({ job, index: 2, complaint: settlement, drawn, order: disputeOrder(job, 2, settlement, drawn) }),
    trainingSeed: plain({ seed, round: 3, shard: 7, trainer, trainingSeed: trainingSeed(seed, 3, 7, trainer) }),
    modelCommitment: plain({ ...model, commitment: modelCommitment(model) }),
    aliasRoot: plain({ ...aliases, root: aliasRoot(aliases) }),
    arenaScoreCommitment: plain({ ...sheet, commitment: arenaScoreCommitment(sheet) }),
    rootSeed: plain({ seed, round: 3, rootSeed: rootSeed(seed, 3) }),
  };
}

/** Contents of test/vectors/protocol, by file name without `.json`. */
export function makeVectors(): Record<string, object> {
  const events = (Object.keys(samples) as EventFile[]).map((name) => [name, eventVectors(name)] as const);
  return {
    ...Object.fromEntries(events),
    'shard-grant': grantVectors(0),
    'round-grant': grantVectors(1, [2]),
    'eval-grant': grantVectors(3),
    'update-grant': grantVectors(4, [5]),
    'segment-grant': grantVectors(6, [7]),
    'group-grant': grantVectors(8),
    'model-grant': grantVectors(9, [10]),
    locator: locatorVectors(),
    'shard-locator': shardLocatorVectors(),
    parts: partsVectors(),
  };
}

