import { isNmktError, NmktError } from '../errors.js';
import { hex, sha256Hex, type EventId, type Sha256 } from '../hash.js';
import { pack } from '../blob/pack.js';
import { placement } from '../blob/placement.js';
import { joinSources, sourceOf, type ChunkSource } from '../blob/source.js';
import { uploadBlob, type RelayTally } from '../blob/transfer.js';
import { openUploadLog } from '../blob/upload-log.js';
import { encodeExamples, fileOf, type StoredExamples } from '../learning/examples.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { buildListing, buildSnapshot, parseSnapshot } from '../protocol/dataset.js';
import type { Clock, Journal, NostrEvent, Progress, RandomBytes, Relays, Signer } from '../ports.js';
import type { OwnedEpoch } from './customer-env.js';
import { findDeleted } from './deleted-dataset.js';
import { requireSmallManifest } from './manifest-size.js';
import { datasetDeleted, sealedEpoch, planEpoch, type EpochPlan, type SealedEpoch } from './epoch.js';
import type { HomeFiles } from './home-files.js';
import type { SignedRecord } from './job-book.js';
import { requireReadBack, warnAboutRelays } from './read-back.js';
import { noteRelays, warnOfLosers } from './relay-scores.js';
import { requireStored } from './require-stored.js';
import { sentFile, type SentPorts } from './sent-chunks.js';
import { transferPace } from './transfer-pace.js';

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
  /** In memory, or one after the other from the disk when they are packed. */
  readonly shards: readonly (Examples | StoredExamples)[];
  readonly a: Examples | StoredExamples;
  readonly b: Examples | StoredExamples;
  /** Names the request: an equal one is the same dataset. */
  readonly request: Sha256;
  readonly expirationSec: number;
  /** How many of the relays hold each chunk; absent: all do. */
  readonly copies?: number;
}

export interface PublishPorts extends SentPorts {
  readonly relays: Relays;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly files: HomeFiles;
  /** What this home signed for a job, by its relative path; absent: nothing is looked up of other jobs. */
  readonly events?: (name: string) => Promise<Journal<SignedRecord>>;
  /** A new connection to the same relays, of nobody. */
  readonly reader: () => Promise<Relays>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** When the home came out of a backup (Unix seconds): another one may have gone on since with what was there then. */
  readonly restoredAt?: number;
}

/** What makes the same events of the same data, kept before the first of them leaves. */
interface PublishPlan {
  /** Of the listing; drawn, since a hash of the data would let a guess of them be confirmed. Absent: of an nmkt that took one. */
  readonly d?: string;
  readonly nowSec: number;
  readonly expirationSec: number;
  readonly copies?: number;
  readonly train: EpochPlan;
  readonly a: EpochPlan;
  readonly b: EpochPlan;
}
const PARTS = ['train', 'a', 'b'] as const;
type Part = (typeof PARTS)[number];

const recordFile = (request: Sha256) => `datasets/${request}.json`;
const planFile = (request: Sha256) => `datasets/${request}/plan.json`;
const packedFile = (request: Sha256, part: Part, shard: number) => `datasets/${request}/${part}-${shard}.br`;
/** Of an nmkt that sealed everything before it sent anything. */
const chunkFile = (request: Sha256) => `datasets/${request}.chunks`;

/** A hash over the data and every choice that shapes the dataset. @param data  hash of the canonical file of all examples but those of `test` */
export function requestHash(
  schema: DataSchema,
  data: Sha256,
  test: Examples | undefined,
  choices: Record<string, unknown>,
): Sha256 {
  const ofTest = test === undefined ? null : sha256Hex(encodeExamples(test, schema));
  return sha256Hex(JSON.stringify([schema, data, ofTest, choices]));
}

export interface Published {
  readonly record: DatasetRecord;
  readonly relays: readonly RelayTally[];
}

/**
 * Packs, keeps, publishes: chunks first, manifests last, so that a visible manifest is always complete. A second run finds
 * the first one's plan, sends what is not known to be stored, and publishes the same events. At last every relay is asked
 * for some chunks over a new connection.
 */
export async function publishDataset(input: PublishInput, ports: PublishPorts): Promise<Published> {
  const { files, relays, progress, clock, signal } = ports;
  const { request } = input;
  const known = await files.readJson<DatasetRecord>(recordFile(request));
  if (known !== undefined && (await findDeleted(files, { id: known.train.event.id })) !== undefined)
    throw datasetDeleted(input.name, `nmkt delete-dataset ${known.train.event.id}, to finish that; then publish again`);
  const earlier = await files.readJson<PublishPlan>(planFile(request));
  if (known === undefined && earlier === undefined)
    requireSmallManifest(
      input.name,
      input.schema,
      input.shards.map(({ rows }) => rows),
    );
  if (known !== undefined || earlier !== undefined)
    progress.note('this dataset was sealed before: the same events are published');
  const plan = earlier ?? (known === undefined ? await packAndKeep(input, ports) : undefined);
  const epochs = plan && sealedEpochs(plan, input, files);
  const source: ChunkSource =
    epochs === undefined
      ? sourceOf(await readChunks(files, request))
      : joinSources(PARTS.map((part) => epochs[part].source));
  await warnOfLosers(relays.urls, ports);
  const lost = new Map<string, number>();
  const holds = placement(relays.urls, plan?.copies, (index) => source.place?.(index));
  const journal = await ports.journal(sentFile(request));
  try {
    const log = await openUploadLog(journal, source.count);
    const pace = transferPace('publishing', () => clock.nowMs());
    const sent = await uploadBlob(relays, source, {
      onProgress: (done, total) => progress.update(pace(done, total)),
      onLimited: (relay, message) => progress.note(`${relay} sets the pace: ${message}`),
      log,
      clock,
      signal,
      holds,
    });
    warnAboutRelays(sent.relays, progress);
    const tallies = await requireReadBack(source, log, sent.relays, {
      ...ports,
      holds,
      onLost: (relay, chunks) => void lost.set(relay, chunks),
    });
    const seen = tallies.map(({ relay, stored, refused, unreachable }) => {
      return { relay, kept: stored, failed: refused + unreachable, lost: lost.get(relay) ?? 0 };
    });
    await noteRelays(files, seen, clock.nowSec(), progress);
    const record = known ?? (await signAndKeep(input, plan!, epochs!, source.count, ports));
    for (const event of [record.a.event, record.b.event, record.train.event, record.listing])
      await requireStored(relays, event);
    return { record, relays: tallies };
  } finally {
    await journal.close();
  }
}

