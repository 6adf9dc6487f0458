import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { NmktError } from '../errors.js';
import type { Journal } from '../ports.js';
import { decodeRecord, encodeRecord } from './record-json.js';

/**
 * One JSON record per line, mode 0600, in the order of the calls; each append is on disk (fsync) before it resolves.
 * Bigints are kept exactly (see record-json). Nothing is made or changed before the first append, which cuts off a
 * last line torn by a crash; so a reader beside a running writer is safe. One writer at a time: hold the home's lock.
 *
 * @throws NmktError `bad-journal` (from `read` and the first `append`) when a whole line does not parse;
 *         `disk-full` (from `append`), after which the journal is as it was before that append
 */
export async function openJournal<R>(path: string): Promise<Journal<R>> {
  let handle: FileHandle | undefined;
  /** Bytes of whole lines. */
  let length = 0;
  let queue: Promise<unknown> = Promise.resolve();

  /** One after the other; a failure does not stop what comes later. */
  const inTurn = <T>(job: () => Promise<T>): Promise<T> => {
    const result = queue.then(job);
    queue = result.catch(() => undefined);
    return result;
  };

  const write = async (line: string): Promise<void> => {
    if (handle === undefined) ({ handle, length } = await openForAppend(path));
    const bytes = Buffer.from(line, 'utf8');
    try {
      await writeAll(handle, bytes, length);
      await handle.datasync();
    } catch (error) {
      await handle.truncate(length);
      throw explain(error, path);
    }
    length += bytes.length;
  };

  return {
    append: (record) => {
      // Encoded now: what the caller changes later does not get in.
      const line = `${encodeRecord(record)}\n`;
      return inTurn(() => write(line));
    },
    read: () => inTurn(async () => parseLines<R>(wholeLines(await readIfThere(path)), path)),
    close: () =>
      inTurn(async () => {
        await handle?.close();
        handle = undefined;
      }),
  };
}

async function openForAppend(path: string): Promise<{ handle: FileHandle; length: number }> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const kept = wholeLines(await readIfThere(path));
  parseLines(kept, path);
  const isNew = kept.length === 0;
  const handle = await open(path, 'a+', 0o600).then(async (made) => {
    await made.close();
    return open(path, 'r+');
  });
  await handle.truncate(kept.length);
  await handle.sync();
  if (isNew) await syncFolder(dirname(path));
  return { handle, length: kept.length };
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

async function readIfThere(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

/** Up to and with the last newline: what follows it is a torn append. */
function wholeLines(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.lastIndexOf(10) + 1);
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

/** Makes the new name durable; Windows cannot open folders. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

function explain(error: unknown, path: string): unknown {
  if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') return error;
  return new NmktError('disk-full', `no space left to add to ${path}`, {
    remedy: 'free some space, then run the same command again',
    expected: 'room for one more line',
    got: 'ENOSPC',
    cause: error,
  });
}
