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

export function mutateText(random: Random, samples: readonly string[]): string {
  let text = random.pick(samples);
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

function replaceAt(value: unknown, [key, ...rest]: Path, put: unknown): unknown {
  if (key === undefined) return put;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = replaceAt(copy[key], rest, put);
  return copy;
}

/** As mutateJson, as text: also with what is too deep to be written by JSON.stringify. */
export function mutateJsonText(random: Random, sample: unknown): string {
  if (random.below(12) > 0) return JSON.stringify(mutateJson(random, sample));
  return JSON.stringify(replaceAt(sample, random.pick(pathsOf(sample)), '@')).replace('"@"', DEEP);
}

/** One field of a JSON value replaced, left out or doubled. */
export function mutateJson(random: Random, sample: unknown): unknown {
  const path = random.pick(pathsOf(sample));
  const parent = path.slice(0, -1).reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], sample);
  const last = path.at(-1);
  if (last === undefined || random.below(5) > 0) return replaceAt(sample, path, nasty(random));
  if (Array.isArray(parent))
    return replaceAt(sample, path.slice(0, -1), [...(parent as unknown[]), ...(parent as unknown[])]);
  const { [last]: _, ...rest } = parent as Record<string, unknown>;
  return replaceAt(sample, path.slice(0, -1), rest);
}
