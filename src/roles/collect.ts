import { NmktError } from '../errors.js';
import { fromHex } from '../hash.js';
import { perplexity } from '../learning/metrics.js';
import { readsTokens } from '../learning/model-cost.js';
import { describeStack } from '../learning/sequential.js';
import type { ModelName, ModelSpec } from '../learning/types.js';
import { acceptedRounds, outcomeOf, paidMsat, type JobState, type RoundState } from '../market/state.js';
import type { AuditKeys, DataKeys, EpochKeys } from './audit-format.js';
import type { CustomerEnv, JobSecrets, OwnedEpoch } from './customer-env.js';
import { ownShardKey } from './epoch.js';
import { parseSnapshot } from '../protocol/dataset.js';
import type { JobBook } from './job-book.js';
import { isOwnTrouble } from './patience.js';
import { openableIn, updateKeysOf } from './sold-keys.js';
import { describeMetrics, type ModelMetrics, type MoreMetrics } from './model-metrics.js';
import { blobSecrets } from './round-blobs.js';

/** What remains of a finished job: who did what, who was paid, and the keys an auditor needs. All of it deterministic. */

export interface CollectedModel {
  readonly job: string;
  /** Id of the artifact event. */
  readonly model: string;
  readonly dir: string;
  /** Loss and accuracy as the customer signed them, the others as measured here. */
  readonly metrics: ModelMetrics;
  /** The customer's, on which loss and accuracy were measured; null where the artifact does not say. */
  readonly engine: string | null;
  readonly rounds: number;
  readonly trainers: readonly { readonly pubkey: string; readonly rounds: number; readonly paidMsat: bigint }[];
  readonly paidMsat: bigint;
  readonly signedBy: string;
  readonly verified: boolean;
}

export function describeModel(state: JobState, dir: string, verified: boolean, more: MoreMetrics): CollectedModel {
  const artifact = state.artifact!;
  const { lossPpm, accuracyPpm, trainers, rounds, engine = null } = artifact.content;
  const accuracy = accuracyPpm === null ? null : accuracyPpm / 1_000_000;
  return {
    job: state.jobId,
    model: artifact.id,
    dir,
    metrics: { loss: lossPpm / 1_000_000, accuracy, ...more },
    engine,
    rounds,
    trainers: trainers.map(({ trainer }) => ({
      pubkey: trainer,
      rounds: acceptedRounds(state, trainer),
      paidMsat: paidMsat(state, trainer),
    })),
    paidMsat: paidMsat(state),
    signedBy: artifact.author,
    verified,
  };
}

/** Job, snapshot, every contribution with hash and signature, every payment with its preimage. */
export function provenance(state: JobState, book: JobBook): Record<string, unknown> {
  const signature = (id: string) => book.raw(id as never)?.sig ?? null;
  return {
    job: { id: state.jobId, sig: signature(state.jobId), author: state.job!.author },
    dataset: state.job!.content.dataset,
    artifact: {
      id: state.artifact!.id,
      sig: signature(state.artifact!.id),
      weightsSha256: state.artifact!.content.weights.sha256,
    },
    rounds: state.rounds.map((round) => ({
      round: round.round,
      base: round.open.content.base.sha256,
      aggregate: outcomeOf(round)?.aggregate ?? null,
      close: round.close === null ? null : { id: round.close.id, sig: signature(round.close.id) },
      contributions: [...round.listedReveals.values()].map((reveal) => ({
        trainer: reveal.author,
        shard: reveal.content.shard,
        submission: reveal.id,
        sig: signature(reveal.id),
        updateSha256: reveal.content.updateHash,
        engine: reveal.content.engine,
        accepted: round.close?.content.accepted.some((entry) => entry.submission === reveal.id) ?? false,
        rule: round.close?.content.rejected.find((entry) => entry.submission === reveal.id)?.rule ?? null,
      })),
      payments: round.payouts.map((payout) => ({
        payee: payout.payee,
        // A JSON integer: no amount that can be paid reaches 2^53.
        amountMsat: Number(payout.amountMsat),
        receipt: payout.receipt?.id ?? null,
        invoice: payout.receipt?.content.invoice ?? null,
        paymentHash: payout.receipt?.content.paymentHash ?? null,
        preimage: payout.receipt?.content.preimage ?? null,
        countersigned: payout.received?.id ?? null,
      })),
    })),
  };
}

