import { createPayer } from '../../src/commands/payer.js';
import { decodeReceiptInvoice } from '../../src/commands/find-job.js';
import { sha256, sha256Hex, type EventId } from '../../src/hash.js';
import { namedRandom } from '../../src/simulate/named-random.js';

import { prng } from '../../src/learning/prng.js';
import type { DataSchema, Examples } from '../../src/learning/types.js';
import type { JobState } from '../../src/market/state.js';
import type { Engine, Journal, NostrEvent, Progress, RandomBytes, Relays, Signer, Wallet } from '../../src/ports.js';
import { parseSnapshot, type Snapshot } from '../../src/protocol/dataset.js';
import { JOB, type JobTerms } from '../../src/protocol/job.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { unwrapRumor, wrapRumor } from '../../src/relay/gift-wrap.js';
import { localSigner } from '../../src/signer.js';
import { auditJob, type Audit, type AuditKeys, type AuditPorts, type Finding } from '../../src/roles/audit.js';
import { createBell } from '../../src/roles/bell.js';
import { collectAuditKeys, collectDataKeys } from '../../src/roles/collect.js';
import { leadJob } from '../../src/roles/customer.js';
import { customerData } from '../../src/roles/customer-data.js';
import type { CustomerEnv, JobSecrets } from '../../src/roles/customer-env.js';
import type { UploadRecord } from '../../src/blob/upload-log.js';
import { chunkFiles, type HomeFiles } from '../../src/roles/home-files.js';
import { allowedRelayUrl } from '../../src/relay/relay-url.js';
import { openInbox } from '../../src/roles/inbox.js';
import { hasSpotChecks, parseJobFile, type JobFileInput } from '../../src/roles/job-file.js';
import { openBook, type JobBook, type SignedRecord } from '../../src/roles/job-book.js';
import { jobTerms } from '../../src/roles/job-terms.js';
import { postJob } from '../../src/roles/post.js';
import { publishDataset } from '../../src/roles/publish.js';
import { serveJob, type ServeEnd, type TrainerEnv } from '../../src/roles/trainer.js';
import { serveValidator, type ValidatorEnd, type ValidatorEnv } from '../../src/roles/validator.js';
import { seatHash } from '../../src/protocol/validator.js';
import { splitDataset, type Split } from '../../src/training/split.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import type { PayoutRecord } from '../../src/wallet/payout-records.js';
import { FakeLightning, type FakeFaults } from './fake-wallet.js';
import { keepOutput } from './secrets/outputs.js';
import { keepSecretsOf, watchWorld } from './secrets/worlds.js';
import { memoryJournal } from './memory-journal.js';
import { memoryFiles } from '../../src/simulate/memory-files.js';
import { memoryNetwork, type MemoryNetwork } from './memory-relays.js';
import { stubEngine } from './stub-engine.js';
import { virtualClock, type VirtualClock } from './virtual-clock.js';

export { namedRandom };

/** A whole market in one process: real events, signatures, encryption, invoices and training; no sockets, disk or time. */

export const ENGINE_ID = 'cpu/00000000/stub/x64';
const START_MSAT = 1_000_000_000n;

/** Noisy classes with more inputs than a shard has rows: training fits its own shard better than others, as real data do. */
const tinySchema = (inputs: number, outputs: number): DataSchema => ({
  ...{ task: 'classification', shape: [inputs], inputs, dtype: 'F32', scale: 1, outputs },
  classes: Array.from({ length: outputs }, (_, i) => (10 + i).toString(36)),
});
export const TINY_SCHEMA = tinySchema(24, 3);
export function tinyExamples(rows: number, name = 'tiny', inputs = 24): Examples {
  const random = prng(sha256(name), 'rows');
  const labels = Int32Array.from({ length: rows }, (_, row) => row % 3);
  const features = new Float32Array(rows * inputs);
  for (let i = 0; i < features.length; i++)
    features[i] = 2 * random.float() - 1 + (i % 3 === labels[Math.floor(i / inputs)]! ? 0.4 : 0);
  return { rows, inputs, features, scale: 1, labels };
}

