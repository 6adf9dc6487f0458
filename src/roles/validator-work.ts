import { z } from 'zod';
import { sha256Hex, type Pubkey, type Sha256 } from '../hash.js';
import { publicFailure } from '../market/acceptance.js';
import { chainCommitment, chainElement } from '../learning/seeds.js';
import { encodeParams } from '../learning/safetensors.js';
import type { ParamSet } from '../learning/types.js';
import type { JobState, RoundState } from '../market/state.js';
import { parseJson } from '../protocol/json.js';
import { scoresContent } from '../protocol/score.js';
import { bytes32 } from '../protocol/scalars.js';
import { scoreCommitment } from '../protocol/validator.js';
import type { EventOf } from '../protocol/events.js';
import { modelOf, openUpdates, publicEvidence, scoreUpdates } from './measure.js';
import { likelyReplays } from './replays.js';
import { openDrawnStates, repeatDrawn } from './spot-check.js';
import { rowIn, valueOf } from '../market/contradictions.js';
import { openBase } from './trainer-base.js';
import { differingField } from './validator-complaints.js';
import { disputeCommitment } from './validator-disputes.js';
import type { ValidatorEnv } from './validator.js';
import { grantedData, grantsOf, updateGrantFor } from './validator-data.js';
import { lockFor } from './stake.js';

/** What a validator carries out: each signs one event, after everything it needs is durable. */

const CHAIN_FILE = 'nonce-chain.bin';
const modelFile = (hash: Sha256) => `model-${hash}.safetensors`;
const scoresFile = (round: RoundState) => `scores-${round.revealList!.id}.json`;

/** The end of the own chain of nonces; drawn once for a job. */
async function nonceChain(env: ValidatorEnv): Promise<Uint8Array> {
  const kept = await env.files.read(CHAIN_FILE);
  if (kept?.length === 32) return kept;
  const fresh = env.random(32);
  await env.files.write(CHAIN_FILE, fresh);
  return fresh;
}

export async function register(env: ValidatorEnv, state: JobState): Promise<void> {
  const { rounds, deadline } = state.job!.content;
  const nonceCommitment = chainCommitment(await nonceChain(env), rounds);
  const engine = (await env.engine()).id;
  const lock = await lockFor(env.book, env.signer.pubkey, 'validator', env.stake);
  const forDisputes = await disputeCommitment(env, state);
  const content = { engine, nonceCommitment, ...forDisputes, expires: deadline, ...(lock !== undefined && { lock }) };
  await env.book.sign('register', content, [state.job!.author]);
}

export async function showNonce(env: ValidatorEnv, state: JobState, { round, commitList }: RoundState): Promise<void> {
  const nonce = chainElement(await nonceChain(env), state.job!.content.rounds, round);
  await env.book.sign('nonce', { round, list: commitList!.id, nonce }, [state.job!.author]);
}

/** Scores as they were committed to: kept before the commitment is signed. */
const keptScores = z.object({ salt: bytes32, sheet: scoresContent });
type Sheet = Omit<EventOf<'scores'>['content'], 'opening'>;

async function readScores(
  env: Pick<ValidatorEnv, 'files'>,
  round: RoundState,
): Promise<{ readonly salt: Uint8Array; readonly sheet: Sheet } | undefined> {
  const file = await env.files.read(scoresFile(round));
  if (file === undefined) return undefined;
  return z.decode(keptScores, parseJson(Buffer.from(file).toString()) as z.input<typeof keptScores>);
}

function commitmentOf(jobId: JobState['jobId'], validator: Pubkey, sheet: Sheet, salt: Uint8Array): Sha256 {
  return scoreCommitment({ job: jobId, validator, ...sheet, salt });
}

/** Has this home the scores and the salt of its commitment? */
export async function hasScored(env: ValidatorEnv, state: JobState, round: RoundState): Promise<boolean> {
  const made = round.listedScoreCommits.get(env.signer.pubkey) ?? round.scoreCommits.get(env.signer.pubkey);
  if (made === undefined) return false;
  const kept = await readScores(env, round);
  return (
    kept !== undefined &&
    commitmentOf(state.jobId, env.signer.pubkey, kept.sheet, kept.salt) === made.content.commitment
  );
}

