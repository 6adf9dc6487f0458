import { decodeReceiptInvoice } from '../../src/commands/find-job.js';
import { createPayer } from '../../src/commands/payer.js';
import type { UploadRecord } from '../../src/blob/upload-log.js';
import { sha256, sha256Hex, type EventId } from '../../src/hash.js';
import type { DataSchema, Examples } from '../../src/learning/types.js';
import { foldArena, type FoldedArena } from '../../src/market/arena/fold.js';
import type { Engine } from '../../src/ports.js';
import { ARENA_JOB } from '../../src/protocol/arena/job.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { unwrapRumor, wrapRumor } from '../../src/relay/gift-wrap.js';
import { allowedRelayUrl } from '../../src/relay/relay-url.js';
import { localSigner } from '../../src/signer.js';
import { auditArenaJob, type ArenaAudit } from '../../src/roles/arena/audit.js';
import { collectArenaKeys } from '../../src/roles/arena/audit-keys.js';
import { leadArena } from '../../src/roles/arena/customer.js';
import type { ArenaCustomerEnv, ArenaTrainerEnv, ArenaValidatorEnv } from '../../src/roles/arena/env.js';
import { parseArenaFile, type ArenaFileInput } from '../../src/roles/arena/file.js';
import { arenaTermsOf, postArena } from '../../src/roles/arena/post.js';
import { candidatesFor, recipeSchema, type Recipe } from '../../src/roles/arena/recipe.js';
import { serveArena, type ArenaEnd } from '../../src/roles/arena/trainer.js';
import { validateArena } from '../../src/roles/arena/validator.js';
import type { AuditLevel } from '../../src/roles/audit.js';
import { createBell } from '../../src/roles/bell.js';
import type { JobSecrets } from '../../src/roles/customer-env.js';
import { chunkFiles } from '../../src/roles/home-files.js';
import { openInbox } from '../../src/roles/inbox.js';
import { openBookOf } from '../../src/roles/job-book.js';
import { publishDataset } from '../../src/roles/publish.js';
import { sharedReading } from '../../src/simulate/shared-reading.js';
import { namedRandom } from '../../src/simulate/named-random.js';
import { splitDataset } from '../../src/training/split.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { FakeLightning } from './fake-wallet.js';
import {
  Killed,
  guarded,
  Process,
  quietProgress,
  tinyExamples,
  TINY_SCHEMA,
  type Kill,
  type Participant,
} from './market-world.js';
import { memoryJournal } from './memory-journal.js';
import { memoryNetwork, type MemoryNetwork } from './memory-relays.js';
import { stubEngine } from './stub-engine.js';
import { virtualClock, type VirtualClock } from './virtual-clock.js';

/** An arena in one process: real events, signatures, encryption, invoices and training; no sockets, disk or time. */

const START_MSAT = 1_000_000_000n;
const ENGINE_ID = 'cpu/00000000/stub/x64';

export interface ArenaWorldOptions {
  readonly name?: string;
  readonly trainers?: number;
  readonly validators?: number;
  readonly job?: Partial<ArenaFileInput>;
  /** What the i-th trainer tries. */
  readonly recipes?: (trainer: number) => readonly Recipe[];
  readonly data?: { readonly schema: DataSchema; readonly examples: Examples };
  readonly engine?: Engine;
}

export interface Part<Env> {
  /** Of the first start. */
  readonly kill?: Kill;
  /** It stays dead. */
  readonly isGone?: boolean;
  readonly adapt?: (env: Env) => Env;
  /** Durable writes of the first start. */
  readonly onWrite?: (writes: number) => void;
}

export interface ArenaParts {
  readonly customer?: Part<ArenaCustomerEnv>;
  /** By index; `absent` does not take part. */
  readonly trainers?: Readonly<Record<number, Part<ArenaTrainerEnv> | 'absent'>>;
  readonly validators?: Readonly<Record<number, Part<ArenaValidatorEnv> | 'absent'>>;
}

export interface ArenaRun {
  readonly customer: FoldedArena | Error;
  readonly trainers: readonly (ArenaEnd | Error | null)[];
  readonly validators: readonly (ArenaEnd | Error | null)[];
  /** As any stranger reads it afterwards from the relays. */
  readonly folded: FoldedArena;
}