/** Thrown by a home at its n-th durable write: the process ends there, what it had in memory is lost. */
export class Killed extends Error {}

export interface Kill {
  /** Durable writes (journal records, files) that succeed before it. */
  readonly after: number;
  /** Was the fatal record written, and only the acknowledgement lost? */
  readonly isKept: boolean;
}

/** One participant: its key, its home (what survives a kill), its wallet. */
export interface Participant {
  readonly name: string;
  readonly secret: Uint8Array;
  readonly signer: Signer;
  readonly files: Map<string, Uint8Array>;
  readonly events: SignedRecord[];
  readonly payouts: PayoutRecord[];
  readonly wallet: Wallet;
  /** Faults of its wallet, taken one by one. */
  readonly faults: FakeFaults;
  readonly random: RandomBytes;
  /** What it told its user. */
  readonly said: string[];
}

/** One run of a participant whose home is in memory. */
export class Process implements Running {
  writes = 0;
  isDead = false;
  readonly killed = new Promise<never>(() => undefined);
  readonly signal: AbortSignal = new AbortController().signal;
  constructor(
    readonly who: Participant,
    readonly kill: Kill | undefined,
    readonly onWrite: ((writes: number) => void) | undefined = undefined,
  ) {}

  events = async () => this.journal(this.who.events);
  payouts = async () => this.journal(this.who.payouts);
  end = async () => undefined;

  async write(change: () => void): Promise<void> {
    this.check();
    const isFatal = this.writes++ === this.kill?.after;
    if (!isFatal || this.kill.isKept) change();
    this.onWrite?.(this.writes);
    if (isFatal) {
      this.isDead = true;
      throw new Killed(`${this.who.name} was killed at write ${this.kill.after}`);
    }
  }

  check(): void {
    if (this.isDead) throw new Killed(`${this.who.name} is dead`);
  }

  journal<R>(records: R[]): Journal<R> {
    return {
      append: (record) => this.write(() => void records.push(structuredClone(record))),
      read: async () => structuredClone(records),
      close: async () => undefined,
    };
  }

  files(): HomeFiles {
    return memoryFiles(this.who.name, this.who.files, (change) => this.write(change));
  }

  relays(client: Relays): Relays {
    return {
      urls: client.urls,
      publish: (event, urls) => (this.check(), client.publish(event, urls)),
      fetch: (filters, options) => (this.check(), client.fetch(filters, options)),
      subscribe: (filters, onEvent) => client.subscribe(filters, (event) => this.isDead || onEvent(event)),
      close: () => client.close(),
    };
  }
}

/** One run of a participant on its machine. */
export interface Running {
  readonly isDead: boolean;
  /** @throws Killed when it is dead */
  check(): void;
  files(): HomeFiles;
  /** Its journal of signed events of a job. */
  events(job: EventId): Promise<Journal<SignedRecord>>;
  payouts(): Promise<Journal<PayoutRecord>>;
  /** What it sees of its relays. */
  relays(client: Relays): Relays;
  /** Rejects when it is killed from outside; never resolves. */
  readonly killed: Promise<never>;
  /** Asks it to stop. */
  readonly signal: AbortSignal;
  /** It ended by itself. */
  end(): Promise<void>;
}

/** What a world stands on; in memory unless a test puts something else there. */
export interface Ground {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly engine: Engine;
  wallet(name: string, startMsat: bigint): Promise<Wallet>;
  start(who: Participant): Promise<Running>;
  /** Everything that is coming up again is up. */
  settled(): Promise<void>;
}

