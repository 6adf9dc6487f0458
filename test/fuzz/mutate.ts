/** Broken inputs from valid ones: seeded, so that the number of a case is enough to make it again. */

export class Random {
  #state: number;

  constructor(seed: string) {
    this.#state = 2166136261;
    for (const char of seed) this.#state = Math.imul(this.#state ^ char.codePointAt(0)!, 16777619);
  }

  /** An integer in [0, n): mulberry32. */
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** Well formed, and deeper than a recursive reader's stack. */
const DEEP = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;

/** What texts do harm elsewhere. */
const TOKENS = [
  ...['', '"', "'", '\\', ',', ';', '\t', '\n', '\r\n', '{', '}', '[', ']', ':', '=', '&', '?', '%', '%00', '../', ' '],
  ...['\u0000', '\u0007', '\u001b[2J', '\ud800', '\udc00', '\ufeff', '\u202e', 'é', '１', '😀', 'İ', 'ß'],
  ...['__proto__', 'constructor', 'toString', 'null', 'true', 'undefined', 'NaN', '-Infinity', '1e999', '-0', '0x10'],
  ...[
    '9'.repeat(20),
    '9'.repeat(400),
    '1'.repeat(5_000),
    '"'.repeat(200),
    '['.repeat(3_000),
    '{"a":'.repeat(1_500),
    DEEP,
  ],
  ...[
    'a'.repeat(64),
    'F'.repeat(64),
    'g'.repeat(64),
    'A'.repeat(70_000),
    '=',
    '====',
    'ws://127.0.0.1',
    'lnbc1',
    'nsec1',
  ],
];

const NUMBERS = [
  0,
  -0,
  -1,
  1,
  1.5,
  255,
  65_535,
  65_536,
  2 ** 31,
  2 ** 32,
  2 ** 40,
  2 ** 53,
  -(2 ** 53),
  1e21,
  1e308,
  5e-324,
];

/** A value that is not the one promised. */
export function nasty(random: Random): unknown {
  switch (random.below(6)) {
    case 0:
      return random.pick(NUMBERS);
    case 1:
      return random.pick(TOKENS);
    case 2:
      return random.pick<unknown>([null, true, false, [], {}, [[]], [null], [0], { length: 1e9 }, { toString: 1 }]);
    case 3:
      return Array.from({ length: random.pick([1, 2, 17, 1_100]) }, () => random.pick(NUMBERS));
    case 4:
      return nested(random.pick([5, 200, 2_000]));
    default:
      return random.pick(NUMBERS).toString();
  }
}

function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

/** Now and then the sample itself: a reader that refuses everything would pass every other test. */
const isKept = (random: Random): boolean => random.below(16) === 0;

export function mutateText(random: Random, samples: readonly string[]): string {
  let text = random.pick(samples);
  if (isKept(random)) return text;
  for (let times = random.below(3); times >= 0; times--) text = mutateOnce(random, text, samples);
  return text;
}

function mutateOnce(random: Random, text: string, samples: readonly string[]): string {
  const at = random.below(text.length + 1);
  const end = Math.min(text.length, at + random.below(12));
  switch (random.below(8)) {
    case 0:
      return text.slice(0, at) + text.slice(end);
    case 1:
      return text.slice(0, at) + random.pick(TOKENS) + text.slice(end);
    case 2:
      return text.slice(0, at) + text.slice(at, end).repeat(1 + random.below(50)) + text.slice(end);
    case 3:
      return (
        text.slice(0, at) + String.fromCharCode(random.below(random.pick([128, 256, 65_536]))) + text.slice(at + 1)
      );
    case 4:
      return text.slice(0, at);
    case 5:
      return text.slice(0, at) + random.pick(samples).slice(random.below(100));
    case 6:
      return text.replace(/[0-9]+/g, (digits) => (random.below(4) > 0 ? digits : String(random.pick(NUMBERS))));
    default:
      return random.pick([text.toUpperCase(), ` ${text}`, `${text}\n`, text + text, [...text].reverse().join('')]);
  }
}

export function mutateBytes(random: Random, samples: readonly Uint8Array[]): Uint8Array {
  let bytes = random.pick(samples);
  if (isKept(random)) return bytes;
  for (let times = random.below(3); times >= 0; times--) bytes = mutateBytesOnce(random, bytes, samples);
  return bytes;
}

function mutateBytesOnce(random: Random, from: Uint8Array, samples: readonly Uint8Array[]): Uint8Array {
  // Heads decide most: half of the changes are there.
  const at = random.below(random.below(2) === 0 ? Math.min(24, from.length + 1) : from.length + 1);
  const bytes = Uint8Array.from(from);
  const view = new DataView(bytes.buffer);
  switch (random.below(7)) {
    case 0:
      if (at < bytes.length) bytes[at] = bytes[at]! ^ (1 << random.below(8));
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.below(256);
      return bytes;
    case 2:
      if (at + 4 <= bytes.length) view.setUint32(at, random.pick([0, 1, 0x7fffffff, 0xffffffff, 65_536]), at % 2 === 0);
      return bytes;
    case 3:
      if (at + 8 <= bytes.length) view.setBigUint64(at, random.pick([0n, 2n ** 32n, 2n ** 53n, 2n ** 64n - 1n]), true);
      return bytes;
    case 4:
      return bytes.subarray(0, at);
    case 5:
      return Uint8Array.from(
        Buffer.concat([bytes.subarray(0, at), random.bytes(random.below(40)), bytes.subarray(at)]),
      );
    default:
      return Uint8Array.from(Buffer.concat([bytes.subarray(0, at), random.pick(samples).subarray(random.below(30))]));
  }
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, part]) => pathsOf(part, [...path, key]))];
}

