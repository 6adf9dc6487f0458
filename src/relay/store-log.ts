import { join } from 'node:path';
import type { Disk, DiskFile } from '../disk/disk.js';
import { writeAllTogether } from '../disk/durable.js';
import { lockFolder, type LockOptions } from '../disk/lock.js';
import { nodeDisk } from '../disk/node-disk.js';
import type { Filter } from '../ports.js';
import type { EventIndex, Verdict } from './event-index.js';
import type { EventHead } from './filter.js';
import { openLog, type Log, type Slot } from './log-file.js';
import type { EventStore, NowSec, StoredEvent } from './store.js';

/**
 * An append-only file of one event's JSON per line, and an index of it in memory. Writes that arrive while the disk
 * is busy become one group: one write, one fdatasync, then all of them are answered.
 */

interface Pending {
  readonly event: EventHead;
  /** Without its newline. */
  readonly line: Buffer;
  readonly onStored: () => void;
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_GROUP_BYTES = 16 << 20;
/** From here on a copy costs more than a part of a write. */
const LONG_LINE_BYTES = 4_096;
const NEWLINE = Buffer.from('\n');
const BRACKET = ']'.charCodeAt(0);

/** Two appenders would not know each other's offsets. */
const IN_USE = {
  used: 'keeps its events in this folder',
  remedy: 'stop that relay, or give this one another --dir',
};

/** @param processes  see lock.ts @throws NmktError `home-locked` when another process has the folder open */
export async function openLogStore(
  dir: string,
  nowSec: NowSec,
  disk: Disk = nodeDisk,
  processes?: NonNullable<LockOptions['processes']>,
): Promise<EventStore> {
  const unlock = await lockFolder(dir, { disk, words: IN_USE, ...(processes && { processes }) });
  try {
    return new LogStore(await openLog(disk, join(dir, 'events.jsonl'), nowSec), nowSec, unlock);
  } catch (error) {
    await unlock();
    throw error;
  }
}

class LogStore implements EventStore {
  readonly #file: DiskFile;
  readonly #index: EventIndex<Slot>;
  readonly #nowSec: NowSec;
  readonly #unlock: () => Promise<void>;
  #size: number;
  #queue: Pending[] = [];
  #writing: Promise<void> | undefined;
  /** After a failed sync nobody knows what is on the disk: nothing more is accepted until a restart reads it. */
  #failure: Error | undefined;

  constructor(log: Log, nowSec: NowSec, unlock: () => Promise<void>) {
    this.#file = log.file;
    this.#index = log.index;
    this.#size = log.size;
    this.#nowSec = nowSec;
    this.#unlock = unlock;
  }

  has(id: string): boolean {
    return this.#index.has(id);
  }

  async add(event: EventHead, json: string | Buffer, onStored: () => void): Promise<Verdict> {
    const verdict = this.#index.judge(event, this.#nowSec());
    if (verdict !== 'new') return verdict;
    return new Promise<Verdict>((resolve, reject) => {
      this.#queue.push({ event, line: typeof json === 'string' ? Buffer.from(json) : json, onStored, resolve, reject });
      this.#writing ??= this.#drain();
    });
  }

  find(filter: Filter, limit: number, isVisible: (event: EventHead) => boolean): readonly StoredEvent[] {
    return this.#index
      .find(filter, limit, this.#nowSec(), isVisible)
      .map((entry) => ({ head: entry, message: (prefix) => this.#message(entry.slot, prefix) }));
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
    await this.#unlock();
  }

  /** The bytes around the line in the file make room for what goes around it: nothing is copied. */
  async #message({ offset, length }: Slot, prefix: Buffer): Promise<Buffer> {
    const room = Math.min(prefix.length, offset);
    const bytes = await this.#file.read(offset - room, room + length + 1);
    if (bytes.length !== room + length + 1) throw new Error(`the event log ends at ${offset - room + bytes.length}`);
    bytes[room + length] = BRACKET;
    if (room < prefix.length) return Buffer.concat([prefix, bytes.subarray(room)]);
    bytes.set(prefix);
    return bytes;
  }

  async #drain(): Promise<void> {
    // The rest of this tick's events join the first group.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      try {
        await this.#commit(group);
      } catch (error) {
        for (const pending of group) pending.reject(error);
      }
    }
    this.#writing = undefined;
  }

  #takeGroup(): Pending[] {
    let bytes = 0;
    const end = this.#queue.findIndex((pending) => (bytes += pending.line.length + 1) > MAX_GROUP_BYTES);
    return this.#queue.splice(0, end === -1 ? this.#queue.length : Math.max(1, end));
  }

  async #commit(group: readonly Pending[]): Promise<void> {
    if (this.#failure) await this.#undo(this.#failure.cause);
    if (this.#failure) throw this.#failure;
    try {
      await writeAllTogether(this.#file, gathered(group), this.#size);
      await this.#file.datasync();
    } catch (error) {
      await this.#undo(error);
      throw error;
    }
    // Only now visible: the order in the index is the order in the file, so that a restart decides the same.
    for (const { event, line, onStored, resolve } of group) {
      const slot = { offset: this.#size, length: line.length };
      this.#size += line.length + 1;
      const verdict = this.#index.add(event, slot, this.#nowSec());
      if (verdict === 'new') onStored();
      resolve(verdict);
    }
  }

  /** A full disk may free up again; whatever was half written must not stay. Tried anew before the next event. */
  async #undo(error: unknown): Promise<void> {
    try {
      await this.#file.truncate(this.#size);
      await this.#file.datasync();
      this.#failure = undefined;
    } catch {
      this.#failure = new Error('the event log could not be repaired after a failed write', { cause: error });
    }
  }
}

/** Lines of a group with their newlines: short ones joined, long ones where they are. */
function gathered(group: readonly Pending[]): Buffer[] {
  const parts: Buffer[] = [];
  let short: Buffer[] = [];
  const join = (): void => {
    if (short.length > 0) parts.push(Buffer.concat(short));
    short = [];
  };
  for (const { line } of group) {
    if (line.length >= LONG_LINE_BYTES) {
      join();
      parts.push(line);
      short.push(NEWLINE);
    } else short.push(line, NEWLINE);
  }
  join();
  return parts;
}
