import { NmktError } from '../errors.js';
import { hex } from '../hash.js';
import { END, ID_BYTES, MessageWriter, readRanges, readVersion, VERSION, type Bound } from './sync-message.js';
import type { SyncSet } from './sync-set.js';

/**
 * Which events two sides do not have in common (NIP-77): range-based set reconciliation, Negentropy protocol version 1
 * (github.com/hoytech/negentropy, docs/negentropy-protocol-v1.md). Where the fingerprints of a range differ it is split
 * in sixteen, and below 32 events it is listed. The one who asks gets to know, the other answers and keeps no state.
 */

const BUCKETS = 16;
/** Of 32 bytes each: a range that is split, or listed because it is small, with its bounds. */
const LARGEST_SPLIT_BYTES = 1_200;
/** Room for the range that says "and all the rest". */
const REST_BYTES = 100;
/** The smallest limit of a message with which every answer gets further. */
export const MIN_MESSAGE_BYTES = 4_096;

/** The first message of the one who asks. */
export function initiate(set: SyncSet): Buffer {
  const writer = new MessageWriter();
  split(set, writer, 0, set.size, END);
  return writer.end();
}

/**
 * The answer of the one who is asked; at most `maxBytes` long, MIN_MESSAGE_BYTES or more.
 *
 * @throws NmktError `bad-event`
 */
export function respond(set: SyncSet, message: Buffer, maxBytes: number): Buffer {
  // One that speaks another version tries again with ours.
  if (readVersion(message) !== VERSION) return Buffer.of(VERSION);
  return answer(set, message, maxBytes, (writer, ids, lower, upper, bound) => {
    if (ids.equals(set.ids(lower, upper))) {
      writer.skip(bound);
      return upper;
    }
    const room = Math.floor((maxBytes - writer.length - LARGEST_SPLIT_BYTES - REST_BYTES) / ID_BYTES);
    const end = Math.min(upper, lower + Math.max(0, room));
    if (end === upper) writer.ids(bound, set.ids(lower, upper));
    else if (end > lower) writer.ids(set.boundBefore(end), set.ids(lower, end));
    return end;
  });
}

export interface Difference {
  /**
   * Ids here that the other lacks, and the reverse, as far as its message says. A later one may name them again: where a
   * message was too small, its last range also holds what was settled before.
   */
  readonly have: readonly string[];
  readonly need: readonly string[];
  /** What to send next; undefined at the end. */
  readonly next: Buffer | undefined;
}

/** What an answer says, for the one who asked. @throws NmktError `bad-event`, also for another version */
export function reconcile(set: SyncSet, message: Buffer, maxBytes: number): Difference {
  const version = readVersion(message);
  if (version !== VERSION)
    throw new NmktError('bad-event', 'the other side speaks another version of Negentropy', {
      remedy: 'ask for the events themselves',
      expected: 'version 1',
      got: `version ${version - 0x60}`,
    });
  const [have, need]: [string[], string[]] = [[], []];
  const next = answer(set, message, maxBytes, (writer, ids, lower, upper, bound) => {
    const theirs = new Set<string>();
    for (let at = 0; at < ids.length; at += ID_BYTES) theirs.add(hex(ids.subarray(at, at + ID_BYTES)));
    for (let at = lower; at < upper; at++) {
      const id = hex(set.id(at));
      if (!theirs.delete(id)) have.push(id);
    }
    need.push(...theirs);
    writer.skip(bound);
    return upper;
  });
  return { have, need, next: next.length === 1 ? undefined : next };
}

/** @returns up to which item the list was dealt with: the rest waits for the next message */
type TakeList = (writer: MessageWriter, ids: Buffer, lower: number, upper: number, bound: Bound) => number;

function answer(set: SyncSet, message: Buffer, maxBytes: number, takeList: TakeList): Buffer {
  const writer = new MessageWriter();
  let lower = 0;
  for (const range of readRanges(message)) {
    if (writer.length > maxBytes - LARGEST_SPLIT_BYTES - REST_BYTES) return withRest(set, writer, lower);
    const { bound } = range;
    const upper = set.find(lower, bound);
    let done = upper;
    if (range.mode === 'ids') done = takeList(writer, range.ids, lower, upper, bound);
    else if (range.mode === 'skip' || range.fingerprint.equals(set.fingerprint(lower, upper))) writer.skip(bound);
    else split(set, writer, lower, upper, bound);
    lower = done;
    if (done < upper) return withRest(set, writer, lower);
  }
  return writer.end();
}

/** No room is left: a fingerprint of all the rest, about which the next message will ask. */
function withRest(set: SyncSet, writer: MessageWriter, lower: number): Buffer {
  writer.fingerprint(END, set.fingerprint(lower, set.size));
  return writer.end();
}

function split(set: SyncSet, writer: MessageWriter, lower: number, upper: number, bound: Bound): void {
  const count = upper - lower;
  if (count < 2 * BUCKETS) return writer.ids(bound, set.ids(lower, upper));
  const [each, larger] = [Math.floor(count / BUCKETS), count % BUCKETS];
  for (let bucket = 0, from = lower; bucket < BUCKETS; bucket++) {
    const to = from + each + (bucket < larger ? 1 : 0);
    writer.fingerprint(to === upper ? bound : set.boundBefore(to), set.fingerprint(from, to));
    from = to;
  }
}
