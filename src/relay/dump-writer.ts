import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';
import type { NostrEvent, Relays } from '../ports.js';
import { KINDS } from '../protocol/kinds.js';
import { isDump } from './dump-reader.js';
import { eventJson } from './event-json.js';

export interface DumpRecorder {
  /** What comes through them goes into the dump, each event once; chunks with their signatures checked. */
  readonly relays: Relays;
  /** Puts the file in its place. @throws NmktError `disk-full`, `bad-usage` */
  finish(): Promise<{ readonly events: number; readonly chunks: number }>;
  /** Leaves no file; nothing after `finish`. */
  discard(): Promise<void>;
}

/**
 * Writes what is read from relays to a file of one signed event per line. The events of a job are read before its blobs:
 * they come first, in order of (created_at, id); chunks follow as they are fetched and are not kept in memory. What
 * arrives beside them after the first chunk stays out.
 *
 * @throws NmktError `bad-usage` when the file cannot be made, or holds something else than an earlier dump
 */
export async function recordDump(path: string, inner: Relays): Promise<DumpRecorder> {
  if (await isOther(path)) throw wouldReplace(path);
  const part = `${path}.part`;
  const file = await open(part, 'w').catch((error: unknown) => {
    throw notWritten(path, error);
  });
  const events = new Map<string, NostrEvent>();
  const chunks = new Set<string>();
  let isPlaced = false;
  let writing = Promise.resolve();

  const write = (batch: readonly NostrEvent[]): void => {
    writing = writing.then(async () => {
      for (const event of batch) await file.appendFile(`${eventJson(event)}\n`);
    });
    writing.catch(() => undefined); // thrown where it is awaited
  };
  const writeEvents = (): void =>
    write([...events.values()].sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1)));
  const keep = (event: NostrEvent): void => {
    if (event.kind !== KINDS.chunk) {
      if (chunks.size === 0) events.set(event.id, event);
      return;
    }
    if (chunks.has(event.id)) return;
    if (chunks.size === 0) writeEvents();
    chunks.add(event.id);
    write([event]);
  };

  return {
    relays: {
      urls: inner.urls,
      publish: (event, relays) => inner.publish(event, relays),
      async fetch(filters, options) {
        const { onEvent: _, ...plain } = options ?? {};
        const found = await inner.fetch(filters, { ...plain, trustIds: false });
        found.events.forEach(keep);
        await writing.catch((error: unknown) => {
          throw notWritten(path, error);
        });
        return found;
      },
      subscribe: (filters, onEvent) =>
        inner.subscribe(filters, (event) => {
          keep(event);
          onEvent(event);
        }),
      close: () => inner.close(),
    },
    async finish() {
      if (chunks.size === 0) writeEvents();
      try {
        await writing;
        await placeFile(file, part, path);
      } catch (error) {
        throw notWritten(path, error);
      }
      isPlaced = true;
      return { events: events.size, chunks: chunks.size };
    },
    async discard() {
      if (isPlaced) return;
      await writing.catch(() => undefined);
      await file.close().catch(() => undefined);
      await rm(part, { force: true });
    },
  };
}

/** A slip of the hand must not cost anybody a key or a model. */
async function isOther(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && !(await isDump(path));
}

function wouldReplace(path: string): NmktError {
  return new NmktError('bad-usage', `${path} is there already and is no dump`, {
    expected: 'a new file, or an earlier dump to replace',
    got: 'a file of something else',
    remedy: 'name another file with --dump',
  });
}

/** Whole or not at all. */
async function placeFile(file: FileHandle, part: string, path: string): Promise<void> {
  await file.sync();
  await file.close();
  await rename(part, path);
  await nodeDisk.syncFolder(dirname(path));
}

function notWritten(path: string, error: unknown): NmktError {
  const code = (error as NodeJS.ErrnoException).code ?? 'an error';
  const isFull = code === 'ENOSPC';
  return new NmktError(isFull ? 'disk-full' : 'bad-usage', `${path} cannot be written`, {
    expected: isFull ? 'free space for the events and chunks of the job' : 'a path in a folder that is there',
    got: code,
    remedy: isFull ? 'free some space and run the same command again' : 'name another file with --dump',
    cause: error,
  });
}
