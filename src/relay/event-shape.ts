import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import type { EventTemplate, Filter, NostrEvent } from '../ports.js';

/** Strict NIP-01 shapes of what comes from outside. Parsed values are fresh objects with exactly the known fields. */

const HEX_64 = /^[0-9a-f]{64}$/;
const HEX_128 = /^[0-9a-f]{128}$/;
const MAX_KIND = 65_535;
/** Where 32-bit readers stop; NIP-01 sets no bound. */
const MAX_CREATED_AT = 0xffff_ffff;

export type Rumor = EventTemplate & { readonly id: EventId; readonly pubkey: Pubkey };

/** An event without its signature, as inside a NIP-59 seal. @throws NmktError `bad-event` naming the field */
export function parseRumor(value: unknown): Rumor {
  if (!isRecord(value)) throw bad('event', 'an object', typeName(value));
  const { id, pubkey, created_at, kind, tags, content } = value;
  if (!isHex64(id)) throw bad('id', '64 lowercase hex characters', typeName(id));
  if (!isHex64(pubkey)) throw bad('pubkey', '64 lowercase hex characters', typeName(pubkey));
  if (!isIntegerTo(created_at, MAX_CREATED_AT)) throw bad('created_at', 'unix seconds', typeName(created_at));
  if (!isIntegerTo(kind, MAX_KIND)) throw bad('kind', `an integer from 0 to ${MAX_KIND}`, typeName(kind));
  if (!isTags(tags)) throw bad('tags', 'lists of strings, each with a name', typeName(tags));
  if (typeof content !== 'string') throw bad('content', 'a string', typeName(content));
  return { id: id as EventId, pubkey: pubkey as Pubkey, created_at, kind, tags, content };
}

/** The shape only: neither id nor signature is checked. @throws NmktError `bad-event` naming the field */
export function parseSignedEvent(value: unknown): NostrEvent {
  const rumor = parseRumor(value);
  const { sig } = value as { sig?: unknown };
  if (typeof sig !== 'string' || !HEX_128.test(sig)) throw bad('sig', '128 lowercase hex characters', typeName(sig));
  return { ...rumor, sig };
}

export interface FilterLimits {
  /** Values over all lists of one filter. */
  readonly maxValues: number;
  readonly maxTagValueChars: number;
}

/** @throws NmktError `bad-event` or `too-large` naming the field */
export function parseFilter(value: unknown, { maxValues, maxTagValueChars }: FilterLimits): Filter {
  if (!isRecord(value)) throw bad('filter', 'an object', typeName(value));
  const filter: Record<string, unknown> = {};
  let count = 0;
  for (const [key, field] of Object.entries(value)) {
    if (key === 'since' || key === 'until' || key === 'limit') {
      if (!isIntegerTo(field, Number.MAX_SAFE_INTEGER)) throw bad(key, 'an integer, 0 or more', typeName(field));
      filter[key] = field;
      continue;
    }
    const check = listCheck(key, maxTagValueChars);
    // An unknown condition cannot be ignored: the answer would hold events that were not asked for.
    if (!check) throw bad('filter', 'NIP-01 fields and single-letter tags', key.slice(0, 32));
    if (!Array.isArray(field)) throw bad(key, 'a list', typeName(field));
    count += field.length;
    if (count > maxValues) throw tooMany(maxValues, count);
    if (!field.every(check)) throw bad(key, 'a list of well-formed values', 'another value');
    filter[key] = field;
  }
  return filter as Filter;
}

function listCheck(key: string, maxTagValueChars: number): ((value: unknown) => boolean) | undefined {
  if (key === 'ids' || key === 'authors' || key === '#e' || key === '#p') return isHex64;
  if (key === 'kinds') return (value) => isIntegerTo(value, MAX_KIND);
  if (/^#[a-zA-Z]$/.test(key)) return (value) => typeof value === 'string' && value.length <= maxTagValueChars;
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isHex64(value: unknown): value is string {
  return typeof value === 'string' && HEX_64.test(value);
}

function isIntegerTo(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

function isTags(value: unknown): value is string[][] {
  return Array.isArray(value) && value.every((tag) => Array.isArray(tag) && tag.length > 0 && tag.every(isString));
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function typeName(value: unknown): string {
  if (value === undefined) return 'nothing';
  return Array.isArray(value) ? 'a list' : value === null ? 'null' : typeof value;
}

function bad(field: string, expected: string, got: string): NmktError {
  return new NmktError('bad-event', `${field} is malformed`, { remedy: 'send it as NIP-01 says', expected, got });
}

function tooMany(max: number, got: number): NmktError {
  return new NmktError('too-large', 'a filter lists too many values', {
    remedy: 'split the filter',
    expected: `at most ${max} values`,
    got: `at least ${got}`,
  });
}
