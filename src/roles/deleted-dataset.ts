import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { NostrEvent } from '../ports.js';
import type { HomeFiles } from './home-files.js';

/**
 * A dataset that its owner deletes, or deleted: what to tell relays, signed while the keys were there, and what to ask them
 * afterwards. One JSON file in the home, written before the first key goes; it opens nothing.
 */
export interface DeletedDataset {
  readonly v: 1;
  readonly name: string;
  readonly request: Sha256;
  readonly author: Pubkey;
  /** Of the train set: what jobs pin. */
  readonly snapshot: EventId;
  readonly d: string;
  readonly chunks: number;
  /** Of the three parts. */
  readonly snapshots: readonly EventId[];
  /** Signed descriptions that are to go: the listing, and the snapshots unless jobs pin them. */
  readonly manifests: readonly EventId[];
  /** Chunks that every relay is asked for. */
  readonly sample: readonly EventId[];
  /** Of each upload key: its deletions, then its request to vanish. Then those of the owner. In this order. */
  readonly requests: readonly NostrEvent[];
  /** Jobs of this home that hold the keys too. */
  readonly jobs: readonly EventId[];
  readonly relays: readonly DeletionAtRelay[];
}

export interface DeletionAtRelay {
  readonly relay: string;
  /** Of the sample, before anything was sent; null: no answer. */
  readonly before: number | null;
  /** It answered everything and gives nothing any more. */
  readonly isSettled: boolean;
}

const FOLDER = 'deleted';
const fileOf = (snapshot: EventId) => `${FOLDER}/${snapshot}.json`;

export async function keepDeleted(files: HomeFiles, deleted: DeletedDataset): Promise<void> {
  await files.write(fileOf(deleted.snapshot), JSON.stringify(deleted));
}

/** The one that an id (of a snapshot or of the listing) or the address names. */
export async function findDeleted(
  files: HomeFiles,
  wanted: { readonly id: EventId } | { readonly d: string },
): Promise<DeletedDataset | undefined> {
  for (const name of await files.list(FOLDER)) {
    if (!name.endsWith('.json')) continue;
    const deleted = await files.readJson<DeletedDataset>(`${FOLDER}/${name}`);
    if (deleted === undefined) continue;
    if ('id' in wanted ? [...deleted.snapshots, ...deleted.manifests].includes(wanted.id) : deleted.d === wanted.d)
      return deleted;
  }
  return undefined;
}
