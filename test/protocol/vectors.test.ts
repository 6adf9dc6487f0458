import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isNmktError } from '../../src/errors.js';
import { fromHex, sha256, sha256Hex, type EventId, type Pubkey, type Sha256 } from '../../src/hash.js';
import { rootSeed, trainingSeed } from '../../src/learning/seeds.js';
import type { NostrEvent } from '../../src/ports.js';
import { buildArtifactListing } from '../../src/protocol/artifact.js';
import { buildOffer, parseOffer } from '../../src/protocol/offer.js';
import { buildChunk, parseChunk } from '../../src/protocol/chunk.js';
import { buildListing, buildSnapshot, parseListing, parseSnapshot } from '../../src/protocol/dataset.js';
import type { EventType } from '../../src/protocol/envelope.js';
import { EVENT_TYPES, parseJobEvent, type EventName } from '../../src/protocol/events.js';
import { encodeGrant, grantHash, parseGrant } from '../../src/protocol/grant.js';
import { JOB_KINDS, KINDS } from '../../src/protocol/kinds.js';
import {
  encodeLocator,
  locatorHash,
  openLocator,
  openShardLocator,
  shardLocators,
} from '../../src/protocol/locator.js';
import { cut, joined } from '../../src/protocol/parts.js';
import { claimHash, payoutId } from '../../src/protocol/settlement.js';
import { commitmentOf } from '../../src/protocol/submission.js';
import { hasValidSignature } from '../../src/schnorr.js';
import { parseAs, plain, type EventFile } from '../vectors/protocol-vectors.js';
import {
  readVectors,
  type DerivedVectors,
  type EventVectors,
  type GrantVectors,
  type LocatorVectors,
  type PartsVectors,
  type ShardLocatorVectors,
} from './vectors.js';

const names = Object.keys(EVENT_TYPES) as EventName[];
const files: EventFile[] = [...names, 'snapshot', 'listing', 'artifact-listing', 'offer', 'chunk'];

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return isNmktError(error) ? error.code : `not an NmktError: ${String(error)}`;
  }
  return 'nothing';
};

/** The template again, from what was parsed. */
function rebuild(name: EventFile, event: NostrEvent) {
  const tag = (key: string) => event.tags.find((one) => one[0] === key)?.[1];
  switch (name) {
    case 'snapshot':
      return buildSnapshot(parseSnapshot(event).manifest, event.created_at);
    case 'listing': {
      const { d, snapshot, manifest } = parseListing(event);
      const { content } = buildSnapshot(manifest, event.created_at);
      return buildListing({ ...event, id: snapshot, content }, d);
    }
    case 'artifact-listing':
      return buildArtifactListing({ ...event, id: tag('e') as EventId }, tag('d')!);
    case 'offer':
      return buildOffer(parseOffer(event).content, event.created_at);
    case 'chunk':
      return buildChunk(parseChunk(event), event.created_at, Number(tag('expiration')));
    default: {
      const type = EVENT_TYPES[name] as unknown as EventType<string, unknown>;
      const { job, seq, prev, content } = type.parse(event);
      const people = event.tags.filter(([key]) => key === 'p').map(([, value]) => value as Pubkey);
      return type.build(
        { job: ['job', 'arena-job', 'alliance-job'].includes(name) ? null : job, seq, prev },
        content,
        event.created_at,
        people,
      );
    }
  }
}

describe('the vectors', () => {
  it('exist for every kind of event and for nothing else', () => {
    const grants = [
      'shard-grant',
      'round-grant',
      'eval-grant',
      'update-grant',
      'segment-grant',
      'group-grant',
      'model-grant',
    ];
    const other = [...grants, 'locator', 'shard-locator', 'parts'];
    const found = readdirSync(new URL('../vectors/protocol', import.meta.url)).map((file) => file.replace('.json', ''));
    expect(found.sort()).toEqual([...files, ...other].sort());
    for (const name of files) {
      const { valid, invalid } = readVectors<EventVectors>(name);
      expect(valid.length).toBeGreaterThanOrEqual(1);
      expect(invalid.length).toBeGreaterThanOrEqual(5);
    }
  });

  it('cover every kind of the table but backup and presence, which only their own author reads', () => {
    const kinds = new Set([...files.map((name) => readVectors<EventVectors>(name).kind), KINDS.grant, KINDS.part]);
    expect([...kinds].sort()).toEqual(
      Object.values(KINDS)
        .filter((kind) => kind !== KINDS.backup && kind !== KINDS.presence)
        .sort(),
    );
    for (const name of names) expect(JOB_KINDS).toContain(EVENT_TYPES[name].kind);
  });
});