/** The ids of all chunks, sealed again from what lies in the home. @returns undefined where that is not all there */
export async function keptChunkIds(
  { request, train }: DatasetRecord,
  { files }: Pick<PublishPorts, 'files'>,
): Promise<Record<Part, readonly EventId[]> | undefined> {
  const plan = await files.readJson<PublishPlan>(planFile(request));
  if (plan === undefined) return undefined;
  const { name, schema } = parseSnapshot(train.event).manifest;
  const epochs = sealedEpochs(plan, { name, schema, request }, files);
  const idsOf = async ({ source }: SealedEpoch): Promise<EventId[]> => {
    const ids: EventId[] = [];
    for (let index = 0; index < source.count; index++) ids.push((await source.event(index)).id);
    return ids;
  };
  try {
    return { train: await idsOf(epochs.train), a: await idsOf(epochs.a), b: await idsOf(epochs.b) };
  } catch (error) {
    if (isNmktError(error)) return undefined; // a packed file is lost
    throw error;
  }
}

/** Compresses each shard into a file of its own; the plan, written last, says that all of them are there. */
async function packAndKeep(
  input: PublishInput,
  { clock, random, files, progress }: PublishPorts,
): Promise<PublishPlan> {
  progress.update(`compressing ${input.shards.length} shards`);
  const epoch = async (part: Part, shards: PublishInput['shards']): Promise<EpochPlan> => {
    const packed = [];
    for (const [shard, examples] of shards.entries()) {
      const plain = await fileOf(examples, input.schema);
      const bytes = pack(plain);
      await files.write(packedFile(input.request, part, shard), bytes);
      const about = { size: plain.length, sha256: sha256Hex(plain), packed: bytes.length };
      packed.push({ examples: examples.rows, ...about });
    }
    return planEpoch(random, packed);
  };
  const plan: PublishPlan = {
    nowSec: clock.nowSec(),
    expirationSec: input.expirationSec,
    ...(input.copies === undefined ? {} : { copies: input.copies }),
    train: await epoch('train', input.shards),
    a: await epoch('a', [input.a]),
    b: await epoch('b', [input.b]),
    d: hex(random(8)),
  };
  await files.write(planFile(input.request), JSON.stringify(plan));
  return plan;
}

function sealedEpochs(
  plan: PublishPlan,
  input: Pick<PublishInput, 'name' | 'schema' | 'request'>,
  files: HomeFiles,
): Record<Part, SealedEpoch> {
  const { nowSec, expirationSec, copies } = plan;
  const { name, schema, request } = input;
  const open = (part: Part): SealedEpoch => {
    const read = async (shard: number, position: number, length: number) => {
      const file = packedFile(request, part, shard);
      const bytes = await files.readPart(file, position, length);
      if (bytes.length === length) return bytes;
      throw lostFile(files.describe(file), files.describe(planFile(request)), `${position + bytes.length} bytes`);
    };
    return sealedEpoch(plan[part], { name, part, schema, nowSec, expirationSec, copies, read });
  };
  return { train: open('train'), a: open('a'), b: open('b') };
}

async function signAndKeep(
  input: PublishInput,
  plan: PublishPlan,
  epochs: Record<Part, SealedEpoch>,
  chunks: number,
  { signer, files }: PublishPorts,
): Promise<DatasetRecord> {
  const own = async (part: Part): Promise<OwnedEpoch> => {
    const { manifest, secrets } = await epochs[part].finish();
    return { event: await signer.sign(buildSnapshot(manifest, plan.nowSec)), secrets };
  };
  const { d = input.request.slice(0, 16) } = plan;
  const [train, a, b] = [await own('train'), await own('a'), await own('b')];
  const record: DatasetRecord = {
    request: input.request,
    d,
    train,
    a,
    b,
    listing: await signer.sign(buildListing(train.event, d)),
    examples: [...input.shards, input.a, input.b].reduce((sum, part) => sum + part.rows, 0),
    shards: input.shards.length,
    bytes: PARTS.flatMap((part) => plan[part].shards).reduce((sum, shard) => sum + shard.size, 0),
    chunks,
  };
  await files.write(recordFile(input.request), JSON.stringify(record));
  return record;
}

async function readChunks(files: HomeFiles, request: Sha256): Promise<NostrEvent[]> {
  const bytes = await files.read(chunkFile(request));
  if (bytes === undefined)
    throw lostFile(files.describe(chunkFile(request)), files.describe(recordFile(request)), 'no such file');
  return Buffer.from(bytes)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as NostrEvent);
}

function lostFile(file: string, remove: string, got: string): NmktError {
  return new NmktError('bad-settings', 'the home knows this dataset but has lost its chunks', {
    expected: file,
    got,
    remedy: `remove ${remove} and publish again`,
  });
}
