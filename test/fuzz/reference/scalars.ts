import { JsonNumber, JsonObject, fieldOf, refuse, type Json } from './json.js';

/** The table of scalars in docs/protocol.md, read slowly and from the page alone. A check takes JSON and gives the value. */
export type Check<T = unknown> = (value: Json | undefined) => T;

const LOWER_HEX = '0123456789abcdef';
const DIGITS = '0123456789';

export const isMadeOf = (text: string, alphabet: string): boolean => {
  for (const char of text) if (!alphabet.includes(char)) return false;
  return true;
};

const string: Check<string> = (value) => (typeof value === 'string' ? value : refuse('no string'));

export const hex64: Check<string> = (value) => {
  const text = string(value);
  return text.length === 64 && isMadeOf(text, LOWER_HEX) ? text : refuse('not 64 lowercase hex digits');
};

/** 32 bytes: the same spelling, compared as hex. */
export const bytes32 = hex64;

export const msat: Check<bigint> = (value) => {
  const text = string(value);
  if (text === '' || text.length > 19 || !isMadeOf(text, DIGITS)) refuse('no decimal amount');
  if (text.length > 1 && text.startsWith('0')) refuse('a leading zero');
  const amount = BigInt(text);
  return amount <= 2_100_000_000_000_000_000n ? amount : refuse('more than all bitcoin');
};

export const integer =
  (min: number, max: number): Check<number> =>
  (value) => {
    if (!(value instanceof JsonNumber)) return refuse('no number');
    const digits = value.text.startsWith('-') ? value.text.slice(1) : value.text;
    if (digits === '' || digits.length > 20 || !isMadeOf(digits, DIGITS)) return refuse(`${value.text}: no integer`);
    const exact = BigInt(value.text);
    if (exact < BigInt(min) || exact > BigInt(max)) return refuse(`${value.text}: not ${min} to ${max}`);
    return Number(exact);
  };

export const ppm = integer(-(10 ** 12), 10 ** 12);
export const loss = integer(0, 10 ** 12);
export const time = integer(0, 4_102_444_800);
export const round = integer(0, 100_000);
export const shard = integer(0, 65_535);

/** No zero at the end of the fraction, no leading zero, more than 0. */
export const decimal: Check<number> = (value) => {
  const text = string(value);
  const [whole = '', fraction, ...more] = text.split('.');
  if (more.length > 0 || whole === '' || whole.length > 12 || !isMadeOf(whole, DIGITS)) return refuse('no decimal');
  if (whole.length > 1 && whole.startsWith('0')) return refuse('a leading zero');
  if (fraction !== undefined) {
    if (fraction === '' || fraction.length > 12 || !isMadeOf(fraction, DIGITS)) return refuse('no fraction');
    if (fraction.endsWith('0')) return refuse('a zero at the end');
  }
  return text === '0' ? refuse('not more than 0') : Number(text);
};

/** From 0 to below 1. */
export const part: Check<number> = (value) => {
  if (value === '0') return 0;
  const found = decimal(value);
  return found < 1 ? found : refuse('not below 1');
};

export const decimal9: Check<string> = (value) => {
  const text = string(value);
  const [whole = '', fraction = '', ...more] = (text.startsWith('-') ? text.slice(1) : text).split('.');
  if (more.length > 0 || fraction.length !== 9 || !isMadeOf(whole + fraction, DIGITS)) return refuse('no decimal9');
  if (whole === '' || (whole.length > 1 && whole.startsWith('0'))) return refuse('no digit or a leading zero');
  return text === '-0.000000000' ? refuse('a minus on zero') : text;
};

/** decimal9, more than 0. */
export const spread: Check<string> = (value) => {
  const text = decimal9(value);
  return text.startsWith('-') || text === '0.000000000' ? refuse('not more than 0') : text;
};