describe.each(files)('vectors of %s', (name) => {
  const { kind, valid, invalid } = readVectors<EventVectors>(name);

  it('are signed events of one kind', () => {
    for (const { event } of [...valid, ...invalid]) expect(hasValidSignature(event)).toBe(true);
    for (const { event } of valid) expect(event.kind).toBe(kind);
  });

  it('parse to the documented values', () => {
    for (const { event, parsed } of valid) {
      expect(plain(parseAs(name, event))).toEqual(parsed);
      if (JOB_KINDS.includes(kind)) expect(plain(parseJobEvent(event))).toEqual(parsed);
    }
  });

  it('are rebuilt byte for byte from what was parsed', () => {
    for (const { event } of valid) {
      const { created_at, tags, content } = event;
      expect(rebuild(name, event)).toEqual({ kind, created_at, tags, content });
    }
  });

  it.each(invalid.map((one) => [one.name, one] as const))('refuse %s', (_what, { event, code }) => {
    expect(codeOf(() => parseAs(name, event))).toBe(code);
    if (JOB_KINDS.includes(kind)) expect(codeOf(() => parseJobEvent(event))).toBe(code);
  });

  it('may hold fields of later versions, which are ignored', () => {
    if (name === 'chunk') return;
    for (const { event, parsed } of valid) {
      const content = event.content.replace(/^\{/, '{"later":[1,{"a":null}],');
      const found = plain(parseAs(name, { ...event, content })) as Record<string, unknown>;
      expect({ ...found, contentHash: undefined }).toEqual({ ...(parsed as object), contentHash: undefined });
    }
  });
});

describe.each([
  'shard-grant',
  'round-grant',
  'eval-grant',
  'update-grant',
  'segment-grant',
  'group-grant',
  'model-grant',
])('vectors of %s', (name) => {
  const { valid, invalid } = readVectors<GrantVectors>(name);

  it('parse, hash and encode again to the same characters', () => {
    for (const { kind, content, hash, parsed } of valid) {
      const grant = parseGrant(kind, content);
      expect(plain(grant)).toEqual(parsed);
      expect(encodeGrant(grant)).toBe(content);
      expect(grantHash(content)).toBe(hash);
      expect(createHash('sha256').update(`nmkt/1/grant${content}`).digest('hex')).toBe(hash);
    }
  });

  it.each(invalid.map((one) => [one.name, one] as const))('refuse %s', (_what, { kind, content, code }) => {
    expect(codeOf(() => parseGrant(kind, content))).toBe(code);
  });
});

describe('vectors of the locator', () => {
  const { valid, invalid } = readVectors<LocatorVectors>('locator');
  const open = ({ content, blind, promised }: (typeof valid | typeof invalid)[number]) =>
    openLocator(content, fromHex(blind), promised as Sha256);

  it('open, hash and encode again to the same characters', () => {
    for (const one of valid) {
      expect(open(one)).toEqual(one.parsed);
      expect(encodeLocator(open(one))).toBe(one.content);
      expect(locatorHash(one.content, fromHex(one.blind))).toBe(one.promised);
    }
  });

  it.each(invalid.map((one) => [one.name, one] as const))('refuse %s', (_what, one) => {
    expect(codeOf(() => open(one))).toBe(one.code);
  });
});

describe('vectors of the locator of one shard among many', () => {
  const { whole, valid, invalid } = readVectors<ShardLocatorVectors>('shard-locator');
  const open = ({ content, blind, promised, shard, count }: (typeof valid | typeof invalid)[number]) =>
    openShardLocator(content, { blind: fromHex(blind), promised: promised as Sha256, shard, count });

  it('open, and follow from the whole', () => {
    for (const one of valid) {
      expect(plain(open(one))).toEqual(one.parsed);
      expect(shardLocators(whole)(one.shard)).toBe(one.content);
      expect(locatorHash(whole, fromHex(one.blind))).toBe(one.promised);
    }
  });

  it.each(invalid.map((one) => [one.name, one] as const))('refuse %s', (_what, one) => {
    expect(codeOf(() => open(one))).toBe(one.code);
  });
});

describe('vectors of contents in parts', () => {
  const { kind, valid, invalid } = readVectors<PartsVectors>('parts');
  const whole = ({ event, parts }: (typeof valid | typeof invalid)[number]) =>
    joined(event, (id) => parts.find((part) => part.id === id));

  it('are signed, join to the content, and are cut from it again', () => {
    for (const one of [...valid, ...invalid])
      for (const event of [one.event, ...one.parts]) expect(hasValidSignature(event)).toBe(true);
    for (const one of valid) {
      const content = whole(one)!;
      expect(one.parts.map((part) => part.kind)).toEqual(one.parts.map(() => kind));
      expect(plain(parseJobEvent(one.event, content))).toEqual(one.parsed);
      const { kind: of, created_at, tags } = one.event;
      const pieces = cut({ kind: of, created_at, tags: tags.filter(([name]) => name !== 'parts'), content })!;
      expect(pieces.parts.map((part) => part.content)).toEqual(one.parts.map((part) => part.content));
      expect(pieces.event(one.parts.map(({ id }) => id)).content).toBe(one.event.content);
    }
  });

  it.each(invalid.map((one) => [one.name, one] as const))('refuse %s', (_what, one) => {
    expect(codeOf(() => whole(one))).toBe(one.code);
  });
});

describe('derived hashes', () => {
  const {
    commitment,
    bid,
    payout,
    claim,
    trainingSeed: seeds,
    rootSeed: root,
  } = readVectors<DerivedVectors>('../derived');
  const of = (text: string, ...parts: Uint8Array[]) => sha256Hex(text, ...parts);
  const u32 = (value: unknown) => new Uint8Array([0, 0, 0, Number(value)]);
  const bytes = (value: unknown) => fromHex(String(value));

  it('agree with the text: the commitment of an update', () => {
    const { job, round, shard, trainer, baseHash, updateHash, checkpoints, salt } = commitment;
    const states = (checkpoints as unknown as string[]).map(bytes);
    const list = fromHex(of('nmkt/1/checkpoints', u32(states.length), ...states));
    const expected = of(
      'nmkt/1/upd',
      ...[bytes(job), u32(round), u32(shard), bytes(trainer), bytes(baseHash), bytes(updateHash), list, bytes(salt)],
    );
    expect(commitment['commitment']).toBe(expected);
    expect(commitmentOf({ ...commitment, salt: bytes(salt) } as never)).toBe(expected);
  });

  it('agree with the text: the commitment of a sealed bid', () => {
    const { job, trainer, priceMsat, capacity, engine, throughput, expires, salt } = bid;
    const big = (value: unknown, bytes = 8) => {
      const all = Buffer.alloc(8);
      all.writeBigUInt64BE(BigInt(value as string));
      return all.subarray(8 - bytes);
    };
    const fields = [big(priceMsat), big(capacity, 4), fromHex(of(String(engine))), big(throughput, 4), big(expires)];
    expect(bid['bidCommitment']).toBe(of('nmkt/1/bid', bytes(job), bytes(trainer), ...fields, bytes(salt)));
  });

  it('agree with the text: the payout id and the hash of a claim', () => {
    const { job, round, payee, purpose } = payout;
    const id = of('nmkt/1/payout', bytes(job), u32(round), bytes(payee), Buffer.from(String(purpose)));
    expect(payout['payout']).toBe(id);
    expect(payoutId(job as EventId, 3, payee as Pubkey, 'trainer')).toBe(id);
    const amount = new Uint8Array(8);
    new DataView(amount.buffer).setBigUint64(0, BigInt(claim['amountMsat']!));
    const { settlement } = claim;
    const hash = of('nmkt/1/claim', bytes(claim['job']), bytes(settlement), bytes(id), bytes(claim['payee']), amount);
    expect(claim['claimHash']).toBe(hash);
    expect(claimHash({ ...claim, amountMsat: BigInt(claim['amountMsat']!) } as never)).toBe(hash);
  });

  it('agree with the text: the seeds of a training and of a root update', () => {
    const { seed, round, shard, trainer } = seeds;
    const hmac = (key: Uint8Array, ...parts: Uint8Array[]) => {
      const pad = (byte: number) => Uint8Array.from({ length: 64 }, (_, i) => (key[i] ?? 0) ^ byte);
      return sha256(pad(0x5c), sha256(pad(0x36), ...parts)); // RFC 2104
    };
    const expected = hmac(hmac(bytes(seed), Buffer.from('round'), u32(round)), u32(shard), bytes(trainer));
    expect(seeds['trainingSeed']).toBe(Buffer.from(expected).toString('hex'));
    expect(trainingSeed(bytes(seed), 3, 7, trainer as Pubkey)).toEqual(new Uint8Array(expected));
    const own = hmac(hmac(bytes(root['seed']), Buffer.from('round'), u32(root['round'])), Buffer.from('root'));
    expect(root['rootSeed']).toBe(Buffer.from(own).toString('hex'));
    expect(rootSeed(bytes(root['seed']), 3)).toEqual(new Uint8Array(own));
  });
});
