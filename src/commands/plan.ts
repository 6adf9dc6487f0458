import { sha256 } from '../hash.js';
import type { Load } from '../roles/event-sizes.js';
import { planJob, type JobPlan } from '../roles/job-plan.js';
import { table } from '../terminal/table.js';
import type { CommandModule } from './command.js';
import { optionalInteger } from './customer-ports.js';
import { addJobDataFlags, cutData, jobData } from './job-data.js';
import { addJobFlags } from './job-flags.js';
import { layersModelOf } from './model-file.js';
import { jobOf } from './simulate-plan.js';

const DEFAULT_SHARDS = 3;
/** Any will do: sizes of shards are asked for, not their rows. */
const SPLIT_SEED = sha256('nmkt/plan/split');

/** Reads the job file and the data, asks nobody, signs nothing. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'a job file, as post-job takes it')
      .option('--shards <n>', `parts of the data (default: trainers of the job, else ${DEFAULT_SHARDS})`);
    addJobDataFlags(program);
    addJobFlags(program, ['rounds']);
    program
      .option(
        '--throughput <n>',
        'examples that a trainer learns from in a second, as bids and inspect say: gives times',
      )
      .option('--relays <n>', 'relays that all of it goes to (default 1)')
      .addHelpText('before', '$ nmkt plan job.json --data wine.csv --label quality --throughput 20000\n')
      .addHelpText('after', HELP);
  },

  async run([path], options, context) {
    const throughput = optionalInteger(options['throughput'], '--throughput', 1, 1_000_000_000) ?? null;
    const relays = optionalInteger(options['relays'], '--relays', 1, 30) ?? 1;
    const asked = optionalInteger(options['shards'], '--shards', 1, 1_024);
    const data = jobData(options);
    const job = await jobOf(path!, options);
    context.progress.start('reading the data');
    const { schema, split } = await cutData(data, asked ?? job.trainers ?? DEFAULT_SHARDS, SPLIT_SEED, false);
    const rows = split.shards.map((shard) => shard.rows);
    const plan = planJob(job, schema, rows, throughput, await layersModelOf(job, context), split.a.rows);
    context.progress.done('nothing was asked or sent');
    return {
      value: { ...plan, relays },
      text: describe(plan, relays),
      next: 'nmkt simulate JOB.json, or nmkt publish-dataset FILE --job JOB.json',
    };
  },
};

const HELP = `
Upper bounds, as bytes are packed before they travel; what the dataset takes, publish-dataset --dry-run says. nmkt simulate measures them.
With --json one document:
  model, parameters, trainers, rounds, steps (per round, of the largest shard)
  rule, attackers, outer, codec (as the job would have them)
  updateBytes       of one update; modelBytes: of the model in f32
  round             {base, updates, states, words, validators (of words), total}, each {events, bytes} on one relay: the global model (as if whole; with fltrust the
                    root update too), the updates of all trainers, states shown for spot checks, all other events; total: of all rounds
  time              {roundSec, auditSec (repeating, at the customer), totalSec}; null without --throughput
  sats              {perRound, total, auditShare (of a training that is repeated), feeShare (of the pay, to validators)}
  overhead          what checking adds to the trainers' work, by operations: {scorers (validators, else the customer), scoring, repeating, share
                    (both), spotRateFor15 (up to which share is at most 15 %; null: never)}
  relays`;

function describe(plan: JobPlan, relays: number): string {
  const { round, total, time, sats, codec } = plan;
  const row = (name: string, load: Load) => [name, load.events, size(load.bytes)];
  const fewer = plan.modelBytes / plan.updateBytes;
  const facts = [
    ['model', `${plan.model.model}, ${plan.parameters.toLocaleString('en')} parameters, ${plan.steps} steps a round`],
    [
      'rule',
      `${plan.rule}${plan.attackers > 0 ? ` against ${plan.attackers} of ${plan.trainers}` : ''}${plan.outer === 'none' ? '' : `, then ${plan.outer}`}`,
    ],
    [
      'update',
      `${codec.name}, at most ${size(plan.updateBytes)}${fewer > 1.05 ? `: ${fewer.toFixed(1)} times less than f32` : ''}`,
    ],
    [
      'pay',
      sats.total === 0 ? 'nothing' : `at most ${sats.total} sat: ${sats.perRound} in each of ${plan.rounds} rounds`,
    ],
    [
      'repeated',
      sats.auditShare === 0 ? 'nothing' : `${(sats.auditShare * 100).toFixed(1)} % of the training, by the customer`,
    ],
    ['checks', checksText(plan)],
    [
      'time',
      time === null
        ? 'name --throughput'
        : `${duration(time.roundSec)} to train and ${duration(time.auditSec)} to repeat a round, ${duration(time.totalSec)} in all`,
    ],
  ];
  return [
    table(facts),
    '',
    table([
      ['on each relay', 'events', 'bytes'],
      row('global model', round.base),
      row(`updates of ${plan.trainers}`, round.updates),
      row('states shown', round.states),
      row('other events', round.words),
      ...(round.validators.events === 0 ? [] : [row('of them validators', round.validators)]),
      row('a round', round.total),
      row(`${plan.rounds} rounds`, total),
      ...(relays > 1
        ? [row(`on ${relays} relays`, { events: total.events * relays, bytes: total.bytes * relays })]
        : []),
    ]),
  ].join('\n');
}

function checksText({ overhead, sats }: JobPlan): string {
  const { scorers, scoring, repeating, share, spotRateFor15: rate } = overhead;
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  const who = scorers === 1 ? 'one scorer' : `${scorers} scorers`;
  const fees = sats.feeShare === 0 ? '' : `; ${percent(sats.feeShare)} of the pay are fees`;
  const least =
    rate === null
      ? 'above 15 % at any spotRate: longer rounds cost less'
      : `at most 15 % up to a spotRate of ${Math.floor(100 * rate) / 100}`;
  return `${percent(share)} of the trainers' work: ${percent(scoring)} to score, ${percent(repeating)} to repeat, by ${who}; ${least}${fees}`;
}

function size(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  return bytes < 10_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function duration(sec: number): string {
  if (sec < 1) return `${Math.ceil(sec * 1_000)} ms`;
  return sec < 120 ? `${Math.ceil(sec)} s` : `${Math.ceil(sec / 60)} min`;
}