export function replaceAt(value: unknown, [key, ...rest]: Path, put: unknown): unknown {
  if (key === undefined) return put;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = replaceAt(copy[key], rest, put);
  return copy;
}

/** The same number, or nearly, in another spelling; and what is no number of JSON. */
const SPELLINGS: readonly ((digits: string) => string)[] = [
  (digits) => `${digits}.0`,
  (digits) => `${digits}e0`,
  (digits) => `${digits}.00000000000000000001`,
  (digits) => `0${digits}`,
  (digits) => `+${digits}`,
  (digits) => `${digits}0e-1`,
  (digits) => `"${digits}"`,
  ...['-0', '1e400', '-1e400', 'NaN', 'Infinity', '0x10', '1_0', '9007199254740993', '1'.repeat(400)].map(
    (text) => () => text,
  ),
];

/** Looks like the digit or letter, and is another. */
const LOOKALIKES: Readonly<Record<string, string>> = { a: 'а', c: 'с', e: 'е', 0: '０', 1: 'l', 5: '５', d: 'ԁ' };

/** One thing spelled in another way, in a text that is JSON. */
function respell(random: Random, json: string): string {
  const at = (pattern: RegExp): RegExpMatchArray | undefined => {
    const found = [...json.matchAll(pattern)];
    return found.length === 0 ? undefined : random.pick(found);
  };
  const put = (match: RegExpMatchArray | undefined, text: (old: string) => string): string =>
    match === undefined
      ? json
      : json.slice(0, match.index) + text(match[0]) + json.slice(match.index! + match[0].length);
  switch (random.below(8)) {
    case 0:
      return put(at(/(?<=[:,[])-?\d+(?=[,}\]])/g), random.pick(SPELLINGS));
    case 1: // The same key twice: the second time with another value, or with the same.
      return put(at(/"\w+":("[^"\\]{0,80}"|-?\d+|true|false|null)(?=[,}])/g), (field) => {
        const key = field.slice(0, field.indexOf(':'));
        const other = random.pick([field, `${key}:null`, `${key}:1`, `${key}:"x"`]);
        return random.below(2) === 0 ? `${other},${field}` : `${field},${other}`;
      });
    case 2: // A letter of a key or a text as its escape, or behind a control character's.
      return put(at(/(?<=")\w/g), (char) => {
        const code = `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
        return random.pick([code, `\\u0000${char}`, `\\ud800${char}`, `\\udc00${char}`, `\\ud83d\\ude00${char}`]);
      });
    case 3:
      return put(at(/(?<=")[0-9a-f]{64}(?=")/g), (hex) => {
        const where = random.below(64);
        const char = LOOKALIKES[hex[where]!] ?? hex[where]!.toUpperCase();
        return hex.slice(0, where) + char + hex.slice(where + 1);
      });
    case 4:
      return put(at(/(?<=")[A-Za-z0-9+/]{40,}={0,2}(?=")/g), (base64) =>
        random.pick([
          ...[`${base64}=`, `${base64}====`, `${base64}AAAA`, ` ${base64}`, base64.replace(/=+$/, '')],
          ...[base64.replaceAll('+', '-').replaceAll('/', '_'), base64.replace(/.(=*)$/, 'B$1'), `${base64.slice(1)}`],
        ]),
      );
    case 5:
      return put(at(/[{}[\],:]/g), (char) =>
        random.pick([` ${char}`, `${char}\n\t`, `${char}${char}`, '', `${char}\ufeff`]),
      );
    case 6:
      return put(
        at(/\{/g),
        () =>
          `{${random.pick(['"__proto__":{}', '"__proto__":{"a":1}', '"constructor":1', '"unknown":[1,{"a":null}]'])},`,
      );
    default:
      return put(at(/(?<=")[a-z]\w{2,20}(?=":)/g), (key) =>
        random.pick([key.toUpperCase(), `${key} `, '__proto__', key.slice(1), '']),
      );
  }
}

/** As mutateJson, as text: also with what no value can hold, and what is too deep to be written by JSON.stringify. */
export function mutateJsonText(random: Random, sample: unknown): string {
  if (isKept(random)) return JSON.stringify(sample);
  switch (random.below(12)) {
    case 0:
      return JSON.stringify(replaceAt(sample, random.pick(pathsOf(sample)), '@')).replace('"@"', DEEP);
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
      return respell(random, JSON.stringify(sample));
    default:
      return JSON.stringify(mutateJson(random, sample));
  }
}

/** One field of a JSON value replaced, left out or doubled. */
export function mutateJson(random: Random, sample: unknown): unknown {
  if (isKept(random)) return sample;
  const path = random.pick(pathsOf(sample));
  const parent = path.slice(0, -1).reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], sample);
  const last = path.at(-1);
  const old = last === undefined ? undefined : (parent as Record<string, unknown>)[last];
  if (typeof old === 'number' && random.below(2) === 0)
    return replaceAt(sample, path, random.pick([old + 1, old - 1, old * 2, -old, old + 0.5, 0, 1, 2 ** 53]));
  if (last === undefined || random.below(5) > 0) return replaceAt(sample, path, nasty(random));
  if (Array.isArray(parent))
    return replaceAt(sample, path.slice(0, -1), [...(parent as unknown[]), ...(parent as unknown[])]);
  const { [last]: _, ...rest } = parent as Record<string, unknown>;
  return replaceAt(sample, path.slice(0, -1), rest);
}
