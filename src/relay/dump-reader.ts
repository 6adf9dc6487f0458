import { open, type FileHandle } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { isNmktError, NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { Filter, NostrEvent, Relays } from '../ports.js';
import { KINDS } from '../protocol/kinds.js';
import { checkedHash, isAuthentic, isUnescaped } from './event-json.js';
import { parseSignedEvent } from './event-shape.js';
import { matcher, newestFirst } from './filter.js';
import { MAX_FRAME_BYTES } from './socket.js';

/** A dump: signed events as NDJSON, one JSON per line. Whoever wrote the file, it can leave events out but forge none. */

export interface DumpRelays extends Relays {
  /** Events of kind 4621 in it. */
  readonly chunks: number;
}

const NEWLINE = 0x0a;
const READ_BYTES = 1 << 20;
/** No relay connection carries a longer event. */
const MAX_LINE_BYTES = MAX_FRAME_BYTES;
/** Held in memory; of chunks only where they lie in the file. */
const MAX_EVENT_BYTES = 2 ** 29;
/** 200 GB of plaintext. */
const MAX_CHUNKS = 2 ** 22;

interface Line {
  readonly bytes: Buffer;
  /** 1-based. */
  readonly number: number;
  readonly offset: number;
  /** The last one, without a newline: recordDump ends every line with one. */
  readonly isCut?: true;
}
interface Slot {
  readonly offset: number;
  readonly length: number;
}

/**
 * A dump as relays that only read: they answer from the file alone. Id and signature of every line are checked here;
 * a chunk is read, and its id checked, again when it is asked for.
 *
 * @throws NmktError `bad-usage` for a file that cannot be read, `bad-event` naming the first line that holds no signed
 *         event, `too-large` naming the line where a limit is passed
 */
export async function openDump(path: string): Promise<DumpRelays> {
  const file = await openFile(path);
  const events = new Map<EventId, NostrEvent>();
  const chunks = new Map<EventId, Slot>();
  let eventBytes = 0;
  try {
    for await (const line of lines(file, path)) {
      const event = readLine(line, path);
      if (event.kind === KINDS.chunk) chunks.set(event.id, { offset: line.offset, length: line.bytes.length });
      else if (!events.has(event.id)) {
        events.set(event.id, event);
        eventBytes += line.bytes.length;
      }
      if (eventBytes > MAX_EVENT_BYTES) throw tooLarge(path, line.number, `${MAX_EVENT_BYTES} bytes beside the chunks`);
      if (chunks.size > MAX_CHUNKS) throw tooLarge(path, line.number, `${MAX_CHUNKS} chunks`);
    }
  } catch (error) {
    await file.close();
    throw isNmktError(error) ? error : unreadable(path, error);
  }
  return dumpRelays(path, file, events, chunks);
}

function dumpRelays(
  path: string,
  file: FileHandle,
  events: ReadonlyMap<EventId, NostrEvent>,
  chunks: ReadonlyMap<EventId, Slot>,
): DumpRelays {
  const url = pathToFileURL(path).href;
  const stored = (filters: readonly Filter[]) =>
    filters.flatMap((filter) =>
      [...events.values()]
        .filter(matcher([filter]))
        .sort(newestFirst)
        .slice(0, filter.limit),
    );
  /** Chunks are found by id only. */
  const readChunks = async (filter: Filter): Promise<NostrEvent[]> => {
    const found: NostrEvent[] = [];
    for (const id of new Set(filter.ids ?? [])) {
      const slot = chunks.get(id as EventId);
      if (slot !== undefined) found.push(await readChunk(path, file, id as EventId, slot));
    }
    return found.filter(matcher([filter])).slice(0, filter.limit);
  };
  return {
    urls: [url],
    chunks: chunks.size,
    publish: async () => [{ relay: url, state: 'refused', message: 'blocked: a dump is only read' }],
    async fetch(filters, { relays = [url] } = {}) {
      const silent = relays.filter((relay) => relay !== url);
      if (silent.length === relays.length) return { events: [], answered: [], silent };
      const found = [...stored(filters), ...(await Promise.all(filters.map(readChunks))).flat()];
      const unique = new Map(found.map((event) => [event.id, event]));
      return { events: [...unique.values()].sort(newestFirst), answered: [url], silent };
    },
    subscribe(filters, onEvent) {
      let isOpen = true;
      queueMicrotask(() => {
        for (const event of new Set(stored(filters))) if (isOpen) onEvent(event);
      });
      return { close: () => void (isOpen = false) };
    },
    close: () => file.close(),
  };
}

async function openFile(path: string): Promise<FileHandle> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw unreadable(path, { code: 'a folder, pipe or device' });
}