export interface WorldOptions {
  readonly ground?: Ground;
  /** Names all keys, data and random bytes: equal names, equal worlds but for the times and the nonces of NIP-44. */
  readonly name?: string;
  /** The name of another world, whose people these are. */
  readonly people?: string;
  /** Seats, one shard each. */
  readonly trainers?: number;
  /** Bidders beyond the seats. */
  readonly spares?: number;
  /** Who registers as validators; seats and fee are fields of the job. */
  readonly validators?: number;
  readonly rounds?: number;
  readonly rail?: 'instalments' | 'key-sale' | 'none';
  readonly priceSats?: number;
  /** Further fields of the job file. */
  readonly job?: JobFileInput;
  /** What the file holds that `model` of the job names. */
  readonly layersModel?: unknown;
  readonly relays?: readonly string[];
  readonly startSec?: number;
  /** Per shard. */
  readonly rows?: number;
  readonly inputs?: number;
  /** Instead of made-up rows. */
  readonly data?: { readonly schema: DataSchema; readonly examples: Examples };
  /** A real one, whose trials are real too. */
  readonly engine?: Engine;
  /** Of which three occur. (inputs + 1) x classes above 13,000: a model takes two chunks and an index; below 6,000 none. */
  readonly classes?: number;
}

export interface RoleOptions<Env, End> {
  /** Signs with its key what an honest one would not. */
  readonly signer?: (own: Signer) => Signer;
  /** Another wallet than an honest one. */
  readonly wallet?: (own: Wallet) => Wallet;
  /** Another environment than an honest one has. */
  readonly adapt?: (env: Env) => Env;
  /** Instead of the honest loop. */
  readonly act?: (env: Env) => Promise<End>;
  /** Of the first start, or by start: 0 is the first. */
  readonly kill?: Kill | ((start: number) => Kill | undefined);
  readonly onKilled?: () => void;
  /** After every durable write of the first start, with their number: the moment to copy a home. */
  readonly onWrite?: (writes: number) => void;
  /** The home came out of a backup: always, or from the second start on. */
  readonly isRestored?: boolean | 'after-kill';
  /** After a kill start again with the same home; default true. */
  readonly restart?: boolean;
  readonly restartAfterSec?: number;
  /** Other ends than a kill after which its user types the same command again: errors, and ends that say so. */
  readonly restartOn?: (error: unknown) => boolean;
  readonly isToBeContinued?: (end: End) => boolean;
  readonly startAfterSec?: number;
}
export type TrainerOptions = RoleOptions<TrainerEnv, ServeEnd>;
export type ValidatorOptions = RoleOptions<ValidatorEnv, ValidatorEnd>;
export type CustomerOptions = RoleOptions<CustomerEnv, JobState>;

export interface RunOptions {
  readonly customer?: CustomerOptions | 'absent';
  /** By index; a missing one is honest. */
  readonly trainers?: Readonly<Record<number, TrainerOptions | 'absent'>>;
  readonly validators?: Readonly<Record<number, ValidatorOptions | 'absent'>>;
}

export interface RunResult {
  /** As the customer's process ended, or what it threw. */
  readonly customer: JobState | Error;
  readonly ends: readonly (ServeEnd | Error | null)[];
  readonly scorers: readonly (ValidatorEnd | Error | null)[];
  /** As any stranger reads it afterwards from the relays. */
  readonly state: JobState;
}

export interface World {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly lightning: FakeLightning;
  readonly customer: Participant;
  /** In order of their keys: with equal prices trainer i wins shard i, the rest are spares in this order. */
  readonly trainers: readonly Participant[];
  /** In the order in which they are taken. */
  readonly validators: readonly Participant[];
  readonly split: Split;
  readonly secrets: JobSecrets;
  readonly terms: JobTerms;
  readonly jobId: EventId;
  readonly snapshot: Snapshot;
  readonly engine: Engine;
  lead(options?: CustomerOptions): Promise<JobState>;
  serve(trainer: Participant, options?: TrainerOptions): Promise<ServeEnd>;
  validate(validator: Participant, options?: ValidatorOptions): Promise<ValidatorEnd>;
  /** Everybody at once, until all have ended. */
  run(options?: RunOptions): Promise<RunResult>;
  read(): Promise<JobBook>;
  /** Null: both levels pass. */
  audit(): Promise<{ readonly open: Finding | null; readonly keyed: Finding | null; readonly keys: AuditKeys }>;
  /** With the data and all keys, unless `ports` says otherwise. */
  auditAll(ports?: Partial<AuditPorts>): Promise<Audit>;
  /** What the customer can give to an auditor, data included. */
  allKeys(): Promise<AuditKeys>;
  /** Money of everyone. */
  totalMsat(): bigint;
}

