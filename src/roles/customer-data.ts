import type { Bytes } from '../hash.js';
import { sampleIndices } from '../learning/scoring.js';
import { subset } from '../learning/examples.js';
import type { Examples } from '../learning/types.js';
import { parseSnapshot, type Snapshot } from '../protocol/dataset.js';
import type { Relays } from '../ports.js';
import type { JobSecrets, OwnedEpoch } from './customer-env.js';
import { locatedIn, openShard, ownLocator, ownShardKey } from './epoch.js';

/** The customer's own data, fetched from its chunks when first needed and kept in memory. */
export interface CustomerData {
  readonly train: Snapshot;
  shard(shard: number): Promise<Examples>;
  evaluationA(): Promise<Examples>;
  evaluationB(): Promise<Examples>;
}

export function customerData(
  relays: Relays,
  secrets: Pick<JobSecrets, 'train' | 'a' | 'b'>,
  signal: AbortSignal,
): CustomerData {
  return openedOnce(parseSnapshot(secrets.train.event), (part, shard) => {
    const epoch: OwnedEpoch = secrets[part];
    const { manifest } = parseSnapshot(epoch.event);
    const locator = ownLocator(manifest, epoch.secrets);
    return openShard(relays, manifest, locatedIn(locator, shard), shard, ownShardKey(manifest, epoch.secrets, shard), {
      signal,
    });
  });
}

/** @param open  asked once for each shard, unless it failed; the evaluation sets have one shard */
export function openedOnce(
  train: Snapshot,
  open: (part: 'train' | 'a' | 'b', shard: number) => Promise<Examples>,
): CustomerData {
  const opened = new Map<string, Promise<Examples>>();
  const once = (part: 'train' | 'a' | 'b', shard: number): Promise<Examples> => {
    const id = `${part}/${shard}`;
    const found = opened.get(id);
    if (found !== undefined) return found;
    const promise = open(part, shard);
    opened.set(id, promise);
    promise.catch(() => opened.delete(id));
    return promise;
  };
  return {
    train,
    shard: (shard) => once('train', shard),
    evaluationA: () => once('a', 0),
    evaluationB: () => once('b', 0),
  };
}

export interface ScoringSamples {
  /** From the assigned shard. */
  readonly own: Examples;
  /** From all other shards; set A when there is one shard only. */
  readonly other: Examples;
}

/** min(n, 2000) examples each, drawn from the customer's secret: no trainer knows them before its reveal. */
export async function scoringSamples(
  data: CustomerData,
  secret: Bytes,
  round: number,
  shard: number,
): Promise<ScoringSamples> {
  const own = await data.shard(shard);
  const others = data.train.manifest.shards.map((_, index) => index).filter((index) => index !== shard);
  const pool =
    others.length === 0 ? [await data.evaluationA()] : await Promise.all(others.map((index) => data.shard(index)));
  const rows = pool.reduce((sum, part) => sum + part.rows, 0);
  return {
    own: subset(own, sampleIndices(own.rows, secret, round, shard)),
    other: subset(concatExamples(pool), sampleIndices(rows, secret, round, 'other')),
  };
}

/** Examples of one schema, one after another. */
export function concatExamples(parts: readonly Examples[]): Examples {
  const first = parts[0]!;
  if (parts.length === 1) return first;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const features =
    first.features instanceof Uint8Array ? new Uint8Array(rows * first.inputs) : new Float32Array(rows * first.inputs);
  const labels = first.labels instanceof Int32Array ? new Int32Array(rows) : new Float32Array(rows);
  let at = 0;
  for (const part of parts) {
    features.set(part.features, at * first.inputs);
    labels.set(part.labels, at);
    at += part.rows;
  }
  return { rows, inputs: first.inputs, features, scale: first.scale, labels };
}
