import { NmktError } from '../errors.js';
import type { Journal } from '../ports.js';
import { rangesOf, type Range } from './ranges.js';

/** What each relay has stored of one upload, kept so that a killed one goes on where it was. */
export interface UploadLog {
  has(relay: string, index: number): boolean;
  add(relay: string, index: number): void;
  /** The relay does not have what it said. */
  forget(relay: string): Promise<void>;
  /** Everything added is on the disk. */
  flush(): Promise<void>;
}

/** Index ranges, both ends included. */
export interface UploadRecord {
  readonly relay: string;
  readonly stored: readonly Range[];
  /** Nothing of before counts. */
  readonly isForgotten?: true;
}

/** Forgets everything when the process ends. */
export function memoryLog(): UploadLog {
  const sets = new Map<string, Set<number>>();
  return {
    has: (relay, index) => sets.get(relay)?.has(index) === true,
    add: (relay, index) => void setOf(sets, relay).add(index),
    forget: (relay) => Promise.resolve(void sets.delete(relay)),
    flush: () => Promise.resolve(),
  };
}

/**
 * @param journal  of this upload alone
 * @param count    chunks of the upload
 * @throws NmktError `bad-journal` when a record is none; what `Journal.append` throws, from `flush`
 */
export async function openUploadLog(journal: Journal<UploadRecord>, count: number): Promise<UploadLog> {
  const stored = new Map<string, Uint8Array>();
  const flagsOf = (relay: string): Uint8Array => {
    const known = stored.get(relay);
    if (known !== undefined) return known;
    const flags = new Uint8Array(count);
    stored.set(relay, flags);
    return flags;
  };
  for (const record of await journal.read()) {
    const flags = flagsOf(record.relay);
    if (record.isForgotten === true) flags.fill(0);
    for (const [from, to] of requireRanges(record, count)) flags.fill(1, from, to + 1);
  }

  const pending = new Map<string, Set<number>>();
  let failure: Error | undefined;
  let writing: Promise<void> | undefined;
  /** What is added while the disk is busy becomes one record per relay. */
  const drain = async (): Promise<void> => {
    while (pending.size > 0) {
      const [relay, indices] = pending.entries().next().value!;
      pending.delete(relay);
      await journal.append({ relay, stored: rangesOf(indices) });
    }
  };
  const write = (): void => {
    writing ??= drain()
      .catch((error: unknown) => {
        failure = error instanceof Error ? error : new Error(String(error));
        pending.clear();
      })
      .finally(() => {
        writing = undefined;
        // Of after the last look, which found nobody to write it.
        if (pending.size > 0) write();
      });
  };
  return {
    has: (relay, index) => stored.get(relay)?.[index] === 1,
    add(relay, index) {
      flagsOf(relay)[index] = 1;
      setOf(pending, relay).add(index);
      write();
    },
    async forget(relay) {
      pending.delete(relay);
      stored.delete(relay);
      await writing;
      await journal.append({ relay, stored: [], isForgotten: true });
    },
    async flush() {
      while (writing !== undefined) await writing;
      if (failure !== undefined) throw failure;
    },
  };
}

function setOf(sets: Map<string, Set<number>>, relay: string): Set<number> {
  const known = sets.get(relay);
  if (known !== undefined) return known;
  const set = new Set<number>();
  sets.set(relay, set);
  return set;
}

function requireRanges({ relay, stored }: UploadRecord, count: number): UploadRecord['stored'] {
  const isIndex = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;
  const isRight =
    typeof relay === 'string' &&
    Array.isArray(stored) &&
    stored.every(([from, to]) => isIndex(from) && isIndex(to) && from <= to && to < count);
  if (isRight) return stored as UploadRecord['stored'];
  throw new NmktError('bad-journal', 'the journal of an upload belongs to another one, or is damaged', {
    remedy: 'remove the file and run the same command again: relays answer for what they have',
    expected: `ranges of chunks below ${count}`,
    got: JSON.stringify(stored).slice(0, 100),
  });
}
