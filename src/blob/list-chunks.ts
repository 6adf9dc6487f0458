import type { EventId } from '../hash.js';
import type { NostrEvent, Relays } from '../ports.js';
import type { ChunkPlace } from './chunk.js';
import { fetchRecords, plainOf, routeOf, type DownloadOptions, type Wanted } from './download.js';
import type { SealKeys } from './keys.js';
import { admit, type BlobPointer } from './pointer.js';

/** One chunk of a blob, as a checker sees it. */
export interface ListedChunk {
  readonly id: EventId;
  /** As in `data 3 of 24`. */
  readonly name: string;
  /** @throws NmktError `bad-blob`, `hash-mismatch` when the event is not this chunk */
  requireRight(event: NostrEvent): void;
}

/** All chunks of a blob, index first; the index itself is fetched. @throws what downloadBlob throws */
export async function listChunks(
  relays: Relays,
  pointer: BlobPointer,
  options: Pick<DownloadOptions, 'key' | 'context' | 'part' | 'signal' | 'copies'> & {
    /** Of their names. */
    readonly prefix?: string;
  },
): Promise<readonly ListedChunk[]> {
  const { key, context, part, prefix = '' } = options;
  const keys = admit(pointer, key, pointer.size);
  if (pointer.chunks === 0) return [];
  const route = routeOf(relays, options);
  const records = await fetchRecords(route, pointer, keys.index, options);
  const indexIds = pointer.chunks === 1 ? [] : pointer.ids;
  const rows = (purpose: 'data' | 'index', wanted: readonly Wanted[]): ListedChunk[] => {
    const list: List = { prefix, purpose, keys: keys[purpose], context, part, count: wanted.length };
    return wanted.map((one, at) => new Listed(list, one, at));
  };
  return [
    ...rows(
      'index',
      indexIds.map((id) => ({ id })),
    ),
    ...rows('data', records),
  ];
}

interface List extends Omit<ChunkPlace, 'index'> {
  readonly keys: SealKeys;
  readonly prefix: string;
}

class Listed implements ListedChunk {
  readonly #list: List;
  readonly #wanted: Wanted;
  readonly #at: number;

  constructor(list: List, wanted: Wanted, at: number) {
    this.#list = list;
    this.#wanted = wanted;
    this.#at = at;
  }

  get id(): EventId {
    return this.#wanted.id;
  }

  get name(): string {
    const { prefix, purpose, count } = this.#list;
    return `${prefix}${purpose} ${this.#at + 1} of ${count}`;
  }

  requireRight(event: NostrEvent): void {
    const { keys, context, part, purpose, count } = this.#list;
    plainOf(event, this.#wanted.leaf, keys, { context, part, purpose, count, index: this.#at });
  }
}
