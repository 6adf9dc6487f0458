import type { EventId, Pubkey, Sha256, Bytes } from './hash.js';
import type { EngineId, HyperParameters, ModelSpec, ParamSet, Examples, TrainState } from './learning/types.js';

/** What the core cannot do itself. Adapters implement these; only deps.ts names the adapters. */

export interface NostrEvent {
  readonly id: EventId;
  readonly pubkey: Pubkey;
  readonly created_at: number;
  readonly kind: number;
  readonly tags: readonly (readonly string[])[];
  readonly content: string;
  readonly sig: string;
}
export type EventTemplate = Pick<NostrEvent, 'kind' | 'tags' | 'content' | 'created_at'>;

export interface Filter {
  readonly ids?: readonly string[];
  readonly authors?: readonly string[];
  readonly kinds?: readonly number[];
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
  /** `#e`, `#p`, `#t`, ... single-letter tags only: relays index no others. */
  readonly [tag: `#${string}`]: readonly string[] | undefined;
}

/** Signs with one identity. NIP-44 v2 payloads; `peer` may be the own key (to self). */
export interface Signer {
  readonly pubkey: Pubkey;
  sign(template: EventTemplate): Promise<NostrEvent>;
  encrypt(peer: Pubkey, plaintext: string): Promise<string>;
  /** @throws NmktError `wrong-key` */
  decrypt(peer: Pubkey, payload: string): Promise<string>;
}

/** `stored` also when the relay answered `duplicate:`; `refused` is the relay's no; `unreachable` is silence. */
export interface PublishOutcome {
  readonly relay: string;
  readonly state: 'stored' | 'refused' | 'unreachable';
  readonly message: string;
  /** How often the relay put it off (`rate-limited:`, `error:`) before this answer. */
  readonly postponed?: number;
}

/** `answered` relays sent EOSE; absence may only be concluded from them. */
export interface FetchResult {
  readonly events: readonly NostrEvent[];
  readonly answered: readonly string[];
  readonly silent: readonly string[];
}

export interface Subscription {
  close(): void;
}

export interface TransferOptions {
  /**
   * One of many: goes over connections of its own, more than one where the relay is far away. `rate-limited:` comes back as a refusal at
   * once: the sender keeps the pace.
   */
  readonly isBulk?: boolean;
}

export interface Relays {
  readonly urls: readonly string[];
  /** To every relay (or to `relays`); never throws: the outcome per relay is the answer. */
  publish(event: NostrEvent, relays?: readonly string[], options?: TransferOptions): Promise<readonly PublishOutcome[]>;
  /** De-duplicated by id, id and signature checked (unless `trustIds`: then the id only). Pages until complete. */
  fetch(
    filters: readonly Filter[],
    options?: {
      readonly timeoutMs?: number;
      readonly trustIds?: boolean;
      readonly relays?: readonly string[];
      /** May get events when they come; the result then holds the others. What it throws is thrown to the caller. */
      readonly onEvent?: (event: NostrEvent) => void;
    } & TransferOptions,
  ): Promise<FetchResult>;
  /** Stored and new events, each once; re-subscribes after a reconnect. */
  subscribe(filters: readonly Filter[], onEvent: (event: NostrEvent) => void): Subscription;
  close(): Promise<void>;
}

export type Network = 'sandbox' | 'regtest' | 'simnet' | 'signet' | 'testnet' | 'bitcoin';

export interface WalletInfo {
  /** As the wallet announces it; the sandbox wallet answers `regtest` (BOLT11 prefix lnbcrt). */
  readonly network: Network;
  readonly methods: ReadonlySet<string>;
  readonly alias: string;
  /** What requests and answers are sealed with (NIP-44, or nothing is asked). */
  readonly encryption: 'nip44_v2';
}
/** Of a connection, for payments; what it renews is the wallet's affair. */
export interface WalletBudget {
  readonly usedMsat: bigint;
  readonly totalMsat: bigint;
}
/** A limit of spending and what counts against it, in msat. */
export interface SpendCheck {
  readonly cap: string;
  readonly limitMsat: bigint;
  /** Before: spent, or possibly spent. */
  readonly spentMsat: bigint;
  /** By the payments that were asked about: with their fee reserve, but for the job's budget. */
  readonly wantedMsat: bigint;
  readonly isMet: boolean;
}
export interface InvoiceRequest {
  readonly msat: bigint;
  /** Hex; goes into the invoice's `h` field. */
  readonly descriptionHash: Sha256;
  readonly expirySec: number;
}
export type PayOutcome =
  | { readonly kind: 'paid'; readonly preimage: string; readonly feesMsat: bigint }
  /** No money moved. */
  | { readonly kind: 'rejected'; readonly code: string; readonly message: string }
  /** Money may have moved: look up, never repeat with another invoice. */
  | { readonly kind: 'unknown'; readonly why: string };
