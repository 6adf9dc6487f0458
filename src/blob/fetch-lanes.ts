import type { EventId } from '../hash.js';
import { giveContentBack } from '../large-event.js';
import type { NostrEvent, Relays } from '../ports.js';
import type { Holds } from './placement.js';
import { orInterrupted, requireRunning } from './interrupt.js';

/** Many events by id, from all relays at once: whoever is ready takes the next batch, and what one lacks another is asked for. */

/** 64 ids are 4 MB of chunks; relays with several connections answer several requests at once. */
const BATCH = 64;
const REQUESTS_PER_RELAY = 8;
/** A relay that was silent this often is not asked again: each silence costs a full timeout. */
const MAX_SILENCES = 2;
/** With nothing else to do, a relay is asked as well for what another has not given for so long. */
const STEAL_AFTER_MS = 1_000;
/** As many as bits of an integer; settings and manifests name fewer. */
const MAX_RELAYS = 30;

export interface LanesOptions {
  /**
   * Takes an event: false when it is not what was asked for. The relay then counts as one that lacks it.
   * May be called with what is there already. The content of the event is used again once the promise, if any, is settled; what it
   * rejects with ends the fetch, and no further batch is asked for before.
   */
  readonly take: (event: NostrEvent, index: number) => boolean | Promise<boolean>;
  readonly signal: AbortSignal | undefined;
  readonly stealAfterMs?: number;
  /** Which relay should have which chunk: it is asked first. Others are when it has not. */
  readonly holds?: Holds | undefined;
}

export interface LanesResult {
  /** Indices that no relay gave, sorted. */
  readonly missing: readonly number[];
  /** Relays that answered at least once; a relay can be in both. */
  readonly answered: ReadonlySet<string>;
  readonly silent: ReadonlySet<string>;
}

interface Lane {
  readonly relay: string;
  readonly bit: number;
  /** What others lacked. */
  readonly extra: number[];
  /** What it should have, last first; undefined: whatever is wanted. */
  readonly own: number[] | undefined;
  silences: number;
  isDropped: boolean;
}

interface Batch {
  readonly lane: Lane;
  readonly indices: readonly number[];
  readonly sentAt: number;
}

/** A list, or what makes its entries when they are asked for. */
export interface Ids {
  readonly length: number;
  at(index: number): EventId | undefined;
}

