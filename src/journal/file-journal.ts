import { dirname } from 'node:path';
import { codeOf, type Disk, type DiskFile } from '../disk/disk.js';
import { makeFolder, explainDisk, readIfThere, writeAll } from '../disk/durable.js';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';
import type { Journal } from '../ports.js';
import { decodeRecord, encodeRecord } from './record-json.js';

const NEWLINE = 10;

/**
 * One JSON record per line, mode 0600, in the order of the calls; each append is on disk (fsync) before it resolves.
 * Bigints are kept exactly (see record-json). Nothing is made or changed before the first append, which cuts off a
 * last line torn by a crash; so a reader beside a running writer is safe. One writer at a time: hold the home's lock.
 *
 * What `read` answers is durable too: a record that a killed process wrote, but did not live to sync, is acted on.
 *
 * @throws NmktError `bad-journal` (from `read` and the first `append`) when a whole line does not parse;
 *         `disk-full` and `disk-failed`; the journal is then as it was before
 */
export async function openJournal<R>(path: string, disk: Disk = nodeDisk): Promise<Journal<R>> {
  let file: DiskFile | undefined;
  /** Bytes of whole lines. */
  let length = 0;
  let isSettled = false;
  let isClosed = false;
  /** Why nobody knows any more what is in the file: nothing is added until a restart reads it. */
  let failure: Error | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  /** One after the other; a failure does not stop what comes later. */
  const inTurn = <T>(job: () => Promise<T>): Promise<T> => {
    const result = queue.then(job);
    queue = result.catch(() => undefined);
    return result;
  };

  const explained = <T>(step: Promise<T>): Promise<T> =>
    step.catch((error: unknown) => {
      throw explainDisk(error, path);
    });

  const write = async (line: string): Promise<void> => {
    if (isClosed) throw closed(path);
    if (failure !== undefined) throw failure;
    if (file === undefined) ({ file, length } = await explained(openForAppend(disk, path)));
    const bytes = Buffer.from(line, 'utf8');
    try {
      await writeAll(file, bytes, length);
      await file.datasync();
    } catch (error) {
      await file.truncate(length).catch((cause: unknown) => {
        failure = new NmktError('disk-failed', `${path} could not be repaired after a failed write`, {
          remedy: 'look at the disk and its mount, then start the same command again',
          expected: 'a disk that takes back what it half wrote',
          got: codeOf(cause) ?? String(cause),
          cause,
        });
      });
      throw explainDisk(error, path);
    }
    length += bytes.length;
  };

  const read = async (): Promise<R[]> => {
    const bytes = await readIfThere(disk, path);
    if (bytes === undefined) return [];
    if (!isSettled) await explained(settle(disk, path));
    isSettled = true;
    return parseLines<R>(wholeLines(bytes), path);
  };

  return {
    append: (record) => {
      // Encoded now: what the caller changes later does not get in.
      const line = `${encodeRecord(record)}\n`;
      return inTurn(() => write(line));
    },
    read: () => inTurn(read),
    close: () =>
      inTurn(async () => {
        isClosed = true;
        await file?.close();
        file = undefined;
      }),
  };
}

async function openForAppend(disk: Disk, path: string): Promise<{ file: DiskFile; length: number }> {
  await makeFolder(disk, dirname(path));
  const kept = wholeLines((await readIfThere(disk, path)) ?? Buffer.alloc(0));
  parseLines(kept, path);
  const file = await disk.open(path, 'edit');
  try {
    await file.truncate(kept.length);
    await file.sync();
    await disk.syncFolder(dirname(path));
  } catch (error) {
    await file.close();
    throw error;
  }
  return { file, length: kept.length };
}

async function settle(disk: Disk, path: string): Promise<void> {
  const file = await disk.open(path, 'read');
  await file.sync().finally(() => file.close());
  await makeFolder(disk, dirname(path));
  await disk.syncFolder(dirname(path));
}

/**
 * Without a torn append at the end: what follows the last newline, or a last line with a block of zeros, as a file system
 * leaves it that wrote the length and the line's end before its beginning. JSON holds no zero byte.
 */
function wholeLines(bytes: Buffer): Buffer {
  const whole = bytes.subarray(0, bytes.lastIndexOf(NEWLINE) + 1);
  const last = whole.lastIndexOf(NEWLINE, -2) + 1;
  return whole.subarray(last).includes(0) ? whole.subarray(0, last) : whole;
}

function parseLines<R>(bytes: Buffer, path: string): R[] {
  return bytes
    .toString('utf8')
    .split('\n')
    .slice(0, -1)
    .map((line, index) => {
      try {
        return decodeRecord(line) as R;
      } catch (cause) {
        throw new NmktError('bad-journal', `line ${index + 1} of ${path} is damaged`, {
          remedy: `restore ${path} from a backup; going on without it could repeat a payment`,
          expected: 'one JSON record',
          got: `${line.length} characters that do not parse`,
          cause,
        });
      }
    });
}

/** The lock of its folder may be another's by now. */
function closed(path: string): NmktError {
  return new NmktError('interrupted', `${path} is closed: the command is ending`, {
    remedy: 'run the same command again to go on',
  });
}
