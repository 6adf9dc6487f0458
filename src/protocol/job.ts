import { z } from 'zod';
import { RULES } from '../learning/aggregate/rule.js';
import { outerOptimizer, updateCodec } from './algorithm.js';
import { engineId } from './bid.js';
import { disputeTerms } from './dispute.js';
import { eventType } from './envelope.js';
import { KINDS } from './kinds.js';
import { NETWORKS } from './network.js';
import { hyperParameters, modelSpec } from './model.js';
import { eventId, int, msat, relayUrl, sha256Hex, text, unixSec } from './scalars.js';
import { MAX_VALIDATORS } from './validator.js';

/** An evaluation set: its own snapshot, and a salted hash of its canonical bytes so that it cannot change later. */
export const evaluationSet = z.object({ snapshot: eventId, rows: int(1, 2 ** 40), commitment: sha256Hex });

/**
 * A training is cut into segments of `everySteps` steps; a trainer's update is drawn with probability `ratePpm`, and always
 * until one of its updates was accepted. `engine` is the engine that repeats: training on another does not count.
 */
const spotCheck = z.object({ ratePpm: int(0, 1_000_000), everySteps: int(1, 1_000_000), engine: engineId });
export type SpotTerms = z.output<typeof spotCheck>;

/** Seats of validators, and what each gets per round whose scores it revealed. */
const validatorTerms = z.object({ count: int(1, MAX_VALIDATORS), feeMsat: msat });
export type ValidatorTerms = z.output<typeof validatorTerms>;

/**
 * What stake the job asks for and how it counts: least own stake of a trainer and of a validator (0: none), the part of a delegated msat that
 * counts, up to how many times the own stake it does, and how long an interval of the stake tables is.
 */
export const stakeTerms = z.object({
  trainerMsat: msat,
  validatorMsat: msat,
  delegatedPpm: int(0, 1_000_000),
  maxDelegated: int(0, 1_000),
  intervalSec: int(1, 86_400),
});
export type StakeTerms = z.output<typeof stakeTerms>;

