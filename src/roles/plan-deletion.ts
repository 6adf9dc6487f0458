import { datasetContext } from '../blob/keys.js';
import { listChunks, MissingChunks } from '../blob/transfer.js';
import type { EventId } from '../hash.js';
import type { NostrEvent } from '../ports.js';
import { parseSnapshot } from '../protocol/dataset.js';
import {
  buildDeletion,
  buildDeletions,
  buildVanish,
  idsPerDeletion,
  type DeletionLimits,
} from '../protocol/deletion.js';
import { KINDS } from '../protocol/kinds.js';
import { signEvent } from '../schnorr.js';
import { retractBackups } from './backup.js';
import { drawSample } from './chunk-sample.js';
import type { JobSecrets, OwnedEpoch } from './customer-env.js';
import type { DeletedDataset } from './deleted-dataset.js';
import { ownLocator, ownShardKey, ownUploadSecret } from './epoch.js';
import { keptChunkIds, type DatasetRecord, type PublishPorts } from './publish.js';

/** The oldest chunk is a day older than its dataset; requests may be so much older than now. */
const MAX_AGE_SEC = 12 * 3_600;

/**
 * Signs everything that is to be said, while the keys are there. Requests of upload keys carry a time of their own: those of
 * the owner would tell whose chunks they were.
 *
 * @param limits  of the relays
 * @returns without what relays have of it
 */
export async function planDeletion(
  record: DatasetRecord,
  jobs: readonly JobSecrets[],
  limits: readonly DeletionLimits[],
  ports: PublishPorts,
): Promise<Omit<DeletedDataset, 'relays'>> {
  const { clock, random, signer } = ports;
  const perEvent = idsPerDeletion(limits);
  const requests: NostrEvent[] = [];
  const ids: EventId[] = [];
  const kept = await keptChunkIds(record, ports);
  for (const part of ['train', 'a', 'b'] as const) {
    const epoch = record[part];
    const chunks = kept?.[part] ?? (await listedIds(part, epoch, ports));
    const secret = ownUploadSecret(parseSnapshot(epoch.event).manifest, epoch.secrets);
    const age = Buffer.from(random(4)).readUInt32LE() % MAX_AGE_SEC;
    const createdAt = Math.max(clock.nowSec() - age, epoch.event.created_at - MAX_AGE_SEC);
    const templates = [...buildDeletions(chunks, KINDS.chunk, perEvent, createdAt), buildVanish(createdAt)];
    requests.push(...templates.map((template) => signEvent(template, secret)));
    ids.push(...chunks);
  }
  const { listing } = record;
  const snapshots = [record.train.event, record.a.event, record.b.event];
  // What a job pins is part of its record: without it nobody can audit the job.
  const manifests = [listing, ...(jobs.length === 0 ? snapshots : [])];
  const backups = await retractBackups(
    ports,
    record.train.event.id,
    jobs,
    Math.max(clock.nowSec(), listing.created_at),
  );
  const addresses = [`${KINDS.listing}:${signer.pubkey}:${record.d}`, ...backups.addresses];
  const own = await signer.sign(buildDeletion(manifests, addresses, backups.createdAt));
  return {
    v: 1,
    name: parseSnapshot(record.train.event).manifest.name,
    request: record.request,
    author: signer.pubkey,
    snapshot: record.train.event.id,
    d: record.d,
    chunks: ids.length,
    snapshots: snapshots.map(({ id }) => id),
    manifests: manifests.map(({ id }) => id),
    sample: drawSample(ids.length, random).map((index) => ids[index]!),
    requests: [...requests, ...backups.before, own, ...backups.after],
    jobs: jobs.map(({ event }) => event.id),
  };
}

/** The same with the snapshots, which an earlier run left to the jobs that pin them. */
export async function withSnapshots(
  deleted: DeletedDataset,
  { signer, clock }: Pick<PublishPorts, 'signer' | 'clock'>,
): Promise<DeletedDataset> {
  const left = deleted.snapshots.filter((id) => !deleted.manifests.includes(id));
  if (left.length === 0) return deleted;
  const events = left.map((id) => ({ id, kind: KINDS.snapshot }));
  return {
    ...deleted,
    manifests: [...deleted.manifests, ...left],
    requests: [...deleted.requests, await signer.sign(buildDeletion(events, [], clock.nowSec()))],
    relays: deleted.relays.map((one) => ({ ...one, isSettled: false })),
  };
}

/** From the encrypted index on the relays; where no relay has it any more, what the locator names: the request to vanish covers the rest. */
async function listedIds(part: string, epoch: OwnedEpoch, ports: PublishPorts): Promise<readonly EventId[]> {
  const { manifest } = parseSnapshot(epoch.event);
  const ids: EventId[] = [];
  for (const [shard, pointer] of ownLocator(manifest, epoch.secrets).shards.entries()) {
    const key = ownShardKey(manifest, epoch.secrets, shard);
    const options = { key, context: datasetContext(manifest.salt), part: shard, signal: ports.signal };
    try {
      ids.push(...(await listChunks(ports.relays, pointer, options)).map(({ id }) => id));
    } catch (error) {
      if (!(error instanceof MissingChunks)) throw error;
      ports.progress.warn(
        `no relay gives the list of chunks of ${part} ${shard}: they are deleted by the request to vanish alone`,
      );
      ids.push(...pointer.ids);
    }
  }
  return ids;
}
