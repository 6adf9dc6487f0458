import { z } from 'zod';
import { sha256Hex as hashHex, type Bytes, type Sha256 } from '../../hash.js';
import { RULES } from '../../learning/aggregate/rule.js';
import { dataSchema } from '../dataset.js';
import { eventType } from '../envelope.js';
import { stakeTerms } from '../job.js';
import { KINDS } from '../kinds.js';
import { hyperParameters, modelSpec } from '../model.js';
import { NETWORKS } from '../network.js';
import { bytes32, int, msat, relayUrl, sha256Hex, text, unixSec } from '../scalars.js';

/**
 * An alliance: members train one model on data of their own, drawn proposers against drawn voters (FL Alliance, arXiv:2307.00543). Its
 * customer needs no data: it lists, draws, settles and pays. A schema and a phase of its own, as those of an arena.
 */

/** Each has a row in the stake tables. */
export const MAX_MEMBERS = 200;
export const MAX_ALLIANCE_ROUNDS = 1_000;

const ppm = int(1, 1_000_000);
/** Members have no root update of the customer's. */
export const ALLIANCE_RULES = RULES.filter((rule) => rule !== 'fltrust');

/** How the pot falls into rounds and who decides them; what the names mean, src/market/alliance says. */
const allianceBlock = z.object({
  potMsat: msat,
  proposers: z.union([z.strictObject({ count: int(1, MAX_MEMBERS) }), z.strictObject({ sharePpm: int(1, 999_999) })]),
  minVoters: int(1, MAX_MEMBERS),
  /** A loss that is higher by less than this share is no reason against an aggregate; 0: it has to be lower. */
  tolerancePpm: int(0, 1_000_000),
  allianceSlashPpm: ppm.nullable(),
  /** Of the key that opens the proposals: every member gets it. */
  groupCommitment: sha256Hex,
});
export type AllianceBlock = z.output<typeof allianceBlock>;

const seconds = int(1, 31_536_000);

export const allianceTerms = z
  .object({
    title: text(200),
    mode: z.literal('alliance'),
    /** How the rows of everybody's data become numbers. */
    schema: dataSchema,
    model: modelSpec,
    hyper: hyperParameters,
    rounds: int(1, MAX_ALLIANCE_ROUNDS),
    aggregation: z.enum(ALLIANCE_RULES as [(typeof ALLIANCE_RULES)[number], ...typeof ALLIANCE_RULES]),
    attackers: int(0, MAX_MEMBERS),
    /** Of the initial model, and with a member's key of its trainings. */
    seed: bytes32,
    alliance: allianceBlock,
    network: z.enum(NETWORKS),
    rail: z.enum(['instalments', 'none']),
    payoutFloorMsat: msat,
    /** For proposals; for votes; for each of the short steps: nonces and reveals. */
    roundTimeoutSec: seconds,
    voteTimeoutSec: seconds,
    revealTimeoutSec: seconds,
    claimWithinSec: seconds,
    payWithinSec: seconds,
    /** Until when the first round has to be open. */
    deadline: unixSec,
    /** Absent: every member counts alike. */
    stake: stakeTerms.optional(),
    acceptedEngines: z
      .array(z.enum(['node', 'webgpu', 'wasm', 'cpu']))
      .min(1)
      .max(4),
    /** SHA-256(s_0) of the hash chain that draws reveal, as long as there are rounds. */
    chainCommitment: sha256Hex,
    relays: z.array(relayUrl).min(1).max(12),
  })
  .refine(
    ({ schema, model }) => schema.inputs === model.inputs && schema.outputs === model.outputs,
    'a model that fits the schema',
  )
  .refine(({ rail, alliance }) => rail !== 'none' || alliance.potMsat === 0n, 'rail none has no pot')
  .refine(({ rail, stake }) => stake === undefined || rail !== 'none', 'stake with a rail that pays')
  .refine(
    ({ stake, alliance }) => alliance.allianceSlashPpm === null || (stake?.trainerMsat ?? 0n) > 0n,
    'allianceSlashPpm with stake that every member needs',
  );
export type AllianceTerms = z.output<typeof allianceTerms>;

export const ALLIANCE_JOB = eventType('alliance-job', KINDS.job, 'alliance', allianceTerms);

/** SHA-256("nmkt/1/group" || key). */
export function groupCommitment(key: Bytes): Sha256 {
  return hashHex('nmkt/1/group', key);
}