export interface ArenaWorld {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly lightning: FakeLightning;
  readonly customer: Participant;
  readonly trainers: readonly Participant[];
  readonly validators: readonly Participant[];
  readonly secrets: JobSecrets;
  readonly jobId: EventId;
  readonly engine: Engine;
  run(parts?: ArenaParts): Promise<ArenaRun>;
  /** With the keys of the customer. */
  audit(run: ArenaRun, upTo: AuditLevel): Promise<ArenaAudit>;
}

const recipe = (learningRate: number): Recipe =>
  recipeSchema.parse({ model: 'logreg', learningRate, optimizer: 'sgd', epochs: 2, batch: 8 });

export async function createArenaWorld(options: ArenaWorldOptions = {}): Promise<ArenaWorld> {
  const { name = 'arena', trainers: trainerCount = 3, validators: validatorCount = 3 } = options;
  const { recipes = (i) => [recipe(0.4 / (i + 1) ** 2)] } = options;
  const data = options.data ?? { schema: TINY_SCHEMA, examples: tinyExamples(160, name) };
  const engine = options.engine ?? stubEngine(ENGINE_ID);
  const clock = virtualClock();
  const network = memoryNetwork(undefined, (ms) => clock.wait(ms));
  const lightning = new FakeLightning({ nowSec: () => clock.nowSec() });
  const participant = (label: string): Participant => {
    const secret = sha256('arena-world', name, label);
    return {
      ...{ name: label, secret, signer: localSigner(secret), files: new Map(), events: [], payouts: [], said: [] },
      ...{ wallet: lightning.wallet(label, START_MSAT, {}), faults: {}, random: namedRandom(`${name}/${label}`) },
    };
  };
  const customer = participant('customer');
  const trainers = Array.from({ length: trainerCount }, (_, i) => participant(`trainer ${i}`));
  const validators = Array.from({ length: validatorCount }, (_, i) => participant(`validator ${i}`));
  const ports = (who: Participant, process: Process) => ({
    relays: process.relays(network.relays()),
    ...{ signer: who.signer, clock, random: who.random, files: process.files() },
    progress: quietProgress(who.said),
    signal: process.signal,
    allowedRelay: (url: string) => allowedRelayUrl(url, 'bitcoin', []),
  });
  const own = {
    ...ports(customer, new Process(customer, undefined)),
    journal: async () => memoryJournal<UploadRecord>(),
    reader: async () => network.relays(),
  };
  const split = splitDataset(data.examples, {
    shards: 1,
    seed: sha256('split'),
    evalFraction: 40 / data.examples.rows,
  });
  const { record: dataset } = await publishDataset(
    {
      ...{ name: 'tiny', schema: data.schema, ...split, request: sha256Hex(name) },
      expirationSec: clock.nowSec() + 90 * 86_400,
    },
    own,
  );
  const file = parseArenaFile(
    {
      ...{ mode: 'arena', potSats: 1_000, seats: 3, interim: '10m', final: '20m', revealTimeout: '2m' },
      ...{ acceptedEngines: 'cpu', maxModelBytes: 100_000, ...options.job },
    },
    'the test',
  );
  const terms = arenaTermsOf(file, dataset, 'sandbox', network.relays().urls, clock.nowSec());
  const { secrets } = await postArena(terms, dataset, own, false);
  const job = ARENA_JOB.parse(secrets.event);
  const snapshot = parseSnapshot(secrets.train.event);
  const reading = sharedReading(foldArena);

  const openFor = async (who: Participant, process: Process) => {
    const { files, ...base } = ports(who, process);
    const bell = createBell(clock);
    const book = await openBookOf(job.id, { ...base, bell, journal: await process.events(), reading });
    const home = {
      write: (file: string, bytes: Uint8Array) => files.write(`jobs/${job.id}/${file}`, bytes),
      read: (file: string) => files.read(`jobs/${job.id}/${file}`),
    };
    const close = async (): Promise<void> => {
      book.close();
      await base.relays.close();
    };
    return { base: { ...base, bell, book, files: home }, close, chunks: chunkFiles(files, `jobs/${job.id}`) };
  };

  async function lead(process: Process, { adapt = (env) => env }: Part<ArenaCustomerEnv>): Promise<FoldedArena> {
    const { base, close } = await openFor(customer, process);
    const env = adapt({
      ...{ ...base, secrets },
      payer: createPayer({
        ...{ wallet: guarded(customer.wallet, process), journal: await process.payouts(), clock, network: 'sandbox' },
        jobBudgetMsat: job.content.arena.potMsat,
      }),
    });
    const wrap = (content: string, to: string) =>
      wrapRumor({ kind: KINDS.grant, content, tags: [] }, env.signer, to as never, customer.random, clock.nowSec());
    return leadArena(env, wrap).finally(close);
  }

  const workerOf = async (who: Participant, process: Process) => {
    const { base, close, chunks } = await openFor(who, process);
    const inbox = openInbox(base.relays, who.signer.pubkey, clock, (wrap) => unwrapRumor(wrap, who.signer));
    inbox.watch(base.bell);
    const env = {
      ...{ ...base, chunks, inbox, snapshot, network: 'sandbox', engine: async () => engine },
      wallet: guarded(who.wallet, process),
      paymentHashOf: (invoice: string) => decodeInvoice(invoice).paymentHash,
      emit: (event: string, fields: Record<string, unknown>, text: string) =>
        quietProgress(who.said).note(`${event} ${Object.keys(fields).join()} ${text}`),
    };
    return { env, end: () => (inbox.close(), close()) };
  };

  async function train(index: number, process: Process, { adapt = (env) => env }: Part<ArenaTrainerEnv>) {
    const { env, end } = await workerOf(trainers[index]!, process);
    const candidates = candidatesFor(recipes(index), data.schema, job.content.arena);
    return serveArena(adapt({ ...env, candidates, trainSec: 60 })).finally(end);
  }

  async function validate(index: number, process: Process, { adapt = (env) => env }: Part<ArenaValidatorEnv>) {
    const { env, end } = await workerOf(validators[index]!, process);
    const sets = [parseSnapshot(secrets.a.event), parseSnapshot(secrets.b.event)] as const;
    return validateArena(adapt({ ...env, sets, opened: new Map() })).finally(end);
  }

  async function withRestart<Env, End>(
    who: Participant,
    part: Part<Env> | 'absent' | undefined = {},
    once: (process: Process, part: Part<Env>) => Promise<End>,
  ): Promise<End | Error | null> {
    if (part === 'absent') return null;
    for (let start = 0; ; start++)
      try {
        const isFirst = start === 0;
        const process = new Process(who, isFirst ? part.kill : undefined, isFirst ? part.onWrite : undefined);
        return await once(process, part);
      } catch (error) {
        if (!(error instanceof Killed) || part.isGone === true) return error as Error;
      }
  }

  return {
    ...{ clock, network, lightning, customer, trainers, validators, secrets, jobId: job.id, engine },
    async run(parts = {}) {
      const [led, trained, validated] = await Promise.all([
        withRestart(customer, parts.customer, (process, part) => lead(process, part)),
        Promise.all(
          trainers.map((who, i) => withRestart(who, parts.trainers?.[i], (process, part) => train(i, process, part))),
        ),
        Promise.all(
          validators.map((who, i) =>
            withRestart(who, parts.validators?.[i], (process, part) => validate(i, process, part)),
          ),
        ),
      ]);
      const book = await openBookOf(job.id, { relays: network.relays(), clock, bell: createBell(clock), reading });
      book.close();
      return { customer: led!, trainers: trained, validators: validated, folded: book.state() };
    },
    audit: ({ folded }, upTo) =>
      auditArenaJob({
        ...{ book: { state: () => folded }, relays: network.relays(), decode: decodeReceiptInvoice, upTo },
        nowSec: clock.nowSec(),
        keys: (state) => collectArenaKeys({ secrets, signer: customer.signer }, state),
        engine: async () => engine,
      }),
  };
}