export function quietProgress(said: string[]): Progress {
  const say = (text = ''): void => {
    said.push(text);
    keepOutput('said', `${text}\n`);
  };
  return { start: say, update: say, done: say, note: say, warn: (text) => say(`warning: ${text}`) };
}

/** The trial by which a bid names its throughput, on made-up bytes, takes no time. */
function withoutTrial(engine: Engine): Engine {
  return {
    ...engine,
    train: async (request, ...rest) =>
      request.examples.features instanceof Uint8Array
        ? { weights: request.weights, steps: 0, lossFirst: 0, lossLast: 0, wallMs: 0 }
        : engine.train(request, ...rest),
  };
}

/** Publishes a small dataset and posts a job on it; nobody works yet. */
export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const {
    name = 'world',
    trainers = 2,
    spares = 0,
    validators = 0,
    rounds = 2,
    rail = 'instalments',
    priceSats = 21,
    rows = 12,
    inputs = 24,
    classes = 3,
  } = options;
  const { ground } = options;
  const clock = ground?.clock ?? virtualClock(options.startSec);
  const network = ground?.network ?? memoryNetwork(options.relays, (ms) => clock.wait(ms));
  const lightning = new FakeLightning({ nowSec: () => clock.nowSec(), wait: (ms, signal) => clock.wait(ms, signal) });
  const engine = ground?.engine ?? options.engine ?? stubEngine(ENGINE_ID);
  const trialEngine = options.engine ?? withoutTrial(engine);
  const begin = async (
    who: Participant,
    kill?: Kill,
    onWrite?: RoleOptions<never, never>['onWrite'],
  ): Promise<Running> => (await ground?.start(who)) ?? new Process(who, kill, onWrite);

  const participant = async (label: string): Promise<Participant> => {
    const secret = sha256('market-world', options.people ?? name, label);
    const faults: FakeFaults = {};
    return {
      name: label,
      secret,
      signer: localSigner(secret),
      ...{ files: new Map(), events: [], payouts: [], said: [] },
      wallet: (await ground?.wallet(label, START_MSAT)) ?? lightning.wallet(label, START_MSAT, faults),
      faults,
      random: namedRandom(`${name}/${label}`),
    };
  };
  const customer = await participant('customer');
  const bidders: Participant[] = [];
  for (let i = 0; i < trainers + spares; i++) bidders.push(await participant(`trainer ${i}`));
  bidders.sort((a, b) => (a.signer.pubkey < b.signer.pubkey ? -1 : 1));
  const scorers: Participant[] = [];
  for (let i = 0; i < validators; i++) scorers.push(await participant(`validator ${i}`));

  const data = options.data ?? {
    schema: tinySchema(inputs, classes),
    examples: tinyExamples(rows * trainers + 60, name, inputs),
  };
  const split = splitDataset(data.examples, {
    shards: trainers,
    seed: sha256('split'),
    evalFraction: 30 / data.examples.rows,
  });
  const never = new AbortController().signal;
  const ports = (who: Participant, process: Running = new Process(who, undefined), signer = who.signer) => ({
    relays: process.relays(network.relays()),
    allowedRelay: (url: string) => allowedRelayUrl(url, 'bitcoin', []),
    signer,
    clock,
    random: who.random,
    files: process.files(),
    journal: async () => memoryJournal<UploadRecord>(),
    reader: async () => network.relays(),
    progress: quietProgress(who.said),
    signal: process.signal,
  });
  const publishing = await begin(customer);
  const own = ports(customer, publishing);
  const { record: dataset } = await publishDataset(
    {
      name: 'tiny',
      schema: data.schema,
      ...split,
      request: sha256Hex(name),
      expirationSec: clock.nowSec() + 90 * 86_400,
    },
    own,
  );
  const file = parseJobFile(
    {
      ...{ model: 'logreg', rounds, rail, maxPriceSats: priceSats, acceptedEngines: 'cpu' },
      ...{ epochs: 8, batch: 4, learningRate: 0.2, optimizer: 'sgd' },
      // What most tests take apart; tests of other rules and codecs name theirs.
      ...{ aggregation: 'fedavg', codec: 'f32' },
      ...options.job,
    },
    'the test',
  );
  const wanted = jobTerms(
    file,
    dataset,
    'sandbox',
    network.relays().urls,
    clock.nowSec(),
    hasSpotChecks(file) ? engine.id : null,
    options.layersModel,
  );
  const { secrets } = await postJob(wanted, dataset, own, false);
  await publishing.end();
  const job = JOB.parse(secrets.event);
  const terms = job.content;
  const snapshot = parseSnapshot(secrets.train.event);
  scorers.sort((a, b) => (seatHash(job.id, a.signer.pubkey) < seatHash(job.id, b.signer.pubkey) ? -1 : 1));

  const restored = (start: number, how: boolean | 'after-kill' | undefined): { readonly restoredAt?: number } =>
    how === true || (how === 'after-kill' && start > 0) ? { restoredAt: clock.nowSec() } : {};

  async function leadOnce(process: Running, options: CustomerOptions, start: number): Promise<JobState> {
    const { adapt = (env) => env, act, signer, wallet = (own) => own } = options;
    const { files, ...base } = ports(customer, process, signer?.(customer.signer));
    const bell = createBell(clock);
    const journal = await process.events(job.id);
    const book = await openBook(job.id, { ...base, bell, journal, ...restored(start, options.isRestored) });
    const env = adapt({
      ...base,
      book,
      bell,
      secrets,
      data: customerData(base.relays, secrets, never),
      files: {
        write: (file, bytes) => files.write(`jobs/${job.id}/${file}`, bytes),
        read: (file) => files.read(`jobs/${job.id}/${file}`),
      },
      engine: async () => engine,
      payer:
        terms.rail === 'none'
          ? null
          : createPayer({
              wallet: guarded(wallet(customer.wallet), process),
              journal: await process.payouts(),
              clock,
              network: 'sandbox',
              jobBudgetMsat: terms.budgetMsat,
            }),
    });
    const wrap = (content: string, to: string): Promise<NostrEvent> =>
      wrapRumor({ kind: KINDS.grant, content, tags: [] }, env.signer, to as never, base.random, clock.nowSec());
    try {
      return await Promise.race([act === undefined ? leadJob(env, wrap) : act(env), process.killed]);
    } finally {
      book.close();
      await base.relays.close();
    }
  }

  async function serveOnce(
    who: Participant,
    process: Running,
    options: TrainerOptions,
    start: number,
  ): Promise<ServeEnd> {
    const { adapt = (env) => env, act = serveJob, signer, wallet = (own) => own } = options;
    const { files, ...base } = ports(who, process, signer?.(who.signer));
    const bell = createBell(clock);
    const inbox = openInbox(base.relays, who.signer.pubkey, clock, (wrap) => unwrapRumor(wrap, who.signer));
    inbox.watch(bell);
    const journal = await process.events(job.id);
    const book = await openBook(job.id, { ...base, bell, journal, ...restored(start, options.isRestored) });
    const priceMsat = terms.rail === 'none' ? 0n : BigInt(priceSats) * 1000n;
    const env = adapt({
      ...base,
      book,
      bell,
      inbox,
      files: {
        write: (file, bytes) => files.write(`jobs/${job.id}/${file}`, bytes),
        read: (file) => files.read(`jobs/${job.id}/${file}`),
      },
      chunks: chunkFiles(files, `jobs/${job.id}`),
      terms: { priceMsat, shards: 1, maxExposureMsat: priceMsat, maxBytes: 1 << 24 },
      snapshot,
      wallet: terms.rail === 'none' ? null : guarded(wallet(who.wallet), process),
      network: 'sandbox',
      paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
      engine: async () => trialEngine,
      shard: { opened: null },
      post: {
        wrap: (content, to) =>
          wrapRumor({ kind: KINDS.grant, content, tags: [] }, base.signer, to as never, base.random, clock.nowSec()),
        allowedRelay: base.allowedRelay,
      },
      emit: (event, fields) =>
        quietProgress(who.said).note(
          `${event} ${JSON.stringify(fields, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))}`,
        ),
    });
    try {
      return await Promise.race([act(env), process.killed]);
    } finally {
      inbox.close();
      book.close();
      await base.relays.close();
    }
  }

  async function validateOnce(
    who: Participant,
    process: Running,
    options: ValidatorOptions,
    start: number,
  ): Promise<ValidatorEnd> {
    const { adapt = (env) => env, act = serveValidator, signer, wallet = (own) => own } = options;
    const { files, ...base } = ports(who, process, signer?.(who.signer));
    const bell = createBell(clock);
    const inbox = openInbox(base.relays, who.signer.pubkey, clock, (wrap) => unwrapRumor(wrap, who.signer));
    inbox.watch(bell);
    const journal = await process.events(job.id);
    const book = await openBook(job.id, { ...base, bell, journal, ...restored(start, options.isRestored) });
    const env = adapt({
      ...base,
      ...{ book, bell, inbox, snapshot, evalA: parseSnapshot(secrets.a.event), network: 'sandbox' },
      files: {
        write: (file, bytes) => files.write(`jobs/${job.id}/${file}`, bytes),
        read: (file) => files.read(`jobs/${job.id}/${file}`),
      },
      chunks: chunkFiles(files, `jobs/${job.id}`),
      wallet: terms.rail === 'none' ? null : guarded(wallet(who.wallet), process),
      paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
      engine: async () => engine,
      data: { opened: null },
      emit: (event) => quietProgress(who.said).note(event),
    });
    try {
      return await Promise.race([act(env), process.killed]);
    } finally {
      inbox.close();
      book.close();
      await base.relays.close();
    }
  }

  async function withRestart<Env, End>(
    who: Participant,
    options: RoleOptions<Env, End>,
    once: (process: Running, start: number) => Promise<End>,
  ): Promise<End> {
    if (options.startAfterSec !== undefined) await clock.wait(options.startAfterSec * 1000);
    const { kill } = options;
    const killOf = typeof kill === 'function' ? kill : (start: number) => (start === 0 ? kill : undefined);
    for (let start = 0; ; start++) {
      try {
        const process = await begin(who, killOf(start), start === 0 ? options.onWrite : undefined);
        const end = await once(process, start).finally(() => process.end());
        if (options.isToBeContinued?.(end) !== true) return end;
        await clock.wait((options.restartAfterSec ?? 0) * 1000);
      } catch (error) {
        if (!(error instanceof Killed) && options.restartOn?.(error) !== true) throw error;
        options.onKilled?.();
        if (options.restart === false) throw error;
        await clock.wait((options.restartAfterSec ?? 0) * 1000);
      }
    }
  }

  const world: World = {
    ...{ clock, network, lightning, customer, split, secrets, terms, snapshot, engine },
    trainers: bidders,
    validators: scorers,
    jobId: job.id,
    lead: (role = {}) => withRestart(customer, role, (process, start) => leadOnce(process, role, start)),
    serve: (who, role = {}) => withRestart(who, role, (process, start) => serveOnce(who, process, role, start)),
    validate: (who, role = {}) => withRestart(who, role, (process, start) => validateOnce(who, process, role, start)),
    async run({ customer: leader = {}, trainers: acting = {}, validators: scoring = {} } = {}) {
      const caught = <T>(promise: Promise<T>): Promise<T | Error> => promise.catch((error: unknown) => error as Error);
      const scored = Promise.all(
        scorers.map(async (who, index) => {
          const role = scoring[index] ?? {};
          return role === 'absent' ? null : caught(world.validate(who, role));
        }),
      );
      const [led, ...ends] = await Promise.all([
        leader === 'absent' ? new Error('absent') : caught(world.lead(leader)),
        ...bidders.map((who, index) => {
          const role = acting[index] ?? {};
          return role === 'absent' ? null : caught(world.serve(who, role));
        }),
      ]);
      await scored;
      await ground?.settled();
      const book = await world.read();
      return { customer: led, ends, scorers: await scored, state: book.state() };
    },
    async read() {
      const book = await openBook(job.id, { relays: network.relays(), clock, bell: createBell(clock) });
      book.close();
      return book;
    },
    async audit() {
      const keys = await world.allKeys();
      const at = async (upTo: 'public' | 'keys') => (await world.auditAll({ upTo, keys: async () => keys })).found;
      const { data: _, ...open } = keys;
      return { open: await at('public'), keyed: await at('keys'), keys: open };
    },
    async auditAll(ports = {}) {
      return auditJob({
        ...{ book: await world.read(), relays: network.relays(), decode: decodeReceiptInvoice },
        nowSec: clock.nowSec(),
        keys: () => world.allKeys(),
        engine: async () => engine,
        ...ports,
      });
    },
    async allKeys() {
      const keys = await collectAuditKeys({ signer: customer.signer, secrets }, (await world.read()).state());
      return { ...keys, data: collectDataKeys(secrets) };
    },
    totalMsat: () => [customer, ...bidders, ...scorers].reduce((sum, who) => sum + lightning.balance(who.name), 0n),
  };
  // A world on a ground of its own is too large to be kept until its test ends.
  if (ground === undefined)
    watchWorld({
      ...{ name, secrets, people: [customer, ...bidders, ...scorers] },
      events: () => network.events(),
      preimages: () => lightning.preimages(),
    });
  else keepSecretsOf(secrets);
  return world;
}

