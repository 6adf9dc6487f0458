import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeEvent, newTrainer, numberOf, percentText, trainerAfter, type Board } from '../demo/board.js';
import { writeDigits } from '../demo/digits-files.js';
import type { LiveView } from '../demo/live-view.js';
import type { Line, Participant, Processes } from '../demo/processes.js';
import type { DemoResult } from '../demo/summary.js';
import { NmktError } from '../errors.js';
import { fromHex, sha256Hex, type EventId } from '../hash.js';
import type { JobState } from '../market/state.js';
import type { Context } from './command.js';
import { classesOf, compareAlone, readSecrets } from './demo-compare.js';
import { customerText, roundRows, watchJob } from './demo-watch.js';

/** The whole market: who is started when, what is shown of it, what is read from its end. */

export interface DemoPlan {
  readonly trainers: number;
  readonly rounds: number;
  readonly model: 'mlp' | 'logreg';
  readonly priceSats: number;
  /** Null: procedural digits. */
  readonly data: { readonly path: string; readonly label?: string; readonly test?: string } | null;
  /** Absolute, as all paths here. */
  readonly dir: string;
  readonly isTemporary: boolean;
  readonly modelDir: string;
  readonly engine: string;
}

export interface DemoTools {
  readonly context: Context;
  readonly processes: Processes;
  readonly view: LiveView;
}

export interface MarketResult extends Omit<DemoResult, 'modelDir' | 'wallSeconds'> {
  /** Some payouts are left that nobody claimed. */
  readonly isPartlyPaid: boolean;
}

/** The customer's purse at least; a folder that is used again keeps what is left. */
const PURSE_SATS = 1_000_000;
/** Steps that the board shows and plain lines leave out, for brevity. */
const UNSAID: readonly string[] = ['round', 'revealed'];
/** How long trainers may take to see their last payment after the model is there. */
const LAST_WORDS_MS = 20_000;

export async function runMarket(plan: DemoPlan, tools: DemoTools): Promise<MarketResult> {
  const market = createMarket(plan, tools);
  const sandbox = await market.openSandbox();
  const relays = await tools.context.deps.connectRelays([sandbox.relay]);
  const watching = new AbortController();
  try {
    const job = await market.publish(sandbox.isFresh);
    const secrets = await readSecrets(market.home('customer'), job);
    const chance = 1 / classesOf(secrets);
    market.show({ chance });
    const watched = watchJob(tools.context, job, relays, watching.signal, market.showState);
    const collected = await market.orFailure(market.collect(job), watched);
    market.show({ customer: 'compares: the same training by one trainer alone' });
    const [comparison] = await Promise.all([compareAlone(tools.context, secrets, relays), market.trainersEnd()]);
    const money = await readPayments(plan.modelDir);
    return { ...market.result(collected), ...comparison, ...money, chance, model: plan.model };
  } finally {
    watching.abort();
    await relays.close();
  }
}