/** Lines without their newline; the last one may lack it. */
async function* lines(file: FileHandle, path: string): AsyncGenerator<Line> {
  let rest = Buffer.alloc(0);
  let offset = 0;
  let number = 1;
  for (let position = 0; ;) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, position);
    position += bytesRead;
    rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    let start = 0;
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE, start)) {
      yield { bytes: rest.subarray(start, end), number: number++, offset: offset + start };
      start = end + 1;
    }
    offset += start;
    rest = rest.subarray(start);
    if (rest.length > MAX_LINE_BYTES) throw tooLarge(path, number, `${MAX_LINE_BYTES} bytes in a line`);
    if (bytesRead > 0) continue;
    if (rest.length > 0) yield { bytes: rest, number, offset, isCut: true };
    return;
  }
}

function readLine({ bytes, number, isCut }: Line, path: string): NostrEvent {
  if (bytes.length > MAX_LINE_BYTES) throw tooLarge(path, number, `${MAX_LINE_BYTES} bytes in a line`);
  let named = '';
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const event = parseSignedEvent(JSON.parse(text));
    named = event.id;
    if (isAuthentic(event, isUnescaped(text))) return event;
  } catch (error) {
    const part = isCut === true ? 'a line that is cut off: the file is not whole' : 'no JSON in UTF-8';
    const got = isNmktError(error) ? `${error.message}: ${error.got ?? ''}` : part;
    throw badLine(path, number, got, error);
  }
  throw badLine(path, number, `event ${named}, whose id is not its hash or whose signature does not verify`);
}

/** Does a file begin with a signed event, or hold nothing? Not, when there is no such file. */
export async function isDump(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return false;
  try {
    if (!(await file.stat()).isFile()) return false;
    for await (const line of lines(file, path)) return readLine(line, path).id.length > 0;
    return true;
  } catch {
    return false;
  } finally {
    await file.close();
  }
}

/** The file may have changed since it was opened. */
async function readChunk(path: string, file: FileHandle, id: EventId, { offset, length }: Slot): Promise<NostrEvent> {
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
  try {
    const text = buffer.toString();
    const event = parseSignedEvent(JSON.parse(text));
    if (event.id === id && checkedHash(event, isUnescaped(text)) !== undefined) return event;
  } catch {
    // Said below.
  }
  throw new NmktError('bad-event', `${path} changed while it was read`, {
    expected: `chunk ${id} at byte ${offset}`,
    got: 'something else',
    remedy: 'run the same command again on a file that nobody writes to',
  });
}

function badLine(path: string, number: number, got: string, cause?: unknown): NmktError {
  return new NmktError('bad-event', `line ${number} of ${path} is no signed event`, {
    expected: 'an event as JSON, its id the hash of its content, its signature by its author',
    got,
    remedy: 'make the dump again: nmkt audit JOB --dump FILE',
    cause,
  });
}

function tooLarge(path: string, number: number, limit: string): NmktError {
  return new NmktError('too-large', `line ${number} of ${path} passes a limit`, {
    expected: `at most ${limit}`,
    got: 'more',
    remedy: 'check that it is a dump: nmkt audit JOB --dump FILE',
  });
}

function unreadable(path: string, error: unknown): NmktError {
  return new NmktError('bad-usage', `${path} cannot be read`, {
    expected: 'a file of signed events, as nmkt audit --dump and nmkt receipts --save write them',
    got: (error as NodeJS.ErrnoException).code ?? 'an unreadable file',
    remedy: 'check the path',
    cause: error,
  });
}
