import { basename } from 'node:path';
import { naddrEncode } from 'nostr-tools/nip19';
import { formatEventId } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import { hmacSha256, fromHex, utf8, type Pubkey } from '../hash.js';
import type { Task } from '../learning/types.js';
import { KINDS } from '../protocol/kinds.js';
import { backUpDataset, backUpJob } from '../roles/backup.js';
import { parseJobFile } from '../roles/job-file.js';
import { jobTerms, postJob } from '../roles/post.js';
import { publishDataset, requestHash, type DatasetRecord } from '../roles/publish.js';
import { table } from '../terminal/table.js';
import { readDataset, readWithSchema } from '../training/dataset.js';
import { splitDataset } from '../training/split.js';
import type { CommandModule, Outcome } from './command.js';
import { checkerOf, customerPorts, optionalInteger, optionalNumber } from './customer-ports.js';
import { readJobFile } from './job-flags.js';
import { describeTask, publishPlan } from './publish-plan.js';
import { confirmJob, maxSatsOf } from './spending.js';

const DEFAULT_SHARDS = 3;

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<path>', 'CSV or TSV, IDX images (.gz too), or a folder with MNIST-like names')
      .option('--label <column>', 'CSV: the column to predict, by name or 0-based number')
      .option('--labels <file>', 'IDX: the label file (default: the sibling with labels-idx1 in its name)')
      .option('--test <path>', 'evaluation set B, final and reported (default: split off)')
      .option('--test-labels <file>', 'IDX: the labels of --test')
      .option(
        '--eval-fraction <share>',
        'share of the rows for evaluation set A, and for B without --test (default 0.1)',
      )
      .option('--shards <n>', 'parts; each trainer gets one (default: trainers of --job, else 3)')
      .option('--labels-per-shard <k>', 'give each shard examples of k labels only (non-IID)')
      .option('--task <task>', 'classification or regression (default: inferred)')
      .option('--features <columns>', 'CSV: use only these columns (commas)')
      .option('--drop <columns>', 'CSV: leave these columns out (commas)')
      .option('--categorical <columns>', 'CSV: treat as categories (commas)')
      .option('--numeric <columns>', 'CSV: treat as numbers (commas)')
      .option('--max-bytes <n>', 'largest file, and largest size a file declares (default 1073741824)')
      .option('--name <text>', 'title of the dataset; public (default: the file name)')
      .option('--expires <days>', 'days until relays may forget the chunks (default 90)')
      .option('--job <file>', 'post this job on the dataset as well')
      .option('--again', 'post a second job even if an equal one exists')
      .option('--max-sats <n>', 'refuse a job that could cost more')
      .option('--no-backup', 'keep no copy of the secrets, sealed to yourself, on the relays')
      .option('--dry-run', 'show schema, shards, who will see what and the number of events; publish nothing')
      .addHelpText(
        'before',
        '$ nmkt publish-dataset wine.csv --label quality --shards 3 --job job.json\n$ nmkt publish-dataset train-images-idx3-ubyte.gz --test test-images-idx3-ubyte.gz\n',
      )
      .addHelpText('after', HELP);
  },

  async run([path], options, context) {
    const columns = (name: string) => (typeof options[name] === 'string' ? { [name]: options[name].split(',') } : {});
    const text = (name: string) => (typeof options[name] === 'string' ? { [name]: options[name] } : {});
    maxSatsOf(options);
    if (options['testLabels'] !== undefined && options['test'] === undefined)
      throw new NmktError('bad-usage', '--test-labels belongs to --test', {
        expected: '--test PATH beside it',
        got: 'no --test',
        remedy: 'add --test PATH, or leave out --test-labels',
      });
    const jobFile = typeof options['job'] === 'string' ? await readJobFile(options['job']) : undefined;
    const job = jobFile && parseJobFile(jobFile, `the job file ${options['job'] as string}`);
    const shards = optionalInteger(options['shards'], '--shards', 1, 1_024) ?? job?.trainers ?? DEFAULT_SHARDS;
    const evalFraction = optionalNumber(options['evalFraction'], '--eval-fraction', 0.001, 0.499) ?? 0.1;
    const labelsPerShard = optionalInteger(options['labelsPerShard'], '--labels-per-shard', 1, 10_000);
    const maxBytes = optionalInteger(options['maxBytes'], '--max-bytes', 1, 2 ** 40);
    const limit = maxBytes === undefined ? {} : { maxBytes };
    const task = taskOf(options['task']);
    const days = optionalNumber(options['expires'], '--expires', 1, 3_650) ?? 90;

    context.progress.start(`reading ${path!}`);
    const dataset = await readDataset(path!, {
      ...text('label'),
      ...text('labels'),
      ...(task && { task }),
      ...columns('features'),
      ...columns('drop'),
      ...columns('categorical'),
      ...columns('numeric'),
      ...limit,
    });
    const testPath = options['test'];
    const test =
      typeof testPath === 'string'
        ? (
            await readWithSchema(testPath, dataset.schema, {
              ...(typeof options['testLabels'] === 'string' && { labels: options['testLabels'] }),
              ...limit,
            })
          ).examples
        : dataset.test;
    const name = typeof options['name'] === 'string' ? options['name'] : basename(path!);
    const request = requestHash(dataset.schema, dataset.examples, test, {
      name,
      shards,
      evalFraction,
      labelsPerShard: labelsPerShard ?? null,
    });
    // Its own seed, so that an equal request splits in the same way.
    const seed = hmacSha256(utf8('nmkt/1/split'), fromHex(request));
    const split = splitDataset(dataset.examples, {
      shards,
      seed,
      evalFraction,
      ...(test === undefined ? {} : { test }),
      ...(labelsPerShard === undefined ? {} : { labelsPerShard }),
    });
    if (options['dryRun'] === true) {
      context.progress.done('nothing is published: --dry-run');
      return publishPlan(name, dataset.schema, split);
    }

    context.progress.note(describeTask(dataset.schema));
    const ports = await customerPorts(context);
    if (job !== undefined) await confirmJob(context, options, job, shards);
    const checker = job === undefined ? null : await checkerOf(context, job);
    const record = await publishDataset(
      {
        name,
        schema: dataset.schema,
        shards: split.shards,
        a: split.a,
        b: split.b,
        request,
        expirationSec: ports.clock.nowSec() + days * 86_400,
      },
      ports,
    );
    const posted =
      job === undefined
        ? undefined
        : await postJob(
            jobTerms(job, record, context.deps.network, ports.relays.urls, ports.clock.nowSec(), checker),
            record,
            ports,
            options['again'] === true,
          );
    if (options['backup'] !== false) {
      await backUpDataset(ports, record);
      if (posted !== undefined) await backUpJob(ports, posted.secrets);
    }
    context.progress.done(`published ${record.examples} examples in ${record.shards} shards`);
    if (posted !== undefined && !posted.isNew)
      context.progress.note('an equal job was posted before: this is that one (post another with --again)');
    if (posted !== undefined)
      context.progress.note(
        `trainers find the job as ${formatEventId(posted.secrets.event.id, ports.relays.urls.slice(0, 3), ports.signer.pubkey)}`,
      );
    return report(record, ports.signer.pubkey, ports.relays.urls, posted?.secrets.event.id);
  },
};

