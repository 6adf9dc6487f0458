import { join } from 'node:path';
import { replaceFile } from '../disk/durable.js';
import { nodeDisk } from '../disk/node-disk.js';
import { isNmktError, NmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import type { ParamSet } from '../learning/types.js';
import type { JobState } from '../market/state.js';
import { auditJob, encodeAuditKeys } from '../roles/audit.js';
import {
  collectAuditKeys,
  collectDataKeys,
  describeModel,
  modelCard,
  provenance,
  requireArtifact,
  type CollectedModel,
} from '../roles/collect.js';
import { unpaidPayouts } from '../roles/customer-decide.js';
import type { JobSecrets } from '../roles/customer-env.js';
import { loadModel } from '../roles/customer-models.js';
import type { JobBook } from '../roles/job-book.js';
import { parseDuration } from '../roles/duration.js';
import { collectedMetrics, publicMetrics } from '../roles/collected-metrics.js';
import { describeMetrics, type MoreMetrics } from '../roles/model-metrics.js';
import { chunkFiles, withChunkFile, type ChunkFiles } from '../roles/home-files.js';
import { artifactLabel, fetchParams } from '../roles/round-blobs.js';
import { table } from '../terminal/table.js';
import { writeModelFiles } from '../training/model-files.js';
import { collectAsMember, collectOwnAlliance } from './alliance-collect.js';
import { allianceSecrets } from './alliance-lead.js';
import { collectOwnArena } from './arena-collect.js';
import { arenaSecrets } from './arena-lead.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { customerPorts, optionalNumber } from './customer-ports.js';
import { maxSatsOf } from './spending.js';
import { decodeReceiptInvoice, findJob, modeOfJob, readBook } from './find-job.js';
import { lead } from './lead.js';
import { requireFolder } from './out-folder.js';
import { notYours, ownSecrets } from './own-job.js';
import { PLAN_HELP, planPayments } from './payment-plan.js';
import { requirePayments, type Holds } from './unpaid.js';

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<job>', 'id, note or nevent of the job')
      .requiredOption('--out <dir>', 'where the model goes')
      .option('--min-accuracy <share>', 'exit 4 below this accuracy on set B; the model is written all the same')
      .option('--timeout <duration>', 'give up after this long (exit 3); run it again to go on')
      .option('--audit-data', 'also write audit-data.json: it opens the data itself, for an auditor who measures again')
      .option('--max-sats <n>', 'pay at most this much, fees included')
      .option(
        '--dry-run',
        'show what is owed, to whom, and what wallet and caps say of it; pay, sign and write nothing',
      )
      .addHelpText('before', '$ nmkt collect-model JOB --out model --min-accuracy 0.93 --timeout 10m\n')
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    maxSatsOf(options);
    const minAccuracy = optionalNumber(options['minAccuracy'], '--min-accuracy', 0, 1);
    const timeout =
      typeof options['timeout'] === 'string'
        ? AbortSignal.timeout(parseDuration(options['timeout'], '--timeout') * 1000)
        : undefined;
    const signal = timeout === undefined ? context.signal : AbortSignal.any([context.signal, timeout]);
    const dir = options['out'] as string;
    const jobId = findJob(reference!);
    if (options['dryRun'] === true) return planPayments(context, jobId, options);
    await requireFolder(dir);
    context.progress.start('collecting the model');
    try {
      return await collect(context, jobId, dir, minAccuracy, options, signal);
    } catch (error) {
      if (timeout?.aborted === true && !context.signal.aborted && isNmktError(error, 'interrupted'))
        throw new NmktError('timeout', 'the model was not finished in time', {
          expected: `a finished job within ${String(options['timeout'])}`,
          got: 'a job still running',
          remedy: 'run the same command again: it goes on where it stopped',
          cause: error,
        });
      throw error;
    }
  },
};

