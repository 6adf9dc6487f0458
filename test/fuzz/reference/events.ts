import { createHash } from 'node:crypto';
import {
  contents,
  evalGrant,
  groupGrant,
  modelGrant,
  roundGrant,
  segmentGrant,
  shardGrant,
  updateGrant,
} from './contents.js';
import { JsonNumber, JsonObject, fieldOf, readContent, readJson, refuse, type Json } from './json.js';
import { fromBase64, isMadeOf } from './scalars.js';

/** The section "Envelope", and NIP-01 where it leaves a choice: what an event is, and what one says by itself. */

export interface WireEvent {
  readonly id: string;
  readonly pubkey: string;
  readonly created_at: number;
  readonly kind: number;
  readonly tags: readonly (readonly string[])[];
  readonly content: string;
  readonly sig: string;
}

const isHex = (value: unknown, length: number): value is string =>
  typeof value === 'string' && value.length === length && isMadeOf(value, '0123456789abcdef');

/** JSON readers give the same integer for 5, 5.0 and 50e-1: NIP-01 does not forbid any. */
function integerTo(value: Json | undefined, max: number): number {
  if (!(value instanceof JsonNumber)) return refuse('no number');
  const number = Number(value.text);
  return Number.isInteger(number) && number >= 0 && number <= max ? number : refuse(`${value.text}: not 0 to ${max}`);
}

/** The rumor of NIP-59: an event that nobody signed. */
export function readRumor(json: Json | undefined): Omit<WireEvent, 'sig'> {
  if (!(json instanceof JsonObject)) return refuse('no event');
  const [id, pubkey, content, tags] = ['id', 'pubkey', 'content', 'tags'].map((name) => fieldOf(json, name));
  if (!isHex(id, 64) || !isHex(pubkey, 64)) return refuse('id or pubkey');
  if (typeof content !== 'string') return refuse('content');
  if (!Array.isArray(tags)) return refuse('tags');
  for (const tag of tags) {
    if (!Array.isArray(tag) || tag.length === 0) return refuse('a tag without a name');
    if (tag.some((value) => typeof value !== 'string')) return refuse('a tag of something else than strings');
  }
  return {
    ...{ id, pubkey, content },
    created_at: integerTo(fieldOf(json, 'created_at'), 2 ** 32 - 1),
    kind: integerTo(fieldOf(json, 'kind'), 65_535),
    tags: tags as string[][],
  };
}

export function readEvent(json: Json | undefined): WireEvent {
  const rumor = readRumor(json);
  const sig = fieldOf(json as JsonObject, 'sig');
  return isHex(sig, 128) ? { ...rumor, sig } : refuse('sig');
}

