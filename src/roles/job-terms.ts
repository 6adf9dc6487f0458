import { parseDuration } from './duration.js';
import { enginesOf, type JobFile } from './job-file.js';
import { aggregationTerms, codecTerms, outerTerms } from './job-algorithm.js';
import { hyperParameters } from './job-hyper.js';
import { NmktError } from '../errors.js';
import { fromHex } from '../hash.js';
import type { Codec } from '../learning/codec/codec.js';
import { sequentialSpec } from '../learning/layers-model-spec.js';
import { chooseModel, modelFor, MODEL_NAMES } from '../learning/model-choice.js';
import { checkOwnSize } from '../learning/own-limits.js';
import { stepCount } from '../learning/train-state.js';
import type { DataSchema, EngineId, ModelSpec } from '../learning/types.js';
import { parseSnapshot } from '../protocol/dataset.js';
import type { JobTerms, StakeTerms, ValidatorTerms } from '../protocol/job.js';
import { MAX_CHECKPOINTS } from '../protocol/submission.js';
import type { Network } from '../ports.js';
import { dataCommitment, ownLocator } from './epoch.js';
import { leastWork } from './least-work.js';
import type { DatasetRecord } from './publish.js';

const SAT = 1_000n;
/** A snapshot names every shard in one event of 64 kB. */
export const MAX_SEATS = 500;
/** A payment below this costs more in routing than it is worth; play money has no fees. */
export const PAYOUT_FLOOR_SATS = { sandbox: 0, elsewhere: 200 } as const;

/**
 * The wire's terms from a job file and a dataset.
 *
 * @param checker      the engine that repeats drawn segments; null exactly where the job has no spot checks
 * @param layersModel  what the file holds that `model` names
 * @throws NmktError `bad-job`, `over-budget`
 */
export function jobTerms(
  job: JobFile,
  dataset: DatasetRecord,
  network: Network,
  relays: readonly string[],
  nowSec: number,
  checker: EngineId | null,
  layersModel?: unknown,
): Omit<JobTerms, 'seedCommitment' | 'chainCommitment'> {
  const { manifest, id } = parseSnapshot(dataset.train.event);
  const trainers = job.trainers ?? manifest.shards.length;
  if (trainers !== manifest.shards.length)
    throw bad(
      'as many trainers as shards',
      `${trainers} trainers, ${manifest.shards.length} shards`,
      `publish with --shards ${trainers}, or leave trainers out`,
    );
  if (trainers > MAX_SEATS) throw bad(`at most ${MAX_SEATS} trainers`, `${trainers}`, `--shards ${MAX_SEATS}`);
  const isFree = job.rail === 'none';
  const maxPriceMsat = isFree ? 0n : BigInt(job.maxPriceSats) * SAT;
  const validators = validatorTerms(job);
  const stake = stakeTerms(job, checker !== null);
  const fees = validators === null ? 0n : BigInt(validators.count) * validators.feeMsat;
  const most = BigInt(job.rounds) * (BigInt(trainers) * maxPriceMsat + fees);
  const budgetMsat = isFree ? 0n : job.budgetSats === undefined ? most : BigInt(job.budgetSats) * SAT;
  if (most > budgetMsat)
    throw new NmktError('over-budget', 'the job could cost more than its budget', {
      expected: `rounds x ${fees === 0n ? 'shards x maxPriceSats' : '(shards x maxPriceSats + fees)'} <= ${budgetMsat / SAT} sat`,
      got: `${job.rounds} x ${fees === 0n ? `${trainers} x ${job.maxPriceSats}` : `(${trainers} x ${job.maxPriceSats} + ${fees / SAT})`} = ${most / SAT} sat`,
      remedy: `--budget-sats ${most / SAT}, or fewer rounds, or a lower --max-price-sats`,
    });
  const payoutFloorMsat = isFree ? 0n : BigInt(job.payoutFloorSats ?? leastPayout(job, network)) * SAT;
  if (!isFree && maxPriceMsat < payoutFloorMsat)
    throw bad(
      `a price of at least the payout floor, ${payoutFloorMsat / SAT} sat`,
      `${job.maxPriceSats} sat`,
      `--max-price-sats ${payoutFloorMsat / SAT}`,
    );
  // Nothing of a round may be too small to be paid with it.
  const feeMsat = validators?.feeMsat ?? 0n;
  if (!isFree && feeMsat > 0n && feeMsat < payoutFloorMsat)
    throw bad(
      `a fee of at least the payout floor, ${payoutFloorMsat / SAT} sat, or none`,
      `${feeMsat / SAT} sat`,
      `--validator-fee-sats ${payoutFloorMsat / SAT}`,
    );
  const shardsPerTrainer = Math.min(job.shardsPerTrainer, trainers);
  requireSellable(job, shardsPerTrainer);
  const quorum = job.quorum ?? Math.ceil((2 * trainers) / 3);
  if (quorum > trainers) throw bad(`a quorum of at most ${trainers} trainers`, `${quorum}`, `--quorum ${trainers}`);
  const model = modelSpec(job, manifest.schema, layersModel);
  const hyper = hyperParameters(job);
  const codec = codecTerms(job, model);
  checkOwnSize(model, Math.min(hyper.batch, Math.max(...manifest.shards.map(({ examples }) => examples))));
  return {
    title: job.title,
    mode: 'federated',
    dataset: id,
    evalA: evaluationSetOf(dataset.a),
    evalB: evaluationSetOf(dataset.b),
    model,
    hyper,
    rounds: job.rounds,
    trainers,
    ...(shardsPerTrainer > 1 && { shardsPerTrainer }),
    ...(job.newKeyShare !== undefined && { newKeyShare: Math.round(job.newKeyShare * 1_000_000) }),
    quorum,
    network,
    rail: job.rail,
    maxPriceMsat,
    budgetMsat,
    payoutFloorMsat,
    award: job.award,
    ...paymentTerms(job, shardsPerTrainer),
    bidWindowSec: parseDuration(job.bidWindow, '--bid-window'),
    readyTimeoutSec: parseDuration(job.readyTimeout, '--ready-timeout'),
    roundTimeoutSec: parseDuration(job.roundTimeout, '--round-timeout'),
    revealTimeoutSec: parseDuration(job.revealTimeout, '--reveal-timeout'),
    claimWithinSec: parseDuration(job.claimWithin, '--claim-within'),
    payWithinSec: parseDuration(job.payWithin, '--pay-within'),
    deadline: nowSec + parseDuration(job.deadline, '--deadline'),
    maxReplacements: job.maxReplacements,
    maxHolders: job.maxHolders,
    keyRelease: job.keyRelease,
    ...(job.minBidPow > 0 && { minBidPow: job.minBidPow }),
    verification: checker === null ? 'floor' : 'spot',
    spot: checker === null ? null : spotTerms(job, manifest.shards, codec, checker),
    ...(validators !== null && { validators }),
    ...(validators !== null &&
      checker !== null && { disputes: { withinSec: parseDuration(job.disputeTimeout, '--dispute-timeout') } }),
    ...(stake !== null && { stake }),
    acceptedEngines: enginesOf(job),
    ...aggregationTerms(job, trainers),
    outer: outerTerms(job),
    codec,
    strictLoss: job.strictLoss,
    ...leastWork(job, hyper, manifest.shards),
    audit: job.audit,
    access: job.access,
    relays: [...relays],
  };
}