export const text =
  (max: number, min = 0): Check<string> =>
  (value) => {
    const found = string(value);
    if (found.length > max || found.length < min) return refuse(`${found.length} units`);
    for (let i = 0; i < found.length; i++) {
      const unit = found.charCodeAt(i);
      if (unit < 0x20 || unit === 0x7f) return refuse('a control character');
    }
    return found;
  };

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** RFC 4648 section 4, bit by bit. */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0) refuse('base64 that is cut');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes: number[] = [];
  let [bits, held] = [0, 0];
  for (const char of text.slice(0, text.length - padding)) {
    const value = BASE64.indexOf(char);
    if (value < 0) refuse(`${char} is not of base64`);
    bits = (bits << 6) | value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push((bits >> held) & 0xff);
    bits &= (1 << held) - 1;
  }
  if (bits !== 0 || held !== padding * 2) refuse('unused bits that are not zero');
  return Uint8Array.from(bytes);
}

export const base64 =
  (maxChars: number, minChars = 0): Check<string> =>
  (value) => {
    const found = string(value);
    if (found.length > maxChars || found.length < minChars) return refuse(`${found.length} characters of base64`);
    fromBase64(found);
    return found;
  };

/** What it holds is judged when it is opened. */
export const sealed = base64(87_472, 132);

export const invoice: Check<string> = (value) => {
  const found = string(value);
  if (found.length < 20 || found.length > 7_089 || !found.startsWith('ln')) return refuse('no invoice');
  return isMadeOf(found, 'abcdefghijklmnopqrstuvwxyz0123456789') ? found : refuse('an invoice in other characters');
};

export const relay: Check<string> = (value) => {
  const found = string(value);
  const rest = found.startsWith('ws://') ? found.slice(5) : found.startsWith('wss://') ? found.slice(6) : '';
  if (found.length > 256 || rest === '') return refuse('no address of a relay');
  for (const char of found) if (char <= ' ' || char > '~') return refuse('an address in other characters');
  return found;
};

export const engine = text(120, 1);

export const constant =
  <T extends string>(...allowed: readonly T[]): Check<T> =>
  (value) =>
    allowed.find((one) => one === value) ?? refuse(`none of ${allowed.join(', ')}`);

/** A mark that is present or not. */
export const isTrue: Check<true> = (value) => (value === true ? value : refuse('not true'));

export const boolean: Check<boolean> = (value) => (typeof value === 'boolean' ? value : refuse('no boolean'));

export const orNull =
  <T>(check: Check<T>): Check<T | null> =>
  (value) =>
    value === null ? null : check(value);

/** A field that may be left out; null is not left out. */
export const optional =
  <T>(check: Check<T>): Check<T | undefined> =>
  (value) =>
    value === undefined ? undefined : check(value);

export const list =
  <T>(check: Check<T>, min: number, max: number): Check<T[]> =>
  (value) => {
    if (!Array.isArray(value)) return refuse('no list');
    if (value.length < min || value.length > max) return refuse(`a list of ${value.length}`);
    return value.map(check);
  };

/** Unknown fields are ignored. @param rule  what the fields must be together */
export const object =
  (fields: Readonly<Record<string, Check>>, rule: (value: never) => boolean = () => true): Check =>
  (value) => {
    if (!(value instanceof JsonObject)) return refuse('no object');
    const found: Record<string, unknown> = {};
    for (const [name, check] of Object.entries(fields)) {
      const field = check(fieldOf(value, name));
      if (field !== undefined) found[name] = field;
    }
    return rule(found as never) ? found : refuse('fields that do not fit each other');
  };

/** An object in which unknown fields are not ignored. */
export const closed =
  (...[fields, rule]: Parameters<typeof object>): Check =>
  (value) => {
    const found = object(fields, rule)(value);
    const unknown = (value as JsonObject).fields.find(([name]) => !(name in fields));
    return unknown === undefined ? found : refuse(`the field ${unknown[0]}`);
  };