function createMarket(plan: DemoPlan, { context, processes, view }: DemoTools) {
  const { clock } = context.deps;
  const quorum = Math.ceil((2 * plan.trainers) / 3);
  const sandboxDir = join(plan.dir, 'sandbox');
  const home = (name: string): string => join(plan.dir, name);
  const customer = ['--settings', join(sandboxDir, 'customer.json'), '--home', home('customer')];
  let trainers: Participant[] = [];
  let fail: (error: NmktError) => void = () => undefined;
  const failure = new Promise<never>((_, reject) => (fail = reject));
  failure.catch(() => undefined);

  let board: Board = {
    title: `nmkt demo: ${plan.model}, ${plan.trainers} trainers, ${plan.rounds} rounds`,
    sandbox: 'starting',
    customer: 'waiting for the sandbox',
    trainers: Array.from({ length: plan.trainers }, (_, index) => newTrainer(`trainer ${index + 1}`)),
    totalRounds: plan.rounds,
    rounds: [],
    chance: null,
  };
  const show = (change: Partial<Board>): void => {
    board = { ...board, ...change };
    view.show(board);
  };
  const showTrainer = (index: number, change: (row: Board['trainers'][number]) => Board['trainers'][number]): void =>
    show({ trainers: board.trainers.map((row, at) => (at === index ? change(row) : row)) });

  const startTrainer = (index: number, extra: readonly string[]): Participant => {
    const { name } = board.trainers[index]!;
    const participant = processes.start(
      name,
      [
        'serve-trainer',
        ...['--settings', join(sandboxDir, `trainer-${index + 1}.json`), '--home', home(`trainer-${index + 1}`)],
        ...['--price', `${plan.priceSats}`, '--engine', plan.engine, '--once', ...extra],
      ],
      (line) => {
        showTrainer(index, (row) => trainerAfter(row, line));
        const said = describeEvent(line);
        const round = numberOf(line, 'round');
        if (said !== null && !UNSAID.includes(String(line['event'])))
          view.say(`${name}: ${round === null ? '' : `round ${round + 1}: `}${said}`);
      },
    );
    void participant.ended.then(({ error }) => {
      if (error === undefined || context.signal.aborted) return;
      showTrainer(index, (row) => ({ ...row, hasFailed: true, doing: `stopped: ${error.message}` }));
      view.say(`${name} stopped: ${error.message}`);
      if (board.trainers.filter((row) => !row.hasFailed).length < quorum) fail(error);
    });
    return participant;
  };
  const startTrainers = (extra: readonly string[]): void => {
    trainers = board.trainers.map((_, index) => startTrainer(index, extra));
  };

  /** The work, unless somebody without whom it cannot end stops before. */
  const orFailure = <T>(work: Promise<T>, ...others: readonly Promise<unknown>[]): Promise<T> =>
    Promise.race([work, failure, ...others.map((other) => other.then(() => work))]);

  return {
    home,
    show,
    orFailure,

    /** @returns its relay, and whether nothing was in its folder before */
    async openSandbox(): Promise<{ readonly relay: string; readonly isFresh: boolean }> {
      const isFresh = !existsSync(sandboxDir);
      const budgetSats = plan.trainers * plan.rounds * plan.priceSats;
      const sats = Math.max(PURSE_SATS, 2 * budgetSats);
      let sandbox: Participant | undefined;
      const ready = new Promise<string>((resolve) => {
        sandbox = processes.start(
          'sandbox',
          ['sandbox', '--dir', sandboxDir, '--trainers', `${plan.trainers}`, '--sats', `${sats}`],
          (line) => {
            if (line['event'] === 'ready') resolve(String(line['relay']));
          },
        );
      });
      void sandbox!.ended.then(({ error }) =>
        fail(
          error ??
            new NmktError('internal-error', 'the sandbox ended before the demo', { remedy: 'run the demo again' }),
        ),
      );
      show({ sandbox: 'starting a relay and play-money wallets' });
      if (plan.data === null) await writeDigits(home('data'));
      const relay = await Promise.race([ready, failure]);
      show({ sandbox: `relay and wallets at ${relay}` });
      view.say(`sandbox: relay and play-money wallets at ${relay}`);
      return { relay, isFresh };
    },

    /** In a fresh folder the trainers start meanwhile; else they are told the job, for an older one would satisfy them. */
    async publish(isFresh: boolean): Promise<EventId> {
      if (isFresh) startTrainers([]);
      show({ customer: 'encrypts, cuts and publishes the dataset' });
      view.say('customer: encrypts, cuts and publishes the dataset');
      const jobFile = home('job.json');
      await writeFile(jobFile, `${JSON.stringify(jobOf(plan), undefined, 2)}\n`);
      const { data } = plan;
      const { document } = await orFailure(
        processes.run('customer', [
          ...['publish-dataset', data?.path ?? home('data'), '--job', jobFile, ...customer],
          ...(data?.label === undefined ? [] : ['--label', data.label]),
          ...(data?.test === undefined ? [] : ['--test', data.test]),
        ]),
      );
      const job = String(document?.['job']) as EventId;
      view.say(`customer: ${String(document?.['examples'])} examples in ${plan.trainers} shards, job ${job}`);
      if (!isFresh) startTrainers(['--job', job]);
      return job;
    },

    showState: (state: JobState): void => {
      const rounds = roundRows(state);
      for (const { round, accuracy, isVoid, accepted, rejected } of rounds) {
        const before = board.rounds[round];
        const name = `round ${round + 1} of ${plan.rounds}`;
        if (accuracy !== null && (before?.accuracy ?? null) === null)
          view.say(`${name}: accuracy ${percentText(accuracy)}, ${accepted} of ${accepted + rejected} accepted`);
        if (isVoid && before?.isVoid !== true) view.say(`${name}: void`);
      }
      show({ customer: customerText(state), rounds });
    },

    /** Again while payouts are left, which takes their claims a moment longer. */
    async collect(job: EventId): Promise<{ readonly document: Line; readonly isPartlyPaid: boolean }> {
      const run = () =>
        processes.run('customer', ['collect-model', job, '--out', plan.modelDir, '--engine', plan.engine, ...customer]);
      const first = await run();
      const { document, status } = first.status === 7 ? await run() : first;
      return { document: document ?? {}, isPartlyPaid: status === 7 };
    },

    async trainersEnd(): Promise<void> {
      const wait = new AbortController();
      const all = Promise.all(trainers.map(({ ended }) => ended)).then(() => wait.abort());
      await Promise.race([all, clock.wait(LAST_WORDS_MS, AbortSignal.any([wait.signal, context.signal]))]);
    },

    result({ document, isPartlyPaid }: { readonly document: Line; readonly isPartlyPaid: boolean }) {
      const model = document as unknown as CollectedDocument;
      const own = new Map(model.trainers.map((trainer) => [trainer.pubkey, trainer]));
      return {
        isPartlyPaid,
        accuracy: model.metrics.accuracy,
        accuracyByRound: board.rounds.flatMap(({ accuracy }) => accuracy ?? []),
        rounds: model.rounds,
        totalRounds: plan.rounds,
        trainers: board.trainers.map(({ name, pubkey, rejections }) => ({
          name,
          pubkey,
          rounds: own.get(pubkey)?.rounds ?? 0,
          paidMsat: BigInt(own.get(pubkey)?.paidMsat ?? 0),
          rejections,
        })),
        paidMsat: BigInt(model.paidMsat),
        receivedMsat: board.trainers.reduce((sum, { receivedMsat }) => sum + receivedMsat, 0n),
        audit: model.verified ? ('PASS' as const) : ('FAIL' as const),
        finding: null,
      };
    },
  };
}

