import { createPayer } from '../../src/commands/payer.js';
import { sha256, type EventId } from '../../src/hash.js';
import type { DataSchema, Examples } from '../../src/learning/types.js';
import { foldAlliance, type FoldedAlliance } from '../../src/market/alliance/fold.js';
import type { Engine } from '../../src/ports.js';
import { ALLIANCE_JOB } from '../../src/protocol/alliance/job.js';
import { parseJobEvent } from '../../src/protocol/events.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { unwrapRumor, wrapRumor } from '../../src/relay/gift-wrap.js';
import { allowedRelayUrl } from '../../src/relay/relay-url.js';
import { localSigner } from '../../src/signer.js';
import type { AllianceSecrets, MemberEnv, SequencerEnv } from '../../src/roles/alliance/env.js';
import { parseAllianceFile, type AllianceFileInput } from '../../src/roles/alliance/file.js';
import { serveAlliance } from '../../src/roles/alliance/member.js';
import { allianceTermsOf, postAlliance } from '../../src/roles/alliance/post.js';
import { leadAlliance } from '../../src/roles/alliance/sequencer.js';
import { createBell } from '../../src/roles/bell.js';
import { openInbox } from '../../src/roles/inbox.js';
import { openBookOf, type JobBook } from '../../src/roles/job-book.js';
import type { ServeEnd } from '../../src/roles/trainer.js';
import { namedRandom } from '../../src/simulate/named-random.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { FakeLightning } from './fake-wallet.js';
import {
  Killed,
  guarded,
  Process,
  quietProgress,
  tinyExamples,
  TINY_SCHEMA,
  type Participant,
} from './market-world.js';
import type { Kill } from './market-world.js';
import { memoryNetwork, type MemoryNetwork } from './memory-relays.js';
import { stubEngine } from './stub-engine.js';
import { virtualClock, type VirtualClock } from './virtual-clock.js';

/** An alliance in one process: real events, signatures, encryption, invoices and training; no sockets, disk or time. */

const START_MSAT = 1_000_000_000n;
const ENGINE_ID = 'cpu/00000000/stub/x64';

