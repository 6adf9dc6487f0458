import { NmktError } from '../errors.js';
import { hex, type Bytes, type EventId } from '../hash.js';
import type { NostrEvent, Relays } from '../ports.js';
import { KINDS } from '../protocol/kinds.js';
import { decodeIndex, openInline, openPacked, requireHash, type IndexRecord } from './blob.js';
import { CHUNK_BYTES, SEALED_BYTES, fromBase64, openChunk, type ChunkPlace } from './chunk.js';
import { orInterrupted, requireRunning } from './interrupt.js';
import type { SealKeys } from './keys.js';
import { leafHash } from './merkle.js';
import { admit, type BlobPointer } from './pointer.js';

/** 64 ids are 4 MB of events; two requests in flight stay under the 32 MiB at which strfry drops a slow reader. */
const BATCH = 64;
const IN_FLIGHT = 2;
/** A relay that was silent this often is not asked again: each silence costs a full timeout. */
const MAX_SILENCES = 2;

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
}

interface Route {
  readonly relays: Relays;
  readonly silences: Map<string, number>;
  readonly answered: Set<string>;
  readonly signal: AbortSignal | undefined;
}

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
  const { key, context, part, maxBytes, onProgress, signal } = options;
  const keys = admit(pointer, key, maxBytes);
  requireRunning(signal);
  if (pointer.chunks === 0) return openInline(pointer, requireInline(options.inline), key, context, part, maxBytes);

  const route: Route = { relays, silences: new Map(), answered: new Set(), signal };
  const records = await fetchRecords(route, pointer, keys.index, options);
  let done = 0;
  const packed = await fetchChunks(
    route,
    records,
    (index) => ({ context, part, index, count: pointer.chunks, purpose: 'data' }),
    keys.data,
    () => onProgress?.(++done, pointer.chunks),
  );
  return openPacked(packed, pointer, maxBytes);
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
async function fetchRecords(
  route: Route,
  pointer: BlobPointer,
  keys: SealKeys,
  { context, part }: DownloadOptions,
): Promise<readonly IndexRecord[]> {
  if (pointer.chunks === 1) return [{ id: pointer.ids[0]!, leaf: Buffer.from(pointer.root, 'hex') }];
  const count = pointer.ids.length;
  const wanted = pointer.ids.map((id) => ({ id }));
  const index = await fetchChunks(
    route,
    wanted,
    (at) => ({ context, part, index: at, count, purpose: 'index' }),
    keys,
    () => undefined,
  );
  return decodeIndex(index, pointer);
}

interface Wanted {
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
  const take = (event: NostrEvent, index: number) => {
    out.set(openEvent(event, wanted[index]!.leaf, keys, placeOf(index)), index * CHUNK_BYTES);
    onOpened();
  };
  const ids = wanted.map(({ id }) => id);
  let missing = await fetchWindowed(route, ids, [...ids.keys()], take);
  if (missing.length > 0 && missing.length < ids.length && route.silences.size > 0) {
    route.silences.clear(); // a connection was lost on the way: one more chance
    missing = await fetchWindowed(route, ids, missing, take);
  }
  if (missing.length > 0) throw notFound(route, missing.length, ids.length, placeOf(0).purpose);
  return out;
}

/** @returns those of `indices` whose event no relay gave */
async function fetchWindowed(
  route: Route,
  ids: readonly EventId[],
  indices: readonly number[],
  take: (event: NostrEvent, index: number) => void,
): Promise<readonly number[]> {
  const missing: number[] = [];
  let next = 0;
  let isFailed = false;
  const takeBatches = async (): Promise<void> => {
    while (next < indices.length && !isFailed) {
      const turn = next / BATCH;
      const batch = indices.slice(next, next + BATCH);
      next += BATCH;
      const found = await fetchBatch(
        route,
        batch.map((index) => ids[index]!),
        turn,
      );
      for (const index of batch) {
        const event = found.get(ids[index]!);
        if (event === undefined) missing.push(index);
        else take(event, index);
      }
    }
  };
  const stop = (error: unknown) => {
    isFailed = true;
    throw error;
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, () => takeBatches().catch(stop)));
  return missing;
}

/** Asks one relay, then the next for what is still missing; batches start at different relays to share the load. */
async function fetchBatch(
  { relays, silences, answered, signal }: Route,
  ids: readonly EventId[],
  turn: number,
): Promise<ReadonlyMap<string, NostrEvent>> {
  const found = new Map<string, NostrEvent>();
  const missing = new Set<string>(ids);
  const start = turn % Math.max(1, relays.urls.length);
  const rotated = [...relays.urls.slice(start), ...relays.urls.slice(0, start)];
  rotated.sort((a, b) => (silences.get(a) ?? 0) - (silences.get(b) ?? 0)); // stable: relays that answer come first
  for (const relay of rotated) {
    if (missing.size === 0) break;
    if ((silences.get(relay) ?? 0) >= MAX_SILENCES) continue;
    const filter = { ids: [...missing], limit: missing.size };
    const request = relays.fetch([filter], { trustIds: true, relays: [relay] });
    const result = await orInterrupted(request, signal);
    for (const event of result.events) if (missing.delete(event.id)) found.set(event.id, event);
    if (result.answered.includes(relay)) answered.add(relay);
    else silences.set(relay, (silences.get(relay) ?? 0) + 1);
  }
  return found;
}

/** @param leaf  what the index promises; an index chunk has none, the root covers what it lists */
function openEvent(event: NostrEvent, leaf: Bytes | undefined, keys: SealKeys, place: ChunkPlace): Bytes {
  if (event.kind !== KINDS.chunk) {
    throw new NmktError('bad-blob', `event ${event.id} is no chunk`, {
      remedy: 'ask the sender to publish the blob again with a correct nmkt',
      expected: `kind ${KINDS.chunk}`,
      got: `kind ${event.kind}`,
    });
  }
  const sealed = fromBase64(event.content, SEALED_BYTES);
  if (leaf !== undefined) {
    requireHash(`leaf of chunk ${place.index + 1} of ${place.count}`, hex(leaf), hex(leafHash(sealed)));
  }
  return openChunk(sealed, keys, place);
}

function notFound(
  { relays, answered, silences }: Route,
  missing: number,
  total: number,
  purpose: string,
): MissingChunks {
  const silent = relays.urls.filter((url) => !answered.has(url) || silences.has(url));
  const message = `${missing} of ${total} ${purpose} chunks were found on no relay`;
  const detail = {
    remedy:
      silent.length > 0
        ? 'try again later, or name another relay that holds them with --relay'
        : 'every relay answered: they have expired or were deleted; ask the sender to publish them again',
    expected: `${total} chunks`,
    got: `${total - missing} chunks; answered: ${[...answered].join(', ') || 'none'}; silent: ${silent.join(', ') || 'none'}`,
  };
  return new MissingChunks(message, detail, relays.urls.length - silent.length, silent.length);
}
