import { isNmktError, NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { NostrEvent, PublishOutcome, Relays } from '../ports.js';
import { nameOf, type EventName } from '../protocol/events.js';
import { KINDS } from '../protocol/kinds.js';
import type { DeletionLimits } from '../protocol/deletion.js';
import { JOB } from '../protocol/job.js';
import { keepDeleted, type DeletedDataset, type DeletionAtRelay } from './deleted-dataset.js';
import { forgetKeys, jobsOn } from './forget-keys.js';
import { planDeletion } from './plan-deletion.js';
import type { DatasetRecord, PublishPorts } from './publish.js';

/**
 * Deletion on Nostr is a request: relays are asked by NIP-09 and NIP-62, and afterwards asked what they still give. What is sure is
 * that the keys are gone from this home; a chunk without its key is noise.
 */

export interface RelayDeletion {
  readonly relay: string;
  /** Requests sent now, and of them taken; 0 and 0 for a relay that had nothing left. */
  readonly sent: number;
  readonly taken: number;
  /** Its last words that were no yes. */
  readonly message: string;
  /** Of the chunks asked for: before the first request, and now; null: no answer. */
  readonly before: number | null;
  readonly after: number | null;
  /** Signed descriptions that it gives now, of those that are to go; null: no answer. */
  readonly manifests: number | null;
}

export interface DeletePorts extends PublishPorts {
  /** What a relay says of its limits; null where it says nothing. */
  readonly limitsOf: (relay: string) => Promise<DeletionLimits | null>;
  /** Own events of a job, as the home keeps them. */
  readonly ownEvents: (job: EventId) => Promise<readonly NostrEvent[]>;
}

/**
 * Jobs of this home may still need the dataset: those neither finished nor cancelled nor lapsed.
 *
 * @param isForced  say so instead of refusing
 * @throws NmktError `dataset-in-use`
 */
export async function requireUnused(
  record: DatasetRecord,
  isForced: boolean,
  { files, ownEvents, relays, signer, clock, progress }: DeletePorts,
): Promise<void> {
  const unfinished: EventId[] = [];
  for (const { event } of await jobsOn(files, record.train.event.id)) {
    // Another home of this key may have led it.
    const filter = { kinds: [KINDS.award, KINDS.artifact], authors: [signer.pubkey], '#e': [event.id] };
    const { events } = await relays.fetch([filter]);
    const types = new Set([...(await ownEvents(event.id)), ...events].map(typeOf));
    const isLapsed = JOB.parse(event).content.deadline <= clock.nowSec() && !types.has('award');
    if (!types.has('artifact') && !types.has('cancel') && !isLapsed) unfinished.push(event.id);
  }
  if (unfinished.length > 0 && !isForced) throw inUse(unfinished);
  for (const job of unfinished) progress.warn(`job ${job} is not over and cannot go on without its data`);
}

/**
 * Signs the requests and keeps them: from here on the keys are of no use, and only `finishDeletion` is left, which needs none.
 * Killed before it resolves, nothing has happened.
 */
export async function beginDeletion(record: DatasetRecord, ports: DeletePorts): Promise<DeletedDataset> {
  const { files, relays, progress } = ports;
  progress.update('signing the requests');
  const jobs = await jobsOn(files, record.train.event.id);
  const limits = await Promise.all(relays.urls.map((url) => ports.limitsOf(url)));
  const known = limits.filter((one) => one !== null);
  const plan = await planDeletion(record, jobs, known, ports);
  const seen = await askAll(plan, ports);
  const deleted: DeletedDataset = {
    ...plan,
    relays: seen.map(({ relay, chunks }) => ({ relay, before: chunks, isSettled: false })),
  };
  await keepDeleted(files, deleted);
  return deleted;
}

/** Destroys what keys are left, tells every relay that still has something, and asks each what it gives now. */
export async function finishDeletion(deleted: DeletedDataset, ports: DeletePorts): Promise<readonly RelayDeletion[]> {
  const { files, relays, progress } = ports;
  // Who wrote it may have been killed before it was durable.
  await keepDeleted(files, deleted);
  await forgetKeys(files, deleted.request, deleted.snapshot);
  progress.note('the keys are destroyed in this home');
  const known = new Map(deleted.relays.map((one) => [one.relay, one]));
  const first = await askAll(deleted, ports);
  const told = await Promise.all(
    first.map(async (seen) => {
      const isDone = known.get(seen.relay)?.isSettled === true && isGone(seen);
      if (!isDone) progress.update(`asking ${seen.relay} to delete`);
      return isDone ? { sent: 0, taken: 0, message: '', isHeard: true } : tell(seen.relay, deleted.requests, relays);
    }),
  );
  const now = told.every(({ sent }) => sent === 0) ? first : await askAll(deleted, ports);
  const outcome = now.map(({ relay, chunks, manifests }, at): RelayDeletion => {
    const before = known.has(relay) ? known.get(relay)!.before : first[at]!.chunks;
    const { sent, taken, message } = told[at]!;
    return { relay, sent, taken, message, before, after: chunks, manifests };
  });
  const states = now.map((seen, at): DeletionAtRelay => {
    // A no is an answer too: after a request to vanish a relay refuses whatever else the key says.
    return { relay: seen.relay, before: outcome[at]!.before, isSettled: told[at]!.isHeard && isGone(seen) };
  });
  const others = deleted.relays.filter(({ relay }) => !relays.urls.includes(relay));
  await keepDeleted(files, { ...deleted, relays: [...states, ...others] });
  return outcome;
}

interface Seen {
  readonly relay: string;
  readonly chunks: number | null;
  readonly manifests: number | null;
}

const isGone = ({ chunks, manifests }: Seen): boolean => chunks === 0 && manifests === 0;

/** Over new connections, of nobody: what anybody would get. */
async function askAll(
  { sample, manifests }: Pick<DeletedDataset, 'sample' | 'manifests'>,
  { reader, relays: { urls }, progress }: DeletePorts,
): Promise<readonly Seen[]> {
  progress.update(`asking ${urls.length} relays what they have`);
  const relays = await reader();
  const count = async (relay: string, ids: readonly EventId[]): Promise<number | null> => {
    const { events, answered } = await relays.fetch([{ ids, limit: ids.length }], { relays: [relay] });
    return answered.includes(relay) ? events.filter(({ id }) => ids.includes(id)).length : null;
  };
  try {
    return await Promise.all(
      urls.map(async (relay) => ({
        relay,
        chunks: await count(relay, sample),
        manifests: await count(relay, manifests),
      })),
    );
  } finally {
    await relays.close();
  }
}

/** One after the other, since a request to vanish ends what may be said under its key; a relay that is silent is left alone. */
async function tell(
  relay: string,
  requests: readonly NostrEvent[],
  relays: Relays,
): Promise<Pick<RelayDeletion, 'sent' | 'taken' | 'message'> & { readonly isHeard: boolean }> {
  let [sent, taken, message] = [0, 0, ''];
  for (const request of requests) {
    const [outcome] = await relays.publish(request, [relay]);
    sent++;
    if (outcome?.state === 'stored') taken++;
    else message = wordsOf(outcome);
    if (outcome?.state !== 'stored' && outcome?.state !== 'refused') return { sent, taken, message, isHeard: false };
  }
  return { sent, taken, message, isHeard: true };
}

function wordsOf(outcome: PublishOutcome | undefined): string {
  return outcome?.message.slice(0, 200) ?? 'no such relay';
}

/** @returns undefined for one of another version, and for a part of another one */
function typeOf(event: NostrEvent): EventName | undefined {
  try {
    return nameOf(event);
  } catch (error) {
    if (isNmktError(error)) return undefined;
    throw error;
  }
}

function inUse(jobs: readonly EventId[]): NmktError {
  return new NmktError('dataset-in-use', 'a job that is not over still needs this dataset', {
    expected: 'jobs that are finished or cancelled',
    got: jobs.join(', '),
    remedy: `nmkt collect-model ${jobs[0]!} --out DIR, or nmkt cancel ${jobs[0]!}; or delete it all the same with --force`,
  });
}