export interface AllianceWorldOptions {
  readonly name?: string;
  readonly members?: number;
  readonly job?: Partial<AllianceFileInput>;
  readonly schema?: DataSchema;
  /** What the i-th member has. */
  readonly data?: (member: number) => { readonly train: Examples; readonly test: Examples };
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

export interface AllianceRun {
  readonly customer: FoldedAlliance | Error;
  /** In order of the members' keys. */
  readonly ends: readonly (ServeEnd | Error)[];
  /** As any stranger reads it afterwards from the relays. */
  readonly folded: FoldedAlliance;
}

export interface AllianceWorld {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly lightning: FakeLightning;
  readonly customer: Participant;
  /** In order of their keys. */
  readonly members: readonly Participant[];
  readonly secrets: AllianceSecrets;
  readonly jobId: EventId;
  readonly engine: Engine;
  run(parts?: {
    readonly customer?: Part<SequencerEnv>;
    readonly members?: Readonly<Record<number, Part<MemberEnv>>>;
  }): Promise<AllianceRun>;
}

export async function createAllianceWorld(options: AllianceWorldOptions = {}): Promise<AllianceWorld> {
  const { name = 'alliance', members: count = 6, schema = TINY_SCHEMA } = options;
  const engine = options.engine ?? stubEngine(ENGINE_ID);
  const clock = virtualClock();
  const network = memoryNetwork(undefined, (ms) => clock.wait(ms));
  const lightning = new FakeLightning({ nowSec: () => clock.nowSec() });
  const participant = (label: string): Participant => {
    const secret = sha256('alliance-world', name, label);
    return {
      ...{ name: label, secret, signer: localSigner(secret), files: new Map(), events: [], payouts: [], said: [] },
      ...{ wallet: lightning.wallet(label, START_MSAT, {}), faults: {}, random: namedRandom(`${name}/${label}`) },
    };
  };
  const customer = participant('customer');
  const members = Array.from({ length: count }, (_, i) => participant(`member ${i}`)).sort((a, b) =>
    a.signer.pubkey < b.signer.pubkey ? -1 : 1,
  );
  const dataOf =
    options.data ??
    ((i) => ({ train: tinyExamples(24, `${name}/train/${i}`), test: tinyExamples(60, `${name}/test/${i}`) }));
  const file = parseAllianceFile(
    {
      ...{ mode: 'alliance', model: 'logreg', rounds: 2, epochs: 4, batch: 8, learningRate: 0.2, optimizer: 'sgd' },
      ...{ acceptedEngines: 'cpu', members: count, proposers: 2, potSats: 1_000, ...options.job },
    },
    'the test',
  );
  const ports = (who: Participant, process: Process) => ({
    relays: process.relays(network.relays()),
    ...{ signer: who.signer, clock, random: who.random, files: process.files() },
    progress: quietProgress(who.said),
    signal: process.signal,
    allowedRelay: (url: string) => allowedRelayUrl(url, 'bitcoin', []),
  });
  const terms = allianceTermsOf(file, schema, 'sandbox', network.relays().urls, clock.nowSec());
  const opening = { members: count, joinWindowSec: 60 };
  const { secrets } = await postAlliance(terms, opening, ports(customer, new Process(customer, undefined)), false);
  const job = ALLIANCE_JOB.parse(secrets.event);
  const reading = { parse: parseJobEvent, fold: foldAlliance };

  const openFor = async (who: Participant, process: Process) => {
    const { files, ...base } = ports(who, process);
    const bell = createBell(clock);
    const book = await openBookOf(job.id, { ...base, bell, journal: await process.events(), reading });
    const own = {
      write: (file: string, bytes: Uint8Array) => files.write(`jobs/${job.id}/${file}`, bytes),
      read: (file: string) => files.read(`jobs/${job.id}/${file}`),
    };
    return { ...base, bell, book, files: own };
  };
  const close = (env: { book: JobBook<FoldedAlliance>; relays: { close(): Promise<void> } }): Promise<void> => {
    env.book.close();
    return env.relays.close();
  };

  async function lead(process: Process, { adapt = (env) => env }: Part<SequencerEnv>): Promise<FoldedAlliance> {
    const base = await openFor(customer, process);
    const { wallet } = customer;
    const env = adapt({
      ...{ ...base, secrets },
      payer: createPayer({
        ...{ wallet: guarded(wallet, process), journal: await process.payouts(), clock, network: 'sandbox' },
        jobBudgetMsat: job.content.alliance.potMsat,
      }),
    });
    const wrap = (content: string, to: string) =>
      wrapRumor({ kind: KINDS.grant, content, tags: [] }, env.signer, to as never, customer.random, clock.nowSec());
    return leadAlliance(env, wrap).finally(() => close(base));
  }

  async function serve(
    who: Participant,
    index: number,
    process: Process,
    { adapt = (env) => env }: Part<MemberEnv>,
  ): Promise<ServeEnd> {
    const base = await openFor(who, process);
    const inbox = openInbox(base.relays, who.signer.pubkey, clock, (wrap) => unwrapRumor(wrap, who.signer));
    inbox.watch(base.bell);
    const env = adapt({
      ...{ ...base, inbox, network: 'sandbox', local: async () => dataOf(index), engine: async () => engine },
      wallet: guarded(who.wallet, process),
      paymentHashOf: (invoice) => decodeInvoice(invoice).paymentHash,
      emit: (event, fields, text) => quietProgress(who.said).note(`${event} ${Object.keys(fields).join()} ${text}`),
    });
    return serveAlliance(env).finally(() => (inbox.close(), close(base)));
  }

  async function withRestart<Env, End>(
    who: Participant,
    part: Part<Env>,
    once: (process: Process) => Promise<End>,
  ): Promise<End | Error> {
    for (let start = 0; ; start++)
      try {
        const isFirst = start === 0;
        return await once(new Process(who, isFirst ? part.kill : undefined, isFirst ? part.onWrite : undefined));
      } catch (error) {
        if (!(error instanceof Killed) || part.isGone === true) return error as Error;
      }
  }

  return {
    ...{ clock, network, lightning, customer, members, secrets, jobId: job.id, engine },
    async run({ customer: leading = {}, members: serving = {} } = {}) {
      const [led, ...ends] = await Promise.all([
        withRestart(customer, leading, (process) => lead(process, leading)),
        ...members.map((who, i) =>
          withRestart(who, serving[i] ?? {}, (process) => serve(who, i, process, serving[i] ?? {})),
        ),
      ]);
      const book = await openBookOf(job.id, { relays: network.relays(), clock, bell: createBell(clock), reading });
      book.close();
      return { customer: led, ends, folded: book.state() };
    },
  };
}