/** Every promised term. Immutable: a trainer that cannot honour a field does not bid. */
const terms = z.object({
  title: text(200),
  mode: z.literal('federated', { error: 'federated, the only mode of a job without phase' }),
  dataset: eventId,
  evalA: evaluationSet,
  evalB: evaluationSet,
  model: modelSpec,
  hyper: hyperParameters,
  rounds: int(1, 10_000),
  /** Seats: one shard each. */
  trainers: int(1, 1_024),
  /** Most shards of one trainer; absent: one. Above one the draw of a spot check takes in the shard. */
  shardsPerTrainer: int(2, 1_024).optional(),
  /** Most seats, as a share, of keys without a receipt that the customer trusts, rounded up; absent: all. */
  newKeyShare: int(0, 1_000_000).optional(),
  /** Accepted updates that make a round count. */
  quorum: int(1, 1_024),
  /** Whose sats are meant. Those of `sandbox` are play money. */
  network: z.enum(NETWORKS),
  /** `key-sale`: the customer opens an update only with the preimage of its payment, so validators score for it. */
  rail: z.enum(['instalments', 'key-sale', 'none']),
  maxPriceMsat: msat,
  budgetMsat: msat,
  payoutFloorMsat: msat,
  /** `manual`: the customer names the winners among the admissible bids. */
  award: z.enum(['full', 'deadline', 'manual']),
  /** `uniform`: what each winner could have asked at most. */
  payment: z.enum(['pay-as-bid', 'uniform']),
  /** Absent: everybody reads them. */
  bids: z.literal('sealed').optional(),
  bidWindowSec: int(1, 31_536_000),
  readyTimeoutSec: int(1, 31_536_000),
  roundTimeoutSec: int(1, 31_536_000),
  revealTimeoutSec: int(1, 31_536_000),
  claimWithinSec: int(1, 31_536_000),
  payWithinSec: int(1, 31_536_000),
  deadline: unixSec,
  maxReplacements: int(0, 1_024),
  /** Trainers that ever get the key to one shard. */
  maxHolders: int(1, 16),
  /** `known`: only keys with a receipt that the customer trusts get one; `staked`: only those whose stake counts. */
  keyRelease: z.enum(['open', 'known', 'staked']),
  /** Zero bits at the front of a bid's id (NIP-13); absent: none asked. */
  minBidPow: int(1, 64).optional(),
  /** `spot`: beside the work floor, drawn segments of the training are repeated. */
  verification: z.enum(['floor', 'spot']),
  /** Exactly with `spot`. */
  spot: spotCheck.nullable(),
  /** Absent: the customer alone measures. */
  validators: validatorTerms.optional(),
  /** A trainer may have a validator repeat what the customer calls forged; absent: only an audit with the data tells. */
  disputes: disputeTerms.optional(),
  /** Absent: no stake counts in this job. */
  stake: stakeTerms.optional(),
  acceptedEngines: z
    .array(z.enum(['node', 'webgpu', 'wasm', 'cpu']))
    .min(1)
    .max(4),
  /** How the accepted updates of a round become one model; the award names its f and m. */
  aggregation: z.enum(RULES),
  /** Attackers among them that the rule is to withstand; 0 for rules without such a number. */
  attackers: int(0, 1_024),
  /** The step from a round's base towards that model. */
  outer: outerOptimizer,
  codec: updateCodec,
  strictLoss: z.boolean(),
  /** Share of the lower median of a round's drops D that every update is asked for, and half of it of E; absent: none. */
  leastWorkPpm: int(1, 1_000_000).optional(),
  /** SHA-256("nmkt/1/seed" || seed): given in the grants, opened to the auditor. */
  seedCommitment: sha256Hex,
  /** s_0 of the hash chain that draws reveal. */
  chainCommitment: sha256Hex,
  audit: z.enum(['granted', 'open']),
  access: z.enum(['customer', 'open']),
  relays: z.array(relayUrl).min(1).max(12),
});
export const jobTerms = terms
  .refine((job) => job.quorum <= job.trainers, 'a quorum of at most as many as there are seats')
  .refine((job) => (job.verification === 'spot') === (job.spot !== null), 'spot exactly with verification spot')
  .refine(
    (job) => job.payment !== 'uniform' || (job.bids === 'sealed' && job.shardsPerTrainer === undefined),
    'payment uniform with sealed bids, and one shard for each trainer',
  )
  .refine(
    (job) => job.award !== 'manual' || (job.payment === 'pay-as-bid' && job.newKeyShare === undefined),
    'award manual pays as bid, and promises new keys nothing',
  )
  .refine((job) => job.rail !== 'none' || job.maxPriceMsat === 0n, 'rail none has no price')
  .refine((job) => job.rail !== 'key-sale' || job.validators !== undefined, 'rail key-sale with seats for validators')
  .refine(
    (job) => job.rail !== 'key-sale' || job.shardsPerTrainer === undefined,
    'rail key-sale with one shard for each trainer: a preimage opens one update',
  )
  .refine(
    (job) => job.rail !== 'key-sale' || job.payoutFloorMsat >= 1_000n,
    'rail key-sale with a payout floor of at least 1,000 msat: no key is sold for nothing',
  )
  .refine((job) => job.keyRelease !== 'staked' || job.stake !== undefined, 'keyRelease staked with stake')
  .refine((job) => job.stake === undefined || job.rail !== 'none', 'stake with a rail that pays')
  .refine(
    (job) => (job.stake?.validatorMsat ?? 0n) === 0n || (job.validators !== undefined && job.spot !== null),
    'stake of validators with seats for them, and with spot checks: they are drawn',
  )
  .refine((job) => job.rail !== 'none' || (job.validators?.feeMsat ?? 0n) === 0n, 'rail none has no fee')
  .refine(
    (job) => job.disputes === undefined || (job.validators !== undefined && job.spot !== null),
    'disputes where there are validators and spot checks',
  );
export type JobTerms = z.output<typeof jobTerms>;

export const JOB = eventType('job', KINDS.job, null, jobTerms);
