import { parseEventReference } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import { parseSnapshot } from '../protocol/dataset.js';
import { restoreDataset } from '../roles/backup.js';
import { findDeleted, type DeletedDataset } from '../roles/deleted-dataset.js';
import { datasetDeleted } from '../roles/epoch.js';
import type { DatasetRecord, PublishPorts } from '../roles/publish.js';

/** The dataset of this home that an id or address names. @throws NmktError `job-unknown`, `dataset-deleted` */
export async function ownDataset(ports: PublishPorts, reference: string): Promise<DatasetRecord> {
  const deleted = await ownDeletedDataset(ports, reference);
  if (deleted !== undefined) throw datasetDeleted(deleted.name);
  const wanted = parseEventReference(reference);
  const { files } = ports;
  for (const name of await files.list('datasets')) {
    if (!name.endsWith('.json')) continue;
    const record = await files.readJson<DatasetRecord>(`datasets/${name}`);
    if (record === undefined) continue;
    if (
      wanted.type === 'id'
        ? [parseSnapshot(record.train.event).id, record.listing.id].includes(wanted.id)
        : record.d === wanted.identifier
    )
      return record;
  }
  const restored = wanted.type === 'id' ? await restoreDataset(ports, wanted.id) : undefined;
  if (restored !== undefined) return restored;
  throw new NmktError('job-unknown', 'this home did not publish that dataset', {
    expected: 'a dataset of this home',
    got: reference.slice(0, 80),
    remedy: 'run with the --home or the key that published it, or publish it again',
  });
}

/** One that this home began to delete, at least. */
export async function ownDeletedDataset(
  { files }: Pick<PublishPorts, 'files'>,
  reference: string,
): Promise<DeletedDataset | undefined> {
  const wanted = parseEventReference(reference);
  return findDeleted(files, wanted.type === 'id' ? { id: wanted.id } : { d: wanted.identifier });
}
