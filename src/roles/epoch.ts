import { datasetContext, epochPrk, shardKey, uploadSecret } from '../blob/keys.js';
import type { BlobPointer } from '../blob/blob.js';
import { lazyBlob } from '../blob/lazy-blob.js';
import { joinSources, type ChunkSource } from '../blob/source.js';
import { downloadBlob, downloadByFile, type ChunkFile } from '../blob/transfer.js';
import { NmktError } from '../errors.js';
import { fromHex, hex, sha256Hex, type Bytes, type Sha256 } from '../hash.js';
import { decodeExamples, maxShardBytes } from '../learning/examples.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { publicKey } from '../schnorr.js';
import type { DatasetManifest } from '../protocol/dataset.js';
import { encodeLocator, locatorHash, openLocator, type Located, type Locator } from '../protocol/locator.js';
import type { RandomBytes, Relays } from '../ports.js';

/** What the owner of a dataset epoch keeps secret; JSON, in the home only. */
export interface EpochSecrets {
  /** K_ds, 32 bytes hex; '' once the dataset was deleted. */
  readonly key: string;
  /** Blinds the locator's hash. */
  readonly blind: string;
  /** The locator's JSON as hashed. */
  readonly locator: string;
  /** Salts the commitment to the canonical bytes (evaluation sets). */
  readonly salt: string;
}
/** An epoch before its first chunk is published: keys, and what was packed. JSON, in the home only. */
export interface EpochPlan {
  /** 32 bytes, hex; public. */
  readonly salt: string;
  readonly secrets: Omit<EpochSecrets, 'locator'>;
  readonly shards: readonly PackedShard[];
}
export interface PackedShard {
  readonly examples: number;
  /** Of the canonical bytes. */
  readonly size: number;
  readonly sha256: Sha256;
  /** Bytes after compression. */
  readonly packed: number;
}

/** Fresh keys, one epoch. */
export function planEpoch(random: RandomBytes, shards: readonly PackedShard[]): EpochPlan {
  const secret = (): string => hex(random(32));
  return { salt: secret(), secrets: { key: secret(), blind: secret(), salt: secret() }, shards };
}

export interface SealedEpoch {
  /** Chunks of all shards, sealed when they are asked for; the same plan gives the same events. */
  readonly source: ChunkSource;
  /** Seals what was not asked for yet, to describe it. */
  finish(): Promise<{ readonly manifest: DatasetManifest; readonly secrets: EpochSecrets }>;
}

/** @param read  bytes of the packed form of a shard */
export function sealedEpoch(
  plan: EpochPlan,
  of: {
    readonly name: string;
    readonly part: DatasetManifest['part'];
    readonly schema: DataSchema;
    readonly nowSec: number;
    readonly expirationSec: number;
    readonly copies?: number | undefined;
    readonly read: (shard: number, position: number, length: number) => Promise<Bytes>;
  },
): SealedEpoch {
  const salt = fromHex(plan.salt);
  const prk = epochPrk(salt, fromHex(plan.secrets.key));
  const upload = uploadSecret(prk);
  const blobs = plan.shards.map(({ sha256, size, packed }, part) =>
    lazyBlob(
      { sha256, size, packed, read: (position, length) => of.read(part, position, length) },
      {
        key: shardKey(prk, part),
        uploadSecret: upload,
        context: datasetContext(salt),
        part,
        // Shards take turns of an hour in the past, from a day ago on: few chunks share a second.
        baseTimeSec: of.nowSec - 86_400 - part * 3_600,
        expirationSec: of.expirationSec,
      },
    ),
  );
  return {
    source: joinSources(blobs.map(({ source }) => source)),
    async finish() {
      const pointers: BlobPointer[] = [];
      for (const blob of blobs) pointers.push(await blob.pointer());
      const locator = encodeLocator({
        upload: publicKey(upload),
        shards: pointers.map((pointer) => ({ ...pointer, ids: [...pointer.ids] })),
        ...(of.copies === undefined ? {} : { copies: of.copies }),
      });
      const manifest: DatasetManifest = {
        name: of.name,
        part: of.part,
        schema: of.schema,
        salt,
        listing: 'private',
        shards: pointers.map(({ size, chunks, commit }, shard) => ({
          examples: plan.shards[shard]!.examples,
          size,
          chunks,
          commit,
        })),
        locator: locatorHash(locator, fromHex(plan.secrets.blind)),
      };
      return { manifest, secrets: { ...plan.secrets, locator } };
    },
  };
}

