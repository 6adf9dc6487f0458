import { blobKeys } from '../blob/keys.js';
import type { EventId } from '../hash.js';
import type { DataSchema } from '../learning/types.js';
import type { JobState } from '../market/state.js';
import { parseSnapshot, type DatasetManifest } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { NostrEvent, Relays } from '../ports.js';
import type { Finding } from './audit-format.js';

/** What the job pins by id: the dataset, whose shard sizes are the weights of every average, and the evaluation sets. */

type Part = DatasetManifest['part'];
const PARTS = ['train', 'a', 'b'] as const satisfies readonly Part[];

/** A job of any kind. */
type Pinning = Pick<EventOf<'job'>, 'author'> & {
  readonly content: Pick<EventOf<'job'>['content'], 'dataset' | 'evalA' | 'evalB'>;
};

function pinned({ content }: Pinning, part: Part): EventId {
  return part === 'train' ? content.dataset : part === 'a' ? content.evalA.snapshot : content.evalB.snapshot;
}

/** Every snapshot that a relay has, by id. */
export async function fetchSnapshots(relays: Relays, job: Pinning): Promise<ReadonlyMap<EventId, NostrEvent>> {
  const ids = PARTS.map((part) => pinned(job, part));
  const { events } = await relays.fetch([{ ids }]);
  return new Map(events.filter(({ id }) => ids.includes(id)).map((event) => [event.id, event]));
}

/** @throws NmktError `bad-event`; RangeError when it is not at hand: `auditPins` said so before */
export function manifestOf(job: Pinning, snapshots: ReadonlyMap<EventId, NostrEvent>, part: Part): DatasetManifest {
  const event = snapshots.get(pinned(job, part));
  if (event === undefined) throw new RangeError(`the snapshot of ${part} is not at hand`);
  return parseSnapshot(event).manifest;
}

/** Are the snapshots at hand, the customer's, and what job and model say of them? */
export function auditPins(state: JobState, snapshots: ReadonlyMap<EventId, NostrEvent>): Finding | null {
  const job = state.job!;
  const train = auditSnapshots(job, snapshots, job.content.trainers);
  if ('rule' in train) return train;
  const { model } = job.content;
  const { task, inputs, outputs } = train.schema;
  if (model.task !== task || model.inputs !== inputs || model.outputs !== outputs)
    return {
      event: job.id,
      rule: 'dataset',
      detail: `its model is not made for ${inputs} inputs and ${outputs} outputs`,
    };
  return auditArtifact(state, train);
}

/**
 * Are they at hand, the customer's, of the parts and rows that the job says, and of one schema?
 *
 * @param shards  that the dataset has at least
 * @returns       the dataset's
 */
export function auditSnapshots(
  job: Pinning,
  snapshots: ReadonlyMap<EventId, NostrEvent>,
  shards: number,
): DatasetManifest | Finding {
  const manifests = new Map<Part, DatasetManifest>();
  for (const part of PARTS) {
    const id = pinned(job, part);
    const event = snapshots.get(id);
    if (event === undefined)
      return { event: id, rule: 'missing', detail: 'a dataset that the job pins is on no relay that answered' };
    const found = readSnapshot(job, event, part, shards);
    if ('rule' in found) return found;
    manifests.set(part, found);
  }
  const train = manifests.get('train')!;
  for (const part of ['a', 'b'] as const)
    if (spellSchema(manifests.get(part)!.schema) !== spellSchema(train.schema))
      return { event: pinned(job, part), rule: 'schema', detail: 'its schema is not that of the dataset of the job' };
  return train;
}

function readSnapshot(job: Pinning, event: NostrEvent, part: Part, least: number): DatasetManifest | Finding {
  const bad = (detail: string): Finding => ({ event: event.id, rule: 'dataset', detail });
  try {
    const { author, manifest } = parseSnapshot(event);
    if (author !== job.author) return bad(`it is a snapshot of ${author}, not of the customer`);
    if (manifest.part !== part) return bad(`the job needs its part ${part}, it is ${manifest.part}`);
    const { length } = manifest.shards;
    if (part === 'train') return length >= least ? manifest : bad(`it has ${length} shards for ${least} trainers`);
    const { rows } = part === 'a' ? job.content.evalA : job.content.evalB;
    const examples = manifest.shards.reduce((sum, shard) => sum + shard.examples, 0);
    return length === 1 && examples === rows ? manifest : bad(`it has ${examples} examples, the job says ${rows}`);
  } catch (error) {
    return bad((error as Error).message);
  }
}

/** Whoever predicts with the model fills and scales columns by its schema. */
function auditArtifact({ job, artifact }: JobState, train: DatasetManifest): Finding | null {
  if (artifact === null) return null;
  const { schema, key, weights } = artifact.content;
  if (spellSchema(schema) !== spellSchema(train.schema))
    return { event: artifact.id, rule: 'schema', detail: 'its schema is not that of the dataset the job pins' };
  if ((job!.content.access === 'open') !== (key !== null))
    return {
      event: artifact.id,
      rule: 'access',
      detail: `the job says access ${job!.content.access}, the model comes ${key === null ? 'without' : 'with'} its key`,
    };
  if (key !== null && blobKeys(key).commit !== weights.commit)
    return { event: artifact.id, rule: 'access', detail: 'the key that it publishes is not that of its weights' };
  return null;
}

/** Both were parsed by one schema, which puts fields in one order. */
const spellSchema = (schema: DataSchema): string => JSON.stringify(schema);