const HELP = `
A second run with the same data and choices finds the first one's dataset and publishes the same events.
With --json one document:
  dataset, snapshot  naddr of the listing, id of the snapshot that post-job takes
  job                id of the posted job; with --job only
  examples, shards   of all rows, evaluation sets included; bytes, chunks: encrypted
  relays             where they went
With --dry-run instead {name, schema, parts: [{part, examples, labels}], maxEvents, visible}.`;

function taskOf(value: unknown): Task | undefined {
  if (value === undefined || value === 'classification' || value === 'regression') return value;
  const got = (value as string).slice(0, 32);
  throw new NmktError('bad-usage', `--task ${got} is unknown`, {
    expected: 'classification or regression',
    got,
    remedy: 'leave out --task: the label decides',
  });
}

function report(record: DatasetRecord, author: Pubkey, relays: readonly string[], job: string | undefined): Outcome {
  const dataset = naddrEncode({
    kind: KINDS.listing,
    pubkey: author,
    identifier: record.d,
    relays: relays.slice(0, 3),
  });
  const snapshot = record.train.event.id;
  return {
    value: {
      dataset,
      snapshot,
      ...(job === undefined ? {} : { job }),
      examples: record.examples,
      shards: record.shards,
      bytes: record.bytes,
      chunks: record.chunks,
      relays,
    },
    text: table([
      ['dataset', dataset],
      ['snapshot', snapshot],
      ...(job === undefined ? [] : [['job', job]]),
      ['examples', `${record.examples} in ${record.shards} shards, ${record.chunks} encrypted chunks`],
    ]),
    next: job === undefined ? `nmkt post-job --dataset ${snapshot}` : `nmkt collect-model ${job} --out model`,
  };
}
