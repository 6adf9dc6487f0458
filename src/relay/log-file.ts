import { dirname } from 'node:path';
import { codeOf, type Disk, type DiskFile } from '../disk/disk.js';
import type { NostrEvent } from '../ports.js';
import { EventIndex } from './event-index.js';
import { checkedHash, isUnescaped } from './event-json.js';
import { parseSignedEvent } from './event-shape.js';
import { copyName, startCopy } from './log-copy.js';
import type { NowSec } from './store.js';

/** The event log on disk: one event's canonical JSON per line, in the order of acceptance. */

/** Where a line is, without its newline. */
export interface Slot {
  readonly offset: number;
  readonly length: number;
}
export interface Log {
  readonly file: DiskFile;
  readonly index: EventIndex<Slot>;
  readonly size: number;
}

const NEWLINE = 0x0a;
const READ_BYTES = 1 << 20;
/** A longer line is damage: no event that was ever accepted is near it. */
const MAX_LINE_BYTES = 16 << 20;
/** The log is rewritten at start when more than half of it and at least this much is replaced, deleted or expired. */
const MIN_GARBAGE_BYTES = 1 << 20;

export async function openLog(disk: Disk, path: string, nowSec: NowSec): Promise<Log> {
  // Of a process that was killed while it rewrote the log; a disk that refuses has worse to tell soon.
  await disk.remove(copyName(path)).catch(() => undefined);
  const log = await load(disk, path, nowSec);
  const { index, size } = log;
  const isWorthIt = size - index.bytes > Math.max(MIN_GARBAGE_BYTES, size / 2);
  // NIP-62: who asked to vanish is to be gone from the disk too.
  if (!isWorthIt && index.vanishedBytes === 0) return log;
  try {
    await rewrite(disk, path, log);
  } catch (error) {
    // The relay can serve, and take deletions, from a full disk.
    if (codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT') return log;
    await log.file.close();
    throw error;
  }
  await log.file.close();
  return load(disk, path, nowSec);
}

/**
 * Replays the log. Lines that do not hold a whole event are skipped; a torn end is cut off. What it holds is durable then,
 * name and bytes, also what a killed process wrote and did not live to sync.
 */
async function load(disk: Disk, path: string, nowSec: NowSec): Promise<Log> {
  const file = await disk.open(path, 'edit');
  try {
    const index = new EventIndex<Slot>(({ length }) => length + 1);
    let size = 0;
    for await (const { line, offset } of lines(file)) {
      const event = readEvent(line);
      if (!event) continue;
      // As when it was added: what expired since then had replaced, or deleted, what it did.
      index.add(event, { offset, length: line.length }, 0);
      size = offset + line.length + 1;
    }
    if ((await file.size()) > size) await file.truncate(size);
    await file.sync();
    await disk.syncFolder(dirname(path));
    index.dropExpired(nowSec());
    return { file, index, size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Complete lines only, without their newline. */
async function* lines(file: DiskFile): AsyncGenerator<{ readonly line: Buffer; readonly offset: number }> {
  let rest = Buffer.alloc(0);
  let offset = 0;
  for (let position = 0; ;) {
    const bytes = await file.read(position, READ_BYTES);
    if (bytes.length === 0) return;
    position += bytes.length;
    rest = Buffer.concat([rest, bytes]);
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
    const text = line.toString();
    const event = parseSignedEvent(JSON.parse(text));
    return checkedHash(event, isUnescaped(text)) ? event : undefined;
  } catch {
    return undefined;
  }
}

/** `load` makes the new name durable. */
async function rewrite(disk: Disk, path: string, { file, index }: Log): Promise<void> {
  const copy = await startCopy(disk, path);
  try {
    await copy.add(file, [...index.entries()], () => true);
    await copy.sync();
    await copy.takePlace();
  } catch (error) {
    await copy.discard();
    throw error;
  }
  await copy.file.close();
}
