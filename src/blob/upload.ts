import { setTimeout } from 'node:timers/promises';
import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { Clock, NostrEvent, Relays } from '../ports.js';
import { orInterrupted, requireRunning } from './interrupt.js';
import { keepRecent, sourceOf, type ChunkSource } from './source.js';
import { UploadLane, type LanePorts, type RelayTally } from './upload-lane.js';
import { rangesOf, spellRanges } from './ranges.js';
import type { Holds } from './placement.js';
import { memoryLog, type UploadLog } from './upload-log.js';
import { BOUNDS, type WindowBounds } from './window.js';

export type { RelayTally } from './upload-lane.js';

export interface UploadOptions {
  /** Chunks settled with every relay so far, of all. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Chunks in flight to each relay. */
  readonly window?: WindowBounds;
  /** What relays have of an earlier, interrupted run. */
  readonly log?: UploadLog;
  readonly signal?: AbortSignal;
  /** Which relay should have which chunk; default: each has all. */
  readonly holds?: Holds | undefined;
  /** A relay asked to go slower: its chunks leave at its pace from now on. Told once for each. */
  readonly onLimited?: (relay: string, message: string) => void;
  /** Keeps the pace of relays that limit it. */
  readonly clock?: Pick<Clock, 'nowMs' | 'wait'>;
}

export interface UploadResult {
  readonly events: number;
  readonly relays: readonly RelayTally[];
}

/** Events that are sealed and not yet sent to the slowest relay that keeps step: 8 MB. */
const KEPT = 128;
/** Of the list of single chunks in an error's value; `ranges` beside it has all. */
const MAX_NAMED = 20;

const CLOCK = {
  nowMs: () => performance.now(),
  wait: (ms: number, signal?: AbortSignal) => setTimeout(ms, undefined, { signal }).catch(() => undefined),
};

/**
 * Sends every chunk to every relay that should hold it, each relay at its own pace: a window of chunks in flight that grows while all is well and
 * halves on silence or `rate-limited:`, after which the chunks leave at the rate that the relay allows (pace.ts). Memory is bounded by the windows, whatever the size. Safe to repeat: what a relay
 * already has counts as stored, and with a `log` is not even sent. What met silence is sent once more; what none of its holders
 * took goes to any other relay that takes something.
 *
 * @returns per relay what it took; at least one relay stored each chunk
 * @throws NmktError `relay-refused` when a chunk is stored nowhere and every relay said no, `relay-unreachable` when
 *         some were silent, `interrupted`; what the log throws
 */
export async function uploadBlob(
  relays: Relays,
  chunks: readonly NostrEvent[] | ChunkSource,
  options: UploadOptions = {},
): Promise<UploadResult> {
  const { onProgress, onLimited, window = BOUNDS, log = memoryLog(), signal, clock = CLOCK } = options;
  const { holds = () => true } = options;
  const whole = 'event' in chunks ? chunks : sourceOf(chunks);
  const { count } = whole;
  requireRunning(signal);
  const copies = new Uint8Array(count);
  const all = Array.from({ length: count }, (_, index) => index);
  const assigned = relays.urls.map((url) => all.filter((index) => holds(url, index)));
  const waiting = new Uint8Array(count);
  for (const indices of assigned) for (const index of indices) waiting[index]!++;
  /** Where not every relay holds all, what some of these hold. */
  const wanted = options.holds === undefined ? all : all.filter((index) => waiting[index]! > 0);
  let done = 0;
  let covered = 0;
  const ports: LanePorts = {
    relays,
    source: relays.urls.length > 1 ? keepRecent(whole, KEPT) : whole,
    log,
    bounds: boundsFor(count, window),
    clock,
    signal,
    onLimited: (relay, message) => onLimited?.(relay, message),
    isCovered: () => covered === wanted.length,
    onSettled(index, isStored) {
      if (isStored && copies[index]!++ === 0) covered++;
      if (waiting[index]! > 0 && --waiting[index]! === 0) onProgress?.(++done, wanted.length);
    },
  };
  const isNowhere = (index: number): boolean => copies[index] === 0;
  const lanes = relays.urls.map((url, at) => new UploadLane(url, assigned[at]!, ports));
  try {
    await Promise.all(lanes.map((lane) => lane.run()));
    await Promise.all(lanes.filter((lane) => lane.reopen()).map((lane) => lane.run()));
    if (wanted.some(isNowhere)) await Promise.all(spares(lanes, wanted.filter(isNowhere), holds, ports));
  } finally {
    await log.flush();
  }
  const tallies = lanes.map((lane) => lane.tally());
  const missing = wanted.filter(isNowhere);
  if (missing.length > 0) throw notStored(count, missing, tallies);
  return { events: count, relays: tallies };
}

