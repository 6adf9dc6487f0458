import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { schnorr } from '@noble/curves/secp256k1.js';
import { idOf, readEvent, type WireEvent } from './events.js';
import { MAX_DEPTH } from '../plain.js';
import { JsonNumber, readJson, refuse, type Json } from './json.js';

/** Slow readers of files and settings. */

/** As JSON.parse would give it: of equal keys the last counts. Deeper than values are compared, nothing. */
export function plainOf(json: Json, depth = 0): unknown {
  if (json instanceof JsonNumber) return Number(json.text);
  if (typeof json !== 'object' || json === null) return json;
  if (depth > MAX_DEPTH) return null;
  if (Array.isArray(json)) return json.map((item) => plainOf(item, depth + 1));
  return Object.fromEntries(json.fields.map(([key, value]) => [key, plainOf(value, depth + 1)]));
}

/** RFC 4180 with one kind of line end; lines without any cell are skipped, as is a byte order mark. */
export function readTable(file: Uint8Array, delimiter: string, end: string): string[][] {
  const text = new TextDecoder('utf-8').decode(file);
  const rows: string[][] = [];
  let at = 0;
  const newline = (): number => (text.startsWith(end, at) ? end.length : 0);
  while (at < text.length) {
    const row: string[] = [];
    for (;;) {
      let cell = '';
      if (text[at] === '"') {
        at++;
        for (;;) {
          if (at >= text.length) return refuse('an open quote');
          if (text[at] !== '"') cell += text[at++]!;
          else if (text[at + 1] === '"') [cell, at] = [`${cell}"`, at + 2];
          else break;
        }
        at++;
        if (at < text.length && text[at] !== delimiter && newline() === 0) return refuse('text after a quote');
      } else {
        while (at < text.length && text[at] !== delimiter && newline() === 0) {
          if (text[at] === '"') return refuse('a quote inside a cell');
          cell += text[at++]!;
        }
      }
      row.push(cell);
      if (text[at] !== delimiter) break;
      at++;
    }
    at += newline();
    if (row.length > 1 || row[0] !== '') rows.push(row);
  }
  return rows;
}

/**
 * A journal: JSON lines, a bigint as {"$bigint": "123"}; what follows the last newline was torn off by a crash, and so was a last
 * line with zeros in it.
 */
export function readJournal(file: Uint8Array): unknown[] {
  const lines = Buffer.from(file).toString('utf8').split('\n').slice(0, -1);
  if (lines.at(-1)?.includes('\0') === true) lines.pop();
  return lines.map(readRecord);
}

export function readRecord(line: string): unknown {
  const revive = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(revive);
    if (typeof value !== 'object' || value === null) return value;
    const fields = Object.entries(value).map(([key, field]) => [key, revive(field)] as const);
    const big = fields.find(([key]) => key === '$bigint')?.[1];
    const digits = typeof big === 'string' ? big.replace(/^-/, '') : '';
    const isBig = digits !== '' && digits.length <= 1_000 && [...digits].every((char) => char >= '0' && char <= '9');
    return isBig ? BigInt(big as string) : Object.fromEntries(fields);
  };
  return revive(plainOf(readJson(line)));
}

const NETWORKS = ['sandbox', 'regtest', 'simnet', 'signet', 'testnet', 'bitcoin'];
const ENGINES = ['auto', 'node', 'webgpu', 'wasm', 'cpu'];

/** Five fields, no others. */
export function readSettings(text: string): unknown {
  const value = plainOf(readJson(text)) as Record<string, unknown>;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('no object');
  for (const [name, field] of Object.entries(value)) {
    const isText = typeof field === 'string';
    const fits = {
      relays: () => Array.isArray(field) && field.length <= 64 && field.every((url) => isRelay(url)),
      wallet: () => isText && field.trim().toLowerCase().startsWith('nostr+walletconnect:'),
      network: () => isText && NETWORKS.includes(field),
      key: () => isText && field.trim() !== '',
      engine: () => isText && ENGINES.includes(field),
    }[name];
    if (fits === undefined || !fits()) refuse(`${name} is not usable`);
  }
  const { relays, wallet, key } = value as { relays?: string[]; wallet?: string; key?: string };
  return {
    ...value,
    ...(relays && { relays: relays.filter((url, i) => relays.indexOf(url) === i) }),
    ...(wallet !== undefined && { wallet: wallet.trim() }),
    ...(key !== undefined && { key: key.trim() }),
  };
}

/** The authority, up to a slash, a backslash (which a browser takes for one), a question mark or a hash, names nobody. */
function isRelay(url: unknown): boolean {
  if (typeof url !== 'string' || url.length > 512) return false;
  if (!URL.canParse(url)) return false;
  const parsed = new URL(url);
  return ['ws:', 'wss:'].includes(parsed.protocol) && parsed.host !== '' && parsed.username + parsed.password === '';
}