const HELP = `
Writes model.json and weights.bin (TensorFlow.js), model.safetensors, provenance.json, README.md and the secret audit-keys.json. Stopped at any
moment, the same command goes on. From another key it fetches a finished model whose customer opened it (access: open).
Exit status 7: payouts are left that nobody claimed as agreed, or no round was accepted; 6: the wallet refused a payment, or its outcome is
not known yet; 4: the model is below --min-accuracy. The model is there in all three cases.
With --json one document:
  job, model   ids of the job and of its artifact event; dir: where the model is
  metrics      on evaluation set B: {loss, accuracy} as signed, accuracy null for regression; top5, auc, exactMatch, mae, rmse, perplexity,
               bitsPerCharacter or bitsPerByte where they fit the data, measured here and for information only
  engine       of the customer, that measured; null where the job does not tell
  rounds       accepted ones; paidMsat: over the whole job
  trainers     [{pubkey, rounds, paidMsat}]
  signedBy     the customer; verified: every event, hash and aggregate was recomputed
Of an alliance, for its customer and its members, {job, mode: "alliance", model (sha256), dir, rounds (accepted), paidMsat, members: [{pubkey, proposed, voted,
paidMsat}], signedBy, verified}: it has no evaluation set, so no metrics and no --min-accuracy.
With --dry-run instead, of a job of any mode, what it owes as far as its events say:
${PLAN_HELP}`;

interface Collected {
  readonly state: JobState;
  readonly book: JobBook;
  readonly params: ParamSet;
  readonly metrics: MoreMetrics;
  readonly verified: boolean;
  readonly auditKeys: string | null;
  /** Only when it was asked for. */
  readonly auditData: string | null;
  readonly holds: Holds;
}