/** To relays that should not hold them: better there than nowhere, since readers ask all in the end. */
function spares(
  lanes: readonly UploadLane[],
  homeless: readonly number[],
  holds: Holds,
  ports: LanePorts,
): Promise<void>[] {
  const willing = lanes.filter((lane) => lane.tally().stored > 0);
  return willing.map(({ relay }) => {
    const others = homeless.filter((index) => !holds(relay, index));
    return new UploadLane(relay, others, ports).run();
  });
}

/** What is in flight when a process is killed is sent again: of a small upload a sixteenth, or what one begins with. */
function boundsFor(count: number, { first, min, max }: WindowBounds): WindowBounds {
  return { first, min, max: Math.min(max, Math.max(first, Math.ceil(count / 16))) };
}

function notStored(total: number, missing: readonly number[], relays: readonly RelayTally[]): NmktError {
  const isRefused = relays.length > 0 && relays.every(({ unreachable }) => unreachable === 0);
  const words = relays.map(
    (tally) =>
      `${tally.relay}: ${tally.stored} stored, ${tally.refused} refused, ${tally.unreachable} unanswered, ${tally.skipped} left` +
      (tally.message === '' ? '' : ` (${tally.message})`),
  );
  const ranges = rangesOf(missing);
  return new NmktError(
    isRefused ? 'relay-refused' : 'relay-unreachable',
    `${missing.length} of ${total} chunks are stored on no relay`,
    {
      remedy: isRefused
        ? 'name a relay that takes 64 KB events of kind 4621 with --relay, or run your own: nmkt relay'
        : 'run the same command again, or add a relay with --relay: stored chunks are not sent twice',
      expected: `${total} chunks on at least one relay each`,
      got: `missing: ${spellRanges(ranges)}; ${words.join('; ') || 'no relay'}`,
      value: { events: total, missing: missing.length, chunks: missing.slice(0, MAX_NAMED), ranges, relays },
    },
  );
}

export interface StoredSample {
  readonly relay: string;
  /** False: silent, which says nothing about what it holds. */
  readonly hasAnswered: boolean;
  readonly found: number;
  readonly missing: readonly EventId[];
}

/**
 * Read-back: asks every relay by itself for a sample of what was uploaded, ids and signatures checked. Call it with a
 * connection that did not upload: an `OK` proves nothing about storage.
 *
 * @throws NmktError `interrupted`
 */
export async function verifyStored(
  relays: Relays,
  sample: readonly NostrEvent[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly StoredSample[]> {
  const ids = sample.map(({ id }) => id);
  if (ids.length === 0) return [];
  return Promise.all(
    relays.urls.map(async (relay): Promise<StoredSample> => {
      const request = relays.fetch([{ ids, limit: ids.length }], { relays: [relay] });
      const { events, answered } = await orInterrupted(request, options.signal);
      const found = new Set<string>(events.map(({ id }) => id));
      const missing = ids.filter((id) => !found.has(id));
      return { relay, hasAnswered: answered.includes(relay), found: ids.length - missing.length, missing };
    }),
  );
}
