import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NmktError } from '../errors.js';
import { perplexity } from '../learning/metrics.js';
import { DEFAULT_SEEDS } from '../market/attacks/all.js';
import type { JobState } from '../market/state.js';
import { enginesOf, hasSpotChecks, type JobFile } from '../roles/job-file.js';
import { ATTACKS } from '../simulate/attacks.js';
import { simulateMarket } from '../simulate/market.js';
import { memoryJournal } from '../simulate/memory-journal.js';
import { reportOf, roundsCsv } from '../simulate/report.js';
import { roundsSvg } from '../simulate/rounds-svg.js';
import { stubEngine } from '../simulate/stub-engine.js';
import type { PayoutRecord } from '../wallet/payout-records.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { addJobDataFlags, cutData } from './job-data.js';
import { addJobFlags } from './job-flags.js';
import { layersModelOf } from './model-file.js';
import { requireFolder } from './out-folder.js';
import { createPayer } from './payer.js';
import { chanceOf } from './publish-plan.js';
import {
  crowdOf,
  DEFAULT_DIR,
  flagsOf,
  jobOf,
  seedOf,
  splitSeed,
  simulatedJob,
  type Crowd,
  type SimulateFlags,
} from './simulate-plan.js';
import { marketFlags, simulateAttacks, simulateAttacksOn } from './simulate-market.js';
import { simulationText } from './simulate-text.js';

export const command: CommandModule = {
  configure(program) {
    const collect = (value: string, before: readonly string[] | undefined): string[] => [...(before ?? []), value];
    program
      .argument('[job]', 'a job file, as post-job takes it')
      .option('--trainers <n>', 'trainers that bid (default: trainers of the job, else 10)')
      .option('--seats <n>', 'of them win a seat and a shard each, the rest are spares (default: all, at most 500)')
      .option('--attack <name:fraction>', 'that fraction of the trainers attacks like this; may be repeated', collect)
      .option('--training <how>', 'real: the training engine (default); stub: logistic regression in plain JavaScript');
    addJobDataFlags(program);
    addJobFlags(program, ['rounds']);
    program
      .option('--seed <n>', 'equal seeds give equal results (default 0)')
      .option('--out <dir>', `where rounds.csv and rounds.svg go (default ${DEFAULT_DIR})`)
      .option(
        '--market',
        'attacks on the rules of the market instead: what they gain and what they risk; nobody trains',
      )
      .option('--seeds <n>', `of --market: draws of each attack, where chance decides (default ${DEFAULT_SEEDS})`)
      .option('--csv <file>', 'of --market: where its rows go, too')
      .option('--cost-sats <n>', 'of --market JOB: what a round of work costs a trainer (default: 4/7 of the price)')
      .option(
        '--stake-sats <n>',
        'of --market JOB: what a proven fraud loses (default: trainerStakeSats, where validators repeat)',
      )
      .addHelpText(
        'before',
        '$ nmkt simulate job.json --trainers 20 --attack signflip:0.3 --training stub\n$ nmkt simulate job.json --trainers 6 --data wine.csv --label quality\n$ nmkt simulate --market\n$ nmkt simulate --market job.json --cost-sats 100\n',
      )
      .addHelpText('after', HELP);
  },

  async run([path], options, context) {
    const market = marketFlags(options);
    const flags = flagsOf(options);
    if (market !== null) {
      if (path === undefined) return simulateAttacks(market, context);
      return simulateAttacksOn(await jobOf(path, options), market, context);
    }
    requireJob(path);
    await requireFolder(flags.dir);
    const asked = await jobOf(path, options);
    const crowd = crowdOf(flags, asked);
    const job = simulatedJob(asked, flags.training, crowd.seats);
    return simulate(flags, crowd, job, context);
  },
};

function requireJob(path: string | undefined): asserts path is string {
  if (path !== undefined) return;
  throw new NmktError('bad-usage', 'simulate needs a job file', {
    expected: 'JOB.json, or --market',
    got: 'neither',
    remedy: 'nmkt simulate --help',
  });
}

const HELP = `
The market's own code (bids, award, grants, training, commitments, scores, rules, invoices, receipts) on a relay, wallets and a clock in memory. Nothing is sent,
nobody is paid, no key of yours is used. Equal files, flags and seed give equal bytes.
Attacks:
${Object.entries(ATTACKS)
  .map(([name, about]) => `  ${name.padEnd(11)}  ${about}`)
  .join('\n')}
Whether they are caught is for the job's rules: verification, aggregation, attackers.
With --json one document:
  dir, seed, training, engine, model (the network), trainers, seats, attackers {name: count}
  accuracy, loss    of the final model on set B, perplexity (per token) of text, else null; weights: its sha256
  chance            accuracy of always saying the largest class; null for regression
  rounds            the rows of rounds.csv
  classes           [{class, trainers, seated, accepted, rejected {rule: count}, barred, paidSats}]
  validators        {validators, seated, scored (sheets that counted), fallbacks, barred, paidSats}; absent: the job has no seats for them
  setup, total      events and bytes before the first round and of all
  wallSeconds       real time
With --market --json one document: docs/market.md says what each attack is
  seeds             of each attack where chance decides
  attacks           [{attack, setting, unit, measured, computed, fits}]: a share of 1, sat of one trainer over its job, a rating, a factor of the
                    price, or a rule; fits: within four standard errors, or at most what is computed
  misfits           attacks that do not fit
With --market JOB.json --json one document:
  seeds, terms      {rounds, priceSat, costSat (of a round's work), segments, rate (of spot checks), stakeSat, validators, feeSat, validatorStakeSat,
                    hasLeastWork, isForKnown}
  attacks           [{attack, setting, honestSat, attackSat, measuredSat, pays, breakEven}]: expected over the whole job of whoever attacks,
                    as agreed and attacking; measuredSat as played, null where nothing is left to chance
  paying            attacks that pay`;