/** Opens, repeats, measures; keeps what it found, then commits to it. A restart never measures a round again. */
export async function score(env: ValidatorEnv, state: JobState, round: RoundState): Promise<void> {
  let kept = await readScores(env, round);
  if (kept === undefined) {
    kept = { salt: env.random(32), sheet: await measure(env, state, round) };
    await env.files.write(scoresFile(round), Buffer.from(JSON.stringify(z.encode(keptScores, kept))));
  }
  const now = env.book.state().rounds[round.round];
  // The list may have come while it measured.
  if (now === undefined || now.scoreCommitList !== null || now.scoreCommits.has(env.signer.pubkey)) return;
  const commitment = commitmentOf(state.jobId, env.signer.pubkey, kept.sheet, kept.salt);
  const list = round.revealList!.id;
  await env.book.sign('score-commit', { round: round.round, list, commitment }, [state.job!.author]);
}

export async function revealScores(env: ValidatorEnv, state: JobState, round: RoundState): Promise<void> {
  const { salt, sheet } = (await readScores(env, round))!;
  const commit = round.listedScoreCommits.get(env.signer.pubkey)!.id;
  const opening = { list: round.scoreCommitList!.id, commit, salt };
  await env.book.sign('scores', { ...sheet, scores: [...sheet.scores], opening }, [state.job!.author]);
}

/** Its own value, in public, against a signed one. */
export async function complain(
  env: ValidatorEnv,
  { job }: JobState,
  round: RoundState,
  subject: EventOf<'scores'>,
): Promise<void> {
  const mine = round.listedScoreReveals.get(env.signer.pubkey)!;
  const { row, field } = differingField(mine, subject)!;
  const found =
    field === 'spot' ? { what: 'segment' as const, ...row.spot! } : { what: 'score' as const, field, ppm: row[field] };
  const signed = valueOf(rowIn(subject, row.submission), field);
  env.progress.warn(
    `round ${round.round + 1}: ${subject.author.slice(0, 12)}… signed another ${field} than is measured here`,
  );
  await env.book.sign(
    'complaint',
    {
      ...{ round: round.round, shard: row.shard, subject: subject.id, engine: mine.content.engine, found },
      detail: `signed was ${signed}`,
    },
    [subject.author, job!.author],
  );
}

/** Updates that pass the public rules, for which no grant came. */
export function missingUpdates(env: ValidatorEnv, state: JobState, round: RoundState): number {
  const evidence = publicEvidence(state.job!, round);
  return [...round.listedReveals].filter(
    ([shard, { id }]) => publicFailure(evidence, shard) === null && updateGrantFor(env, state, id) === undefined,
  ).length;
}

async function measure(env: ValidatorEnv, state: JobState, round: RoundState): Promise<Sheet> {
  const job = state.job!;
  const { spot, evalA } = job.content;
  const { eval: evaluation, round: key, seed } = grantsOf(env, state, round)!;
  const data = grantedData(env, state);
  const engine = await env.engine();
  const base = await openBase(env, state, round, key);
  if (spot !== null) await env.files.write(modelFile(round.open.content.base.sha256), encodeParams(base));
  const keys = async ({ id }: EventOf<'reveal'>) => {
    const update = updateGrantFor(env, state, id)?.grant.update ?? null;
    if (update === null) throw new RangeError('the customer gave no key to it');
    return update;
  };
  const { relays, signal, files } = env;
  const nowSec = env.clock.nowSec();
  const opened = await openUpdates(relays, keys, job, round, base, nowSec, signal, files);
  const rowsOf = (shard: number) => env.snapshot.manifest.shards[shard]!.examples;
  const states = await openDrawnStates(
    ...([relays, state, round, base, opened.sealed, rowsOf, nowSec, signal] as const),
  );
  const updates = new Map([...opened.params].filter(([shard]) => !states.findings.has(shard)));
  const model = (hash: Sha256) => keptModel(env, state, hash);
  const suspects =
    spot === null || spot.engine !== engine.id
      ? new Set<number>()
      : await likelyReplays({ files, model }, state, round, base, updates);
  const drawn = new Map([...states.drawn].filter(([shard]) => updates.has(shard)));
  const repeated =
    spot === null || spot.engine !== engine.id
      ? new Map<number, never>()
      : await repeatDrawn(
          engine,
          round,
          drawn,
          suspects,
          async (trainer, shard) => ({
            ...{ terms: job.content, base, seed, round: round.round, shard, trainer },
            examples: await data.shard(shard),
          }),
          signal,
        );
  const scores = await scoreUpdates(engine, data, evaluation.scoring, job, round, base, updates, repeated);
  return { round: round.round, list: round.revealList!.id, engine: engine.id, data: evalA.commitment, scores };
}

async function keptModel(env: ValidatorEnv, state: JobState, hash: Sha256): Promise<ParamSet | undefined> {
  const kept = await env.files.read(modelFile(hash));
  return kept !== undefined && sha256Hex(kept) === hash ? modelOf(kept, state.job!.content.model) : undefined;
}
