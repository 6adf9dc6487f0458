import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { restoreJob } from '../roles/backup.js';
import type { JobSecrets } from '../roles/customer-env.js';
import { secretsFile } from '../roles/job-files.js';
import type { PublishPorts } from '../roles/publish.js';

/**
 * The secrets of a job of this key: from this home, else from a backup that another machine of the same key made.
 * @returns undefined when the job is another key's, or nobody kept its secrets
 */
export async function ownSecrets(ports: PublishPorts, jobId: EventId): Promise<JobSecrets | undefined> {
  const kept = await ports.files.readJson<JobSecrets>(secretsFile(jobId));
  if (kept !== undefined) return kept.event.pubkey === ports.signer.pubkey ? kept : undefined;
  const restored = await restoreJob(ports, jobId);
  if (restored === undefined) return undefined;
  ports.progress.note('restored the secrets of this job from their backup; lead it from one machine at a time');
  const restoredAt = ports.clock.nowSec();
  await ports.files.write('restored.json', `${JSON.stringify({ v: 1, restoredAt, backupCreatedAt: null })}\n`);
  await ports.files.write(secretsFile(jobId), JSON.stringify(restored));
  return restored;
}

/** @param deed  completes "only the author of that job may ..." */
export function notYours(author: Pubkey, deed: string): NmktError {
  return new NmktError('not-your-job', `only the author of that job may ${deed}, with the home that posted it`, {
    expected: `the key and home of ${author}`,
    got: 'a home without the secrets of this job',
    remedy: 'run it with --home and --settings of the customer',
  });
}