/** The keys to rounds, updates and model; no shard key. */
export async function collectAuditKeys(
  env: Pick<CustomerEnv, 'secrets' | 'signer'>,
  state: JobState,
): Promise<AuditKeys> {
  const blobs = fromHex(env.secrets.blobs);
  const updates: AuditKeys['updates'] = [];
  for (const round of state.rounds)
    for (const reveal of openableIn(state, round).listedReveals.values()) {
      try {
        updates.push({ submission: reveal.id, ...(await updateKeysOf(env, state.job!, round)(reveal)) });
      } catch (error) {
        if (isOwnTrouble(error)) throw error;
        // A cheater's reveal that does not open stays out; the close rejected it by name.
      }
    }
  const keysOf = (purpose: 'base' | 'root', rounds: JobState['rounds']) =>
    rounds.map(({ round }) => ({ round, key: blobSecrets(blobs, purpose, round).key }));
  const roots = state.rounds.filter(({ close }) => close?.content.root !== undefined);
  return {
    job: state.jobId,
    seed: fromHex(env.secrets.seed),
    rounds: keysOf('base', state.rounds),
    ...(roots.length > 0 && { roots: keysOf('root', roots) }),
    updates,
    artifact: blobSecrets(blobs, 'artifact', 0).key,
    heads: [...state.chains.values()].flatMap(({ author, events }) => {
      const head = events.at(-1);
      return head === undefined ? [] : [{ author, event: head.id }];
    }),
  };
}

/** The keys to the data of a job, and to which examples its scores were measured on. Only of a job that is over: later draws follow from it. */
export function collectDataKeys(secrets: JobSecrets): DataKeys {
  return { chain: fromHex(secrets.chain), train: keysToEpoch(secrets.train), ...collectSetKeys(secrets) };
}

/** The keys to its evaluation sets alone. */
export function collectSetKeys({ a, b }: Pick<JobSecrets, 'a' | 'b'>): Pick<DataKeys, 'a' | 'b'> {
  const set = (one: OwnedEpoch) => ({ ...keysToEpoch(one), salt: fromHex(one.secrets.salt) });
  return { a: set(a), b: set(b) };
}

function keysToEpoch({ event, secrets: own }: OwnedEpoch): EpochKeys {
  const { manifest } = parseSnapshot(event);
  return {
    locator: own.locator,
    blind: fromHex(own.blind),
    shards: manifest.shards.map((_, shard) => ownShardKey(manifest, own, shard)),
  };
}

function qualityOf(round: RoundState, isText: boolean): string {
  const outcome = outcomeOf(round);
  if (outcome === null) return 'void';
  return isText ? String(Number(perplexity(outcome.lossPpm / 1_000_000).toPrecision(5))) : percent(outcome.accuracyPpm);
}

const percent = (ppm: number | null) => (ppm === null ? '-' : `${(ppm / 10_000).toFixed(2)} %`);