async function simulate(flags: SimulateFlags, crowd: Crowd, job: JobFile, context: Context): Promise<Outcome> {
  const { progress, deps, signal } = context;
  const { training, dir } = flags;
  progress.start('preparing the data');
  const data = await cutData(flags.data, crowd.seats, splitSeed(flags), training === 'stub');
  const layersModel = await layersModelOf(job, context);
  const isText = data.schema.text !== undefined;
  const engine = training === 'stub' ? stubEngine() : await deps.engine({ accepted: enginesOf(job) });
  if (training === 'stub')
    progress.note('stub: logistic regression by plain gradient descent, whatever model and optimizer the job names');
  const spares = crowd.trainers - crowd.seats;
  progress.note(
    `${crowd.trainers} trainers, ${crowd.seats} seats${spares === 0 ? '' : ` and ${spares} spares`}${job.validators === 0 ? '' : `, ${job.validators} validators`}, ${job.rounds} rounds on ${engine.id}`,
  );
  progress.start(`round 1 of ${job.rounds}`);
  const began = performance.now();
  const market = await simulateMarket({
    ...{ job, ...data, spares, engine, signal, attackers: crowd.attackers },
    seed: seedOf(flags),
    ...(layersModel !== undefined && { layersModel }),
    hasSpotChecks: hasSpotChecks(job),
    payer: ({ wallet, clock, budgetMsat }) =>
      createPayer({
        ...{ wallet, clock, network: 'sandbox', jobBudgetMsat: budgetMsat },
        journal: memoryJournal<PayoutRecord>([], (record) => record),
      }),
    onStep: tellRounds(context, job.rounds, isText),
  });
  const report = await reportOf(market);
  const wallSeconds = Math.round(performance.now() - began) / 1000;
  const chance = chanceOf(data.schema, data.split);
  const attackers = Object.fromEntries(crowd.attackers);
  const attackText = [...crowd.attackers].map(([name, count]) => `, ${count} ${name}`).join('');
  const title = `${crowd.trainers} trainers${attackText}${training === 'stub' ? ' (stub training)' : ''}`;
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'rounds.csv'), roundsCsv(report.rounds));
  await writeFile(join(dir, 'rounds.svg'), roundsSvg(report.rounds, title, isText ? null : chance));
  progress.done(`${join(dir, 'rounds.csv')} and rounds.svg`);
  const { accuracyPpm, lossPpm, model, weights } = market.state.artifact!.content;
  const value = {
    ...{ dir, seed: flags.seed, training, engine: engine.id, model: model.model },
    ...{ trainers: crowd.trainers, seats: crowd.seats, attackers },
    accuracy: accuracyPpm === null ? null : accuracyPpm / 1e6,
    loss: lossPpm / 1e6,
    perplexity: isText ? perplexity(lossPpm / 1e6) : null,
    ...{ chance, weights: weights.sha256, ...report, wallSeconds },
  };
  return { value, text: simulationText(value) };
}

/** A line for each round that is over. */
function tellRounds({ progress }: Context, total: number, isText: boolean): (state: JobState) => void {
  let told = 0;
  return ({ rounds }) => {
    const over = rounds.filter(({ close, voided }) => close !== null || voided !== null);
    for (; told < over.length; told++) {
      const { round, close, assigned } = over[told]!;
      const measured =
        close === null
          ? 'void: too few updates were accepted'
          : `${quality(close.content, isText)}, ${close.content.accepted.length} of ${assigned.length} accepted`;
      progress.note(`round ${round + 1} of ${total}: ${measured}`);
      progress.update(`round ${Math.min(total, round + 2)} of ${total}`);
    }
  };
}

function quality(
  { lossPpm, accuracyPpm }: { readonly lossPpm: number; readonly accuracyPpm: number | null },
  isText: boolean,
): string {
  if (isText) return `perplexity ${perplexity(lossPpm / 1e6).toFixed(2)}`;
  return accuracyPpm === null ? `loss ${lossPpm / 1e6}` : `accuracy ${(accuracyPpm / 1e4).toFixed(1)} %`;
}