/** The text whose hash is the id. */
export function idOf({ pubkey, created_at, kind, tags, content }: Omit<WireEvent, 'sig' | 'id'>): string {
  const text = JSON.stringify([0, pubkey, created_at, kind, tags, content]);
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** Of equal names the first counts. */
const tagOf = ({ tags }: Pick<WireEvent, 'tags'>, name: string): string | undefined =>
  tags.find(([first]) => first === name)?.[1];

function checkEnvelope(event: WireEvent): void {
  if (event.content.length > 64_000) refuse('a long content');
  if (event.tags.length > 600) refuse('many tags');
  for (const tag of event.tags) {
    if (tag.length > 8) refuse('a tag of many values');
    for (const value of tag) if (value.length > 1_024) refuse('a long value of a tag');
  }
  if (tagOf(event, 't') !== 'nmkt') refuse('another topic');
  if (tagOf(event, 'v') !== '1') refuse('another version');
}

/** Decimal, no leading zero, at most nine digits. */
function seqOf(event: WireEvent): number {
  const text = tagOf(event, 'seq') ?? '';
  if (text === '' || text.length > 9 || !isMadeOf(text, '0123456789')) return refuse('no seq');
  return text.length > 1 && text.startsWith('0') ? refuse('a seq with a leading zero') : Number(text);
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

/** What a job event says: the fields of its place in the chain, and the content. */
function readJobEvent(event: WireEvent, check: (json: Json) => unknown, isJob: boolean): unknown {
  const [seq, prev] = [seqOf(event), tagOf(event, 'prev')];
  const job = isJob ? event.id : tagOf(event, 'e');
  if (!isHex(job, 64)) return refuse('no job');
  if (isJob && seq !== 0) return refuse('a job that is not its author’s first event');
  if (seq === 0 ? prev !== undefined : !isHex(prev, 64)) return refuse('prev');
  return {
    ...{ id: event.id, author: event.pubkey, createdAt: event.created_at, job, seq, prev: prev ?? null },
    content: check(readContent(event.content)),
    contentHash: sha256(event.content),
  };
}

/** Any event of the protocol but grants, from its JSON. */
export function readProtocolEvent(json: Json): unknown {
  const event = readEvent(json);
  if (event.kind === 4621) return readChunk(event);
  checkEnvelope(event);
  const phase = tagOf(event, 'phase');
  if (phase === '') return refuse('a phase without a name');
  const check = contents[`${event.kind}/${phase ?? ''}`] ?? refuse('no kind or phase of nmkt/1');
  const content = () => check(readContent(event.content));
  const [d, e] = [tagOf(event, 'd'), tagOf(event, 'e')];
  if (event.kind === 4620) return { id: event.id, author: event.pubkey, manifest: content() };
  if (event.kind === 34620) {
    if (d === undefined || !isHex(e, 64)) return refuse('d or e');
    return { d, snapshot: e, manifest: content() };
  }
  if (event.kind === 34621) {
    if (!isHex(d, 64) || !isHex(e, 64)) return refuse('d or e');
    return { job: d, artifact: e, content: content() };
  }
  if (event.kind === 34622) {
    const offer = content() as { readonly role: string; readonly expires: number };
    if (d !== offer.role || tagOf(event, 'expiration') !== String(offer.expires)) return refuse('d or expiration');
    return { id: event.id, author: event.pubkey, createdAt: event.created_at, content: offer };
  }
  return readJobEvent(event, check, event.kind === 4623);
}

export function readChunk({ kind, content }: WireEvent): Uint8Array {
  if (kind !== 4621 || content.length !== 64_040) return refuse('no chunk');
  const bytes = fromBase64(content);
  return bytes.length === 48_028 ? bytes : refuse(`${bytes.length} bytes`);
}

export function readGrant(kind: number, text: string): unknown {
  if (kind !== 4624 || text.length > 28_672) return refuse('no grant');
  const json = readContent(text);
  if (!(json instanceof JsonObject)) return refuse('no object');
  const purpose = fieldOf(json, 'purpose');
  const known = {
    ...{ shard: shardGrant, eval: evalGrant, update: updateGrant, segment: segmentGrant },
    ...{ group: groupGrant, model: modelGrant },
  };
  return (Object.entries(known).find(([name]) => name === purpose)?.[1] ?? roundGrant)(json);
}

/** NIP-01: known fields of their types; single letters of the Latin alphabet as tags; a filter with anything else asks for less than a reader would give. */
export function readFilter(
  json: Json | undefined,
  maxValues: number,
  maxTagValueChars: number,
): Record<string, unknown> {
  if (!(json instanceof JsonObject)) return refuse('no filter');
  const found: Record<string, unknown> = {};
  for (const [name] of json.fields) {
    const value = fieldOf(json, name);
    if (name === 'since' || name === 'until' || name === 'limit') {
      found[name] = integerTo(value, Number.MAX_SAFE_INTEGER);
      continue;
    }
    if (!Array.isArray(value)) return refuse(`${name}: no list`);
    const isTag = name.length === 2 && name[0] === '#' && /[a-z]/i.test(name[1]!) && name.charCodeAt(1) < 128;
    if (name === 'ids' || name === 'authors' || name === '#e' || name === '#p') {
      if (!value.every((one) => isHex(one, 64))) return refuse(`${name}: no ids`);
      found[name] = value;
    } else if (name === 'kinds') found[name] = value.map((kind) => integerTo(kind, 65_535));
    else if (isTag) {
      if (!value.every((one) => typeof one === 'string' && one.length <= maxTagValueChars)) return refuse('values');
      found[name] = value;
    } else return refuse(`${name}: unknown`);
  }
  const count = Object.values(found).reduce((sum: number, value) => sum + (Array.isArray(value) ? value.length : 0), 0);
  return count <= maxValues ? found : refuse('many values');
}

/** A frame of NIP-01: a JSON list. */
export function readFrame(text: string): Json[] {
  const json = readJson(text);
  return Array.isArray(json) ? json : refuse('no list');
}