/** @param wanted  indices into `ids` @throws NmktError `interrupted`; what `take` throws */
export async function fetchFromAll(
  relays: Relays,
  ids: Ids,
  wanted: readonly number[],
  options: LanesOptions,
): Promise<LanesResult> {
  const { take, signal, stealAfterMs = STEAL_AFTER_MS, holds } = options;
  const lanes = relays.urls.slice(0, MAX_RELAYS).map((relay, at): Lane => {
    const own = holds && wanted.filter((index) => holds(relay, index)).reverse();
    return { relay, bit: 1 << at, extra: [], own, silences: 0, isDropped: false };
  });
  const fresh = wanted.toReversed();
  const have = new Uint8Array(ids.length);
  let had = 0;
  /** Bits of lanes. */
  const tried = new Int32Array(ids.length);
  const lost = new Set<number>();
  const inFlight = new Set<Batch>();
  const [answered, silent] = [new Set<string>(), new Set<string>()];
  let finish!: () => void;
  const whole = new Promise<void>((resolve) => (finish = resolve));
  let wake: (() => void)[] = [];
  const wakeAll = () => {
    const waiting = wake;
    wake = [];
    for (const resolve of waiting) resolve();
  };

  /** To a relay that was not asked for it yet, or to the lost. */
  const passOn = (index: number): void => {
    if (have[index] === 1) return;
    const before = tried[index]!;
    const next = lanes.find(({ isDropped, bit }) => !isDropped && (before & bit) === 0);
    if (next) next.extra.push(index);
    else lost.add(index);
  };
  const isAskedElsewhere = (index: number, batch: Batch): boolean =>
    [...inFlight].some((other) => other !== batch && other.indices.includes(index));

  /** What nobody was asked for yet, and this relay should have. */
  const freshOf = ({ own = fresh }: Lane): number[] => {
    if (holds) while (own.length > 0 && tried[own.at(-1)!] !== 0) own.pop();
    return own;
  };
  const isIdle = (lane: Lane): boolean => lane.isDropped || (lane.extra.length === 0 && freshOf(lane).length === 0);
  const nextBatch = (lane: Lane): readonly number[] => {
    const indices: number[] = [];
    while (indices.length < BATCH && !isIdle(lane)) {
      const index = lane.extra.pop() ?? lane.own?.pop() ?? fresh.pop()!;
      if (have[index] !== 1) indices.push(index);
    }
    if (indices.length > 0 || lanes.length === 1) return indices;
    const old = [...inFlight].find(
      (batch) =>
        batch.lane !== lane && performance.now() - batch.sentAt >= stealAfterMs && untried(lane, batch).length > 0,
    );
    return old === undefined ? [] : untried(lane, old);
  };
  const untried = (lane: Lane, { indices }: Batch): readonly number[] =>
    indices.filter((index) => have[index] !== 1 && (tried[index]! & lane.bit) === 0);

  /** What nobody else that is left should have. */
  const orphansOf = ({ own = [] }: Lane): readonly number[] =>
    own
      .splice(0)
      .filter((index) => tried[index] === 0 && !lanes.some((one) => !one.isDropped && holds!(one.relay, index)));
  /** What comes now comes late. */
  let isOver = false;
  const ask = async (lane: Lane, indices: readonly number[]): Promise<void> => {
    const batch: Batch = { lane, indices, sentAt: performance.now() };
    inFlight.add(batch);
    for (const index of indices) tried[index]! |= lane.bit;
    const byId = new Map<string, number>(indices.map((index) => [ids.at(index)!, index]));
    const filter = { ids: [...byId.keys()], limit: byId.size };
    try {
      const keeping: Promise<void>[] = [];
      const settle = (event: NostrEvent, index: number | undefined, isTaken: boolean): void => {
        if (isTaken && have[index!] === 0) {
          have[index!] = 1;
          had++;
        }
        giveContentBack(event);
        if (had === wanted.length) finish();
      };
      const onEvent = (event: NostrEvent): void => {
        const index = byId.get(event.id);
        const taken = index !== undefined && !isOver && take(event, index);
        if (typeof taken === 'boolean') return settle(event, index, taken);
        const kept = taken.then((isTaken) => settle(event, index, isTaken));
        kept.catch(() => undefined); // thrown where it is awaited
        keeping.push(kept);
      };
      const request = relays.fetch([filter], { trustIds: true, isBulk: true, relays: [lane.relay], onEvent });
      const { events, answered: heard } = await orInterrupted(request, signal);
      events.forEach(onEvent);
      await Promise.all(keeping);
      if (heard.includes(lane.relay)) answered.add(lane.relay);
      else {
        silent.add(lane.relay);
        if (++lane.silences >= MAX_SILENCES) lane.isDropped = true;
      }
    } finally {
      inFlight.delete(batch);
    }
    for (const index of indices) if (!isAskedElsewhere(index, batch)) passOn(index);
    if (lane.isDropped) for (const index of [...lane.extra.splice(0), ...orphansOf(lane)]) passOn(index);
    wakeAll();
  };

  let failure: Error | undefined;
  const work = async (lane: Lane): Promise<void> => {
    while (!lane.isDropped && failure === undefined && had < wanted.length) {
      requireRunning(signal);
      const indices = nextBatch(lane);
      if (indices.length > 0) await ask(lane, indices);
      else if (inFlight.size === 0 && lanes.every(isIdle)) return;
      else await orInterrupted(somethingNew(), signal);
    }
  };
  /** Another batch is through, or it is time to look for one that is late. */
  const somethingNew = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, stealAfterMs));
      wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  const stop = (error: unknown): void => {
    failure ??= error instanceof Error ? error : new Error(String(error));
    wakeAll();
  };
  const workers = lanes.flatMap((lane) => Array.from({ length: REQUESTS_PER_RELAY }, () => work(lane).catch(stop)));
  // With all of it here nobody waits for a relay that is late.
  await Promise.race([Promise.all(workers), whole]).finally(() => (isOver = true));
  if (failure !== undefined) throw failure;
  const missing = wanted.filter((index) => have[index] !== 1);
  return { missing: missing.sort((a, b) => a - b), answered, silent };
}
