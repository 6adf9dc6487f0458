import { hex, sha256Hex, type EventId, type Sha256 } from '../hash.js';
import { chainCommitment, scoringSecret, seedCommitment } from '../learning/seeds.js';
import { JOB, type JobTerms } from '../protocol/job.js';
import type { JobSecrets } from './customer-env.js';
import { secretsFile } from './job-files.js';
import type { jobTerms } from './job-terms.js';
import { withNewKeyShare } from './new-key-share.js';
import type { DatasetRecord, PublishPorts } from './publish.js';
import { requireStored } from './require-stored.js';

/** What it takes to post a job of any kind. */
export type PostPorts = Pick<PublishPorts, 'relays' | 'signer' | 'clock' | 'random' | 'files'>;

/**
 * Signs and publishes a job; its secrets are durable first. An equal request finds the job that is already there.
 * @param again         post a second, equal job
 * @param choice        whose bids win nothing: of keys that the own key does not follow, or that are named; also of a job that is already there,
 *                      until its award
 */
export async function postJob(
  terms: ReturnType<typeof jobTerms>,
  dataset: DatasetRecord,
  ports: PublishPorts,
  again: boolean,
  choice: Pick<JobSecrets, 'onlyFollowed' | 'blocked'> = {},
): Promise<{ readonly secrets: JobSecrets; readonly isNew: boolean }> {
  // A newer nmkt has another engine id and means the same job.
  const { deadline: _deadline, relays: _relays, spot, ...rest } = terms;
  const asked = { ...rest, spot: spot && [spot.ratePpm, spot.everySteps] };
  const request = sha256Hex(
    JSON.stringify(asked, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)),
  );
  const known = again ? undefined : await findJob(ports, request);
  const secrets = known === undefined ? await signJob(terms, dataset, ports, request, choice) : { ...known, ...choice };
  if (known !== undefined && Object.keys(choice).length > 0) await keepSecrets(ports, secrets);
  await requireStored(ports.relays, secrets.event);
  return { secrets, isNew: known === undefined };
}

async function findJob({ files }: PublishPorts, request: Sha256): Promise<JobSecrets | undefined> {
  for (const id of await files.list('jobs')) {
    const secrets = await files.readJson<JobSecrets>(secretsFile(id as EventId));
    if (secrets?.request === request) return secrets;
  }
  return undefined;
}

async function signJob(
  terms: ReturnType<typeof jobTerms>,
  dataset: DatasetRecord,
  ports: PublishPorts,
  request: Sha256,
  choice: Pick<JobSecrets, 'onlyFollowed' | 'blocked'>,
): Promise<JobSecrets> {
  const { random, signer, clock } = ports;
  const [seed, chain] = [random(32), random(32)];
  const full: JobTerms = {
    ...(await withNewKeyShare(terms, ports)),
    seedCommitment: seedCommitment(seed),
    chainCommitment: chainCommitment(chain, terms.rounds),
  };
  const event = await signer.sign(JOB.build({ job: null, seq: 0, prev: null }, full, clock.nowSec()));
  const secrets: JobSecrets = {
    event,
    request,
    seed: hex(seed),
    blobs: hex(random(32)),
    scoring: hex(scoringSecret(chain)),
    chain: hex(chain),
    train: dataset.train,
    a: dataset.a,
    b: dataset.b,
    ...choice,
  };
  await keepSecrets(ports, secrets);
  return secrets;
}

async function keepSecrets({ files }: Pick<PublishPorts, 'files'>, secrets: JobSecrets): Promise<void> {
  await files.write(secretsFile(secrets.event.id), JSON.stringify(secrets));
}
