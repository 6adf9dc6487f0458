import { constants, type Stats } from 'node:fs';
import { mkdir, open, readFile, rename, unlink, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { NmktError } from '../errors.js';
import type { Filter, NostrEvent } from '../ports.js';
import { hasValidId } from '../schnorr.js';
import { EventIndex, type Verdict } from './event-index.js';
import { parseSignedEvent } from './event-shape.js';
import type { EventHead } from './filter.js';
import type { EventStore, NowSec, StoredEvent } from './store.js';

/**
 * An append-only file of one event's JSON per line, and an index of it in memory. Writes that arrive while the disk
 * is busy become one group: one write, one fdatasync, then all of them are answered.
 */

interface Slot {
  readonly offset: number;
  readonly length: number;
}
interface Pending {
  readonly event: NostrEvent;
  readonly line: Buffer;
  readonly onStored: () => void;
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

const NEWLINE = 0x0a;
const READ_BYTES = 1 << 20;
/** A longer line is damage: no event that was ever accepted is near it. */
const MAX_LINE_BYTES = 16 << 20;
const MAX_GROUP_BYTES = 16 << 20;
/** The log is rewritten at start when more than half of it and at least this much is replaced, deleted or expired. */
const MIN_GARBAGE_BYTES = 1 << 20;

/** @throws NmktError `home-locked` when another process has the folder open */
export async function openLogStore(dir: string, nowSec: NowSec): Promise<EventStore> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const unlock = await lock(join(dir, 'lock'));
  try {
    const path = join(dir, 'events.jsonl');
    let log = await load(path, nowSec);
    if (log.garbageBytes > Math.max(MIN_GARBAGE_BYTES, log.size / 2)) {
      await rewrite(path, log);
      await log.file.close();
      log = await load(path, nowSec);
    }
    return new LogStore(log, nowSec, unlock);
  } catch (error) {
    await unlock();
    throw error;
  }
}

class LogStore implements EventStore {
  readonly #file: FileHandle;
  readonly #index: EventIndex<Slot>;
  readonly #nowSec: NowSec;
  readonly #unlock: () => Promise<void>;
  #size: number;
  #queue: Pending[] = [];
  #writing: Promise<void> | undefined;
  /** After a failed sync nobody knows what is on the disk: nothing more is accepted until a restart reads it. */
  #failure: unknown;

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

  async add(event: NostrEvent, json: string, onStored: () => void): Promise<Verdict> {
    const verdict = this.#index.judge(event, this.#nowSec());
    if (verdict !== 'new') return verdict;
    return new Promise<Verdict>((resolve, reject) => {
      this.#queue.push({ event, line: Buffer.from(`${json}\n`), onStored, resolve, reject });
      this.#writing ??= this.#drain();
    });
  }

  find(filter: Filter, limit: number, isVisible: (event: EventHead) => boolean): readonly StoredEvent[] {
    return this.#index
      .find(filter, limit, this.#nowSec(), isVisible)
      .map((entry) => ({ head: entry, read: () => this.#read(entry.slot) }));
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
    await this.#unlock();
  }

  async #read({ offset, length }: Slot): Promise<Buffer> {
    const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, offset);
    if (bytesRead !== length) throw new Error(`the event log ends at ${offset + bytesRead}`);
    return buffer;
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
    const end = this.#queue.findIndex((pending) => (bytes += pending.line.length) > MAX_GROUP_BYTES);
    return this.#queue.splice(0, end === -1 ? this.#queue.length : Math.max(1, end));
  }

  async #commit(group: readonly Pending[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await this.#file.appendFile(Buffer.concat(group.map((pending) => pending.line)));
      await this.#file.datasync();
    } catch (error) {
      await this.#undo(error);
      throw error;
    }
    // Only now visible: the order in the index is the order in the file, so that a restart decides the same.
    for (const { event, line, onStored, resolve } of group) {
      const slot = { offset: this.#size, length: line.length - 1 };
      this.#size += line.length;
      const verdict = this.#index.add(event, slot, this.#nowSec());
      if (verdict === 'new') onStored();
      resolve(verdict);
    }
  }

  /** A full disk may free up again; whatever was half written must not stay. */
  async #undo(error: unknown): Promise<void> {
    try {
      await this.#file.truncate(this.#size);
      await this.#file.datasync();
    } catch {
      this.#failure = error;
    }
  }
}

interface Log {
  readonly file: FileHandle;
  readonly index: EventIndex<Slot>;
  readonly size: number;
  readonly garbageBytes: number;
}

/** Replays the log. Lines that do not hold a whole event are skipped; a torn end is cut off. */
async function load(path: string, nowSec: NowSec): Promise<Log> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND;
  const file = await open(path, flags, 0o600);
  try {
    const index = new EventIndex<Slot>();
    let size = 0;
    for await (const { line, offset } of lines(file)) {
      const event = readEvent(line);
      if (!event) continue;
      index.add(event, { offset, length: line.length }, nowSec());
      size = offset + line.length + 1;
    }
    const { size: onDisk }: Stats = await file.stat();
    if (onDisk > size) await file.truncate(size);
    await file.sync();
    let live = 0;
    for (const { slot } of index.entries()) live += slot.length + 1;
    return { file, index, size, garbageBytes: size - live };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Complete lines only, without their newline. */
async function* lines(file: FileHandle): AsyncGenerator<{ readonly line: Buffer; readonly offset: number }> {
  let rest = Buffer.alloc(0);
  let offset = 0;
  for (let position = 0; ;) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    let start = 0;
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE, start)) {
      yield { line: rest.subarray(start, end), offset: offset + start };
      start = end + 1;
    }
    // An absurd line is cut into pieces, none of which is an event.
    if (rest.length - start > MAX_LINE_BYTES) start = rest.length;
    offset += start;
    rest = rest.subarray(start);
  }
}

function readEvent(line: Buffer): NostrEvent | undefined {
  try {
    const event = parseSignedEvent(JSON.parse(line.toString()));
    return hasValidId(event) ? event : undefined;
  } catch {
    return undefined;
  }
}

/** Copies what is still served to a new file and puts it in place of the old one. */
async function rewrite(path: string, { file, index }: Log): Promise<void> {
  const next = `${path}.new`;
  const out = await open(next, 'w', 0o600);
  try {
    const slots = [...index.entries()].map((entry) => entry.slot).sort((a, b) => a.offset - b.offset);
    for (const { offset, length } of slots) {
      const { buffer } = await file.read(Buffer.allocUnsafe(length + 1), 0, length + 1, offset);
      await out.appendFile(buffer);
    }
    await out.sync();
  } finally {
    await out.close();
  }
  await rename(next, path);
}

/** Locks of this process. */
const held = new Set<string>();

/** One process per folder: two appenders would not know each other's offsets. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx', mode: 0o600 });
      held.add(path);
      return async () => {
        held.delete(path);
        await unlink(path);
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (isRunning(holder, path) || attempt > 0) {
      throw new NmktError('home-locked', `process ${holder} keeps its events in this folder`, {
        remedy: 'stop that relay, or give this one another --dir',
        expected: 'a folder no running relay uses',
        got: path,
      });
    }
    await unlink(path).catch(() => {});
  }
}

function isRunning(pid: number, path: string): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  // Our own number in a lock we do not hold: a killed process of a restarted container had the same one.
  if (pid === process.pid) return held.has(path);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
