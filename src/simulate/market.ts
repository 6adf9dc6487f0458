import type { Bytes, EventId, Pubkey } from '../hash.js';
import { sha256Hex } from '../hash.js';
import { prng } from '../learning/prng.js';
import type { DataSchema } from '../learning/types.js';
import type { JobState } from '../market/state.js';
import type { Clock, Engine, NostrEvent, Wallet } from '../ports.js';
import { parseSnapshot, type Snapshot } from '../protocol/dataset.js';
import { JOB, type JobTerms } from '../protocol/job.js';
import { KINDS } from '../protocol/kinds.js';
import { unwrapRumor, wrapRumor } from '../relay/gift-wrap.js';
import { allowedRelayUrl } from '../relay/relay-url.js';
import { createBell } from '../roles/bell.js';
import { leadJob } from '../roles/customer.js';
import { customerData } from '../roles/customer-data.js';
import type { JobFiles, Payer } from '../roles/customer-env.js';
import { chunkFiles, type HomeFiles } from '../roles/home-files.js';
import { openInbox } from '../roles/inbox.js';
import { openBook, type Reading, type SignedRecord } from '../roles/job-book.js';
import type { JobFile } from '../roles/job-file.js';
import { jobTerms } from '../roles/job-terms.js';
import { postJob } from '../roles/post.js';
import { publishDataset } from '../roles/publish.js';
import { serveJob } from '../roles/trainer.js';
import { serveValidator, type ValidatorEnv } from '../roles/validator.js';
import type { Split } from '../training/split.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import type { Attack } from './attacks.js';
import { MemoryLightning } from './lightning.js';
import { memoryJournal } from './memory-journal.js';
import { memoryStakes, STAKE_FUNDS_MSAT, type StakeOf } from './memory-stakes.js';
import { memoryNetwork } from './memory-relays.js';
import { createParticipant, portsOf, SILENT, type Participant, type Places } from './participant.js';
import { sharedReading } from './shared-reading.js';
import { watchTraffic, type Traffic } from './traffic.js';
import { createBlackboard, readsBoard, trainerEngine } from './trainer-engine.js';
import { virtualClock } from './virtual-clock.js';

/** What a simulation simulates. */
export interface Simulation {
  readonly seed: Bytes;
  readonly job: JobFile;
  /** What the file holds that `model` of the job names. */
  readonly layersModel?: unknown;
  readonly schema: DataSchema;
  /** One shard per seat. */
  readonly split: Split;
  /** Bidders beyond the seats. */
  readonly spares: number;
  /** How many trainers attack, in which way. */
  readonly attackers: ReadonlyMap<Attack, number>;
  /** The customer's and, behind their attacks, the trainers'. */
  readonly engine: Engine;
  readonly hasSpotChecks: boolean;
  readonly signal: AbortSignal;
  readonly payer: (tools: { readonly wallet: Wallet; readonly clock: Clock; readonly budgetMsat: bigint }) => Payer;
  readonly onStep?: (state: JobState) => void;
}

export interface SimulatedMarket {
  readonly state: JobState;
  readonly customer: Participant;
  readonly trainers: readonly Participant[];
  /** As many as the job has seats for; all are honest. */
  readonly validators: readonly Participant[];
  readonly attackOf: ReadonlyMap<Pubkey, Attack | null>;
  readonly traffic: Traffic;
  readonly virtualSeconds: number;
  /** What the wallets of trainers and validators hold, by key. */
  readonly receivedMsat: ReadonlyMap<Pubkey, bigint>;
}

const URL = 'wss://simulated.example';
/** From the relay to whoever listens. */
const LATENCY_MS = 100;
const DATASET_DAYS = 90;

