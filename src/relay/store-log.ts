import { dirname, join } from 'node:path';
import type { Disk } from '../disk/disk.js';
import { writeAllTogether } from '../disk/durable.js';
import { lockFolder, type LockOptions } from '../disk/lock.js';
import { nodeDisk } from '../disk/node-disk.js';
import type { Filter } from '../ports.js';
import { accountOf } from './account.js';
import type { Entry, EventIndex, Usage, Verdict } from './event-index.js';
import type { EventHead } from './filter.js';
import { startCopy } from './log-copy.js';
import { gathered } from './log-lines.js';
import { openLog, type Log, type Slot } from './log-file.js';
import { SharedFile } from './shared-file.js';
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
const BRACKET = ']'.charCodeAt(0);

/** Two appenders would not know each other's offsets. */
const IN_USE = {
  used: 'keeps its events in this folder',
  remedy: 'stop that relay, or give this one another --dir',
};

/** A log in use is rewritten when more than half of it and at least this much is of no use any more. */
const MIN_GARBAGE_BYTES = 64 << 20;
/** At least so long after a rewriting that failed, and between two for keys that ask to vanish, which need no size. */
const REWRITE_PAUSE_SEC = 600;
/** While the log is rewritten events go on arriving: so much is left for the end, for which they wait. */
const LAST_BYTES = 4 << 20;
const MAX_PASSES = 8;

/** @param processes  see lock.ts @throws NmktError `home-locked` when another process has the folder open */
export async function openLogStore(
  dir: string,
  nowSec: NowSec,
  disk: Disk = nodeDisk,
  processes?: NonNullable<LockOptions['processes']>,
  minGarbageBytes = MIN_GARBAGE_BYTES,
): Promise<EventStore> {
  const unlock = await lockFolder(dir, { disk, words: IN_USE, ...(processes && { processes }) });
  try {
    const path = join(dir, 'events.jsonl');
    return new LogStore(await openLog(disk, path, nowSec), { disk, path, nowSec, minGarbageBytes, unlock });
  } catch (error) {
    await unlock();
    throw error;
  }
}

interface LogPorts {
  readonly disk: Disk;
  readonly path: string;
  readonly nowSec: NowSec;
  readonly minGarbageBytes: number;
  readonly unlock: () => Promise<void>;
}

class LogStore implements EventStore {
  readonly #index: EventIndex<Slot>;
  readonly #ports: LogPorts;
  readonly #nowSec: NowSec;
  /** Of events in the queue. */
  readonly #coming = new Map<string, Usage>();
  #log: SharedFile;
  #size: number;
  #queue: Pending[] = [];
  #writing: Promise<void> | undefined;
  /** After a failed sync nobody knows what is on the disk: nothing more is accepted until a restart reads it. */
  #failure: Error | undefined;

  #turn: Promise<unknown> = Promise.resolve();
  #rewriting: Promise<void> | undefined;
  #retryAfterSec = 0;
  #eraseAfterSec = 0;
  #erasedBytes = 0;
  /** A rewritten log has its name, but a power cut may still bring back the old one. */
  #isNameSure = true;
  #isClosing = false;

  constructor(log: Log, ports: LogPorts) {
    this.#log = new SharedFile(log.file);
    this.#index = log.index;
    this.#size = log.size;
    this.#ports = ports;
    this.#nowSec = ports.nowSec;
  }

  has(id: string): boolean {
    return this.#index.has(id);
  }

  judge(event: EventHead): Verdict {
    return this.#index.judge(event, this.#nowSec());
  }

