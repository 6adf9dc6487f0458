import { datasetContext, epochPrk, shardKey, uploadSecret } from '../blob/keys.js';
import { sealBlob } from '../blob/blob.js';
import { downloadBlob } from '../blob/transfer.js';
import { fromHex, hex, sha256Hex, type Bytes, type Sha256 } from '../hash.js';
import { decodeExamples, encodeExamples, maxShardBytes } from '../learning/examples.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { publicKey } from '../schnorr.js';
import type { DatasetManifest } from '../protocol/dataset.js';
import { encodeLocator, locatorHash, openLocator, type Locator } from '../protocol/locator.js';
import type { NostrEvent, RandomBytes, Relays } from '../ports.js';

/** What the owner of a dataset epoch keeps secret; JSON, in the home only. */
export interface EpochSecrets {
  /** K_ds, 32 bytes hex. */
  readonly key: string;
  /** Blinds the locator's hash. */
  readonly blind: string;
  /** The locator's JSON as hashed. */
  readonly locator: string;
  /** Salts the commitment to the canonical bytes (evaluation sets). */
  readonly salt: string;
}
export interface SealedEpoch {
  readonly manifest: DatasetManifest;
  readonly secrets: EpochSecrets;
  readonly chunks: readonly NostrEvent[];
  /** SHA-256 of the canonical bytes of each shard. */
  readonly shardHashes: readonly Sha256[];
}

/** Fresh keys, one epoch: seals every shard into chunks and describes them. Nothing is published. */
export function sealEpoch(of: {
  readonly name: string;
  readonly part: DatasetManifest['part'];
  readonly schema: DataSchema;
  readonly shards: readonly Examples[];
  readonly random: RandomBytes;
  readonly nowSec: number;
  readonly expirationSec: number;
}): SealedEpoch {
  const [key, salt, blind, commitSalt] = [of.random(32), of.random(32), of.random(32), of.random(32)];
  const prk = epochPrk(salt, key);
  const upload = uploadSecret(prk);
  const context = datasetContext(salt);
  const sealed = of.shards.map((examples, part) =>
    sealBlob(encodeExamples(examples, of.schema), {
      key: shardKey(prk, part),
      uploadSecret: upload,
      context,
      part,
      // Shards take turns of a day in the past, so that no two chunks share a second.
      baseTimeSec: of.nowSec - 86_400 - part * 3_600,
      expirationSec: of.expirationSec,
      inline: 'never',
    }),
  );
  const locator = encodeLocator({
    upload: publicKey(upload),
    shards: sealed.map((shard) => ({ ...shard.pointer, ids: [...shard.pointer.ids] })),
  });
  return {
    manifest: {
      name: of.name,
      part: of.part,
      schema: of.schema,
      salt,
      listing: 'private',
      shards: sealed.map(({ pointer }, index) => ({
        examples: of.shards[index]!.rows,
        size: pointer.size,
        chunks: pointer.chunks,
        commit: pointer.commit,
      })),
      locator: locatorHash(locator, blind),
    },
    secrets: { key: hex(key), blind: hex(blind), locator, salt: hex(commitSalt) },
    chunks: sealed.flatMap((shard) => shard.events),
    shardHashes: sealed.map((shard) => shard.pointer.sha256),
  };
}

/** Salted, so that nobody can confirm a guess of the data. */
export function dataCommitment(salt: Bytes, dataHash: Sha256): Sha256 {
  return sha256Hex('nmkt/1/data', salt, fromHex(dataHash));
}

/** The owner's key to one shard. */
export function ownShardKey(manifest: DatasetManifest, secrets: EpochSecrets, shard: number): Bytes {
  return shardKey(epochPrk(manifest.salt, fromHex(secrets.key)), shard);
}

export function ownLocator(manifest: DatasetManifest, secrets: EpochSecrets): Locator {
  return openLocator(secrets.locator, fromHex(secrets.blind), manifest.locator);
}

/** Fetches, checks and decodes one shard; what was declared bounds what is allocated. */
export async function openShard(
  relays: Relays,
  manifest: DatasetManifest,
  locator: Locator,
  shard: number,
  key: Bytes,
  options: { readonly signal?: AbortSignal; readonly onProgress?: (done: number, total: number) => void } = {},
): Promise<Examples> {
  const declared = manifest.shards[shard]!;
  const maxBytes = Math.min(declared.size, maxShardBytes(manifest.schema, declared.examples));
  const bytes = await downloadBlob(relays, locator.shards[shard]!, {
    key,
    context: datasetContext(manifest.salt),
    part: shard,
    maxBytes,
    ...options,
  });
  const examples = decodeExamples(bytes, manifest.schema, { maxBytes });
  return examples;
}
