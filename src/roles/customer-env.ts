import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { InvoiceFacts } from '../market/claim-rules.js';
import type { EarlierJob } from '../market/standing.js';
import type { AnyPayout, JobState, Owed } from '../market/state.js';
import type {
  Engine,
  Clock,
  NostrEvent,
  PotPayment,
  Progress,
  RandomBytes,
  Relays,
  Signer,
  SpendCheck,
  Stake,
} from '../ports.js';
import type { Bell } from './bell.js';
import type { CustomerData } from './customer-data.js';
import type { EpochSecrets } from './epoch.js';
import type { JobBook } from './job-book.js';
import type { AllowedRelay } from './relay-lists.js';

/** A snapshot with what only its owner knows. */
export interface OwnedEpoch {
  readonly event: NostrEvent;
  readonly secrets: EpochSecrets;
}

/** The customer's secrets of a job: JSON in the home, written before the job is published. Hex, 32 bytes each. */
export interface JobSecrets {
  readonly event: NostrEvent;
  /** Hash of the terms the user asked for: a second run finds this job by it. */
  readonly request: Sha256;
  readonly seed: string;
  /** Round and artifact keys derive from it. */
  readonly blobs: string;
  /** Which examples a score is measured on. */
  readonly scoring: string;
  readonly chain: string;
  /** Bids of keys that this key does not follow win nothing; may change until the award. */
  readonly onlyFollowed?: boolean;
  /** Keys that win nothing; may change until the award. */
  readonly blocked?: readonly Pubkey[];
  readonly train: OwnedEpoch;
  readonly a: OwnedEpoch;
  readonly b: OwnedEpoch;
}

export type PaymentResult =
  | {
      readonly kind: 'paid';
      readonly invoice: string;
      readonly paymentHash: string;
      readonly preimage: string;
      readonly feesMsat: bigint;
    }
  /** Not paid now; `why` is said to the user, the payout is looked at again later. */
  | {
      readonly kind: 'held';
      readonly why: string;
      readonly cause: Exclude<HoldCause, 'invoice'>;
      /** Of an unknown one: may it still arrive? */
      readonly isInFlight?: boolean;
    }
  /** The invoice as decoded; null: it is none. */
  | { readonly kind: 'held'; readonly why: string; readonly cause: 'invoice'; readonly decoded: InvoiceFacts | null };

/**
 * `unknown`: money may have moved. `refused`: the wallet's no, nothing moved. `invoice`: the payee has to send another one.
 * `unreachable`: the wallet was not asked.
 */
export type HoldCause = 'unknown' | 'refused' | 'invoice' | 'unreachable';

/** Pays one payout once, whatever happens in between. */
export interface Payer {
  pay(request: {
    readonly job: EventId;
    readonly round: Pick<Owed, 'round'>;
    readonly payout: AnyPayout;
    readonly invoice: string;
    /** Of all claims the payee ever made for this payout, the current one included. */
    readonly claimed: readonly string[];
    readonly descriptionHash: Sha256;
    readonly planHash: Sha256;
    /** The invoice has to be over it: its preimage opens what is paid for. */
    readonly paymentHash?: Sha256;
    /** What was slashed pays it, not the own wallet; by these events as signed. */
    readonly pot?: Pick<PotPayment, 'job' | 'settlement'>;
  }): Promise<PaymentResult>;
  /** What caps and wallet say of paying all of these, each with its fee reserve, before the first is paid. */
  check(job: EventId, payouts: readonly Pick<AnyPayout, 'payout' | 'amountMsat'>[]): Promise<readonly SpendCheck[]>;
}

/** Files of a job in the home. */
export interface JobFiles {
  write(name: string, bytes: Uint8Array): Promise<void>;
  read(name: string): Promise<Uint8Array | undefined>;
}

export interface CustomerEnv {
  readonly book: JobBook;
  readonly relays: Relays;
  /** For relays that others name. */
  readonly allowedRelay: AllowedRelay;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly bell: Bell;
  readonly secrets: JobSecrets;
  /** Other jobs of this home, newest first: what it knows of trainers. */
  readonly earlier?: readonly EarlierJob[];
  /** Bids of others are refused; absent: of nobody for that. */
  readonly followed?: ReadonlySet<Pubkey>;
  /** Bids of these are refused; absent: of nobody for that. */
  readonly blocked?: ReadonlySet<Pubkey>;
  /** Award a job with `award` `manual` to these bids, and stop then. */
  readonly chosen?: readonly EventId[];
  readonly data: CustomerData;
  readonly files: JobFiles;
  engine(): Promise<Engine>;
  /** Null on rail `none`, and where nothing can be owed any more. */
  readonly payer: Payer | null;
  /** Where stakes are locked: asked when somebody says that it staked. Absent or null: no stake counts. */
  stake?(): Promise<Stake | null>;
  /** Lead the job to its early end instead of its model. */
  readonly cancel?: { readonly reason: string };
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Told after each step: for live views and stream output. */
  onStep?(step: string, state: JobState): void;
}