  usedBeside(event: EventHead): Usage {
    const [used, coming] = [this.#index.usedBeside(event), this.#coming.get(accountOf(event))];
    return coming ? { bytes: used.bytes + coming.bytes, events: used.events + coming.events } : used;
  }

  frees(request: EventHead): boolean {
    return this.#index.frees(request);
  }

  async add(event: EventHead, json: string | Buffer, onStored: () => void): Promise<Verdict> {
    const verdict = this.#index.judge(event, this.#nowSec());
    if (verdict !== 'new') return verdict;
    return new Promise<Verdict>((resolve, reject) => {
      const line = typeof json === 'string' ? Buffer.from(json) : json;
      this.#queue.push({ event, line, onStored, resolve, reject });
      this.#expect(event, line.length, 1);
      this.#writing ??= this.#drain();
    });
  }

  find(filter: Filter, limit: number, isVisible: (event: EventHead) => boolean): readonly StoredEvent[] {
    return this.#index
      .find(filter, limit, this.#nowSec(), isVisible)
      .map((entry) => ({ head: entry, message: (prefix) => this.#message(entry, prefix) }));
  }

  async tend(): Promise<void> {
    const now = this.#nowSec();
    this.#index.dropExpired(now);
    const isWorthIt = this.#size - this.#index.bytes > Math.max(this.#ports.minGarbageBytes, this.#size / 2);
    // NIP-62: who asked to vanish is to be gone from the disk too.
    const mustErase = this.#index.vanishedBytes !== this.#erasedBytes && now >= this.#eraseAfterSec;
    if ((!isWorthIt && !mustErase) || now < this.#retryAfterSec || this.#isClosing) return;
    this.#eraseAfterSec = now + REWRITE_PAUSE_SEC;
    this.#rewriting ??= this.#rewrite()
      // The disk is full or broken: everything stays as it is, and whoever adds events is told.
      .catch(() => void (this.#retryAfterSec = now + REWRITE_PAUSE_SEC))
      .finally(() => (this.#rewriting = undefined));
    await this.#rewriting;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#rewriting;
    await this.#writing;
    await this.#log.file.close();
    await this.#ports.unlock();
  }

  /** The bytes around the line in the file make room for what goes around it: nothing is copied. */
  async #message(entry: Entry<Slot>, prefix: Buffer): Promise<Buffer | undefined> {
    if (!this.#index.holds(entry)) return undefined;
    const { offset, length } = entry.slot;
    const room = Math.min(prefix.length, offset);
    const bytes = await this.#log.read(offset - room, room + length + 1);
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
        await this.#alone(() => this.#commit(group));
      } catch (error) {
        for (const { event, line, reject } of group) {
          this.#expect(event, -line.length, -1);
          reject(error);
        }
      }
    }
    this.#writing = undefined;
  }

  /** Groups, and the end of a rewriting, one after the other. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #expect(event: EventHead, bytes: number, events: number): void {
    const account = accountOf(event);
    const { bytes: before, events: number } = this.#coming.get(account) ?? { bytes: 0, events: 0 };
    if (number + events === 0) this.#coming.delete(account);
    else this.#coming.set(account, { bytes: before + bytes, events: number + events });
  }

  #takeGroup(): Pending[] {
    let bytes = 0;
    const end = this.#queue.findIndex((pending) => (bytes += pending.line.length + 1) > MAX_GROUP_BYTES);
    return this.#queue.splice(0, end === -1 ? this.#queue.length : Math.max(1, end));
  }

  async #commit(group: readonly Pending[]): Promise<void> {
    if (this.#failure) await this.#undo(this.#failure.cause);
    if (this.#failure) throw this.#failure;
    await this.#settleName();
    try {
      const lines = group.map(({ line }) => line);
      await writeAllTogether(this.#log.file, gathered(lines), this.#size);
      await this.#log.file.datasync();
    } catch (error) {
      await this.#undo(error);
      throw error;
    }
    // Only now visible: the order in the index is the order in the file, so that a restart decides the same.
    for (const { event, line, onStored, resolve } of group) {
      const slot = { offset: this.#size, length: line.length };
      this.#size += line.length + 1;
      this.#expect(event, -line.length, -1);
      const verdict = this.#index.add(event, slot, this.#nowSec());
      if (verdict === 'new') onStored();
      resolve(verdict);
    }
  }

  /** A full disk may free up again; whatever was half written must not stay. Tried anew before the next event. */
  async #undo(error: unknown): Promise<void> {
    try {
      await this.#log.file.truncate(this.#size);
      await this.#log.file.datasync();
      this.#failure = undefined;
    } catch {
      this.#failure = new Error('the event log could not be repaired after a failed write', { cause: error });
    }
  }

  async #rewrite(): Promise<void> {
    const erased = this.#index.vanishedBytes;
    const copy = await startCopy(this.#ports.disk, this.#ports.path);
    let copied = 0;
    const isThere = (entry: Entry<Slot>): boolean => {
      if (this.#isClosing) throw new Error('the relay is stopping');
      return this.#index.holds(entry);
    };
    const catchUp = async (): Promise<void> => {
      const entries = [...this.#index.entries()].filter(({ slot }) => slot.offset >= copied);
      copied = this.#size;
      await copy.add(this.#log.file, entries, isThere);
    };
    try {
      await catchUp();
      for (let pass = 1; pass < MAX_PASSES && this.#size - copied > LAST_BYTES; pass++) await catchUp();
      await copy.sync();
      await this.#alone(async () => {
        await catchUp();
        await copy.sync();
        await copy.takePlace();
        const old = this.#log;
        this.#log = new SharedFile(copy.file);
        this.#size = copy.size;
        this.#isNameSure = false;
        copy.settle();
        this.#erasedBytes = erased;
        await old.retire();
        // If it cannot be now, then before the next event is taken.
        await this.#settleName().catch(() => undefined);
      });
    } catch (error) {
      await copy.discard();
      throw error;
    }
  }

  async #settleName(): Promise<void> {
    if (this.#isNameSure) return;
    await this.#ports.disk.syncFolder(dirname(this.#ports.path));
    this.#isNameSure = true;
  }
}