/** Salted, so that nobody can confirm a guess of the data. */
export function dataCommitment(salt: Bytes, dataHash: Sha256): Sha256 {
  return sha256Hex('nmkt/1/data', salt, fromHex(dataHash));
}

/** The owner's key to one shard. @throws NmktError `dataset-deleted` */
export function ownShardKey(manifest: DatasetManifest, secrets: EpochSecrets, shard: number): Bytes {
  return shardKey(ownPrk(manifest, secrets), shard);
}

/** Signs the chunks of the epoch, and their deletion. @throws NmktError `dataset-deleted` */
export function ownUploadSecret(manifest: DatasetManifest, secrets: EpochSecrets): Bytes {
  return uploadSecret(ownPrk(manifest, secrets));
}

/** What is left where a dataset was deleted: describes it, opens and signs nothing. */
export function withoutKey(secrets: EpochSecrets): EpochSecrets {
  return { ...secrets, key: '' };
}

export function isWithoutKey({ key }: EpochSecrets): boolean {
  return key === '';
}

function ownPrk(manifest: DatasetManifest, secrets: EpochSecrets): Bytes {
  if (isWithoutKey(secrets)) throw datasetDeleted(manifest.name);
  return epochPrk(manifest.salt, fromHex(secrets.key));
}

export function datasetDeleted(
  name: string,
  remedy = 'publish the data again with nmkt publish-dataset FILE: it becomes a new dataset',
): NmktError {
  return new NmktError('dataset-deleted', `the dataset ${name} was deleted`, {
    expected: 'the keys to its chunks',
    got: 'none: nmkt delete-dataset destroyed them',
    remedy,
  });
}

export function ownLocator(manifest: DatasetManifest, secrets: EpochSecrets): Locator {
  return openLocator(secrets.locator, fromHex(secrets.blind), manifest.locator);
}

/** @throws RangeError where there is no such shard */
export function locatedIn({ upload, shards, copies }: Locator, shard: number): Located {
  const pointer = shards[shard];
  if (pointer === undefined) throw new RangeError(`no shard ${shard} among ${shards.length}`);
  return { upload, pointer, copies };
}

/** A shard is opened in memory: what one buffer holds on every Node.js that nmkt runs on. */
const MAX_SHARD_BYTES = 2 ** 32;

/**
 * Fetches, checks and decodes one shard. What the snapshot declared bounds what is allocated, and nothing is fetched by a locator
 * that says otherwise.
 *
 * @throws NmktError `bad-blob`, `too-large` and what downloadBlob and decodeExamples throw
 */
export async function openShard(
  relays: Relays,
  manifest: DatasetManifest,
  { pointer, copies }: Pick<Located, 'pointer' | 'copies'>,
  shard: number,
  key: Bytes,
  options: {
    readonly signal?: AbortSignal;
    readonly onProgress?: (done: number, total: number) => void;
    /** Keeps what was fetched for the next run. */
    readonly file?: ChunkFile | undefined;
  } = {},
): Promise<Examples> {
  const declared = manifest.shards[shard]!;
  if (pointer.size !== declared.size || pointer.chunks !== declared.chunks)
    throw new NmktError('bad-blob', 'the locator of the shard says other sizes than the snapshot', {
      expected: `${declared.size} bytes in ${declared.chunks} chunks`,
      got: `${pointer.size} bytes in ${pointer.chunks} chunks`,
      remedy: 'ask the owner of the dataset for a new grant',
    });
  const maxBytes = Math.min(declared.size, maxShardBytes(manifest.schema, declared.examples), MAX_SHARD_BYTES);
  const { file, ...rest } = options;
  const wanted = { key, context: datasetContext(manifest.salt), part: shard, maxBytes, copies, ...rest };
  const bytes = await (file === undefined
    ? downloadBlob(relays, pointer, wanted)
    : downloadByFile(relays, pointer, wanted, file));
  return decodeExamples(bytes, manifest.schema, { maxBytes });
}
