import { NmktError } from '../errors.js';
import { fromHex, hex, type Bytes, type EventId } from '../hash.js';
import { binaryContent } from '../large-event.js';
import type { NostrEvent, Relays } from '../ports.js';
import { KINDS } from '../protocol/kinds.js';
import { decodeIndex, openInline, openPacked, requireHash, IndexRecord } from './blob.js';
import { CHUNK_BYTES, SEALED_BYTES, fromBase64, openChunk, type ChunkPlace } from './chunk.js';
import { fetchFromAll } from './fetch-lanes.js';
import { requireRunning } from './interrupt.js';
import type { SealKeys } from './keys.js';
import { leafHash } from '../merkle.js';
import { admit, type BlobPointer } from './pointer.js';
import { placement, type Holds } from './placement.js';
import { rangesOf, spellRanges } from './ranges.js';

export interface DownloadOptions {
  readonly key: Bytes;
  readonly context: Bytes;
  readonly part: number;
  /** Largest uncompressed size accepted, bytes. */
  readonly maxBytes: number;
  /** The sealed bytes, when the announcing event carried them. */
  readonly inline?: string | undefined;
  /** Data chunks opened so far, of all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
  /** A relay with nothing to do is asked for what another has kept waiting for so long. */
  readonly stealAfterMs?: number;
  /** How many of the relays hold each chunk (placement.ts): those are asked first. Absent: all do. */
  readonly copies?: number | undefined;
}

export interface Route {
  readonly relays: Relays;
  readonly signal: AbortSignal | undefined;
  readonly stealAfterMs: number | undefined;
  /** By place in the blob: index chunks come after the data. */
  readonly holds: Holds | undefined;
}

export function routeOf(
  relays: Relays,
  {
    context,
    part,
    signal,
    stealAfterMs,
    copies,
  }: Pick<DownloadOptions, 'context' | 'part' | 'signal' | 'stealAfterMs' | 'copies'>,
): Route {
  const holds = placement(relays.urls, copies, (index) => ({ context, part, index }));
  return { relays, signal, stealAfterMs, holds };
}

const MAX_PASSES = 6;

/** Chunks that no relay gave. Only relays that answered every time have said that they do not have them. */
export class MissingChunks extends NmktError {
  constructor(
    message: string,
    detail: ConstructorParameters<typeof NmktError>[2],
    /** Relays. */
    readonly answered: number,
    readonly silent: number,
  ) {
    super('relay-unreachable', message, detail);
  }
}

/**
 * Fetches, checks and opens a blob. Key and sizes are checked before anything is allocated or fetched; every chunk by
 * id, leaf, Merkle root and AEAD; the result by its hash.
 *
 * @throws NmktError `wrong-key`, `too-large`, `bad-blob`, `hash-mismatch`, `interrupted`; MissingChunks
 *         (`relay-unreachable`)
 */
export async function downloadBlob(relays: Relays, pointer: BlobPointer, options: DownloadOptions): Promise<Bytes> {
  const begun = await beginDownload(relays, pointer, options);
  if (begun instanceof Uint8Array) return begun;
  const { route, records, keys, place } = begun;
  let done = 0;
  const packed = await fetchChunks(route, records, place, keys, () => options.onProgress?.(++done, pointer.chunks));
  return openPacked(packed, pointer, options.maxBytes);
}

interface Begun {
  readonly route: Route;
  readonly records: readonly IndexRecord[];
  /** Of the data chunks. */
  readonly keys: SealKeys;
  readonly place: (index: number) => ChunkPlace;
}

/** What comes before the data chunks. @returns the whole content when it came inside the event @throws as downloadBlob */
export async function beginDownload(
  relays: Relays,
  pointer: BlobPointer,
  options: DownloadOptions,
): Promise<Begun | Bytes> {
  const { key, context, part, maxBytes, signal } = options;
  const keys = admit(pointer, key, maxBytes);
  requireRunning(signal);
  if (pointer.chunks === 0) return openInline(pointer, requireInline(options.inline), key, context, part, maxBytes);
  const route = routeOf(relays, options);
  return {
    route,
    records: await fetchRecords(route, pointer, keys.index, options),
    keys: keys.data,
    place: (index) => ({ context, part, index, count: pointer.chunks, purpose: 'data' }),
  };
}

function requireInline(inline: string | undefined): string {
  if (inline !== undefined) return inline;
  throw new NmktError('bad-blob', 'a blob without chunks came without its sealed bytes', {
    remedy: 'ask the sender to publish the announcing event again',
    expected: 'sealed bytes inside the event',
    got: 'none',
  });
}

/** Event id and leaf of every data chunk, in order; their root is the pointer's. */
export async function fetchRecords(
  route: Route,
  pointer: BlobPointer,
  keys: SealKeys,
  { context, part }: Pick<DownloadOptions, 'context' | 'part'>,
): Promise<readonly IndexRecord[]> {
  if (pointer.chunks === 1) return [new IndexRecord(fromHex(pointer.ids[0]! + pointer.root), 0)];
  const count = pointer.ids.length;
  const wanted = pointer.ids.map((id) => ({ id }));
  const { holds } = route;
  const index = await fetchChunks(
    { ...route, holds: holds && ((relay, at) => holds(relay, pointer.chunks + at)) },
    wanted,
    (at) => ({ context, part, index: at, count, purpose: 'index' }),
    keys,
    () => undefined,
  );
  return decodeIndex(index, pointer);
}

