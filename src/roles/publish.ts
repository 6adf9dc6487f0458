import { NmktError } from '../errors.js';
import { sha256Hex, type Sha256 } from '../hash.js';
import { uploadBlob, type UploadResult } from '../blob/transfer.js';
import { encodeExamples } from '../learning/examples.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { buildListing, buildSnapshot } from '../protocol/dataset.js';
import type { Clock, NostrEvent, Progress, RandomBytes, Relays, Signer } from '../ports.js';
import type { OwnedEpoch } from './customer-env.js';
import { sealEpoch } from './epoch.js';
import type { HomeFiles } from './home-files.js';

/** Everything about a published dataset that only its owner has; one JSON file, written before anything is published. */
export interface DatasetRecord {
  readonly request: Sha256;
  readonly d: string;
  readonly train: OwnedEpoch;
  readonly a: OwnedEpoch;
  readonly b: OwnedEpoch;
  readonly listing: NostrEvent;
  readonly examples: number;
  readonly shards: number;
  readonly bytes: number;
  readonly chunks: number;
}

export interface PublishInput {
  readonly name: string;
  readonly schema: DataSchema;
  readonly shards: readonly Examples[];
  readonly a: Examples;
  readonly b: Examples;
  /** Names the request: an equal one is the same dataset. */
  readonly request: Sha256;
  readonly expirationSec: number;
}

export interface PublishPorts {
  readonly relays: Relays;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly files: HomeFiles;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** When the home came out of a backup (Unix seconds): another one may have gone on since with what was there then. */
  readonly restoredAt?: number;
}

const recordFile = (request: Sha256) => `datasets/${request}.json`;
const chunkFile = (request: Sha256) => `datasets/${request}.chunks`;

/** A hash over the data and every choice that shapes the dataset. */
export function requestHash(
  schema: DataSchema,
  examples: Examples,
  test: Examples | undefined,
  choices: Record<string, unknown>,
): Sha256 {
  const digest = (one: Examples) => sha256Hex(encodeExamples(one, schema));
  return sha256Hex(JSON.stringify([schema, digest(examples), test === undefined ? null : digest(test), choices]));
}

/**
 * Seals, keeps, publishes: chunks first, manifests last, so that a visible manifest is always complete.
 * A second run finds the first one's bytes and publishes the same events.
 */
export async function publishDataset(input: PublishInput, ports: PublishPorts): Promise<DatasetRecord> {
  const known = await ports.files.readJson<DatasetRecord>(recordFile(input.request));
  if (known !== undefined) ports.progress.note('this dataset was sealed before: the same events are published');
  const record = known ?? (await sealAndKeep(input, ports));
  const chunks = await readChunks(ports.files, input.request);
  const { relays, progress, signal } = ports;
  const result = await uploadBlob(relays, chunks, {
    onProgress: (done, total) => progress.update(`publishing ${done} of ${total} chunks`),
    signal,
  });
  warnAboutRelays(result, chunks.length, progress);
  for (const event of [record.a.event, record.b.event, record.train.event, record.listing])
    await requireStored(relays, event);
  return record;
}

async function sealAndKeep(
  input: PublishInput,
  { signer, clock, random, files, progress }: PublishPorts,
): Promise<DatasetRecord> {
  progress.update(`encrypting ${input.shards.length} shards`);
  const nowSec = clock.nowSec();
  const seal = async (part: 'train' | 'a' | 'b', shards: readonly Examples[]) => {
    const sealed = sealEpoch({
      name: input.name,
      part,
      schema: input.schema,
      shards,
      random,
      nowSec,
      expirationSec: input.expirationSec,
    });
    return { ...sealed, event: await signer.sign(buildSnapshot(sealed.manifest, nowSec)) };
  };
  const [train, a, b] = [await seal('train', input.shards), await seal('a', [input.a]), await seal('b', [input.b])];
  const d = input.request.slice(0, 16);
  const chunks = [...train.chunks, ...a.chunks, ...b.chunks];
  const record: DatasetRecord = {
    request: input.request,
    d,
    train: { event: train.event, secrets: train.secrets },
    a: { event: a.event, secrets: a.secrets },
    b: { event: b.event, secrets: b.secrets },
    listing: await signer.sign(buildListing(train.event, d)),
    examples: [...input.shards, input.a, input.b].reduce((sum, part) => sum + part.rows, 0),
    shards: input.shards.length,
    bytes: [train, a, b].flatMap((epoch) => epoch.manifest.shards).reduce((sum, shard) => sum + shard.size, 0),
    chunks: chunks.length,
  };
  await files.write(chunkFile(input.request), chunks.map((event) => `${JSON.stringify(event)}\n`).join(''));
  await files.write(recordFile(input.request), JSON.stringify(record));
  return record;
}

async function readChunks(files: HomeFiles, request: Sha256): Promise<NostrEvent[]> {
  const bytes = await files.read(chunkFile(request));
  if (bytes === undefined)
    throw new NmktError('bad-settings', 'the home knows this dataset but has lost its chunks', {
      expected: files.describe(chunkFile(request)),
      got: 'no such file',
      remedy: `remove ${files.describe(recordFile(request))} and publish again`,
    });
  return Buffer.from(bytes)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as NostrEvent);
}

function warnAboutRelays(result: UploadResult, total: number, progress: Progress): void {
  for (const relay of result.relays)
    if (relay.stored < total) progress.warn(`${relay.relay} has ${relay.stored} of ${total} chunks: ${relay.message}`);
}

/** @throws NmktError `relay-unreachable` or `relay-refused` when no relay keeps it */
export async function requireStored(relays: Relays, event: NostrEvent): Promise<void> {
  const outcomes = await relays.publish(event);
  if (outcomes.some((outcome) => outcome.state === 'stored')) return;
  const isRefused = outcomes.every((outcome) => outcome.state === 'refused');
  throw new NmktError(
    isRefused ? 'relay-refused' : 'relay-unreachable',
    `no relay took event ${event.id.slice(0, 12)}… of kind ${event.kind}`,
    {
      expected: 'OK true from at least one relay',
      got: outcomes.map((outcome) => `${outcome.relay}: ${outcome.message}`).join('; ') || 'no relay',
      remedy: isRefused ? 'use another relay with --relay' : 'check the network and run the same command again',
    },
  );
}
