import { nodeDisk } from '../disk/node-disk.js';
import { NmktError } from '../errors.js';
import { prepareFolder } from '../training/checkpoint.js';
import type { CommandModule } from './command.js';
import { optionalInteger } from './customer-ports.js';
import { addDataFlags, dataChoices } from './data-flags.js';
import { addJobFlags } from './job-flags.js';
import { requireFolder } from './out-folder.js';
import { addThreadsFlag, readThreads } from './threads.js';
import { EPOCHS, jobOf, readPlan, trainingFields } from './train-plan.js';
import { DIVERGED_RATIO, trainPlan } from './train-run.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument(
        '<path>',
        'CSV, TSV, JSON lines, Parquet, IDX images (.gz too), safetensors (x, y), text (.txt), or a folder of IDX files, of texts, or of a folder of PNG or JPEG files for each class',
      )
      .requiredOption('--out <dir>', 'where the model goes, and the checkpoints until it is there');
    addDataFlags(program);
    addJobFlags(program, trainingFields());
    program
      .option('--epochs <n>', `passes over the data (default ${EPOCHS}; with --job its epochs x rounds)`)
      .option('--local-steps <n>', 'batches instead of epochs')
      .option('--job <file>', 'train as this job file says; flags win over it')
      .option('--checkpoint-every <n>', 'steps between checkpoints (default: a twentieth of all)')
      .option('--resume', 'go on from a checkpoint, or fail: never begin anew')
      .option('--fresh', 'begin anew, whatever checkpoint there is');
    addThreadsFlag(program);
    program
      .addHelpText(
        'before',
        '$ nmkt train wine.csv --label quality --out model\n$ nmkt train mnist/ --model cnn --epochs 5 --out model --json\n',
      )
      .addHelpText('after', HELP);
  },

  async run([path], options, context) {
    const data = dataChoices(path!, options);
    const job = await jobOf(options);
    const every = optionalInteger(options['checkpointEvery'], '--checkpoint-every', 1, 1e9);
    const threads = readThreads(options);
    if (options['resume'] === true && options['fresh'] === true)
      throw new NmktError('bad-usage', '--resume and --fresh exclude each other', {
        expected: 'one of the two',
        got: 'both',
        remedy: 'leave one out',
      });
    const dir = options['out'] as string;
    await requireFolder(dir);
    const plan = await readPlan(data, job, context);
    await prepareFolder(nodeDisk, dir);
    const { report, text } = await trainPlan(plan, dir, { ...options, every, threads }, context);
    const next = plan.schema.text === undefined ? `nmkt predict ${dir} FILE` : `nmkt generate ${dir} --prompt TEXT`;
    return { value: report, text, next };
  },
};

const HELP = `
Trains on this machine, with the engine that trainers use and without relays, money or a key: what a market's model is held against. Data and model take the
flags of publish-dataset and post-job; one set is held out (--test, else split off) and measured at the end. Equal data and flags give equal bytes on the same engine.
Stopped at any moment (Ctrl-C, kill -9), the same command goes on from the last checkpoint, to the same bytes.
--threads N (or NMKT_THREADS) lets the wasm engine take N processors, at most those of the machine: the bytes are those of one.
A loss that is no number, or ${DIVERGED_RATIO} times that of the untrained model, ends it (exit 4, diverged).
With --json one document:
  dir, model, parameters, examples {train, test}, steps, resumedAt (a step, or null)
  metrics, initialMetrics  {loss, accuracy} on the held-out set after and before, accuracy null for regression; after also what fits the data:
                           top5 (more than ten classes), auc (two), exactMatch (multilabel), mae and rmse in units of the target, perplexity and bitsPerCharacter or bitsPerByte (text)
  finalLoss                of the last batch; seconds, samplesPerSec: of training; engine: its id; weights: sha256 of model.safetensors`;
