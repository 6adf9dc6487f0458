import { z } from 'zod';
import { hkdfExpand32, sha256, type Bytes, type EventId, type Pubkey } from '../../hash.js';
import { concatExamples } from '../customer-data.js';
import { lossPpm } from '../../learning/scoring.js';
import type { Examples } from '../../learning/types.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import type { ArenaState } from '../../market/arena/state.js';
import { encodeSealedModel, modelCommitment } from '../../protocol/arena/submission.js';
import type { ShardGrant } from '../../protocol/grant.js';
import { parseJson } from '../../protocol/json.js';
import { bytes32, loss, ppm } from '../../protocol/scalars.js';
import { sha256Hex } from '../../hash.js';
import { NmktError } from '../../errors.js';
import { lockFor } from '../stake.js';
import { openLocatedShard } from '../trainer-grant.js';
import { countersignedMsat, workOn } from '../worker-loop.js';
import { owedOf, type ArenaTrainerEnv } from './env.js';
import { encodeModelFile, publishModelFile } from './model-file.js';
import { searchRecipes } from './recipe-search.js';
import { rank, settle } from './settle.js';
import { arenaStory } from './story.js';
import { decideArenaTrainer, type ArenaTrainerAction } from './trainer-decide.js';

export type ArenaEnd = { readonly wasOver: boolean } & (
  | { readonly end: 'done'; readonly stages: number; readonly paidMsat: bigint }
  | { readonly end: 'lost' | 'cancelled' | 'stopped'; readonly why: string }
);

/** Works in one arena from its entry to its last payment. A crash anywhere and a new start submit the same models. */
export async function serveArena(env: ArenaTrainerEnv): Promise<ArenaEnd> {
  const end = await untilTheEnd(env);
  await env.chunks.remove();
  return end;
}

async function untilTheEnd(env: ArenaTrainerEnv): Promise<ArenaEnd> {
  const made = new Set<number>();
  const me = env.signer.pubkey;
  const { wasOver, state, action } = await workOn<ArenaTrainerAction, FoldedArena>(env, {
    story: (now) => arenaStory(now, me),
    async lookUp() {
      for (const stage of [0, 1]) if (!made.has(stage) && (await readMade(env, stage)) !== undefined) made.add(stage);
    },
    decide: (at, facts, now) =>
      decideArenaTrainer(
        at,
        { ...facts, hasData: (stage) => made.has(stage) || trainingGrants(env, at) !== null },
        now,
      ),
    async carryOut({ state: now, job }, next) {
      if (next.do === 'enter') {
        const lock = await lockFor(env.book, me, 'trainer', env.stake);
        const { finalUntil } = job!.content.arena;
        await env.book.sign('enter', { expires: finalUntil, ...(lock !== undefined && { lock }) }, [job!.author]);
      } else if (next.do === 'submit') await submit(env, now!, next.stage);
      else if (next.do === 'rank') await rank(env.book, now!, next.stage);
      else if (next.do === 'settle') await settle(env.book, now!, next.stage, next.ranking);
    },
  });
  if (action.do === 'lost' || action.do === 'cancelled') return { wasOver, end: action.do, why: action.why };
  if (action.do === 'stop') return { wasOver, end: 'stopped', why: action.why };
  return { wasOver, end: 'done', stages: submittedStages(state, me), paidMsat: countersignedMsat(owedOf(state), me) };
}

const submittedStages = ({ state }: FoldedArena, me: Pubkey): number =>
  (state?.stages ?? []).filter(({ submissions }) => submissions.has(me)).length;

/** By shard; null while one of them has not come. */
function trainingGrants(env: ArenaTrainerEnv, { jobId, job }: FoldedArena): readonly ShardGrant[] | null {
  const received = env.inbox.grants(jobId, 'shard').filter(({ from }) => from === job?.author);
  const grants = env.snapshot.manifest.shards.map(
    (_, shard) => received.find(({ grant }) => grant.shard === shard && grant.snapshot === env.snapshot.id)?.grant,
  );
  return grants.every((grant) => grant !== undefined) ? grants : null;
}

async function trainingSet(env: ArenaTrainerEnv, folded: FoldedArena): Promise<Examples> {
  const parts: Examples[] = [];
  for (const grant of trainingGrants(env, folded)!) parts.push(await openLocatedShard(env, grant));
  return concatExamples(parts);
}

