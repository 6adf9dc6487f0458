import { datasetContext } from '../blob/keys.js';
import { holdersOf } from '../blob/placement.js';
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
  /** Chunks it was asked for: of those asked, what it should hold. */
  readonly asked: number;
  /** Of all chunks, by the relay's own word (NIP-77); null where it does not say. */
  readonly present: number | null;
  /** Null: it does not answer, which says nothing about what it holds. */
  readonly found: number | null;
  /** Chunks that it lacks, or gives in another form. */
  readonly missing: readonly string[];
  /** Of the four signed descriptions; null as `found`. */
  readonly manifests: number | null;
}

export interface DatasetCheck {
  readonly chunks: number;
  /** Asked of each relay that should hold them. */
  readonly checked: number;
  readonly relays: readonly RelayCheck[];
  /** Chunks that no relay gave; while one was silent it may have them. */
  readonly lost: readonly string[];
}

export interface CheckPorts {
  /** Not those that uploaded: of nobody, over new connections. */
  readonly relays: Relays;
  /** Which of these events the relay says to have, without sending them; null where it does not say. */
  readonly storedIds: (relay: string, ids: readonly string[]) => Promise<ReadonlySet<string> | null>;
  readonly random: RandomBytes;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Chunks that some relay says to lack, which all are asked for: more are as telling. */
const MAX_LACKED = 200;

/**
 * Asks every relay for a sample, or for all chunks: id, leaf and AEAD are checked, as a trainer would. Besides the sample, a
 * relay that can is asked which of all it has, and what one says to lack is asked of the others.
 *
 * @throws NmktError `relay-unreachable` (MissingChunks) when no relay gives the index of a shard
 */
export async function checkDataset(record: DatasetRecord, isDeep: boolean, ports: CheckPorts): Promise<DatasetCheck> {
  const { relays, progress } = ports;
  progress.update('reading the list of chunks');
  const chunks: ListedChunk[] = [];
  /** Where each should be; nothing is noted where every relay holds all. */
  const homes = new Map<ListedChunk, readonly string[]>();
  for (const [part, epoch] of Object.entries({ train: record.train, a: record.a, b: record.b }))
    chunks.push(...(await chunksOf(part, epoch, ports, homes)));
  const isHome = (relay: string, chunk: ListedChunk): boolean => homes.get(chunk)?.includes(relay) ?? true;
  const sample = new Set(drawSample(chunks.length, ports.random));
  const isAll = isDeep || sample.size === chunks.length;
  const present = new Map(isAll ? [] : await presentAt(chunks, ports));
  const said = [...present.values()];
  const lacks = (chunk: ListedChunk): boolean =>
    [...present].some(([relay, ids]) => ids?.has(chunk.id) === false && isHome(relay, chunk));
  const lacked = new Set(chunks.filter(lacks).slice(0, MAX_LACKED));
  const asked = isAll ? chunks : chunks.filter((chunk, index) => sample.has(index) || lacked.has(chunk));
  const isAsked = new Set(asked);
  const manifests = [record.train.event, record.a.event, record.b.event, record.listing];
  const found = new Set<string>();
  const checks: RelayCheck[] = [];
  for (const relay of relays.urls) {
    progress.update(`asking ${relay} for ${asked.length} of ${chunks.length} chunks`);
    const here = present.get(relay) ?? null;
    const own = asked.filter((chunk) => isHome(relay, chunk));
    const check = await checkRelay(relay, own, manifests, found, ports);
    const isSaidMissing = (chunk: ListedChunk): boolean =>
      !isAsked.has(chunk) && here?.has(chunk.id) === false && isHome(relay, chunk);
    const unasked = check.found === null ? [] : chunks.filter(isSaidMissing).map(({ name }) => name);
    checks.push({ ...check, present: here?.size ?? null, missing: [...check.missing, ...unasked] });
  }
  await askElsewhere(
    asked.filter(({ id }) => homes.size > 0 && !found.has(id)),
    found,
    ports,
  );
  const isNowhere = (chunk: ListedChunk): boolean =>
    isAsked.has(chunk) ? !found.has(chunk.id) : said.length > 0 && said.every((ids) => ids?.has(chunk.id) === false);
  const lost = chunks.filter(isNowhere).map(({ name }) => name);
  return { chunks: chunks.length, checked: asked.length, relays: checks, lost };
}

async function presentAt(
  chunks: readonly ListedChunk[],
  { relays, storedIds, progress }: CheckPorts,
): Promise<readonly (readonly [string, ReadonlySet<string> | null])[]> {
  progress.update(`asking ${relays.urls.length} relays which of ${chunks.length} chunks they have`);
  const ids = chunks.map(({ id }) => id);
  return Promise.all(relays.urls.map(async (relay) => [relay, await storedIds(relay, ids)] as const));
}

/** What none of its holders gave may lie with another relay, where it went because they took nothing. */
async function askElsewhere(
  chunks: readonly ListedChunk[],
  foundSomewhere: Set<string>,
  { relays, signal }: CheckPorts,
): Promise<void> {
  const ids = chunks.map(({ id }) => id);
  const take = takeRight(chunks, foundSomewhere);
  if (ids.length > 0) await fetchFromAll(relays, ids, [...ids.keys()], { take, signal });
}

async function chunksOf(
  part: string,
  epoch: OwnedEpoch,
  { relays, signal }: CheckPorts,
  homes: Map<ListedChunk, readonly string[]>,
): Promise<ListedChunk[]> {
  const { manifest } = parseSnapshot(epoch.event);
  const { shards, copies } = ownLocator(manifest, epoch.secrets);
  const chunks: ListedChunk[] = [];
  for (const [shard, pointer] of shards.entries()) {
    const key = ownShardKey(manifest, epoch.secrets, shard);
    const blob = part === 'train' ? `shard ${shard}` : `evaluation set ${part.toUpperCase()}`;
    const context = datasetContext(manifest.salt);
    const listed = await listChunks(relays, pointer, {
      key,
      context,
      part: shard,
      signal,
      copies,
      prefix: `${blob}, `,
    });
    const indices = listed.length - pointer.chunks;
    for (const [at, chunk] of listed.entries()) {
      chunks.push(chunk);
      if (copies === undefined || copies >= relays.urls.length) continue;
      // The index is listed first, and placed last.
      const index = at < indices ? pointer.chunks + at : at - indices;
      homes.set(chunk, holdersOf(relays.urls, { context, part: shard, index }, copies));
    }
  }
  return chunks;
}

async function checkRelay(
  relay: string,
  asked: readonly ListedChunk[],
  manifests: readonly NostrEvent[],
  foundSomewhere: Set<string>,
  { relays, signal }: CheckPorts,
): Promise<Omit<RelayCheck, 'present'>> {
  const one = someRelays(relays, [relay]);
  const ids = asked.map(({ id }) => id);
  const take = takeRight(asked, foundSomewhere);
  const { missing, silent } = await fetchFromAll(one, ids, [...ids.keys()], { take, signal });
  const described = await one.fetch([{ ids: manifests.map(({ id }) => id) }]);
  if (silent.has(relay) || !described.answered.includes(relay))
    return { relay, asked: asked.length, found: null, missing: [], manifests: null };
  return {
    relay,
    asked: asked.length,
    found: asked.length - missing.length,
    missing: missing.map((index) => asked[index]!.name),
    manifests: described.events.length,
  };
}

function takeRight(
  asked: readonly ListedChunk[],
  foundSomewhere: Set<string>,
): (event: NostrEvent, index: number) => boolean {
  return (event, index) => {
    try {
      asked[index]!.requireRight(event);
    } catch (error) {
      if (!isNmktError(error)) throw error;
      return false;
    }
    foundSomewhere.add(asked[index]!.id);
    return true;
  };
}