/** What `collect-model --json` prints. */
interface CollectedDocument {
  readonly metrics: { readonly accuracy: number };
  readonly rounds: number;
  readonly trainers: readonly { readonly pubkey: string; readonly rounds: number; readonly paidMsat: number }[];
  readonly paidMsat: number;
  readonly verified: boolean;
}

/** Short waits: everybody is on this machine. */
function jobOf({ model, rounds, trainers, priceSats, engine }: DemoPlan): Record<string, unknown> {
  return {
    ...{ title: 'nmkt demo', model, rounds, trainers },
    ...(priceSats === 0 ? { rail: 'none', maxPriceSats: 0 } : { rail: 'instalments', maxPriceSats: priceSats }),
    ...{ bidWindow: '30s', readyTimeout: '1m', roundTimeout: '10m', revealTimeout: '1m' },
    acceptedEngines: engine === 'auto' ? 'wasm' : engine,
  };
}

/** Recomputes for every receipt whether SHA-256 of its preimage is the invoice's payment hash. */
async function readPayments(modelDir: string): Promise<{ invoices: number; falseReceipts: number }> {
  const { rounds } = JSON.parse(await readFile(join(modelDir, 'provenance.json'), 'utf8')) as {
    rounds: { payments: { preimage: string | null; paymentHash: string | null }[] }[];
  };
  const paid = rounds.flatMap(({ payments }) => payments).filter(({ preimage }) => preimage !== null);
  const invoices = paid.filter(({ preimage, paymentHash }) => sha256Hex(fromHex(preimage!)) === paymentHash).length;
  return { invoices, falseReceipts: paid.length - invoices };
}