/** Of a model that was made: kept, with the file beside it, before its submission is signed. */
const keptModel = z.object({
  salt: bytes32,
  secret: bytes32,
  metrics: z.object({ lossPpm: loss, accuracyPpm: ppm.nullable() }),
});
type Kept = z.output<typeof keptModel>;
const aboutFile = (stage: number) => `arena-${stage}.json`;
const bytesFile = (stage: number) => `arena-${stage}.bin`;

async function readMade(
  env: Pick<ArenaTrainerEnv, 'files'>,
  stage: number,
): Promise<{ readonly kept: Kept; readonly file: Bytes } | undefined> {
  const about = await env.files.read(aboutFile(stage));
  const file = await env.files.read(bytesFile(stage));
  if (about === undefined || file === undefined) return undefined;
  return { kept: z.decode(keptModel, parseJson(Buffer.from(about).toString()) as z.input<typeof keptModel>), file };
}

async function submit(env: ArenaTrainerEnv, state: ArenaState, stage: number): Promise<void> {
  const { jobId, job } = state;
  const { kept, file } = (await readMade(env, stage)) ?? (await make(env, state, stage));
  const dateSec = stage === 0 ? job.createdAt : state.stages[0]!.settlement!.createdAt;
  env.progress.update('publishing the model');
  const blob = await publishModelFile(
    env.relays,
    file,
    { job: jobId, terms: job.content, stage, secret: kept.secret, dateSec },
    env.signal,
  );
  const { salt, metrics } = kept;
  const sealed = await env.signer.encrypt(job.author, encodeSealedModel({ ...blob, salt, metrics }));
  const of = { job: jobId, stage, trainer: env.signer.pubkey, model: sha256Hex(file), salt };
  await env.book.sign('submit', { stage, commitment: modelCommitment(of), sealed }, [job.author]);
}

/** The best that the time allows; in the final stage what was best before, where nothing better is found. */
async function make(
  env: ArenaTrainerEnv,
  { jobId, job }: ArenaState,
  stage: number,
): Promise<{ readonly kept: Kept; readonly file: Bytes }> {
  const { interimUntil, finalUntil } = job.content.arena;
  const engine = await env.engine();
  const examples = await trainingSet(env, env.book.state());
  const nowMs = () => env.clock.nowMs();
  const left = (stage === 0 ? interimUntil : finalUntil) * 1000 - nowMs();
  env.emit('training', { stage, recipes: env.candidates.length }, `trying ${env.candidates.length} recipes`);
  const found = await searchRecipes(env.candidates, {
    ...{ engine, examples, nowMs, signal: env.signal },
    seed: seedOf(jobId, env.signer.pubkey, stage),
    untilMs: nowMs() + Math.min(env.trainSec * 1000, left / 2),
    onProgress: (text) => env.progress.update(text),
  });
  const before = stage === 0 ? undefined : await readMade(env, 0);
  const foundPpm = found === undefined ? Infinity : lossPpm(found.loss);
  const isBetter = before === undefined || foundPpm < before.kept.metrics.lossPpm;
  if (isBetter && found === undefined)
    throw new NmktError('diverged', 'no recipe gave a model in its time', {
      expected: 'one training that ends with a number',
      got: `${env.candidates.length} that did not`,
      remedy: 'a smaller model or learning rate in --recipe, or a longer --train-limit',
    });
  const file = isBetter ? encodeModelFile({ spec: found!.candidate.spec, params: found!.weights }) : before.file;
  const accuracyPpm = found?.accuracy == null ? null : Math.round(found.accuracy * 1_000_000);
  const metrics = isBetter ? { lossPpm: foundPpm, accuracyPpm } : before.kept.metrics;
  const kept = { salt: env.random(32), secret: env.random(32), metrics };
  await env.files.write(bytesFile(stage), file);
  await env.files.write(aboutFile(stage), Buffer.from(JSON.stringify(z.encode(keptModel, kept))));
  return { kept, file };
}

/** Nobody has to know it: a trainer of an arena is asked for a model, not for how it came to it. */
const seedOf = (job: EventId, trainer: Pubkey, stage: number): Bytes =>
  hkdfExpand32(sha256('nmkt/1/arena-training', job, trainer), String(stage));