async function collect(
  context: Context,
  jobId: EventId,
  dir: string,
  minAccuracy: number | undefined,
  options: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Outcome> {
  const ports = await customerPorts(context);
  const of = { context, ports, jobId, dir, options, signal };
  const alliance = await allianceSecrets(ports.files, jobId);
  if (alliance !== undefined) return collectOwnAlliance(of, alliance);
  const arena = await arenaSecrets(ports.files, jobId);
  if (arena !== undefined) return collectOwnArena(of, arena);
  const secrets = await ownSecrets(ports, jobId);
  if (secrets === undefined && (await modeOfJob(ports.relays, jobId)) === 'alliance') return collectAsMember(of);
  const chunks = chunkFiles(ports.files, `fetched/${jobId}`);
  const collected =
    secrets !== undefined
      ? await leadToEnd(context, ports, secrets, options, signal)
      : await fetchFinished(context, jobId, chunks, signal);
  const model = describeModel(collected.state, dir, collected.verified, collected.metrics);
  await writeFolder(dir, collected, model);
  if (secrets === undefined) await chunks.remove();
  const { accuracy, loss } = model.metrics;
  const measured = [accuracy === null ? `loss ${loss}` : `accuracy ${accuracy}`, ...describeMetrics(model.metrics)];
  const by = model.engine === null ? '' : `, by ${model.engine}`;
  context.progress.done(`${model.rounds} rounds, ${measured.join(', ')}${by}`);
  if (minAccuracy !== undefined && (accuracy === null || accuracy < minAccuracy))
    throw new NmktError('accuracy-too-low', 'the model is below --min-accuracy', {
      expected: `accuracy >= ${minAccuracy}`,
      got: accuracy === null ? 'no accuracy: the task is regression' : `${accuracy}`,
      remedy: `the model is in ${dir}; post a job with more rounds or another model`,
      value: model,
    });
  if (model.rounds === 0) context.progress.warn('no round was accepted: this is the model before training');
  const unpaid = unpaidPayouts(collected.state).length;
  if (unpaid > 0 && secrets !== undefined)
    context.progress.warn(`${unpaid} payouts are not claimed or not paid yet: run this command again to pay them`);
  const outcome = { value: model, text: describe(model) };
  requirePayments(collected.state, collected.holds, outcome);
  return {
    ...outcome,
    next: `nmkt predict ${dir} FILE, or nmkt audit ${jobId}`,
    ...((unpaid > 0 && secrets !== undefined) || model.rounds === 0 ? { exit: 7 } : {}),
  };
}

async function leadToEnd(
  context: Context,
  ports: Awaited<ReturnType<typeof customerPorts>>,
  secrets: JobSecrets,
  options: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Collected> {
  const { state, env, book, holds } = await lead(context, ports, secrets, options, { signal });
  const keys = await collectAuditKeys(env, state);
  const { found } = await auditJob({
    ...{ book, relays: ports.relays, upTo: 'keys', signal },
    decode: decodeReceiptInvoice,
    nowSec: ports.clock.nowSec(),
    keys: async () => keys,
    onProgress: (text) => context.progress.update(text),
  });
  if (found !== null)
    context.progress.warn(`the audit fails at event ${found.event.slice(0, 12)}…: ${found.rule}: ${found.detail}`);
  const params = await loadModel(env, state, state.modelHash!);
  return {
    state,
    book,
    params,
    metrics: await collectedMetrics({ ...env, signal }, state, params),
    verified: found === null,
    auditKeys: encodeAuditKeys(keys),
    auditData: options['auditData'] === true ? encodeAuditKeys({ ...keys, data: collectDataKeys(secrets) }) : null,
    holds,
  };
}

/** From another key: the finished model, if its key is published. */
async function fetchFinished(
  context: Context,
  jobId: EventId,
  chunks: ChunkFiles,
  signal: AbortSignal,
): Promise<Collected> {
  const { book, relays } = await readBook(context, jobId);
  const state = book.state();
  book.close();
  // Said at once: waiting for the end of a job whose model stays closed would be for nothing.
  if (state.job!.content.access !== 'open') throw notYours(state.job!.author, 'open its model');
  const artifact = requireArtifact(state);
  const { key, weights, inline, model } = artifact.content;
  if (key === null) throw notYours(state.job!.author, 'open its model');
  const source = { pointer: weights, inline, key, label: artifactLabel(jobId) };
  const params = await withChunkFile(chunks, 'model', weights, (file) =>
    fetchParams(relays, source, model, signal, file),
  );
  const { found } = await auditJob({
    ...{ book, relays, upTo: 'public' },
    decode: decodeReceiptInvoice,
    nowSec: context.deps.clock.nowSec(),
  });
  const metrics = publicMetrics(state);
  return { state, book, params, metrics, verified: found === null, auditKeys: null, auditData: null, holds: new Map() };
}

async function writeFolder(
  dir: string,
  { state, book, params, auditKeys, auditData }: Collected,
  model: CollectedModel,
): Promise<void> {
  await writeModelFiles(dir, state.job!.content.model, params, {
    job: state.jobId,
    schema: state.artifact!.content.schema,
  });
  const write = (name: string, text: string, mode = 0o666) => replaceFile(nodeDisk, join(dir, name), text, mode);
  await write('provenance.json', `${JSON.stringify(provenance(state, book), undefined, 2)}\n`);
  await write('README.md', modelCard(state, model));
  if (auditKeys !== null) await write('audit-keys.json', auditKeys, 0o600);
  if (auditData !== null) await write('audit-data.json', auditData, 0o600);
}

function describe(model: CollectedModel): string {
  return table([
    ['model', model.dir],
    [model.metrics.accuracy === null ? 'loss' : 'accuracy', model.metrics.accuracy ?? model.metrics.loss],
    ...describeMetrics(model.metrics).map((one) => one.split(' ')),
    ['engine', model.engine ?? 'not told'],
    ['rounds', model.rounds],
    ['paid', `${model.paidMsat / 1000n} sat`],
    ...model.trainers.map((trainer) => [
      'trainer',
      `${trainer.pubkey.slice(0, 16)}…  ${trainer.rounds} rounds  ${trainer.paidMsat / 1000n} sat`,
    ]),
    ['verified', model.verified ? 'yes: every event, hash and aggregate recomputed' : 'NO'],
  ]);
}
