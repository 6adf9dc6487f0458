import { datasetContext } from '../blob/keys.js';
import { fetchFromAll, listChunks, someRelays, type ListedChunk } from '../blob/transfer.js';
import { isNmktError } from '../errors.js';
import type { NostrEvent, Progress, RandomBytes, Relays } from '../ports.js';
import { parseSnapshot } from '../protocol/dataset.js';
import { drawSample } from './chunk-sample.js';
import type { OwnedEpoch } from './customer-env.js';
import { ownLocator, ownShardKey } from './epoch.js';
import type { DatasetRecord } from './publish.js';

/** What each relay still has of a dataset, looked at from outside. */

export interface RelayCheck {
  readonly relay: string;
  /** Null: it does not answer, which says nothing about what it holds. */
  readonly found: number | null;
  /** Chunks that it lacks, or gives in another form. */
  readonly missing: readonly string[];
  /** Of the four signed descriptions; null as `found`. */
  readonly manifests: number | null;
}

export interface DatasetCheck {
  readonly chunks: number;
  /** Asked of each relay. */
  readonly checked: number;
  readonly relays: readonly RelayCheck[];
  /** Chunks that no relay gave; while one was silent it may have them. */
  readonly lost: readonly string[];
}

export interface CheckPorts {
  /** Not those that uploaded: of nobody, over new connections. */
  readonly relays: Relays;
  readonly random: RandomBytes;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Asks every relay for a sample, or for all chunks: id, leaf and AEAD are checked, as a trainer would.
 *
 * @throws NmktError `relay-unreachable` (MissingChunks) when no relay gives the index of a shard
 */
export async function checkDataset(record: DatasetRecord, isDeep: boolean, ports: CheckPorts): Promise<DatasetCheck> {
  const { relays, progress } = ports;
  progress.update('reading the list of chunks');
  const chunks: ListedChunk[] = [];
  for (const [part, epoch] of Object.entries({ train: record.train, a: record.a, b: record.b }))
    chunks.push(...(await chunksOf(part, epoch, ports)));
  const asked = isDeep ? chunks : drawSample(chunks.length, ports.random).map((index) => chunks[index]!);
  const manifests = [record.train.event, record.a.event, record.b.event, record.listing];
  const found = new Set<string>();
  const checks: RelayCheck[] = [];
  for (const relay of relays.urls) {
    progress.update(`asking ${relay} for ${asked.length} of ${chunks.length} chunks`);
    checks.push(await checkRelay(relay, asked, manifests, found, ports));
  }
  const lost = asked.filter(({ id }) => !found.has(id)).map(({ name }) => name);
  return { chunks: chunks.length, checked: asked.length, relays: checks, lost };
}

async function chunksOf(part: string, epoch: OwnedEpoch, { relays, signal }: CheckPorts): Promise<ListedChunk[]> {
  const { manifest } = parseSnapshot(epoch.event);
  const { shards } = ownLocator(manifest, epoch.secrets);
  const chunks: ListedChunk[] = [];
  for (const [shard, pointer] of shards.entries()) {
    const key = ownShardKey(manifest, epoch.secrets, shard);
    const blob = part === 'train' ? `shard ${shard}` : `evaluation set ${part.toUpperCase()}`;
    const context = datasetContext(manifest.salt);
    const listed = await listChunks(relays, pointer, { key, context, part: shard, signal, prefix: `${blob}, ` });
    for (const chunk of listed) chunks.push(chunk);
  }
  return chunks;
}

async function checkRelay(
  relay: string,
  asked: readonly ListedChunk[],
  manifests: readonly NostrEvent[],
  foundSomewhere: Set<string>,
  { relays, signal }: CheckPorts,
): Promise<RelayCheck> {
  const one = someRelays(relays, [relay]);
  const ids = asked.map(({ id }) => id);
  const take = (event: NostrEvent, index: number): boolean => {
    try {
      asked[index]!.requireRight(event);
    } catch (error) {
      if (!isNmktError(error)) throw error;
      return false;
    }
    foundSomewhere.add(ids[index]!);
    return true;
  };
  const { missing, silent } = await fetchFromAll(one, ids, [...ids.keys()], { take, signal });
  const described = await one.fetch([{ ids: manifests.map(({ id }) => id) }]);
  if (silent.has(relay) || !described.answered.includes(relay))
    return { relay, found: null, missing: [], manifests: null };
  return {
    relay,
    found: asked.length - missing.length,
    missing: missing.map((index) => asked[index]!.name),
    manifests: described.events.length,
  };
}
