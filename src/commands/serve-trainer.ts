import { readFile } from 'node:fs/promises';
import type { EventId } from '../hash.js';
import { isNmktError, NmktError } from '../errors.js';
import type { NostrEvent } from '../ports.js';
import { ownRecipes, parseRecipes } from '../roles/arena/recipe.js';
import { parseDuration } from '../roles/duration.js';
import type { ServeEnd } from '../roles/trainer.js';
import { serveOneAlliance } from './alliance-serve.js';
import type { CommandModule } from './command.js';
import { trainInArena, type Choice } from './arena-serve.js';
import { addModeFlag, readMode, type Mode } from './job-mode.js';
import { addCustomerFlags, addLimitFlags, addWhichFlags, readServeFlags } from './serve-flags.js';
import { serveEach } from './serve-jobs.js';
import { openService } from './serve-work.js';
import { engineWords } from './threads.js';
import { offerWork } from './trainer-offer.js';
import { serveAll, type Server } from './trainer-jobs.js';

export const command: CommandModule = {
  configure(program) {
    program
      .option(
        '--price <sats>',
        'what to ask per accepted round and shard; 0 is for free jobs; needed in mode federated',
      )
      .option('--price-per-gflop <sats>', 'ask this per 10^9 operations of a round, if that is more than --price')
      .option('--price-per-job <percent>', 'ask so much more for each job it holds a seat of (default 0)')
      .option('--shards <n>', 'most shards to take of a job that has fewer trainers than shards (default 1)');
    addWhichFlags(program, { job: 'work on this job only', once: 'stop after one job (its last payment)' });
    addLimitFlags(program, {
      bytes: 'most memory of all trainings at a time: data, model, batch',
      minutes: 'longest training of one round',
    });
    program
      .option(
        '--parallel <n>',
        'trainings at a time (default: as processors and memory allow); other jobs wait their turn',
      )
      .option(
        '--max-exposure <sats>',
        'most unpaid work at any time (default: the price of one round, of all --shards)',
      )
      .option('--no-offer', 'publish no offer that customers find (with --once and --job none is published anyway)');
    addCustomerFlags(program, { stake: 'a proven fraud' });
    addModeFlag(
      program,
      'federated; arena: submit a model of your own choice; alliance: train and vote on data of your own',
    );
    program
      .option(
        '--local-data <path>',
        'alliance: your rows, as publish-dataset takes them; a fifth is held out to vote by',
      )
      .option(
        '--recipe <file>',
        'arena: JSON of a recipe or a list of them, such as {"model": "mlp", "learningRate": 0.003}; default some of each model',
      )
      .option(
        '--train-limit <duration>',
        'arena: how long the search of a stage may take, at most half of what is left of it (default 10m)',
      )
      .addHelpText(
        'before',
        '$ nmkt serve-trainer --price 300\n$ nmkt serve-trainer --settings sb/trainer-1.json --home t1 --price 300 --once --json\n',
      )
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const { deps, progress } = context;
    const mode = readMode(options);
    requireFlagsOf(mode, options);
    const localData = mode === 'alliance' ? (options['localData'] as string) : null;
    const choice = mode === 'arena' ? await choiceOf(options) : null;
    const priced = mode === 'federated' ? options : { ...options, price: '0' };
    const flags = readServeFlags(priced, deps.network, '--price');
    const { bounds, threads, parallel, only, isOnce } = flags;
    const service = await openService(context, 'trainer', flags);
    const { ports, wallet, engines, stop } = service.server;
    const seats = new Set<EventId>();
    const server: Server = {
      ...{ ...service.server, seats, held: () => seats.size },
      engineId: (accepted) => engines.idFor(accepted),
    };
    const id = await server.engineId();
    server.emit(
      null,
      'ready',
      { pubkey: ports.signer.pubkey, engine: id, threads, parallel, relays: ports.relays.urls },
      `ready on ${ports.relays.urls.join(', ')} with ${engineWords(id, threads)}, ${parallel} at a time`,
    );
    progress.start('waiting for jobs');
    const isOffered = options['offer'] !== false && !isOnce && only === undefined && mode === 'federated';
    const closing = new AbortController();
    const offering = isOffered
      ? offerWork(context, { ...ports, bounds, wallet }, id, AbortSignal.any([stop, closing.signal]))
      : Promise.resolve();
    await service.during(async () => {
      try {
        if (mode === 'federated') return await serveAll(server, only, isOnce);
        const serve = (event: NostrEvent, isNamed: boolean): Promise<ServeEnd | null> =>
          choice === null
            ? serveOneAlliance(server, localData!, event, isNamed)
            : trainInArena(server, choice, event, isNamed);
        return await serveEach<ServeEnd>(server, serve, only, isOnce);
      } finally {
        closing.abort();
        await offering;
      }
    });
    return {};
  },
};