/** NIP-47: nostr+walletconnect://<64 hex>?relay=...&secret=<64 hex>. */
export function readWalletUri(text: string): unknown {
  const scheme = 'nostr+walletconnect://';
  if (!text.startsWith(scheme) || text.length > 4_096) return refuse('another scheme');
  if ([...text].some((char) => char <= ' ' || char > '~')) return refuse('other characters');
  const mark = text.indexOf('?');
  const pubkey = text.slice(scheme.length, mark).replace(/\/$/, '').toLowerCase();
  const query = text
    .slice(mark + 1)
    .split('&')
    .map((pair) => pair.split('='))
    .map(([name, ...value]) => [name, value.join('=')].map((part) => unescaped(part!)) as [string, string]);
  const relays = query.filter(([name]) => name === 'relay').map(([, value]) => value);
  const secrets = query.filter(([name]) => name === 'secret').map(([, value]) => value.toLowerCase());
  const isHex = (one: string) => one.length === 64 && [...one].every((char) => '0123456789abcdef'.includes(char));
  if (mark < 0 || !isHex(pubkey) || relays.length < 1 || relays.length > 8) return refuse('no wallet or no relay');
  if (secrets.length !== 1 || !isHex(secrets[0]!)) return refuse('no one secret');
  const order = BigInt('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
  const secret = BigInt(`0x${secrets[0]!}`);
  if (secret === 0n || secret >= order) return refuse('no private key');
  return { walletPubkey: pubkey, relays, secret: secrets[0] };
}

/** application/x-www-form-urlencoded: + is a space, %XX a byte, and bytes that are no UTF-8 become U+FFFD. */
function unescaped(text: string): string {
  const bytes: number[] = [];
  const from = Buffer.from(text.replaceAll('+', ' '));
  for (let i = 0; i < from.length; i++) {
    const hex = from.toString('latin1', i + 1, i + 3);
    if (from[i] === 0x25 && /^[0-9a-f]{2}$/i.test(hex)) [bytes[bytes.length], i] = [parseInt(hex, 16), i + 2];
    else bytes.push(from[i]!);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

/** One signed event per line, each with its own id and signature (BIP-340 in another implementation). */
export function readDump(file: Uint8Array): WireEvent[] {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(file);
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => checked(readEvent(readJson(line))));
}

export function checked(event: WireEvent): WireEvent {
  if (idOf(event) !== event.id) return refuse('another id');
  const [sig, id, pubkey] = [event.sig, event.id, event.pubkey].map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')));
  return schnorr.verify(sig!, id!, pubkey!) ? event : refuse('another signature');
}

export const hashOfHex = (hex: string): string => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex');

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean;
  readonly items?: JsonSchema;
  readonly pattern?: string;
  readonly [bound: string]: unknown;
}

const bound = (schema: JsonSchema, name: string, fallback: number) => (schema[name] as number | undefined) ?? fallback;

/** The part of JSON Schema that docs/job.schema.json speaks. */
export function fits(schema: JsonSchema, value: unknown): boolean {
  if (schema.anyOf !== undefined && !schema.anyOf.some((one) => fits(one, value))) return false;
  if (schema.enum !== undefined && !schema.enum.includes(value)) return false;
  switch (schema.type) {
    case 'object':
      return (
        typeof value === 'object' &&
        value !== null &&
        Object.entries(value).every(([name, field]) => {
          const one = Object.hasOwn(schema.properties ?? {}, name) ? schema.properties![name] : undefined;
          return one === undefined ? schema.additionalProperties !== false : fits(one, field);
        })
      );
    case 'array':
      return (
        Array.isArray(value) &&
        value.length >= bound(schema, 'minItems', 0) &&
        value.length <= bound(schema, 'maxItems', Infinity) &&
        value.every((item) => fits(schema.items ?? {}, item))
      );
    case 'string':
      return (
        typeof value === 'string' &&
        value.length <= bound(schema, 'maxLength', Infinity) &&
        new RegExp(schema.pattern ?? '', 'u').test(value)
      );
    case 'boolean':
      return typeof value === 'boolean';
    case 'integer':
    case 'number':
      return (
        typeof value === 'number' &&
        (schema.type === 'number' || Number.isInteger(value)) &&
        value >= bound(schema, 'minimum', -Infinity) &&
        value <= bound(schema, 'maximum', Infinity) &&
        value > bound(schema, 'exclusiveMinimum', -Infinity)
      );
    default:
      return true;
  }
}

const jobSchema = JSON.parse(
  readFileSync(new URL('../../../docs/job.schema.json', import.meta.url), 'utf8'),
) as JsonSchema;

export function checkJobFile(value: unknown): void {
  if (!fits(jobSchema, value)) refuse('not as docs/job.schema.json has it');
  const { epochs, localSteps } = value as { epochs?: unknown; localSteps?: unknown };
  if (epochs !== undefined && localSteps !== undefined) refuse('epochs and localSteps');
}

/** UTF-8 without a mark in front, as [tokens of the windows, what follows each, how it was read]. */
export function readTextSlowly(file: Uint8Array, isBytes: boolean, context: number): unknown {
  const whole = Buffer.from(file).toString('utf8');
  if (!Buffer.from(whole, 'utf8').equals(file)) return refuse('no UTF-8');
  const text = whole.startsWith('\ufeff') ? whole.slice(1) : whole;
  const points = Array.from(text, (character) => character.codePointAt(0)!);
  const known: number[] = [];
  for (const point of points) if (!known.includes(point)) known.push(point);
  known.sort((a, b) => a - b);
  const tokens = isBytes ? [...Buffer.from(text)] : points.map((point) => known.indexOf(point));
  const windows: number[] = [];
  const labels: number[] = [];
  for (let at = 0; at + context < tokens.length; at += context) {
    for (let i = 0; i < context; i++) windows.push(tokens[at + i]!);
    labels.push(tokens[at + context]!);
  }
  const code = isBytes ? { tokenizer: 'byte' } : { tokenizer: 'char', characters: String.fromCodePoint(...known) };
  return [Uint8Array.from(windows), labels, code];
}