export interface LookupResult {
  readonly direction: 'in' | 'out' | 'unknown';
  /** `expired`: the invoice is; a payment of it may be in flight all the same. `unknown`: no answer, or none to rely on. */
  readonly state: 'settled' | 'pending' | 'failed' | 'not-found' | 'expired' | 'unknown';
  readonly preimage?: string;
  readonly feesMsat?: bigint;
  /** Of an incoming payment, as the wallet keeps it: anything. */
  readonly invoice?: string;
  /** Of a hold invoice: a payment has arrived and waits; null where the wallet names no block by which it has to be settled. */
  readonly held?: { readonly settleBy: number | null };
}
/** An invoice whose preimage only its payee knows, and gives away when it takes the payment. */
export interface HoldRequest extends InvoiceRequest {
  readonly paymentHash: Sha256;
  /** Blocks, at least 18: for how long a payment may wait. */
  readonly minFinalCltv: number;
}
export interface Wallet {
  info(): Promise<WalletInfo>;
  balanceMsat(): Promise<bigint>;
  /** Null: the connection has none. */
  budget(): Promise<WalletBudget | null>;
  /** @returns the BOLT11 string and its payment hash (hex) */
  makeInvoice(request: InvoiceRequest): Promise<{ readonly invoice: string; readonly paymentHash: string }>;
  /** Never throws for a state of money. */
  pay(invoice: string, timeoutMs: number): Promise<PayOutcome>;
  lookup(paymentHash: string): Promise<LookupResult>;
  /** @throws NmktError `bad-settings` for a wallet that makes none, as the others; `bad-invoice` for another invoice than was asked for */
  makeHoldInvoice(request: HoldRequest): Promise<{ readonly invoice: string }>;
  /** Takes the payment that waits; again finds it taken. @returns false: none waits */
  settleHold(preimage: string): Promise<boolean>;
  /** Gives it back, and takes no other. @returns false: nothing is open under that hash */
  cancelHold(paymentHash: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Money that answers for its owner's work in one job, wherever it is locked. */
export interface StakeLock {
  /** As its stake or delegation event names it. */
  readonly lock: Sha256;
  readonly job: EventId;
  readonly staker: Pubkey;
  /** What was locked. */
  readonly amountMsat: bigint;
  /** Of it: shares that were slashed, each once by its name. */
  readonly taken: readonly { readonly part: string; readonly amountMsat: bigint }[];
  /** `leaving` until `freeAt`: it can still be slashed. */
  readonly state: 'locked' | 'leaving' | 'released' | 'slashed';
  /** Unix seconds; null before it leaves. */
  readonly freeAt: number | null;
}
export type StakeRequest = Pick<StakeLock, 'lock' | 'job' | 'staker' | 'amountMsat'>;
export interface PotPayment {
  readonly job: NostrEvent;
  readonly settlement: NostrEvent;
  readonly payout: Sha256;
  readonly invoice: string;
}
export interface Stake {
  /** The same request again finds the first one's lock. @throws NmktError `payment-failed` without the balance, `bad-usage` when the lock is another's */
  lock(request: StakeRequest): Promise<StakeLock>;
  find(lock: Sha256): Promise<StakeLock | null>;
  /** Begins to leave, or pays back once it is free. By its owner only. @throws NmktError `not-ready` before it is free */
  release(lock: Sha256): Promise<StakeLock>;
  /**
   * Takes the whole lock for signed events that condemn whom it answers for in its job, or the share that an alliance takes for a vote that
   * lost. @throws NmktError `bad-event` for anything less
   */
  slash(lock: Sha256, evidence: readonly NostrEvent[]): Promise<StakeLock>;
  /**
   * Pays an invoice out of the pot of a job, by a line with purpose `bonus` of a settlement that the job's author signed: once for each payout.
   *
   * @throws NmktError `bad-event` for any other, `payment-failed`
   */
  pay(request: PotPayment): Promise<{ readonly paymentHash: string; readonly preimage: string }>;
}

export interface TrainRequest {
  readonly model: ModelSpec;
  readonly weights: ParamSet;
  readonly examples: Examples;
  readonly hyper: HyperParameters;
  /** 32 bytes; shuffles and dropout derive from it. */
  readonly seed: Bytes;
  /** Go on from here instead of from `weights`, bit by bit as the whole training would. */
  readonly from?: TrainState;
  /** Stop after this step of the whole training. */
  readonly toStep?: number;
  /** Stop with `diverged` at the first batch whose mean loss is above it. */
  readonly lossLimit?: number;
  /** Hand out the state after every so many steps of the whole training. */
  readonly stateEvery?: number;
}
export interface TrainResult {
  readonly weights: ParamSet;
  /** Of the whole training, also when this call made a part of it. */
  readonly steps: number;
  readonly lossFirst: number;
  readonly lossLast: number;
  readonly wallMs: number;
  /**
   * Kernels that took part and whose bits differ between machines of one engine id; absent where none did. With them a
   * training repeats within a tolerance only, as it always does on the rung `node`: nobody may be accused over its bits.
   */
  readonly inexact?: readonly string[];
}
/** Mean loss over the examples; accuracy in [0, 1] for classification, absent for regression. */
export interface Evaluation {
  readonly loss: number;
  readonly accuracy?: number;
  readonly count: number;
  /** One per example, in their order; `loss` is their mean. */
  readonly losses: Float64Array;
}
/** One training worker (its own thread); calls are queued, one at a time. */
export interface Engine {
  readonly id: EngineId;
  /** @param onState  told the states that `stateEvery` asks for, and the one after `toStep`, in order; never the end of the whole training */
  train(
    request: TrainRequest,
    onProgress?: (done: number, total: number, loss: number) => void,
    signal?: AbortSignal,
    onState?: (state: TrainState) => void,
  ): Promise<TrainResult>;
  evaluate(model: ModelSpec, weights: ParamSet, examples: Examples): Promise<Evaluation>;
  /**
   * [rows, classes] probabilities (classification) or [rows, 1] values (regression), row-major. `scale` as in Examples;
   * default 1: the features are the inputs.
   */
  predict(
    model: ModelSpec,
    weights: ParamSet,
    features: Examples['features'],
    rows: number,
    scale?: number,
  ): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Append-only, durable (fsync) before `append` resolves; a torn last line is dropped on read. */
export interface Journal<R> {
  append(record: R): Promise<void>;
  read(): Promise<readonly R[]>;
  close(): Promise<void>;
}

export interface Clock {
  /** Unix seconds, integer. */
  nowSec(): number;
  nowMs(): number;
  /** Resolves at `ms` from now or when the signal aborts, whichever is first. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Cryptographically secure bytes. */
export type RandomBytes = (length: number) => Bytes;

/** Conversation on stderr: ora on a terminal, plain lines otherwise, nothing with --quiet. */
export interface Progress {
  start(text: string): void;
  update(text: string): void;
  done(text?: string): void;
  note(text: string): void;
  warn(text: string): void;
}

/** Questions to the person at the terminal; what is typed as a secret is not shown. */
export interface Prompt {
  /** False when stdin or stderr is no terminal: then nothing may be asked. */
  readonly canAsk: boolean;
  secret(question: string, check?: (answer: string) => string | undefined): Promise<string>;
  /** @param check  what is wrong with an answer, or undefined: it is asked again until nothing is */
  text(question: string, fallback?: string, check?: (answer: string) => string | undefined): Promise<string>;
  choose<T extends string>(question: string, choices: readonly Choice<T>[], fallback?: T): Promise<T>;
  /** The default is no. */
  confirm(question: string): Promise<boolean>;
}
export interface Choice<T extends string> {
  readonly value: T;
  readonly name: string;
}
