import type { Disk, DiskFile } from '../disk/disk.js';
import { writeAll } from '../disk/durable.js';
import type { Entry } from './event-index.js';
import type { Slot } from './log-file.js';

/** A log without what is deleted, replaced or expired: written beside the old one, and put in its place when it is whole. */

/** Read and written at once. */
const MAX_RUN_BYTES = 1 << 20;

export interface LogCopy {
  readonly file: DiskFile;
  readonly size: number;
  /** Adds entries in the order of their slots; those that are gone when their turn comes are left out. */
  add(from: DiskFile, entries: readonly Entry<Slot>[], isThere: (entry: Entry<Slot>) => boolean): Promise<void>;
  sync(): Promise<void>;
  /** To be called when it is synced: it has the log's name then, sure after a sync of the folder. */
  takePlace(): Promise<void>;
  /** The entries that were added are where they are in the copy. */
  settle(): void;
  /** Never throws. */
  discard(): Promise<void>;
}

export async function startCopy(disk: Disk, path: string): Promise<LogCopy> {
  const name = copyName(path);
  await disk.remove(name);
  const file = await disk.open(name, 'create');
  const moved: { readonly entry: Entry<Slot>; readonly slot: Slot }[] = [];
  let size = 0;
  return {
    file,
    get size() {
      return size;
    },
    async add(from, entries, isThere) {
      for (let at = 0; at < entries.length;) {
        const run = runFrom(entries, at, isThere);
        at += Math.max(1, run.length);
        const [first, last] = [run[0], run.at(-1)];
        if (first === undefined || last === undefined) continue;
        const start = first.slot.offset;
        const length = last.slot.offset + last.slot.length + 1 - start;
        const bytes = await from.read(start, length);
        if (bytes.length !== length) throw new Error(`the event log ends at ${start + bytes.length}`);
        await writeAll(file, bytes, size);
        for (const entry of run)
          moved.push({ entry, slot: { offset: size + entry.slot.offset - start, length: entry.slot.length } });
        size += length;
      }
    },
    sync: () => file.sync(),
    takePlace: () => disk.rename(name, path),
    settle() {
      for (const { entry, slot } of moved) entry.slot = slot;
    },
    async discard() {
      await file.close().catch(() => undefined);
      await disk.remove(name).catch(() => undefined);
    },
  };
}

/** Where a copy is made: what a killed process left there is of no use. */
export const copyName = (path: string): string => `${path}.new`;

/** Entries that lie one after the other, from this one on. */
function runFrom(
  entries: readonly Entry<Slot>[],
  start: number,
  isThere: (entry: Entry<Slot>) => boolean,
): readonly Entry<Slot>[] {
  const run: Entry<Slot>[] = [];
  let end = entries[start]!.slot.offset;
  for (let bytes = 0, at = start; at < entries.length && bytes < MAX_RUN_BYTES; at++) {
    const entry = entries[at]!;
    if (entry.slot.offset !== end || !isThere(entry)) break;
    run.push(entry);
    bytes += entry.slot.length + 1;
    end += entry.slot.length + 1;
  }
  return run;
}
