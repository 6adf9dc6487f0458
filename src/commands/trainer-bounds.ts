import { isNmktError } from '../errors.js';
import type { Pubkey } from '../hash.js';
import { parsePubkey } from '../config/identifiers.js';
import { maxShardBytes } from '../learning/examples.js';
import { fitsData } from '../learning/model-choice.js';
import { callBytes } from '../learning/model-cost.js';
import { parameterCount } from '../learning/params.js';
import type { EngineId, Rung } from '../learning/types.js';
import { acceptsEngine } from '../market/auction.js';
import { stakeToPut } from '../market/stake-terms.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import type { Clock, Network, Signer, Wallet } from '../ports.js';
import { policyName, quotePrice, type PricePolicy, type Quote } from '../roles/price-policy.js';
import { MAX_OWN_POW } from '../roles/proof-of-work.js';
import { optionalInteger, optionalNumber } from './customer-ports.js';
import type { SkipReason } from './trainer-skips.js';

export const SAT = 1_000n;
/** Of a model, unless --max-params says otherwise. */
export const MAX_PARAMS = 20_000_000;

/** What a trainer lets strangers ask of it. */
export interface Bounds extends PricePolicy {
  /** Of one job, at most. */
  readonly shards: number;
  /** Of the wallet. */
  readonly network: Network;
  readonly maxParams: number;
  /** Of all trainings that run at a time. */
  readonly maxBytes: number;
  readonly maxMinutes: number;
  readonly maxExposureMsat: bigint | null;
  /** Of one job, at most. */
  readonly maxStakeMsat: bigint;
  readonly allow: ReadonlySet<Pubkey>;
  readonly deny: ReadonlySet<Pubkey>;
}

export interface Bidder {
  readonly bounds: Bounds;
  readonly ports: { readonly signer: Signer; readonly clock: Clock };
  readonly wallet: Wallet | null;
  /** Jobs that it holds a seat of. */
  readonly held?: () => number;
  /** Of the best engine that loads, or the best among those a job accepts. @throws NmktError `engine-unavailable` */
  engineId(accepted?: readonly Rung[]): Promise<EngineId>;
}

/** @param flag  that says the price */
export function readBounds(
  options: Readonly<Record<string, unknown>>,
  network: Network,
  flag: '--price' | '--fee' = '--price',
): Bounds {
  const price = optionalInteger(options['price'], flag, 0, 21e14)!;
  const perGflop = optionalNumber(options['pricePerGflop'], '--price-per-gflop', 0, 1e6);
  const people = (name: string) => new Set(((options[name] as string[] | undefined) ?? []).map(parsePubkey));
  const exposure = optionalInteger(options['maxExposure'], '--max-exposure', 0, 21e14);
  const stake = optionalInteger(options['maxStake'], '--max-stake', 0, 21e14) ?? 0;
  return {
    priceMsat: BigInt(price) * SAT,
    gflopMsat: perGflop === undefined ? null : perGflop * 1_000,
    percentPerJob: optionalNumber(options['pricePerJob'], '--price-per-job', 0, 1_000) ?? 0,
    shards: readShards(options),
    network,
    maxParams: optionalInteger(options['maxParams'], '--max-params', 1, 1e12) ?? MAX_PARAMS,
    maxBytes: optionalInteger(options['maxBytes'], '--max-bytes', 1, 2 ** 40) ?? 1_073_741_824,
    maxMinutes: optionalNumber(options['maxMinutes'], '--max-minutes', 0.01, 525_600) ?? 60,
    maxExposureMsat: exposure === undefined ? null : BigInt(exposure) * SAT,
    maxStakeMsat: BigInt(stake) * SAT,
    allow: people('allow'),
    deny: people('deny'),
  };
}

/** `--shards`: that a bid offers to take of one job. */
export function readShards(options: Readonly<Record<string, unknown>>): number {
  return optionalInteger(options['shards'], '--shards', 1, 1_024) ?? 1;
}

/** Memory of a training on the largest shard, as the engine estimates it: nothing of the size is made before. */
export function trainingBytes({ model, hyper }: JobTerms, { manifest }: Snapshot): number {
  const rows = Math.max(...manifest.shards.map(({ examples }) => examples));
  const dataBytes = maxShardBytes(manifest.schema, rows);
  return callBytes(model, { batch: Math.min(hyper.batch, rows), rows, dataBytes });
}

/** What it asks of a job while it holds a seat of so many others. */
export function quoteOf(policy: PricePolicy, terms: JobTerms, { manifest }: Snapshot, held: number): Quote {
  return quotePrice(policy, terms, Math.max(...manifest.shards.map(({ examples }) => examples)), held);
}

export function askedMsat(policy: PricePolicy, terms: JobTerms, snapshot: Snapshot, held: number): bigint {
  return policyName(policy) === 'fixed' ? policy.priceMsat : quoteOf(policy, terms, snapshot, held).priceMsat;
}

/** Why a job is not for this trainer; a job that was begun goes on whatever the bounds say now. */
export async function skipReason(
  trainer: Bidder,
  job: EventOf<'job'>,
  snapshot: Snapshot,
  isBegun: boolean,
): Promise<SkipReason | null> {
  const { bounds, ports } = trainer;
  const terms: JobTerms = job.content;
  if (isBegun) return null;
  if (job.author === ports.signer.pubkey) return 'own-job';
  if (terms.deadline <= ports.clock.nowSec()) return 'closed';
  if (bounds.deny.has(job.author) || (bounds.allow.size > 0 && !bounds.allow.has(job.author))) return 'customer';
  if (terms.rail !== 'none' && trainer.wallet === null) return 'no-wallet';
  if (terms.rail !== 'none' && terms.network !== bounds.network) return 'network';
  if (terms.rail === 'key-sale' && !(await makesHolds(trainer.wallet!))) return 'no-hold-invoices';
  const priceMsat = askedMsat(bounds, terms, snapshot, trainer.held?.() ?? 0);
  if (terms.rail !== 'none' && priceMsat > terms.maxPriceMsat) return 'price';
  if (terms.rail !== 'none' && priceMsat < terms.payoutFloorMsat) return 'payout-floor';
  if ((terms.minBidPow ?? 0) > MAX_OWN_POW) return 'proof-of-work';
  if (stakeToPut(terms, 'trainer') > bounds.maxStakeMsat) return 'stake';
  if (parameterCount(terms.model) > bounds.maxParams) return 'max-params';
  if (trainingBytes(terms, snapshot) > bounds.maxBytes) return 'max-bytes';
  if (!fitsData(terms.model, snapshot.manifest.schema)) return 'model';
  try {
    if (!acceptsEngine(terms, await trainer.engineId(terms.acceptedEngines))) return 'engine';
  } catch (error) {
    if (isNmktError(error, 'engine-unavailable')) return 'engine';
    throw error;
  }
  return null;
}

const HOLD_METHODS = ['make_hold_invoice', 'settle_hold_invoice', 'cancel_hold_invoice', 'lookup_invoice'] as const;

/** Of a wallet that is away nobody can tell: it may be back when it is paid. */
async function makesHolds(wallet: Wallet): Promise<boolean> {
  try {
    const { methods } = await wallet.info();
    return HOLD_METHODS.every((method) => methods.has(method));
  } catch (error) {
    if (isNmktError(error, 'wallet-unreachable')) return true;
    throw error;
  }
}
