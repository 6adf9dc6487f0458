import { formatPubkey } from '../config/identifiers.js';
import { NmktError, type ErrorCode } from '../errors.js';
import { parameterCount } from '../learning/params.js';
import type { Snapshot } from '../protocol/dataset.js';
import { stakeToPut } from '../market/stake-terms.js';
import type { EventOf } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import { policyName } from '../roles/price-policy.js';
import { MAX_OWN_POW } from '../roles/proof-of-work.js';
import { askedMsat, trainingBytes, type Bounds } from './trainer-bounds.js';

/** Why a trainer leaves a job alone, as `skipped` events name it. */
export type SkipReason =
  | 'own-job'
  | 'closed'
  | 'awarded'
  | 'customer'
  | 'no-wallet'
  | 'no-hold-invoices'
  | 'network'
  | 'price'
  | 'payout-floor'
  | 'proof-of-work'
  | 'stake'
  | 'max-params'
  | 'max-bytes'
  | 'model'
  | 'engine'
  | 'dataset-missing';

interface SkipFacts {
  readonly expected: string;
  readonly got: string;
  readonly remedy: string;
}

const SAT = 1_000n;

/** The bound and what met it, in the words of the flags. @param snapshot  null where it was not found */
export function describeSkip(
  reason: SkipReason,
  { author, content }: EventOf<'job'>,
  bounds: Bounds,
  snapshot: Snapshot | null,
  held = 0,
): SkipFacts {
  const isFixed = policyName(bounds) === 'fixed';
  const asked = snapshot === null ? bounds.priceMsat : askedMsat(bounds, content, snapshot, held);
  const price = isFixed ? `--price ${asked / SAT}` : `${asked / SAT} sat by its price policy`;
  const customer = formatPubkey(author);
  switch (reason) {
    case 'price': {
      const most = content.maxPriceMsat / SAT;
      const remedy = isFixed ? `--price ${most}` : 'a lower --price, --price-per-gflop or --price-per-job';
      return { expected: `at most ${most} sat per round`, got: price, remedy };
    }
    case 'payout-floor': {
      const least = (content.payoutFloorMsat + SAT - 1n) / SAT;
      return { expected: `at least ${least} sat per round`, got: price, remedy: `--price ${least}` };
    }
    case 'proof-of-work':
      return {
        expected: `at most ${MAX_OWN_POW} bits of work on a bid`,
        got: `${content.minBidPow!} bits`,
        remedy: OTHER_JOBS,
      };
    case 'stake': {
      const sats = stakeSats(content, 'trainer');
      return {
        expected: `a stake of at most ${bounds.maxStakeMsat / SAT} sat`,
        got: `a job that asks for ${sats} sat, lost by a proven fraud`,
        remedy: `--max-stake ${sats}`,
      };
    }
    case 'no-wallet':
      return {
        expected: 'a wallet: this job pays',
        got: 'none',
        remedy: 'set NMKT_WALLET, --wallet-file or --settings',
      };
    case 'no-hold-invoices':
      return {
        expected: 'a wallet that makes, settles and cancels hold invoices: this job pays for keys',
        got: 'one that does not',
        remedy: 'connect a wallet with them (docs/money.md), such as Alby Hub on LDK, LND or CLN',
      };
    case 'network':
      return {
        expected: `a job that pays on ${bounds.network}, where this wallet is`,
        got: `one that pays on ${content.network}`,
        remedy: `a wallet there, and --network ${content.network}`,
      };
    case 'max-params': {
      const size = parameterCount(content.model);
      return { expected: `at most ${bounds.maxParams} parameters`, got: `${size}`, remedy: `--max-params ${size}` };
    }
    case 'max-bytes': {
      const bytes = trainingBytes(content, snapshot!);
      return {
        expected: `a training in at most ${bounds.maxBytes} bytes of memory`,
        got: `about ${bytes}`,
        remedy: `--max-bytes ${bytes} if this machine can bear it`,
      };
    }
    case 'customer':
      return { expected: 'a customer that --allow and --deny let in', got: customer, remedy: `--allow ${customer}` };
    case 'own-job':
      return { expected: 'a job of another key', got: 'the key of its customer', remedy: 'serve with another --home' };
    case 'closed':
      return { expected: 'a job before its deadline', got: 'one whose deadline is over', remedy: OTHER_JOBS };
    case 'awarded':
      return { expected: 'a job before its award', got: 'one that went to others', remedy: OTHER_JOBS };
    case 'model':
      return { expected: 'a model that fits the dataset', got: 'other inputs or outputs', remedy: OTHER_JOBS };
    case 'engine':
      return {
        expected:
          content.spot === null
            ? `one of the engines ${content.acceptedEngines.join(', ')}`
            : `the engine ${content.spot.engine}: its work is repeated`,
        got: 'another one here',
        remedy: 'nmkt doctor shows the engines here; their ids follow from the version of nmkt',
      };
    case 'dataset-missing':
      return {
        expected: 'the dataset of the job',
        got: 'nothing from the relays',
        remedy: 'name its relay with --relay',
      };
  }
}

/** Rounded up. */
export function stakeSats(terms: JobTerms, role: 'trainer' | 'validator'): bigint {
  return (stakeToPut(terms, role) + SAT - 1n) / SAT;
}

const OTHER_JOBS = 'serve other jobs: leave out --job';

/** The job that `--job` names is skipped. */
export function skippedJob(
  job: EventOf<'job'>,
  reason: SkipReason,
  bounds: Bounds,
  snapshot: Snapshot | null,
): NmktError {
  return new NmktError(
    CODES[reason] ?? 'job-closed',
    `job ${job.id.slice(0, 12)}… is not for this trainer: ${reason}`,
    describeSkip(reason, job, bounds, snapshot),
  );
}

const CODES: Partial<Record<SkipReason, ErrorCode>> = {
  'no-wallet': 'no-wallet',
  'no-hold-invoices': 'no-wallet',
  network: 'network-mismatch',
  price: 'bad-usage',
  'payout-floor': 'bad-usage',
  stake: 'bad-usage',
  'own-job': 'bad-usage',
  'max-params': 'too-large',
  'max-bytes': 'too-large',
  engine: 'engine-unavailable',
  'dataset-missing': 'job-unknown',
};
