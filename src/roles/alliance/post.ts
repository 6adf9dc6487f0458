import { NmktError } from '../../errors.js';
import { hex, sha256Hex, type EventId, type Sha256 } from '../../hash.js';
import { mostAttackers, takesAttackers } from '../../learning/aggregate/rule.js';
import { chainCommitment } from '../../learning/seeds.js';
import type { DataSchema } from '../../learning/types.js';
import { ALLIANCE_JOB, groupCommitment, type AllianceTerms } from '../../protocol/alliance/job.js';
import type { Network } from '../../ports.js';
import { parseDuration } from '../duration.js';
import { enginesOf } from '../job-file.js';
import { allianceFile } from '../job-files.js';
import { hyperParameters } from '../job-hyper.js';
import { modelSpec, PAYOUT_FLOOR_SATS, potRail } from '../job-terms.js';
import type { PostPorts } from '../post.js';
import { requireStored } from '../require-stored.js';
import type { AllianceSecrets } from './env.js';
import type { AllianceFile } from './file.js';

const SAT = 1_000n;

/** What is asked for, before the secrets of the job are drawn. */
export type WantedAlliance = Omit<AllianceTerms, 'seed' | 'chainCommitment' | 'alliance'> & {
  readonly alliance: Omit<AllianceTerms['alliance'], 'groupCommitment'>;
};

/**
 * The wire's terms from a job file.
 *
 * @param schema       of everybody's data
 * @param layersModel  what the file holds that `model` names
 * @throws NmktError `bad-job`
 */
export function allianceTermsOf(
  job: AllianceFile,
  schema: DataSchema,
  network: Network,
  relays: readonly string[],
  nowSec: number,
  layersModel?: unknown,
): WantedAlliance {
  const isFree = job.rail === 'none';
  const { sandbox, elsewhere } = PAYOUT_FLOOR_SATS;
  const floorSats = job.payoutFloorSats ?? (network === 'sandbox' ? sandbox : elsewhere);
  if (isFree && job.trainerStakeSats > 0) throw bad('no stake on rail none', 'stake', '--rail instalments');
  return {
    title: job.title,
    mode: 'alliance',
    schema,
    model: modelSpec(job, schema, layersModel),
    hyper: hyperParameters(job),
    rounds: job.rounds,
    ...ruleOf(job),
    alliance: {
      potMsat: isFree ? 0n : BigInt(job.potSats) * SAT,
      proposers: job.proposers === undefined ? { sharePpm: 500_000 } : { count: job.proposers },
      minVoters: job.minVoters,
      tolerancePpm: Math.round(job.tolerance * 1_000_000),
      allianceSlashPpm: slashPpm(job),
    },
    network,
    rail: potRail(job),
    payoutFloorMsat: isFree ? 0n : BigInt(floorSats) * SAT,
    roundTimeoutSec: parseDuration(job.roundTimeout, '--round-timeout'),
    voteTimeoutSec: parseDuration(job.voteTimeout, '--vote-timeout'),
    revealTimeoutSec: parseDuration(job.revealTimeout, '--reveal-timeout'),
    claimWithinSec: parseDuration(job.claimWithin, '--claim-within'),
    payWithinSec: parseDuration(job.payWithin, '--pay-within'),
    deadline: nowSec + parseDuration(job.deadline, '--deadline'),
    ...(job.trainerStakeSats > 0 && {
      stake: {
        trainerMsat: BigInt(job.trainerStakeSats) * SAT,
        validatorMsat: 0n,
        delegatedPpm: Math.round(job.delegatedShare * 1_000_000),
        maxDelegated: job.maxDelegated,
        intervalSec: parseDuration(job.stakeInterval, '--stake-interval'),
      },
    }),
    acceptedEngines: enginesOf(job),
    relays: [...relays],
  };
}

function slashPpm({ allianceSlash, trainerStakeSats }: AllianceFile): number | null {
  const ppm = Math.round(allianceSlash * 1_000_000);
  if (ppm > 0 && trainerStakeSats === 0)
    throw bad('a stake that can be slashed', 'allianceSlash without trainerStakeSats', '--trainer-stake-sats 100');
  return ppm === 0 ? null : ppm;
}

function ruleOf({
  aggregation,
  attackers = 0,
  proposers = 200,
}: AllianceFile): Pick<AllianceTerms, 'aggregation' | 'attackers'> {
  const most = mostAttackers(aggregation, proposers);
  if (attackers <= most) return { aggregation, attackers };
  throw bad(
    takesAttackers(aggregation)
      ? `at most ${most} attackers of ${proposers} proposers`
      : `no attackers: ${aggregation} takes no number of them`,
    `${attackers}`,
    takesAttackers(aggregation) ? `--attackers ${most}` : 'leave out attackers, or --aggregation trimmed-mean',
  );
}

function bad(expected: string, got: string, remedy: string): NmktError {
  return new NmktError('bad-job', 'the alliance cannot be posted like this', { expected, got, remedy });
}

/**
 * Signs and publishes an alliance; its secrets are durable first. An equal request finds the job that is already there.
 *
 * @param again  post a second, equal job
 */
export async function postAlliance(
  wanted: WantedAlliance,
  opening: Pick<AllianceSecrets, 'members' | 'joinWindowSec'>,
  ports: PostPorts,
  again: boolean,
): Promise<{ readonly secrets: AllianceSecrets; readonly isNew: boolean }> {
  const { deadline: _deadline, relays: _relays, ...asked } = wanted;
  const request = sha256Hex(
    JSON.stringify(asked, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)),
  );
  const known = again ? undefined : await findAlliance(ports, request);
  const secrets = known ?? (await signAlliance(wanted, opening, ports, request));
  await requireStored(ports.relays, secrets.event);
  return { secrets, isNew: known === undefined };
}

async function findAlliance({ files }: Pick<PostPorts, 'files'>, request: Sha256) {
  for (const id of await files.list('jobs')) {
    const secrets = await files.readJson<AllianceSecrets>(allianceFile(id as EventId));
    if (secrets?.request === request) return secrets;
  }
  return undefined;
}

async function signAlliance(
  wanted: WantedAlliance,
  opening: Pick<AllianceSecrets, 'members' | 'joinWindowSec'>,
  { random, signer, clock, files }: PostPorts,
  request: Sha256,
): Promise<AllianceSecrets> {
  const [seed, chain, group] = [random(32), random(32), random(32)];
  const terms: AllianceTerms = {
    ...wanted,
    seed,
    alliance: { ...wanted.alliance, groupCommitment: groupCommitment(group) },
    chainCommitment: chainCommitment(chain, wanted.rounds),
  };
  const event = await signer.sign(ALLIANCE_JOB.build({ job: null, seq: 0, prev: null }, terms, clock.nowSec()));
  const secrets: AllianceSecrets = { event, request, chain: hex(chain), group: hex(group), ...opening };
  await files.write(allianceFile(event.id), JSON.stringify(secrets));
  return secrets;
}
