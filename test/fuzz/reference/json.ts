/**
 * A slow reader of JSON (RFC 8259), one character at a time, written apart from the product: it keeps what JSON.parse
 * throws away, the spelling of numbers and equal keys.
 */

/** What a reference says of an input that must not be taken. */
export class Refused extends Error {}
export function refuse(why: string): never {
  throw new Refused(why);
}

export class JsonNumber {
  constructor(readonly text: string) {}
}
export class JsonObject {
  readonly fields: (readonly [key: string, value: Json])[] = [];
}
export type Json = null | boolean | string | JsonNumber | JsonObject | Json[];

const SPACE = ' \t\n\r';
const DIGITS = '0123456789';
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** Nesting is kept on a list and not on the stack. */
export function readJson(text: string): Json {
  let at = 0;
  const skipSpace = (): void => {
    while (at < text.length && SPACE.includes(text[at]!)) at++;
  };
  const expect = (char: string): void => {
    if (text[at] !== char) refuse(`JSON: ${char} expected at ${at}`);
    at++;
  };
  const digits = (): number => {
    const start = at;
    while (at < text.length && DIGITS.includes(text[at]!)) at++;
    return at - start;
  };
  const number = (): JsonNumber => {
    const start = at;
    if (text[at] === '-') at++;
    if (text[at] === '0') at++;
    else if (digits() === 0) refuse(`JSON: a digit expected at ${at}`);
    if (text[at] === '.') {
      at++;
      if (digits() === 0) refuse(`JSON: a digit expected at ${at}`);
    }
    if (text[at] === 'e' || text[at] === 'E') {
      at++;
      if (text[at] === '+' || text[at] === '-') at++;
      if (digits() === 0) refuse(`JSON: a digit expected at ${at}`);
    }
    return new JsonNumber(text.slice(start, at));
  };
  const string = (): string => {
    expect('"');
    const parts: string[] = [];
    for (;;) {
      if (at >= text.length) refuse('JSON: a string without an end');
      const char = text[at++]!;
      if (char === '"') return parts.join('');
      if (char.charCodeAt(0) < 0x20) refuse(`JSON: a control character at ${at}`);
      if (char !== '\\') {
        parts.push(char);
        continue;
      }
      const escape = text[at++] ?? '';
      if (escape === 'u') {
        const code = text.slice(at, at + 4).toLowerCase();
        if (code.length !== 4 || [...code].some((digit) => !'0123456789abcdef'.includes(digit)))
          refuse(`JSON: four hex digits expected at ${at}`);
        parts.push(String.fromCharCode(parseInt(code, 16)));
        at += 4;
      } else parts.push(ESCAPES[escape] ?? refuse(`JSON: an unknown escape at ${at}`));
    }
  };
  const word = <T>(letters: string, value: T): T => {
    for (const letter of letters) expect(letter);
    return value;
  };

  /** Containers that are open; the key of an object that waits for its value. */
  const open: { readonly value: Json[] | JsonObject; key: string }[] = [];
  const key = (into: { key: string }): void => {
    skipSpace();
    into.key = string();
    skipSpace();
    expect(':');
  };
  for (;;) {
    skipSpace();
    const char = text[at] ?? '';
    let done: Json;
    if (char === '[' || char === '{') {
      at++;
      skipSpace();
      const value = char === '[' ? [] : new JsonObject();
      const isEmpty = text[at] === (char === '[' ? ']' : '}');
      if (!isEmpty) {
        const frame = { value, key: '' };
        open.push(frame);
        if (char === '{') key(frame);
        continue;
      }
      at++;
      done = value;
    } else if (char === '"') done = string();
    else if (char === 't') done = word('true', true);
    else if (char === 'f') done = word('false', false);
    else if (char === 'n') done = word('null', null);
    else done = number();

    // A value is complete: into its container, and out of those that end here.
    for (;;) {
      const frame = open.at(-1);
      if (frame === undefined) {
        skipSpace();
        return at === text.length ? done : refuse(`JSON: more text at ${at}`);
      }
      if (Array.isArray(frame.value)) frame.value.push(done);
      else frame.value.fields.push([frame.key, done]);
      skipSpace();
      if (text[at] === ',') {
        at++;
        if (!Array.isArray(frame.value)) key(frame);
        break;
      }
      expect(Array.isArray(frame.value) ? ']' : '}');
      open.pop();
      done = frame.value;
    }
  }
}

/** A code unit of a surrogate pair without the other. */
export function hasLoneSurrogate(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0xd800 || unit > 0xdfff) continue;
    const next = text.charCodeAt(i + 1);
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return true;
    i++;
  }
  return false;
}

/** The section "Content": what a content may be before any field is looked at. */
export function readContent(text: string): Json {
  const json = readJson(text);
  const open: Json[] = [json];
  while (open.length > 0) {
    const value = open.pop()!;
    if (typeof value === 'string' && hasLoneSurrogate(value)) refuse('a lone surrogate');
    if (value instanceof JsonNumber && (value.text === '-0' || [...value.text].some((char) => '.eE'.includes(char))))
      refuse(`${value.text} is not written as an integer`);
    if (Array.isArray(value)) for (const item of value) open.push(item);
    if (!(value instanceof JsonObject)) continue;
    const keys = new Set<string>();
    for (const [key, item] of value.fields) {
      if (key === '__proto__') refuse('a key __proto__');
      if (keys.has(key)) refuse(`two keys ${key}`);
      if (hasLoneSurrogate(key)) refuse('a lone surrogate');
      keys.add(key);
      open.push(item);
    }
  }
  return json;
}

/** Of equal keys the last counts, as most readers have it. */
export function fieldOf(value: JsonObject, name: string): Json | undefined {
  return value.fields.findLast(([key]) => key === name)?.[1];
}
