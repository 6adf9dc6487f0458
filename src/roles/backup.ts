import { NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { KINDS } from '../protocol/kinds.js';
import type { Clock, NostrEvent, Progress, Relays, Signer } from '../ports.js';
import type { JobSecrets, OwnedEpoch } from './customer-env.js';
import { datasetDeleted, type EpochSecrets } from './epoch.js';
import { jobWithoutKeys } from './forget-keys.js';
import type { DatasetRecord } from './publish.js';

/**
 * New secrets are also kept as events sealed to oneself (NIP-78 kind 30078, NIP-44), so that another machine with the same key
 * can go on. Events that are public anyway are named by id only.
 */

/** NIP-44 takes 65,535 bytes; a backup is ASCII. */
const MAX_BACKUP_CHARS = 60_000;

interface SavedEpoch {
  readonly snapshot: EventId;
  readonly secrets: EpochSecrets;
}
type Saved<T extends { readonly train: OwnedEpoch; readonly a: OwnedEpoch; readonly b: OwnedEpoch }> = Omit<
  T,
  'event' | 'listing' | 'train' | 'a' | 'b'
> & {
  readonly event: EventId;
  readonly train: SavedEpoch;
  readonly a: SavedEpoch;
  readonly b: SavedEpoch;
};

export interface BackupPorts {
  readonly relays: Relays;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly progress: Progress;
}

const saveEpoch = (epoch: OwnedEpoch): SavedEpoch => ({ snapshot: epoch.event.id, secrets: epoch.secrets });
const jobTag = (id: EventId) => `nmkt/job/${id}`;
const datasetTag = (snapshot: EventId) => `nmkt/dataset/${snapshot}`;

export async function backUpJob(ports: BackupPorts, secrets: JobSecrets): Promise<void> {
  const { event } = secrets;
  await publishBackup(ports, jobTag(event.id), savedJob(secrets), event.created_at);
}

function savedJob({ event, train, a, b, ...rest }: JobSecrets): Saved<JobSecrets> {
  return { ...rest, event: event.id, train: saveEpoch(train), a: saveEpoch(a), b: saveEpoch(b) };
}

export async function backUpDataset(ports: BackupPorts, record: DatasetRecord): Promise<void> {
  const { listing, train, a, b, ...rest } = record;
  const saved: Saved<DatasetRecord> = {
    ...rest,
    event: listing.id,
    train: saveEpoch(train),
    a: saveEpoch(a),
    b: saveEpoch(b),
  };
  await publishBackup(ports, datasetTag(train.event.id), saved, train.event.created_at);
}

/** Once per secret: an equal address that is already there is left alone. */
async function publishBackup(
  { relays, signer, progress }: BackupPorts,
  d: string,
  saved: unknown,
  createdAt: number,
): Promise<void> {
  const plaintext = JSON.stringify(saved);
  if (plaintext.length > MAX_BACKUP_CHARS) {
    progress.warn('this dataset has too many shards for a backup event: keep the home folder safe');
    return;
  }
  const { events } = await relays.fetch([{ kinds: [KINDS.backup], authors: [signer.pubkey], '#d': [d] }]);
  if (events.length > 0) return;
  const content = await signer.encrypt(signer.pubkey, plaintext);
  const outcomes = await relays.publish(
    await signer.sign({ kind: KINDS.backup, created_at: createdAt, tags: [['d', d]], content }),
  );
  if (!outcomes.some((outcome) => outcome.state === 'stored'))
    progress.warn('no relay keeps a backup of the secrets: keep the home folder safe');
}

/** What takes the keys of a dataset out of the backups of it and of its jobs, signed and in the order in which it is to be sent. */
export interface BackupRetraction {
  /** To be deleted up to `createdAt`, after `before` and before `after`. */
  readonly addresses: readonly string[];
  /** An empty backup: a relay that deletes nothing replaces all the same. */
  readonly before: readonly NostrEvent[];
  /** Backups of jobs without the keys, a second later; only of those that a relay shows. */
  readonly after: readonly NostrEvent[];
}

/** @returns `createdAt` later than the newest backup, which nothing earlier replaces */
export async function retractBackups(
  { relays, signer }: BackupPorts,
  snapshot: EventId,
  jobs: readonly JobSecrets[],
  nowSec: number,
): Promise<BackupRetraction & { readonly createdAt: number }> {
  const tags = [datasetTag(snapshot), ...jobs.map(({ event }) => jobTag(event.id))];
  const { events } = await relays.fetch([{ kinds: [KINDS.backup], authors: [signer.pubkey], '#d': tags }]);
  const shown = new Set(events.flatMap((event) => event.tags.filter(([name]) => name === 'd').map(([, d]) => d)));
  // Of two of one second any could win.
  const createdAt = Math.max(nowSec, ...events.map((event) => event.created_at + 1));
  const sealed = async (d: string, saved: unknown, created_at: number): Promise<NostrEvent> => {
    const content = await signer.encrypt(signer.pubkey, JSON.stringify(saved));
    return signer.sign({ kind: KINDS.backup, created_at, tags: [['d', d]], content });
  };
  const before = shown.has(datasetTag(snapshot))
    ? [await sealed(datasetTag(snapshot), { isDeleted: true }, createdAt)]
    : [];
  const after: NostrEvent[] = [];
  for (const job of jobs)
    if (shown.has(jobTag(job.event.id)))
      after.push(await sealed(jobTag(job.event.id), savedJob(jobWithoutKeys(job)), createdAt + 1));
  return { addresses: tags.map((d) => `${KINDS.backup}:${signer.pubkey}:${d}`), before, after, createdAt };
}

/** The secrets of an own job from another machine's backup. @returns undefined when no relay has one */
export async function restoreJob(ports: BackupPorts, id: EventId): Promise<JobSecrets | undefined> {
  const saved = await fetchBackup<Saved<JobSecrets>>(ports, jobTag(id));
  if (saved === undefined) return undefined;
  const { event, train, a, b, ...rest } = saved;
  const events = await fetchEvents(ports.relays, [event, train.snapshot, a.snapshot, b.snapshot]);
  return { ...rest, event: events(event), ...epochs(events, { train, a, b }) };
}

export async function restoreDataset(ports: BackupPorts, snapshot: EventId): Promise<DatasetRecord | undefined> {
  const saved = await fetchBackup<Saved<DatasetRecord> & { readonly isDeleted?: true }>(ports, datasetTag(snapshot));
  if (saved === undefined) return undefined;
  if (saved.isDeleted === true) throw datasetDeleted(`${snapshot.slice(0, 12)}…`);
  const { event, train, a, b, ...rest } = saved;
  const events = await fetchEvents(ports.relays, [event, train.snapshot, a.snapshot, b.snapshot]);
  return { ...rest, listing: events(event), ...epochs(events, { train, a, b }) };
}

function epochs(
  events: (id: EventId) => NostrEvent,
  saved: { readonly train: SavedEpoch; readonly a: SavedEpoch; readonly b: SavedEpoch },
) {
  const open = ({ snapshot, secrets }: SavedEpoch): OwnedEpoch => ({ event: events(snapshot), secrets });
  return { train: open(saved.train), a: open(saved.a), b: open(saved.b) };
}

async function fetchBackup<T>({ relays, signer }: BackupPorts, d: string): Promise<T | undefined> {
  const { events, answered } = await relays.fetch([{ kinds: [KINDS.backup], authors: [signer.pubkey], '#d': [d] }]);
  const [event] = events;
  if (event === undefined && answered.length === 0)
    throw new NmktError('relay-unreachable', 'no relay answered for the secrets of this key', {
      expected: `an answer from one of ${relays.urls.join(', ')}`,
      got: 'silence',
      remedy: 'check the network, or name another relay with --relay URL',
    });
  if (event === undefined || event.pubkey !== signer.pubkey) return undefined;
  // Written and read by one key only; the signature proves that nobody else made it.
  return JSON.parse(await signer.decrypt(signer.pubkey, event.content)) as T;
}

async function fetchEvents(relays: Relays, ids: readonly EventId[]): Promise<(id: EventId) => NostrEvent> {
  const { events } = await relays.fetch([{ ids }]);
  const byId = new Map(events.map((event) => [event.id, event]));
  return (id) => {
    const event = byId.get(id);
    if (event !== undefined) return event;
    throw new NmktError('relay-unreachable', 'a backup names an event that no relay has', {
      expected: id,
      got: 'nothing',
      remedy: 'add the relay of the job with --relay',
    });
  };
}
