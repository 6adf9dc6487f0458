import { NmktError } from '../../errors.js';
import { hex, sha256Hex, type EventId, type Sha256 } from '../../hash.js';
import { chainCommitment, scoringSecret } from '../../learning/seeds.js';
import { ARENA_JOB, type ArenaTerms } from '../../protocol/arena/job.js';
import { parseSnapshot } from '../../protocol/dataset.js';
import type { Network } from '../../ports.js';
import type { JobSecrets } from '../customer-env.js';
import { parseDuration } from '../duration.js';
import { enginesOf } from '../job-file.js';
import { arenaFile } from '../job-files.js';
import { evaluationSetOf, PAYOUT_FLOOR_SATS, potRail } from '../job-terms.js';
import type { PostPorts } from '../post.js';
import type { DatasetRecord } from '../publish.js';
import { requireStored } from '../require-stored.js';
import { ARENA_DRAWS } from './customer.js';
import type { ArenaFile } from './file.js';

const SAT = 1_000n;
const ppm = (share: number) => Math.round(share * 1_000_000);

/** What is asked for, before the secrets of the job are drawn. */
export type WantedArena = Omit<ArenaTerms, 'chainCommitment'>;

/**
 * The wire's terms from a job file and a dataset.
 *
 * @throws NmktError `bad-job`
 */
export function arenaTermsOf(
  job: ArenaFile,
  dataset: DatasetRecord,
  network: Network,
  relays: readonly string[],
  nowSec: number,
): WantedArena {
  const isFree = job.rail === 'none';
  const { sandbox, elsewhere } = PAYOUT_FLOOR_SATS;
  const floorSats = job.payoutFloorSats ?? (network === 'sandbox' ? sandbox : elsewhere);
  const isStaked = job.trainerStakeSats > 0 || job.validatorStakeSats > 0 || job.keyRelease === 'staked';
  if (isFree && isStaked) throw bad('no stake on rail none', 'stake', '--rail instalments');
  const [interimUntil, finalUntil] = [
    nowSec + parseDuration(job.interim, '--interim'),
    nowSec + parseDuration(job.final, '--final'),
  ];
  if (interimUntil >= finalUntil)
    throw bad('a final stage after the interim one', `${job.interim}, ${job.final}`, '--final 2d');
  if (!isFree && job.potSats === 0) throw bad('a pot, or rail none', '0 sat', '--pot-sats 1000, or --rail none');
  return {
    title: job.title,
    mode: 'arena',
    dataset: parseSnapshot(dataset.train.event).id,
    evalA: evaluationSetOf(dataset.a),
    evalB: evaluationSetOf(dataset.b),
    arena: {
      potMsat: isFree ? 0n : BigInt(job.potSats) * SAT,
      sides:
        job.sides === 'fixed'
          ? { sides: 'fixed', validatorSharePpm: ppm(job.validatorShare) }
          : { sides: 'byStake', gPpm: ppm(job.gamma) },
      interimSharePpm: ppm(job.interimShare),
      qPpm: ppm(job.q),
      bestStakes: job.bestStakes ?? null,
      bestValidators: job.bestValidators ?? null,
      lambdaPpm: ppm(job.lambda),
      seats: job.seats,
      submissionsPerDay: job.submissionsPerDay,
      maxModelBytes: job.maxModelBytes,
      models: [...new Set(job.models)],
      ...{ interimUntil, finalUntil },
    },
    network,
    rail: potRail(job),
    payoutFloorMsat: isFree ? 0n : BigInt(floorSats) * SAT,
    revealTimeoutSec: parseDuration(job.revealTimeout, '--reveal-timeout'),
    claimWithinSec: parseDuration(job.claimWithin, '--claim-within'),
    payWithinSec: parseDuration(job.payWithin, '--pay-within'),
    keyRelease: job.keyRelease,
    ...(isStaked && {
      stake: {
        trainerMsat: BigInt(job.trainerStakeSats) * SAT,
        validatorMsat: BigInt(job.validatorStakeSats) * SAT,
        delegatedPpm: ppm(job.delegatedShare),
        maxDelegated: job.maxDelegated,
        intervalSec: parseDuration(job.stakeInterval, '--stake-interval'),
      },
    }),
    acceptedEngines: enginesOf(job),
    ...{ audit: job.audit, access: job.access, relays: [...relays] },
  };
}

function bad(expected: string, got: string, remedy: string): NmktError {
  return new NmktError('bad-job', 'the arena cannot be posted like this', { expected, got, remedy });
}

/**
 * Signs and publishes an arena; its secrets are durable first. An equal request finds the job that is already there.
 *
 * @param again   post a second, equal job
 * @param choice  who gets no training set
 */
export async function postArena(
  wanted: WantedArena,
  dataset: DatasetRecord,
  ports: PostPorts,
  again: boolean,
  choice: Pick<JobSecrets, 'onlyFollowed' | 'blocked'> = {},
): Promise<{ readonly secrets: JobSecrets; readonly isNew: boolean }> {
  const { arena, relays: _relays, ...rest } = wanted;
  const { interimUntil, finalUntil, ...block } = arena;
  const asked = { ...rest, arena: block, between: finalUntil - interimUntil };
  const request = sha256Hex(
    JSON.stringify(asked, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)),
  );
  const known = again ? undefined : await findArena(ports, request);
  const secrets = known ?? (await signArena(wanted, dataset, ports, request, choice));
  await requireStored(ports.relays, secrets.event);
  return { secrets, isNew: known === undefined };
}

async function findArena({ files }: Pick<PostPorts, 'files'>, request: Sha256): Promise<JobSecrets | undefined> {
  for (const id of await files.list('jobs')) {
    const secrets = await files.readJson<JobSecrets>(arenaFile(id as EventId));
    if (secrets?.request === request) return secrets;
  }
  return undefined;
}

async function signArena(
  wanted: WantedArena,
  { train, a, b }: DatasetRecord,
  { random, signer, clock, files }: PostPorts,
  request: Sha256,
  choice: Pick<JobSecrets, 'onlyFollowed' | 'blocked'>,
): Promise<JobSecrets> {
  const [seed, chain, blobs] = [random(32), random(32), random(32)];
  const terms: ArenaTerms = { ...wanted, chainCommitment: chainCommitment(chain, ARENA_DRAWS) };
  const event = await signer.sign(ARENA_JOB.build({ job: null, seq: 0, prev: null }, terms, clock.nowSec()));
  const hidden = { seed: hex(seed), blobs: hex(blobs), scoring: hex(scoringSecret(chain)), chain: hex(chain) };
  const secrets: JobSecrets = { event, request, ...hidden, train, a, b, ...choice };
  await files.write(arenaFile(event.id), JSON.stringify(secrets));
  return secrets;
}
