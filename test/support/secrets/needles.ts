import { nsecEncode } from 'nostr-tools/nip19';

export interface Secret {
  readonly name: string;
  /** 32 bytes as hex, or a text such as a password. */
  readonly value: string;
  /** Files that are meant to hold it, by their path inside a folder of a test, with mode 0600. */
  readonly places: readonly RegExp[];
  /** Where everybody may read it: files, and events by kind, phase and round (`event/4627/reveal/0`). */
  readonly shown?: readonly RegExp[];
}

export interface Hit {
  readonly secret: Secret;
  readonly form: string;
  readonly at: number;
}

const HEX = /^[0-9a-f]{64}$/;

/**
 * Constants of tests (`abab…`, `0101…`) and short words stand for ids elsewhere: only what looks random can be told
 * from everything else.
 */
export function isTelling({ value }: Secret): boolean {
  if (!HEX.test(value)) return value.length >= 12;
  return new Set(Buffer.from(value, 'hex')).size >= 10;
}

/** Every spelling that gives the secret away: bytes, hex, base64 and base64url at any place in a longer text, nsec. */
function formsOf({ value }: Secret): (readonly [form: string, bytes: Buffer])[] {
  const isHex = HEX.test(value);
  const bytes = isHex ? Buffer.from(value, 'hex') : Buffer.from(value);
  const forms: [string, Buffer][] = [
    ['bytes', bytes],
    ['hex', Buffer.from(bytes.toString('hex'))],
  ];
  forms.push(['HEX', Buffer.from(bytes.toString('hex').toUpperCase())]);
  for (const [form, alphabet] of [
    ['base64', 'base64'],
    ['base64url', 'base64url'],
  ] as const)
    for (const before of [0, 1, 2]) {
      // Three bytes become four characters; those shared with neighbours are left out.
      const text = Buffer.concat([Buffer.alloc(before), bytes]).toString(alphabet);
      const part = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
      forms.push([form, Buffer.from(part)]);
    }
  if (isHex) forms.push(['nsec', Buffer.from(nsecEncode(bytes))]);
  return forms;
}

interface Needle {
  readonly secret: Secret;
  readonly form: string;
  readonly bytes: Buffer;
  /** From its first byte. */
  readonly offset: number;
}

/** Every form has at least 11 bytes: eight of them begin at a multiple of four. */
const STEP = 4;
const SLOT_BITS = 24;

/**
 * Worlds of tests that have one name draw the same bytes: what one of them keeps may be what another has to show. Each
 * value once, with all its places.
 */
export function merged(secrets: readonly Secret[]): Secret[] {
  const byValue = new Map<string, Secret>();
  for (const secret of secrets.filter(isTelling)) {
    const { places = [], shown = [] } = byValue.get(secret.value) ?? {};
    const all = { places: [...places, ...secret.places], shown: [...shown, ...(secret.shown ?? [])] };
    byValue.set(secret.value, { ...secret, ...all });
  }
  return [...byValue.values()];
}

const gramOf = (low: number, high: number): number => Math.imul(Math.imul(low, 0x9e3779b1) ^ high, 0x85ebca6b) >>> 0;

/** @returns a search for all of them at once: one pass over the haystack, by eight bytes at every fourth place */
export function searchFor(secrets: readonly Secret[]): (haystack: Buffer) => Hit[] {
  const grams = new Map<number, Needle[]>();
  const sieve = new Uint8Array(1 << SLOT_BITS);
  for (const secret of merged(secrets))
    for (const [form, bytes] of formsOf(secret))
      for (let offset = 0; offset < STEP; offset++) {
        const gram = gramOf(bytes.readInt32LE(offset), bytes.readInt32LE(offset + 4));
        const needle = { secret, form, bytes, offset };
        const others = grams.get(gram);
        if (others === undefined) grams.set(gram, [needle]);
        else others.push(needle);
        sieve[gram >>> (32 - SLOT_BITS)] = 1;
      }
  return (haystack) => {
    const hits: Hit[] = [];
    const words = new Int32Array(new Uint8Array(haystack).buffer, 0, haystack.length >>> 2);
    for (let word = 0; word + 1 < words.length; word++) {
      const gram = gramOf(words[word]!, words[word + 1]!);
      if (sieve[gram >>> (32 - SLOT_BITS)] === 0) continue;
      for (const { secret, form, bytes, offset } of grams.get(gram) ?? []) {
        const at = word * STEP - offset;
        if (at >= 0 && haystack.subarray(at, at + bytes.length).equals(bytes)) hits.push({ secret, form, at });
      }
    }
    return hits;
  };
}

/**
 * Events stand one to a line, in relay logs, journals, dumps and frames: there the event is the place, not the file.
 *
 * @returns `event/KIND/PHASE/ROUND` of the event around this byte, else undefined
 */
export function eventAround(haystack: Buffer, at: number): string | undefined {
  const end = haystack.indexOf(10, at);
  const line = haystack.subarray(haystack.lastIndexOf(10, at) + 1, end === -1 ? haystack.length : end).toString();
  try {
    const event = eventIn(JSON.parse(line) as unknown);
    if (event === undefined) return undefined;
    const tag = (name: string): string => event.tags.find(([first]) => first === name)?.[1] ?? '';
    return `event/${event.kind}/${tag('phase')}/${tag('round')}`;
  } catch {
    return undefined;
  }
}

interface Placed {
  readonly kind: number;
  readonly tags: readonly (readonly string[])[];
}

/** An event, a message of a relay that ends with one, or a record that holds one. */
function eventIn(value: unknown): Placed | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if ('kind' in value && 'tags' in value) return value as Placed;
  return Array.isArray(value) ? eventIn(value.at(-1)) : 'event' in value ? eventIn(value.event) : undefined;
}

/** @param path  of the file or output; `isOpen`: others than its owner may read it */
export function isLeak({ secret, at }: Hit, haystack: Buffer, path: string, isOpen: boolean): boolean {
  const place = eventAround(haystack, at) ?? path;
  if (secret.shown?.some((shown) => shown.test(place))) return false;
  return isOpen || !secret.places.some((own) => own.test(path));
}