/** A page for whoever finds the folder. */
export function modelCard(state: JobState, model: CollectedModel): string {
  const terms = state.job!.content;
  const { model: spec, hyper } = terms;
  const { rule } = state.award!.content;
  const more = describeMetrics(model.metrics);
  const isText = readsTokens(spec);
  const rows = state.rounds.map(
    (round) =>
      `| ${round.round + 1} | ${qualityOf(round, isText)} | ${round.close?.content.accepted.length ?? 0} | ${round.close?.content.rejected.length ?? 0} |`,
  );
  return `# ${terms.title === '' ? 'A model trained on a marketplace' : terms.title}

Trained by ${model.trainers.length} independent trainers over Nostr with nmkt, paid over Lightning, combined by the customer (${rule.name}, updates in ${terms.codec.name}${terms.outer.name === 'none' ? '' : `, outer step ${terms.outer.name}`}).

| | |
|---|---|
| model | ${describeSpec(spec)} |
| ${spec.task === 'regression' ? 'loss' : 'accuracy'} on evaluation set B (${terms.evalB.rows} rows) | ${spec.task === 'regression' ? model.metrics.loss : percent(state.artifact!.content.accuracyPpm)} |
| loss on set B | ${model.metrics.loss} |
${more.length === 0 ? '' : `| also on set B | ${more.join(', ')} |\n`}| rounds | ${model.rounds} of ${terms.rounds}, ${hyper.epochs === undefined ? `${hyper.localSteps} steps` : `${hyper.epochs} epochs`} each, ${hyper.optimizer} ${hyper.learningRate}, batch ${hyper.batch} |
| paid | ${model.paidMsat / 1000n} sat (${terms.rail}) |
| job | \`${model.job}\` |
| dataset snapshot | \`${terms.dataset}\` |
| signed by | \`${model.signedBy}\` |
| weights | sha256 \`${state.artifact!.content.weights.sha256}\` |

| round | ${isText ? 'perplexity' : 'accuracy'} on set A | accepted | rejected |
|---|---|---|---|
${rows.join('\n')}

| trainer | accepted rounds | paid (sat) |
|---|---|---|
${model.trainers.map((trainer) => `| \`${trainer.pubkey}\` | ${trainer.rounds} | ${trainer.paidMsat / 1000n} |`).join('\n')}

Files: ${describeModelFiles(spec.model)}, \`provenance.json\` (every contribution,
signature and payment), \`audit-keys.json\` (secret: opens the rounds and updates for an auditor).

\`\`\`
nmkt predict <this folder> new-rows.csv
nmkt audit ${model.job} --keys audit-keys.json
\`\`\`
`;
}

/** Of a model folder; those of `gpt` and `lstm` are ours. */
export function describeModelFiles(model: ModelName): string {
  const files = '`model.json` and `weights.bin`';
  return `${files} (${readsTokens({ model }) ? 'of nmkt alone' : 'TensorFlow.js LayersModel'}), \`model.safetensors\``;
}

function describeSpec(spec: ModelSpec): string {
  const parts: Readonly<Record<string, string>> = {
    ...('filters' in spec && { filters: spec.filters.join(', ') }),
    ...('hidden' in spec && { hidden: spec.hidden.join(', ') }),
    ...('stack' in spec && { layers: describeStack(spec.stack) }),
    ...('layers' in spec && { layers: `${spec.layers}` }),
    ...('heads' in spec && { heads: `${spec.heads}` }),
    ...('width' in spec && { width: `${spec.width}` }),
  };
  const inside = Object.entries(parts).flatMap(([name, value]) => (value === '' ? [] : [`${name} ${value}`]));
  return [spec.model, `${spec.inputs} inputs`, ...inside, `${spec.outputs} outputs`].join(', ');
}

/** A finished job has a model. @throws NmktError `not-ready`, or `job-closed` when it was cancelled */
export function requireArtifact(state: JobState): NonNullable<JobState['artifact']> {
  if (state.artifact !== null) return state.artifact;
  if (state.cancelled !== null)
    throw new NmktError('job-closed', 'the job was cancelled: it has no model', {
      expected: 'a finished job',
      got: 'a cancelled one',
      remedy: `nmkt status ${state.jobId}`,
    });
  throw new NmktError('not-ready', 'the model of this job is not published yet', {
    expected: 'a finished job',
    got: `a job that is ${state.phase}`,
    remedy: `nmkt status ${state.jobId}`,
  });
}
