import { writeFile } from 'node:fs/promises';
import { satText } from '../demo/board.js';
import { writeDigits } from '../demo/digits-files.js';
import type { DemoPlan } from '../demo/plan.js';
import type { Line } from '../demo/processes.js';
import type { EventId } from '../hash.js';
import { leaderboards } from '../market/arena/leaderboard.js';
import { table } from '../terminal/table.js';
import type { DemoTools } from './demo-market.js';
import { standUp } from './demo-stand.js';
import { readArena } from './find-arena.js';

/** `nmkt demo --mode arena`: trainers with models of their own choice, validators that rank them, each a process. */

export interface ArenaDemo {
  readonly mode: 'arena';
  /** Of the winner's model, as its validators measured it on a set that no trainer saw. */
  readonly loss: number;
  readonly architecture: string;
  readonly winner: string;
  /** Of the final stage, the best first. */
  readonly trainers: readonly {
    readonly pubkey: string;
    readonly rank: number | null;
    readonly loss: number | null;
    readonly paidMsat: bigint;
  }[];
  readonly validators: readonly { readonly pubkey: string; readonly scored: number; readonly paidMsat: bigint }[];
  readonly paidMsat: bigint;
  readonly audit: 'PASS' | 'FAIL';
}

/** From weak to strong, so that there is something to rank; a fourth trainer searches by itself. */
const RECIPES: readonly object[] = [
  { model: 'logreg', learningRate: 0.003, epochs: 1 },
  { model: 'mlp', hidden: [32], learningRate: 0.003, epochs: 1 },
  { model: 'mlp', hidden: [64], learningRate: 0.003, epochs: 2 },
];
/** Of the two stages; everybody is on this machine. */
const TIMES = ['--interim', '25s', '--final', '50s', '--reveal-timeout', '15s'];

/** From an empty folder to the winner's model. @throws NmktError of whoever failed */
export async function runArena(plan: DemoPlan, tools: DemoTools): Promise<ArenaDemo> {
  const { trainers: count, validators: scorers, engine, priceSats } = plan;
  const { context, view } = tools;
  const stand = standUp(plan, tools, { trainers: count, validators: scorers });
  await writeDigits(stand.home('data'));
  const relay = await stand.during(stand.relay);
  view.say(`sandbox: relay and play-money wallets at ${relay}`);
  view.say('customer: encrypts and publishes the dataset');
  const { document: published } = await stand.customer(['publish-dataset', stand.home('data'), '--shards', '1']);
  const accepted = engine === 'auto' ? 'wasm' : engine;
  const money = priceSats === 0 ? ['--rail', 'none'] : ['--pot-sats', `${10 * count * priceSats}`];
  const { document: posted } = await stand.customer([
    ...['post-job', '--mode', 'arena', '--dataset', String(published?.['snapshot']), '--title', 'nmkt demo'],
    ...[...TIMES, ...money, '--max-model-bytes', '500000', '--accepted-engines', accepted],
  ]);
  const job = String(posted?.['job']) as EventId;
  view.say(`customer: an arena for ${count} trainers, job ${job}`);
  for (let at = 0; at < count; at++) {
    const recipe = RECIPES[at];
    const args = ['serve-trainer', '--mode', 'arena', '--train-limit', '8s'];
    if (recipe !== undefined) {
      const file = stand.home(`recipe-${at + 1}.json`);
      await writeFile(file, JSON.stringify(recipe));
      args.push('--recipe', file);
    }
    stand.worker(`trainer-${at + 1}`, args, say(view, `trainer ${at + 1}`));
  }
  for (let at = 0; at < scorers; at++)
    stand.worker(`validator-${at + 1}`, ['serve-validator'], say(view, `validator ${at + 1}`));
  const { document } = await stand.collect(job);
  const audit = await stand.audit(job);
  const relays = await context.deps.connectRelays([relay]);
  const found = await readArena({ ...context, deps: { ...context.deps, relays: async () => relays } }, job).finally(
    () => relays.close(),
  );
  const paid = (who: string): bigint =>
    found.state.stages
      .flatMap(({ payouts }) => payouts)
      .reduce(
        (sum, { payee, receipt, amountMsat }) => (payee === who && receipt !== null ? sum + amountMsat : sum),
        0n,
      );
  const final = leaderboards(found.state).at(-1)!;
  return {
    ...{ mode: 'arena', audit },
    loss: Number(document?.['loss']),
    architecture: String(document?.['architecture']),
    winner: String(document?.['winner']),
    trainers: final.rows.map(({ trainer, rank, scorePpm }) => ({
      ...{ pubkey: trainer!, rank, loss: scorePpm === null ? null : scorePpm / 1e6, paidMsat: paid(trainer!) },
    })),
    validators: final.validators.map(({ validator, counted }) => ({
      ...{ pubkey: validator, scored: counted ?? 0, paidMsat: paid(validator) },
    })),
    paidMsat: BigInt(Number(document?.['paidMsat'])),
  };
}

function say(view: DemoTools['view'], name: string): (line: Line) => void {
  return (line) => {
    const words = wordsOf(line);
    if (words !== null) view.say(`${name}: ${words}`);
  };
}

/** In a few words; null for what everybody has seen before. */
function wordsOf(line: Line): string | null {
  const stage = line['stage'] === 1 ? 'final stage' : 'interim stage';
  switch (line['event']) {
    case 'entered':
      return 'asked for the training set';
    case 'submitted':
      return `${stage}: submitted a model`;
    case 'scored':
      return `${stage}: scored ${String(line['models'])} models without knowing whose`;
    case 'ranked':
      return `${stage}: rank ${String(line['rank'])} of ${String(line['of'])}, loss ${(Number(line['scorePpm']) / 1e6).toFixed(3)}`;
    case 'unranked':
      return `${stage}: no rank`;
    case 'paid':
      return `${stage}: paid ${satText(BigInt(Number(line['amountMsat'])))}`;
    case 'lost':
    case 'skipped':
    case 'error':
      return `${line['event']}: ${String(line['reason'] ?? line['message'])}`;
    default:
      return null;
  }
}

/** For somebody who meets all of this for the first time. */
export function arenaDemoText(found: ArenaDemo, modelDir: string, wallSeconds: number): string {
  const { trainers, validators, paidMsat, audit, architecture, loss } = found;
  return [
    `${trainers.length} trainers saw one dataset, each submitted models of its own choice, ${validators.length} validators ranked them on data\nthat no trainer saw, and all were paid ${satText(paidMsat)} of play money by rank, in ${wallSeconds.toFixed(0)} seconds.`,
    table([
      ['rank', 'trainer', 'loss', 'sat'],
      ...trainers.map(({ rank, pubkey, loss: own, paidMsat: got }) => [
        rank ?? '-',
        pubkey.slice(0, 8),
        own === null ? '-' : own.toFixed(4),
        Number(got) / 1000,
      ]),
    ]),
    table([
      ['validator', 'scored', 'sat'],
      ...validators.map(({ pubkey, scored, paidMsat: got }) => [pubkey.slice(0, 8), scored, Number(got) / 1000]),
    ]),
    audit === 'PASS'
      ? 'Audit: PASS. Names, seats, scores, ranks and pay follow\nfrom the signed events, recomputed from the first one.'
      : 'Audit: FAIL.',
    `The winner's model (${architecture}, loss ${loss.toFixed(4)}) is in ${modelDir}; the others stay sealed.`,
  ].join('\n\n');
}
