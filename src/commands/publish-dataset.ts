import { basename } from 'node:path';
import { naddrEncode } from 'nostr-tools/nip19';
import { formatEventId } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import type { RelayTally } from '../blob/transfer.js';
import type { Pubkey } from '../hash.js';
import { KINDS } from '../protocol/kinds.js';
import { backUpDataset, backUpJob } from '../roles/backup.js';
import { parseJobFile, type JobFile } from '../roles/job-file.js';
import { jobTerms } from '../roles/job-terms.js';
import { postJob } from '../roles/post.js';
import { publishDataset, type DatasetRecord, type PublishInput, type PublishPorts } from '../roles/publish.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { checkerOf, customerPorts, optionalInteger, optionalNumber } from './customer-ports.js';
import { cutDataset } from './cut-dataset.js';
import { addDataFlags, dataChoices } from './data-flags.js';
import { readJobFile } from './job-flags.js';
import { layersModelOf } from './model-file.js';
import { addPartitionFlags, partitionChoice } from './partition-flags.js';
import { describeBalance, describeTask, publishPlan } from './publish-plan.js';
import { requireFitRelays } from './relay-fit.js';
import { confirmJob, maxSatsOf } from './spending.js';

const DEFAULT_SHARDS = 3;

export const command: CommandModule = {
  configure(program) {
    program.argument(
      '<path>',
      'CSV, TSV, JSON lines, Parquet, IDX images (.gz too), safetensors (x, y), text (.txt), or a folder of IDX files, of texts, or of a folder of PNG or JPEG files for each class',
    );
    addDataFlags(program);
    addPartitionFlags(program);
    program
      .option('--shards <n>', 'parts; each trainer gets one (default: trainers of --job, else 3)')
      .option('--name <text>', 'title of the dataset; public (default: the file name)')
      .option('--expires <days>', 'days until relays may forget the chunks (default 90)')
      .option('--copies <n>', 'put each chunk on n of the relays, by its hash (default: on all)')
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
    maxSatsOf(options);
    const data = dataChoices(path!, options);
    const jobFile = typeof options['job'] === 'string' ? await readJobFile(options['job']) : undefined;
    const job = jobFile && parseJobFile(jobFile, `the job file ${options['job'] as string}`);
    const shards = optionalInteger(options['shards'], '--shards', 1, 1_024) ?? job?.trainers ?? DEFAULT_SHARDS;
    const { evalFraction } = data;
    const partition = partitionChoice(options);
    const copies = optionalInteger(options['copies'], '--copies', 1, 30);
    const days = optionalNumber(options['expires'], '--expires', 1, 3_650) ?? 90;

    context.progress.start(`reading ${path!}`);
    const { signal, progress, deps } = context;
    const dataset = await data.open({
      ...(options['dryRun'] !== true && { scratch: async () => (await deps.lockedHome()).scratch }),
      onRows: (rows) => {
        signal.throwIfAborted();
        progress.update(`${rows} rows of ${path!}`);
      },
    });
    try {
      const name = typeof options['name'] === 'string' ? options['name'] : basename(path!);
      const { schema } = dataset;
      const { request, split } = cutDataset(dataset, { name, shards, evalFraction, partition, copies });
      if (options['dryRun'] === true) {
        progress.done('nothing is published: --dry-run');
        return publishPlan(name, schema, split);
      }
      progress.note(describeTask(schema));
      for (const line of describeBalance(schema, split)) progress.note(line);
      const ports = await customerPorts(context);
      requireRelaysFor(copies, ports.relays.urls.length);
      await requireFitRelays(context, 'data');
      if (job !== undefined) await confirmJob(context, options, job, shards);
      const expirationSec = ports.clock.nowSec() + days * 86_400;
      const input = { name, schema, ...split, request, ...(copies !== undefined && { copies }), expirationSec };
      return await publishAndPost(input, job, ports, options, context);
    } finally {
      await dataset.close();
    }
  },
};

async function publishAndPost(
  input: PublishInput,
  job: JobFile | undefined,
  ports: PublishPorts,
  options: Readonly<Record<string, unknown>>,
  context: Context,
): Promise<Outcome> {
  const layersModel = job && (await layersModelOf(job, context));
  const checker = job === undefined ? null : await checkerOf(context, job);
  const { record, relays } = await publishDataset(input, ports);
  const posted =
    job === undefined
      ? undefined
      : await postJob(
          jobTerms(job, record, context.deps.network, ports.relays.urls, ports.clock.nowSec(), checker, layersModel),
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
  return report(record, ports.signer.pubkey, relays, posted?.secrets.event.id);
}

const HELP = `
A second run with the same data and choices finds the first one's dataset and publishes the same events.
With --json one document:
  dataset, snapshot  naddr of the listing, id of the snapshot that post-job takes
  job                id of the posted job; with --job only
  examples, shards   of all rows, evaluation sets included; bytes, chunks: encrypted
  relays             where they went
  stored             per relay {relay, assigned (chunks that it should have), stored, refused, unanswered, skipped, message}: chunks, and its last words that were no yes
With --dry-run instead {name, schema, parts: [{part, examples, labels}], balance, chance, maxEvents, visible}: balance counts
the examples per class (null for regression), chance is the accuracy of always saying the largest.`;

/** @throws NmktError `bad-usage` */
function requireRelaysFor(copies: number | undefined, relays: number): void {
  if (copies === undefined || copies <= relays) return;
  throw new NmktError('bad-usage', 'there are fewer relays than --copies', {
    expected: `at least ${copies} relays`,
    got: `${relays}`,
    remedy: `add relays with --relay, or --copies ${relays}`,
  });
}

function report(
  record: DatasetRecord,
  author: Pubkey,
  tallies: readonly RelayTally[],
  job: string | undefined,
): Outcome {
  const relays = tallies.map(({ relay }) => relay);
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
      stored: tallies.map(({ relay, assigned, stored, refused, unreachable, skipped, message }) => ({
        ...{ relay, assigned, stored, refused, unanswered: unreachable, skipped, message },
      })),
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
