import { NmktError } from '../errors.js';

/** The messages of the Negentropy protocol, version 1 (github.com/hoytech/negentropy, docs/negentropy-protocol-v1.md). */

export const ID_BYTES = 32;
export const FINGERPRINT_BYTES = 16;
/** Version 1; the sixteen numbers from 0x60 stand for versions. */
export const VERSION = 0x61;
const VERSIONS = [0x60, 0x6f] as const;
const [SKIP, FINGERPRINT, ID_LIST] = [0, 1, 2] as const;

/** An upper bound, itself not in the range: a date, and the first bytes of an id, the others being zero. */
export interface Bound {
  /** Unix seconds; Infinity for the end of everything. */
  readonly time: number;
  readonly prefix: Buffer;
}

/** What the sender says of the events below a bound, and from the bound of the range before it on. */
export type Range = { readonly bound: Bound } & (
  | { readonly mode: 'skip' }
  | { readonly mode: 'fingerprint'; readonly fingerprint: Buffer }
  /** All ids it has there, one after the other. */
  | { readonly mode: 'ids'; readonly ids: Buffer }
);

export const NO_BYTES = Buffer.alloc(0);
export const END: Bound = { time: Infinity, prefix: NO_BYTES };

/**
 * Base 128, most significant digit first, the high bit set on all but the last.
 *
 * @param value  an integer from 0 to 2^53 - 1
 */
export function varint(value: number): Buffer {
  const digits = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift((rest % 128) | 128);
  return Buffer.from(digits);
}

/** @returns the version that the sender speaks @throws NmktError `bad-event` */
export function readVersion(message: Buffer): number {
  const version = message[0];
  if (version === undefined || version < VERSIONS[0] || version > VERSIONS[1])
    throw bad('a version from 0x60 to 0x6f', version === undefined ? 'nothing' : `0x${version.toString(16)}`);
  return version;
}

/**
 * Ranges of a message of version 1 in their order, read one at a time; their bytes are views. What is after the last is
 * skipped.
 *
 * @throws NmktError `bad-event` at the first that is malformed, or ends before the one before it
 */
export function* readRanges(message: Buffer): Generator<Range> {
  const reader = new Reader(message);
  let last: Bound = { time: 0, prefix: NO_BYTES };
  while (!reader.isAtEnd) {
    const bound = reader.bound(last.time);
    if (isBelow(bound, last)) throw bad('bounds in ascending order', 'a range that ends before it begins');
    last = bound;
    const mode = reader.varint();
    if (mode === SKIP) yield { bound, mode: 'skip' };
    else if (mode === FINGERPRINT) yield { bound, mode: 'fingerprint', fingerprint: reader.bytes(FINGERPRINT_BYTES) };
    else if (mode === ID_LIST) yield { bound, mode: 'ids', ids: reader.bytes(reader.varint() * ID_BYTES) };
    else throw bad('mode 0, 1 or 2', `mode ${mode}`);
  }
}

/** Takes ranges in ascending order; skips that follow each other become one, and none at the end is written. */
export class MessageWriter {
  readonly #parts: Buffer[] = [Buffer.of(VERSION)];
  #length = 1;
  #time = 0;
  #skipped: Bound | undefined;

  /** Bytes, what `skip` left to be written not counted. */
  get length(): number {
    return this.#length;
  }

  skip(bound: Bound): void {
    this.#skipped = bound;
  }

  fingerprint(bound: Bound, fingerprint: Buffer): void {
    this.#range(bound, FINGERPRINT, fingerprint);
  }

  ids(bound: Bound, ids: Buffer): void {
    this.#range(bound, ID_LIST, varint(ids.length / ID_BYTES), ids);
  }

  end(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #range({ time, prefix }: Bound, mode: number, ...payload: readonly Buffer[]): void {
    const skipped = this.#skipped;
    this.#skipped = undefined;
    if (skipped !== undefined) this.#range(skipped, SKIP);
    const date = time === Infinity ? 0 : time - this.#time + 1;
    if (time !== Infinity) this.#time = time;
    for (const part of [varint(date), varint(prefix.length), prefix, varint(mode), ...payload]) {
      this.#parts.push(part);
      this.#length += part.length;
    }
  }
}

class Reader {
  readonly #message: Buffer;
  #at = 1;

  constructor(message: Buffer) {
    this.#message = message;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#message.length;
  }

  bytes(length: number): Buffer {
    const left = this.#message.length - this.#at;
    if (length > left) throw bad(`${length} more bytes`, `${left}`);
    this.#at += length;
    return this.#message.subarray(this.#at - length, this.#at);
  }

  varint(): number {
    const start = this.#at;
    for (let value = 0; ;) {
      const [digit] = this.bytes(1) as unknown as [number];
      if (digit === 128 && this.#at === start + 1)
        throw bad('as few digits as possible', 'a number with a leading zero');
      value = value * 128 + (digit & 127);
      // No date, length or mode of ours is near, and larger ones could not be given back as they are.
      if (value > Number.MAX_SAFE_INTEGER) throw bad('a number below 2^53', 'a larger one');
      if (digit < 128) return value;
    }
  }

  bound(lastTime: number): Bound {
    const date = this.varint();
    const time = date === 0 ? Infinity : lastTime + date - 1;
    if (time !== Infinity && time > Number.MAX_SAFE_INTEGER) throw bad('a date below 2^53', 'a later one');
    const length = this.varint();
    if (length > ID_BYTES) throw bad(`at most ${ID_BYTES} bytes of an id`, `${length}`);
    return { time, prefix: this.bytes(length) };
  }
}

function isBelow(a: Bound, b: Bound): boolean {
  if (a.time !== b.time) return a.time < b.time;
  const [long, short] = [a, b].map(({ prefix }) => Buffer.concat([prefix, Buffer.alloc(ID_BYTES - prefix.length)]));
  return long!.compare(short!) < 0;
}

function bad(expected: string, got: string): NmktError {
  return new NmktError('bad-event', 'a message of Negentropy is malformed', {
    remedy: 'send it as NIP-77 says',
    expected,
    got,
  });
}