function leastPayout({ rail }: JobFile, network: Network): number {
  if (network !== 'sandbox') return PAYOUT_FLOOR_SATS.elsewhere;
  return rail === 'key-sale' ? 1 : PAYOUT_FLOOR_SATS.sandbox;
}

/**
 * A preimage opens one update, and nobody but validators can look into it before.
 *
 * @throws NmktError `bad-job`
 */
function requireSellable(job: JobFile, shardsPerTrainer: number): void {
  if (job.rail !== 'key-sale') return;
  if (job.validators === 0)
    throw bad(
      'validators on rail key-sale: you cannot open an update before you have paid for it, so others score it',
      'validators 0',
      '--validators 3, or --rail instalments',
    );
  if (shardsPerTrainer > 1)
    throw bad('one shard per trainer on rail key-sale', `${shardsPerTrainer}`, '--shards-per-trainer 1');
  if (job.payoutFloorSats === 0)
    throw bad('a payout floor of at least 1 sat on rail key-sale', '0 sat', '--payout-floor-sats 1');
}

/** Of an arena or an alliance. @throws NmktError `bad-job` */
export function potRail({ rail }: Pick<JobFile, 'rail'>): 'instalments' | 'none' {
  if (rail !== 'key-sale') return rail;
  throw bad('a rail that pays by rank or vote', 'key-sale: it sells one update to one customer', '--rail instalments');
}

/** What a job says of a set that only validators see. */
export function evaluationSetOf(epoch: DatasetRecord['a']): JobTerms['evalA'] {
  const { id: snapshot, manifest: about } = parseSnapshot(epoch.event);
  const [pointer] = ownLocator(about, epoch.secrets).shards;
  return {
    snapshot,
    rows: about.shards[0]!.examples,
    commitment: dataCommitment(fromHex(epoch.secrets.salt), pointer!.sha256),
  };
}

