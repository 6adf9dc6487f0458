import type { EventId, Sha256 } from '../hash.js';
import type { JobSecrets, OwnedEpoch } from './customer-env.js';
import { withoutKey } from './epoch.js';
import type { HomeFiles } from './home-files.js';
import { secretsFile } from './job-files.js';
import type { DatasetRecord } from './publish.js';

/** The keys of a deleted dataset leave the home: its own files, what jobs copied, and what a restore put aside. */

/** Jobs of this home on the dataset with this train set. */
export async function jobsOn(files: HomeFiles, snapshot: EventId): Promise<readonly JobSecrets[]> {
  const jobs: JobSecrets[] = [];
  for (const id of await files.list('jobs')) {
    const secrets = await files.readJson<JobSecrets>(secretsFile(id as EventId));
    if (secrets?.train.event.id === snapshot) jobs.push(secrets);
  }
  return jobs;
}

export function jobWithoutKeys(secrets: JobSecrets): JobSecrets {
  const bare = ({ event, secrets: own }: OwnedEpoch): OwnedEpoch => ({ event, secrets: withoutKey(own) });
  return { ...secrets, train: bare(secrets.train), a: bare(secrets.a), b: bare(secrets.b) };
}

/**
 * Durable, and safe to repeat. Removes keys, packed data and what was sealed; jobs keep everything but the keys to the data.
 * The bytes are given back to the disk: what it keeps of freed blocks is out of reach.
 */
export async function forgetKeys(files: HomeFiles, request: Sha256, snapshot: EventId): Promise<void> {
  await forgetUnder(files, '', request, snapshot);
  for (const time of await files.list('replaced')) await forgetUnder(files, `replaced/${time}/`, request, snapshot);
}

/** @param under  '' or a folder, with its slash */
async function forgetUnder(files: HomeFiles, under: string, request: Sha256, snapshot: EventId): Promise<void> {
  const datasets = `${under}datasets`;
  const record = `${request}.json`;
  const { train } = (await files.readJson<DatasetRecord>(`${datasets}/${record}`)) ?? {};
  if (train?.event.id === snapshot) {
    for (const name of await files.list(`${datasets}/${request}`)) await files.forget(`${datasets}/${request}/${name}`);
    // Also when it is gone: who removed it may have been killed before that was durable.
    await files.forget(`${datasets}/${request}/plan.json`);
    // What was sealed, and what a killed process left of the record under a temporary name.
    for (const name of await files.list(datasets))
      if (name.startsWith(`${request}.`) && name !== record) await files.forget(`${datasets}/${name}`);
  }
  // Last: without the record what is there belongs to a later dataset of the same data.
  if (train === undefined || train.event.id === snapshot) await files.forget(`${datasets}/${record}`);
  for (const job of await files.list(`${under}jobs`)) {
    const file = `${under}jobs/${job}/job.json`;
    const secrets = await files.readJson<JobSecrets>(file);
    if (secrets?.train.event.id !== snapshot) continue;
    for (const name of await files.list(`${under}jobs/${job}`))
      if (/^job\.json\..*\.tmp$/.test(name)) await files.forget(`${under}jobs/${job}/${name}`);
    // Also when the key is gone, for the same reason.
    await files.write(file, JSON.stringify(jobWithoutKeys(secrets)));
  }
}