export interface Wanted {
  readonly id: EventId;
  readonly leaf?: Bytes;
}

/** @returns the opened chunks, concatenated in the order of `wanted` */
async function fetchChunks(
  route: Route,
  wanted: readonly Wanted[],
  placeOf: (index: number) => ChunkPlace,
  keys: SealKeys,
  onOpened: () => void,
): Promise<Bytes> {
  const out = new Uint8Array(wanted.length * CHUNK_BYTES);
  await fetchWanted(route, wanted, [...wanted.keys()], placeOf(0).purpose, {
    check: (event, index) => plainOf(event, wanted[index]!.leaf, keys, placeOf(index)),
    keep(plain, index) {
      out.set(plain, index * CHUNK_BYTES);
      onOpened();
    },
  });
  return out;
}

interface Taking {
  /** @throws Error when it is not what was asked for: another relay may have the right one */
  readonly check: (event: NostrEvent, index: number) => Bytes;
  /** Once for each index. What it throws ends the download. */
  readonly keep: (bytes: Bytes, index: number) => void | Promise<void>;
}

/** @param indices  into `wanted`, of those to fetch @throws NmktError what `check` throws; MissingChunks */
export async function fetchWanted(
  { relays, signal, stealAfterMs, holds }: Route,
  wanted: readonly Wanted[],
  indices: readonly number[],
  purpose: ChunkPlace['purpose'],
  { check, keep }: Taking,
): Promise<void> {
  const taken = new Uint8Array(wanted.length);
  const keeping = new Map<number, Promise<boolean>>();
  let flaw: Error | undefined;
  const take = (event: NostrEvent, index: number): boolean | Promise<boolean> => {
    if (taken[index] === 1) return keeping.get(index) ?? true;
    let bytes: Bytes;
    try {
      bytes = check(event, index);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      flaw ??= error;
      return false;
    }
    taken[index] = 1;
    const kept = keep(bytes, index);
    if (kept === undefined) return true;
    const done = kept.then(() => keeping.delete(index));
    keeping.set(index, done);
    return done;
  };
  const ids = { length: wanted.length, at: (index: number) => wanted[index]?.id };
  const lanes = { take, signal, holds, ...(stealAfterMs === undefined ? {} : { stealAfterMs }) };
  let missing = indices;
  const answered = new Set<string>();
  let silent: ReadonlySet<string> = new Set();
  // What was lost on the way, with a connection or without, is asked for again while that brings something.
  for (
    let before = Infinity, passes = 0;
    missing.length > 0 && missing.length < before && passes < MAX_PASSES;
    passes++
  ) {
    before = missing.length;
    const pass = await fetchFromAll(relays, ids, missing, lanes);
    ({ missing, silent } = pass);
    for (const relay of pass.answered) answered.add(relay);
  }
  if (missing.length === 0) return;
  if (flaw !== undefined) throw flaw;
  const unheard = relays.urls.filter((url) => silent.has(url) || !answered.has(url));
  throw notFound(relays.urls, unheard, missing, ids.length, purpose);
}

/** @param leaf  what the index promises; an index chunk has none, the root covers what it lists */
export function plainOf(event: NostrEvent, leaf: Bytes | undefined, keys: SealKeys, place: ChunkPlace): Bytes {
  return openChunk(sealedOf(event, leaf, place), keys, place);
}

/** The sealed bytes of a chunk event, which are what the index promises. @throws NmktError `bad-blob`, `hash-mismatch` */
export function sealedOf(event: NostrEvent, leaf: Bytes | undefined, { index, count }: ChunkPlace): Bytes {
  if (event.kind !== KINDS.chunk) {
    throw new NmktError('bad-blob', `event ${event.id} is no chunk`, {
      remedy: 'ask the sender to publish the blob again with a correct nmkt',
      expected: `kind ${KINDS.chunk}`,
      got: `kind ${event.kind}`,
    });
  }
  const known = binaryContent(event);
  const sealed = known?.length === SEALED_BYTES ? known : fromBase64(event.content, SEALED_BYTES);
  if (leaf !== undefined) requireHash(`leaf of chunk ${index + 1} of ${count}`, hex(leaf), hex(leafHash(sealed)));
  return sealed;
}

function notFound(
  urls: readonly string[],
  silent: readonly string[],
  missing: readonly number[],
  total: number,
  purpose: string,
): MissingChunks {
  const answered = urls.filter((url) => !silent.includes(url));
  const message = `${missing.length} of ${total} ${purpose} chunks were found on no relay`;
  const detail = {
    remedy:
      silent.length > 0
        ? 'try again later, or name another relay that holds them with --relay'
        : 'every relay answered: they have expired or were deleted; ask the sender to publish them again',
    expected: `${total} chunks`,
    got:
      `${total - missing.length} chunks; missing: ${spellRanges(rangesOf(missing))}; ` +
      `answered: ${answered.join(', ') || 'none'}; silent: ${silent.join(', ') || 'none'}`,
  };
  return new MissingChunks(message, detail, answered.length, silent.length);
}