/** @throws NmktError `bad-job` */
function paymentTerms(job: JobFile, shardsPerTrainer: number): Pick<JobTerms, 'payment' | 'bids'> {
  const sealed = job.bids === 'sealed' ? { bids: 'sealed' as const } : {};
  if (job.award === 'manual' && job.newKeyShare !== undefined)
    throw bad('no newKeyShare with award manual: you choose', `${job.newKeyShare}`, 'leave out newKeyShare');
  if (job.payment === 'pay-as-bid') return { payment: job.payment, ...sealed };
  if (job.bids !== 'sealed') throw bad('sealed bids with payment uniform', 'bids open', '--bids sealed');
  if (shardsPerTrainer > 1)
    throw bad('one shard per trainer with payment uniform', `${shardsPerTrainer}`, '--shards-per-trainer 1');
  // As soon as every seat has a bid there is no loser, and everyone gets the ceiling.
  if (job.award !== 'deadline')
    throw bad('award deadline with payment uniform', `award ${job.award}`, '--award deadline');
  return { payment: job.payment, ...sealed };
}

function validatorTerms(job: JobFile): ValidatorTerms | null {
  if (job.validators === 0) {
    if (job.validatorFeeSats === 0) return null;
    throw bad('validators, where there is a fee for them', `a fee of ${job.validatorFeeSats} sat`, '--validators 3');
  }
  if (job.rail === 'none' && job.validatorFeeSats > 0)
    throw bad('no fee on rail none', `${job.validatorFeeSats} sat`, '--validator-fee-sats 0, or --rail instalments');
  return { count: job.validators, feeMsat: BigInt(job.validatorFeeSats) * SAT };
}

/** @throws NmktError `bad-job` */
function stakeTerms(job: JobFile, isRepeated: boolean): StakeTerms | null {
  const { trainerStakeSats, validatorStakeSats } = job;
  if (trainerStakeSats === 0 && validatorStakeSats === 0 && job.keyRelease !== 'staked') return null;
  if (job.rail === 'none')
    throw bad('no stake on rail none: what is lost could be paid to nobody', 'stake', '--rail instalments');
  if (validatorStakeSats > 0 && job.validators === 0)
    throw bad('seats for validators that stake', 'validators 0', '--validators 3');
  if (validatorStakeSats > 0 && !isRepeated)
    throw bad(
      'spot checks, where validators stake: their seats are drawn with them',
      'verification floor',
      '--accepted-engines wasm',
    );
  const intervalSec = parseDuration(job.stakeInterval, '--stake-interval');
  if (intervalSec > MAX_INTERVAL_SEC) throw bad('a stakeInterval of at most a day', `${intervalSec} s`, '1h');
  return {
    trainerMsat: BigInt(trainerStakeSats) * SAT,
    validatorMsat: BigInt(validatorStakeSats) * SAT,
    delegatedPpm: Math.round(job.delegatedShare * 1_000_000),
    maxDelegated: job.maxDelegated,
    intervalSec,
  };
}
const MAX_INTERVAL_SEC = 86_400;

/** Segments are cut for the largest shard; trainings on smaller ones have fewer. */
function spotTerms(
  job: JobFile,
  shards: readonly { readonly examples: number }[],
  codec: Codec,
  engine: EngineId,
): NonNullable<JobTerms['spot']> {
  const steps = Math.max(...shards.map(({ examples }) => stepCount(hyperParameters(job), examples)));
  return { ratePpm: Math.round(job.spotRate * 1_000_000), everySteps: segmentSteps(job, codec, steps), engine };
}

/** Steps of a segment, where the longest training has `steps`. */
export function segmentSteps(job: Pick<JobFile, 'segments'>, codec: Codec, steps: number): number {
  // The encoding of another codec than f32 is one more.
  const segments = Math.min(job.segments, codec.name === 'f32' ? MAX_CHECKPOINTS + 1 : MAX_CHECKPOINTS);
  return Math.max(1, Math.ceil(steps / segments));
}

function bad(expected: string, got: string, remedy: string): NmktError {
  return new NmktError('bad-job', 'the job cannot be posted like this', { expected, got, remedy });
}

/** @throws NmktError `bad-job` for a model that does not fit the data */
export function modelSpec(
  job: Pick<JobFile, 'model' | 'size' | 'hidden'>,
  schema: DataSchema,
  layersModel?: unknown,
): ModelSpec {
  const { model: asked, ...rest } = job;
  const known = MODEL_NAMES.find((name) => name === asked);
  if (asked !== undefined && known === undefined) return sequentialSpec(layersModel, schema).spec;
  const spec = chooseModel({ ...rest, model: known }, schema);
  if (typeof spec !== 'string') return spec;
  const model = known ?? modelFor(schema);
  const instead = model === 'mlp' ? '--hidden 128, or --model logreg' : `--model ${modelFor(schema)}`;
  throw bad(
    `${spec} for ${model}`,
    model === 'mlp' ? 'none' : `examples of shape ${schema.shape.join(' x ')}`,
    instead,
  );
}