/** Takes five minutes to train: the customer publishes what it has seen meanwhile. */
export const slowTrainer: TrainerOptions = {
  adapt: (env) => ({
    ...env,
    engine: async () => {
      const engine = await env.engine();
      return {
        ...engine,
        train: async (request, onProgress, signal, onState) => {
          const isTrial = request.examples.features instanceof Uint8Array;
          if (!isTrial) await env.clock.wait(300_000, signal);
          return engine.train(request, onProgress, signal, onState);
        },
      };
    },
  }),
};

/** A dead process moves no money. */
export function guarded(wallet: Wallet, process: Running): Wallet {
  return {
    info: () => wallet.info(),
    balanceMsat: () => (process.check(), wallet.balanceMsat()),
    budget: () => (process.check(), wallet.budget()),
    makeInvoice: (request) => (process.check(), wallet.makeInvoice(request)),
    pay: (invoice, timeoutMs) => (process.check(), wallet.pay(invoice, timeoutMs)),
    lookup: (paymentHash) => (process.check(), wallet.lookup(paymentHash)),
    makeHoldInvoice: (request) => (process.check(), wallet.makeHoldInvoice(request)),
    settleHold: (preimage) => (process.check(), wallet.settleHold(preimage)),
    cancelHold: (paymentHash) => (process.check(), wallet.cancelHold(paymentHash)),
    close: () => wallet.close(),
  };
}

/** The error a role ended with. @throws Error when it ended well */
export function failure(end: unknown): Error & { readonly code?: string } {
  if (end instanceof Error) return end;
  throw new Error(
    `it ended with ${JSON.stringify(end, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))}`,
  );
}