/** One whole job: dataset, bids, award, rounds, payments, model. Equal simulations give equal events, byte by byte. */
export async function simulateMarket(simulation: Simulation): Promise<SimulatedMarket> {
  const { seed, signal } = simulation;
  const clock = virtualClock();
  const startMs = clock.nowMs();
  const engine = holding(simulation.engine, clock);
  const lightning = new MemoryLightning({ nowSec: () => clock.nowSec() });
  const customer = createParticipant('customer', { seed, lightning });
  const trainers = bidders(simulation, lightning);
  const validators = Array.from({ length: simulation.job.validators }, (_, index) =>
    createParticipant(`validator ${index + 1}`, { seed, lightning }),
  );
  const traffic = watchTraffic(customer.signer.pubkey, () => clock.nowMs());
  const network = memoryNetwork([URL], {
    ...{ wait: (ms: number) => clock.wait(ms), latencyMs: LATENCY_MS, isShared: true },
    onStored: (event) => traffic.onStored(event),
    onDelivered: (event) => traffic.onDelivered(event),
  });
  const stop = new AbortController();
  const places: Places = { network, clock, signal: AbortSignal.any([signal, stop.signal]) };
  const stakeOf = await memoryStakes(simulation.job, [customer, ...trainers, ...validators], clock);
  const market: Market = { simulation, places, engine, reading: sharedReading(), stakeOf };

  const posted = await post(market, customer);
  const board = trainers.some(({ attack }) => attack !== null && readsBoard(attack)) ? createBlackboard() : null;
  const serving: Promise<unknown>[] = [
    ...trainers.map((who) =>
      serve(market, who, {
        ...posted,
        engine: trainerEngine(who.attack, { engine, clock, board, seed: who.seed }),
      }),
    ),
    ...validators.map((who) => validate(market, who, posted)),
  ];
  const ended = Promise.allSettled(serving);
  try {
    const state = await posted.lead();
    const failed = (await ended).find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return {
      ...{ state, customer, trainers, validators, traffic },
      attackOf: new Map(trainers.map(({ signer, attack }) => [signer.pubkey, attack])),
      virtualSeconds: (clock.nowMs() - startMs) / 1000,
      receivedMsat: new Map(
        [...trainers, ...validators].map(({ signer, name }) => [signer.pubkey, lightning.balance(name)]),
      ),
    };
  } finally {
    stop.abort();
    await ended;
  }
}

interface Market {
  readonly simulation: Simulation;
  readonly places: Places;
  readonly engine: Engine;
  readonly reading: Reading;
  /** Null: nobody stakes. */
  readonly stakeOf: StakeOf | null;
}

/** Which trainers attack follows from the seed. */
function bidders({ seed, split, spares, attackers }: Simulation, lightning: MemoryLightning): Participant[] {
  const count = split.shards.length + spares;
  const order = prng(seed, 'simulate/attackers').shuffle(count);
  const attacks = new Array<Attack | null>(count).fill(null);
  let next = 0;
  for (const [attack, many] of attackers)
    for (let i = 0; i < many && next < count; i++) attacks[order[next++]!] = attack;
  return attacks.map((attack, index) => createParticipant(`trainer ${index + 1}`, { seed, lightning, attack }));
}

/** The thread of an engine takes real time, in which no virtual time passes. */
function holding(engine: Engine, clock: ReturnType<typeof virtualClock>): Engine {
  return {
    id: engine.id,
    train: (...call) => clock.hold(engine.train(...call)),
    evaluate: (...call) => clock.hold(engine.evaluate(...call)),
    predict: (...call) => clock.hold(engine.predict(...call)),
    close: () => engine.close(),
  };
}

function jobFiles(files: HomeFiles, job: EventId): JobFiles {
  return {
    write: (name, bytes) => files.write(`jobs/${job}/${name}`, bytes),
    read: (name) => files.read(`jobs/${job}/${name}`),
  };
}

interface Posted {
  readonly jobId: EventId;
  readonly terms: JobTerms;
  readonly snapshot: Snapshot;
  readonly evalA: Snapshot;
  lead(): Promise<JobState>;
}