/** Flags that one mode needs, and no other takes. @throws NmktError `bad-usage` */
function requireFlagsOf(mode: Mode, options: Readonly<Record<string, unknown>>): void {
  const missing = (flag: string, remedy: string): NmktError =>
    new NmktError('bad-usage', `required option '${flag}' not specified`, { expected: flag, got: 'none', remedy });
  if (mode === 'federated' && options['price'] === undefined)
    throw missing('--price <sats>', 'nmkt serve-trainer --help');
  if (mode === 'alliance' && options['localData'] === undefined)
    throw missing('--local-data <path>', 'add --local-data FILE: an alliance trains on data of your own');
  for (const [name, flag, own] of [
    ['localData', '--local-data', 'alliance'],
    ['recipe', '--recipe', 'arena'],
    ['trainLimit', '--train-limit', 'arena'],
  ] as const) {
    if (mode === own || options[name] === undefined) continue;
    throw new NmktError('bad-usage', `${flag} belongs to an ${own}`, {
      expected: `${flag} with --mode ${own}`,
      got: `mode ${mode}`,
      remedy: `add --mode ${own}, or leave out ${flag}`,
    });
  }
}

/** What a trainer of an arena tries, and how long. @throws NmktError `bad-recipe`, `bad-usage` */
async function choiceOf({ recipe, trainLimit = '10m' }: Readonly<Record<string, unknown>>): Promise<Choice> {
  const trainSec = parseDuration(String(trainLimit), '--train-limit');
  if (recipe === undefined) return { recipes: ownRecipes(), trainSec };
  const path = recipe as string;
  try {
    return { recipes: parseRecipes(JSON.parse(await readFile(path, 'utf8')), path), trainSec };
  } catch (error) {
    if (isNmktError(error)) throw error;
    throw new NmktError('bad-recipe', `${path} cannot be read`, {
      expected: 'a JSON file with a recipe, or a list of them',
      got: (error as Error).message.slice(0, 200),
      remedy: 'such as {"model": "mlp", "hidden": [64], "learningRate": 0.003, "epochs": 5}',
    });
  }
}

const HELP = `
A running job is bid for where a seat is free, with --job also where one may become free.
Several shards of a job are trained one after the other in the time of the round, and paid each.
Each job has a training worker of its own, and fails alone with its reason when it passes its memory or its minutes.
Goes on with what this home began, whatever the bounds say now. A job that is not for it gives a skipped event with the reason.
Exit status with --once: 0 after a job's last payment, 3 after --timeout; 5 when the job of --job went to others or is over.
With --json one object per line, each with event, at (Unix seconds) and, where there is one, job:
  ready      {pubkey, engine, threads, parallel, relays}
  skipped    {reason, expected, got}, reason being own-job, closed, awarded, customer, no-wallet, no-hold-invoices, network, price,
             payout-floor, proof-of-work, stake, max-params, max-bytes, model, engine or dataset-missing
  priced     {policy, examples, gflop, gflopMsat, leastMsat, jobs, percentPerJob, priceMsat, throughput, seconds}: how the price
             of a bid comes about where --price is not all; policy gflop, queue or gflop-queue, examples of a round, throughput in examples per second as measured, seconds of a round by it
  bid        {bid, priceMsat, shards}, or of a sealed one {bid, sealed}; awarded, once per shard: {shard, priceMsat, rounds}; lost: {reason}
  round, committed, revealed, accepted, rejected, paid, unpaid  {round}, from 0; committed, revealed, accepted and rejected
             also {shard}, rejected {rule, detail}, paid and unpaid {amountMsat}
  accused    {round, shard, segment, fraud}: the customer calls it forged; decided {round, shard, segment, right, owedMsat}: whom validators
             that repeated it found right (trainer, customer, or nobody where none can)
  claim-refused  {round, rule, detail}: the customer does not pay the invoice of this wallet
  done       {rounds, paidMsat}; error: {message, code, expected, got} or {reason}
With --mode arena it asks arenas for their training set, tries the recipes of --recipe (or some of each model) by successive halving on nine tenths of it, and submits the best to
both stages. Its events are skipped (reason own-job, closed, customer, no-wallet, network, stake, recipe, max-bytes, engine or dataset-missing), entered, training {stage, recipes},
submitted {stage, submission}, listed {stage}, ranked {stage, rank, of, scorePpm}, unranked {stage}, paid, unpaid {stage, purpose, amountMsat}, done {rounds: stages, paidMsat}.
With --mode alliance it joins alliances, on the rows of --local-data: as drawn it proposes a model trained on them, or votes by a fifth of them that it
never trains on. The rows stay here; what it trained all members can open. Its events are skipped (reason own-job, closed, customer, no-wallet, network, stake, max-params,
max-bytes, local-data or engine), registered {register}, round {round, role}, role proposer, voter or null, revealed, voted {round, vote, beforePpm, afterPpm}, settled {round,
accepted, aggregate, offSide}, paid, unpaid, claim-refused, done and error as above`;