/** Publishes the dataset and the job; `lead` is then the customer's part to the end. */
async function post({ simulation, places, engine, reading, stakeOf }: Market, customer: Participant): Promise<Posted> {
  const { job, schema, split, seed, layersModel, payer } = simulation;
  const { network, clock } = places;
  const ports = portsOf(customer, network.relays(), places);
  const request = sha256Hex('nmkt/simulate/dataset', seed);
  const expirationSec = clock.nowSec() + DATASET_DAYS * 86_400;
  const { shards, a, b } = split;
  const { record } = await publishDataset(
    { ...{ name: 'simulated', schema, shards, a, b, request, expirationSec } },
    ports,
  );
  const checker = simulation.hasSpotChecks ? engine.id : null;
  const wanted = jobTerms(job, record, 'sandbox', [URL], clock.nowSec(), checker, layersModel);
  const { secrets } = await postJob(wanted, record, ports, false);
  const { content: terms, id } = JOB.parse(secrets.event);
  const lead = async (): Promise<JobState> => {
    const bell = createBell(clock);
    const journal = memoryJournal<SignedRecord>([], (value) => value);
    const book = await openBook(id, { ...ports, bell, journal, reading });
    const wrap = (content: string, to: string): Promise<NostrEvent> =>
      wrapRumor({ kind: KINDS.grant, content, tags: [] }, ports.signer, to as Pubkey, ports.random, clock.nowSec());
    try {
      return await leadJob(
        {
          ...ports,
          ...{ book, bell, secrets },
          data: customerData(ports.relays, secrets, places.signal),
          files: jobFiles(ports.files, id),
          allowedRelay: (url) => allowedRelayUrl(url, 'sandbox', [URL]),
          engine: async () => engine,
          ...(stakeOf !== null && { stake: stakeOf(customer) }),
          payer: terms.rail === 'none' ? null : payer({ wallet: customer.wallet, clock, budgetMsat: terms.budgetMsat }),
          onStep: (_step, state) => simulation.onStep?.(state),
        },
        wrap,
      );
    } finally {
      book.close();
    }
  };
  return {
    jobId: id,
    terms,
    snapshot: parseSnapshot(secrets.train.event),
    evalA: parseSnapshot(secrets.a.event),
    lead,
  };
}

async function serve(
  market: Market,
  who: Participant,
  { jobId, terms, snapshot, engine }: Omit<Posted, 'lead'> & { readonly engine: Engine },
): Promise<void> {
  const priceMsat = terms.maxPriceMsat;
  await work(market, who, { jobId, terms, engine }, (env) =>
    serveJob({
      ...{ ...env, snapshot, shard: { opened: null } },
      terms: { priceMsat, shards: 1, maxExposureMsat: priceMsat, maxBytes: 2 ** 40 },
    }),
  );
}

async function validate(market: Market, who: Participant, { jobId, terms, snapshot, evalA }: Posted): Promise<void> {
  const { engine } = market;
  await work(market, who, { jobId, terms, engine }, (env) =>
    serveValidator({ ...env, snapshot, evalA, data: { opened: null } }),
  );
}

/** A home, an inbox and a book of their own, for as long as the work takes. */
async function work(
  { places, reading, stakeOf }: Market,
  who: Participant,
  { jobId, terms, engine }: Pick<Posted, 'jobId' | 'terms'> & { readonly engine: Engine },
  act: (env: Omit<ValidatorEnv, 'snapshot' | 'evalA' | 'data'>) => Promise<unknown>,
): Promise<void> {
  const { network, clock } = places;
  const { files, ...ports } = portsOf(who, network.relays(), places);
  const bell = createBell(clock);
  const inbox = openInbox(ports.relays, who.signer.pubkey, clock, (wrap) => unwrapRumor(wrap, who.signer));
  inbox.watch(bell);
  const journal = memoryJournal<SignedRecord>([], (value) => value);
  const book = await openBook(jobId, { ...ports, bell, journal, reading });
  try {
    await act({
      ...ports,
      ...{ book, bell, inbox },
      files: jobFiles(files, jobId),
      chunks: chunkFiles(files, `jobs/${jobId}`),
      wallet: terms.rail === 'none' ? null : who.wallet,
      network: 'sandbox',
      paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
      engine: async () => engine,
      ...(stakeOf !== null && { stake: { stake: stakeOf(who), maxMsat: STAKE_FUNDS_MSAT } }),
      progress: SILENT,
      emit: () => undefined,
    });
  } finally {
    inbox.close();
    book.close();
    await ports.relays.close();
  }
}
