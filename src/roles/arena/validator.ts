import { z } from 'zod';
import { isNmktError, NmktError } from '../../errors.js';
import type { Bytes, EventId, Pubkey } from '../../hash.js';
import { chainCommitment, chainElement } from '../../learning/seeds.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import type { ArenaRound, ArenaStage, ArenaState } from '../../market/arena/state.js';
import { arenaScoreCommitment, arenaSheet, type ArenaScore, type ArenaSheet } from '../../protocol/arena/scores.js';
import type { EvalGrant, ModelGrant } from '../../protocol/grant.js';
import { parseJson } from '../../protocol/json.js';
import { openLocator } from '../../protocol/locator.js';
import { bytes32 } from '../../protocol/scalars.js';
import { locatedIn, openShard } from '../epoch.js';
import { isUnproven } from '../missing.js';
import { fetchBytes } from '../round-blobs.js';
import { lockFor } from '../stake.js';
import { countersignedMsat, workOn } from '../worker-loop.js';
import { ARENA_DRAWS } from './customer.js';
import { owedOf, type ArenaValidatorEnv } from './env.js';
import { modelLabel } from './model-file.js';
import { scoreModel } from './score-model.js';
import { rank, settle } from './settle.js';
import { arenaStory } from './story.js';
import type { ArenaEnd } from './trainer.js';
import { decideArenaValidator, type ArenaValidatorAction } from './validator-decide.js';

/** Scores one arena from its registration to its last fee. A crash anywhere and a new start give the same events. */
export async function validateArena(env: ArenaValidatorEnv): Promise<ArenaEnd> {
  const scored = new Set<EventId>();
  const me = env.signer.pubkey;
  const { wasOver, state, action } = await workOn<ArenaValidatorAction, FoldedArena>(env, {
    story: (now) => arenaStory(now, me),
    async lookUp({ state: now }) {
      for (const round of (now?.stages ?? []).flatMap(({ rounds }) => rounds))
        if (round.seats.has(me) && !scored.has(round.draw.id) && (await readSheet(env, round)) !== undefined)
          scored.add(round.draw.id);
    },
    decide: (at, facts, now) =>
      decideArenaValidator(
        at,
        {
          ...facts,
          missingModels: (round) => missingModels(env, at, round),
          canReveal: ({ draw }) => scored.has(draw.id),
        },
        now,
      ),
    carryOut: ({ state: now }, next) => carryOut(env, now!, next),
  });
  await env.chunks.remove();
  if (action.do === 'lost') return { wasOver, end: 'lost', why: action.why };
  if (action.do === 'stop') return { wasOver, end: 'stopped', why: action.why };
  return { wasOver, end: 'done', stages: scoredStages(state, me), paidMsat: countersignedMsat(owedOf(state), me) };
}

const scoredStages = ({ state }: FoldedArena, me: Pubkey): number =>
  (state?.stages ?? []).filter(({ rounds }) => rounds.some(({ reveals }) => reveals.has(me))).length;

async function carryOut(
  env: ArenaValidatorEnv,
  state: ArenaState,
  action: Extract<ArenaValidatorAction, { do: 'register' | 'nonce' | 'score' | 'reveal' | 'rank' | 'settle' }>,
): Promise<void> {
  const customer = state.job.author;
  switch (action.do) {
    case 'register': {
      const nonceCommitment = chainCommitment(await nonceChain(env), ARENA_DRAWS);
      const lock = await lockFor(env.book, env.signer.pubkey, 'validator', env.stake);
      const expires = state.job.content.arena.finalUntil + 6 * state.job.content.revealTimeoutSec;
      const named = lock === undefined ? {} : { lock };
      const { id: engine } = await env.engine();
      await env.book.sign('register', { engine, nonceCommitment, expires, ...named }, [customer]);
      return;
    }
    case 'nonce': {
      const { round, stage } = action;
      const nonce = chainElement(await nonceChain(env), ARENA_DRAWS, round);
      await env.book.sign('nonce', { round, list: stage.root!.id, nonce }, [customer]);
      return;
    }
    case 'score':
      await score(env, state, action.stage, action.round);
      return;
    case 'reveal': {
      const { draw, commits, commitList } = action.round;
      const { sheet, salt } = (await readSheet(env, action.round))!;
      const opening = { list: commitList!.id, commit: commits.get(env.signer.pubkey)!.id, salt };
      await env.book.sign('arena-scores', { round: draw.content.round, ...sheet, ...opening }, [customer]);
      return;
    }
    case 'rank':
      await rank(env.book, state, action.stage);
      return;
    case 'settle':
      await settle(env.book, state, action.stage, action.ranking);
  }
}

const CHAIN_FILE = 'nonce-chain.bin';

/** The end of the own chain of nonces; drawn once for a job. */
async function nonceChain(env: Pick<ArenaValidatorEnv, 'files' | 'random'>): Promise<Bytes> {
  const kept = await env.files.read(CHAIN_FILE);
  if (kept?.length === 32) return kept;
  const fresh = env.random(32);
  await env.files.write(CHAIN_FILE, fresh);
  return fresh;
}

/** Of the set of the stage; another snapshot, or another sender, is no grant. */
function setGrant(env: ArenaValidatorEnv, { jobId, job }: FoldedArena, stage: number): EvalGrant | undefined {
  const { id } = env.sets[stage]!;
  return env.inbox.grants(jobId, 'eval').find(({ from, grant }) => from === job?.author && grant.snapshot === id)
    ?.grant;
}

function modelGrants(env: ArenaValidatorEnv, { jobId, job }: FoldedArena, root: EventId): Map<number, ModelGrant> {
  const own = env.inbox.grants(jobId, 'model').filter(({ from, grant }) => from === job?.author && grant.root === root);
  return new Map(own.map(({ grant }) => [grant.alias, grant]));
}

function missingModels(env: ArenaValidatorEnv, folded: FoldedArena, { seats, draw }: ArenaRound): number {
  const aliases = seats.get(env.signer.pubkey) ?? [];
  const stage = folded.state!.stages.at(-1)!.stage;
  if (setGrant(env, folded, stage) === undefined) return aliases.length;
  const granted = modelGrants(env, folded, draw.content.list);
  return aliases.filter((alias) => !granted.has(alias)).length;
}

/** Kept before the commitment is signed: a restart never measures again. */
const keptSheet = z.object({ salt: bytes32, sheet: arenaSheet });
const sheetFile = (round: ArenaRound) => `arena-scores-${round.draw.id}.json`;

async function readSheet(
  env: Pick<ArenaValidatorEnv, 'files'>,
  round: ArenaRound,
): Promise<{ readonly salt: Bytes; readonly sheet: ArenaSheet } | undefined> {
  const file = await env.files.read(sheetFile(round));
  if (file === undefined) return undefined;
  return z.decode(keptSheet, parseJson(Buffer.from(file).toString()) as z.input<typeof keptSheet>);
}

/** Opens and measures the models of its seats, all in the same order on the same set; keeps what it found, then commits to it. */
async function score(env: ArenaValidatorEnv, state: ArenaState, stage: ArenaStage, round: ArenaRound): Promise<void> {
  let kept = await readSheet(env, round);
  if (kept === undefined) {
    kept = { salt: env.random(32), sheet: await measure(env, state, stage, round) };
    await env.files.write(sheetFile(round), Buffer.from(JSON.stringify(z.encode(keptSheet, kept))));
  }
  const now = env.book
    .state()
    .state?.stages.at(-1)
    ?.rounds.find(({ draw }) => draw.id === round.draw.id);
  // The list may have come while it measured.
  if (now === undefined || now.commitList !== null) return;
  const { draw } = round;
  const of = { job: state.jobId, round: draw.content.round, draw: draw.id, validator: env.signer.pubkey };
  const commitment = arenaScoreCommitment({ ...of, ...kept.sheet, salt: kept.salt });
  await env.book.sign('score-commit', { round: of.round, list: draw.id, commitment }, [state.job.author]);
}

async function measure(
  env: ArenaValidatorEnv,
  state: ArenaState,
  stage: ArenaStage,
  round: ArenaRound,
): Promise<ArenaSheet> {
  const folded = env.book.state();
  const engine = await env.engine();
  const { arena, evalA, evalB } = state.job.content;
  const set = await openedSet(env, folded, stage.stage);
  const { schema } = env.snapshot.manifest;
  const granted = modelGrants(env, folded, stage.root!.id);
  const scores: ArenaScore[] = [];
  const aliases = round.seats.get(env.signer.pubkey)!;
  for (const [at, alias] of aliases.entries()) {
    env.progress.update(`scoring model ${at + 1} of ${aliases.length}`);
    const file = await fetchModel(env, state, stage.stage, granted.get(alias), round.draw.createdAt);
    scores.push({ alias, ...(await scoreModel(engine, file, { arena, schema, set })) });
  }
  return { engine: engine.id, data: (stage.stage === 0 ? evalA : evalB).commitment, scores };
}

/** Null: there is no key to it, or nothing that the key opens. */
async function fetchModel(
  env: ArenaValidatorEnv,
  { jobId, job }: ArenaState,
  stage: number,
  grant: ModelGrant | undefined,
  since: number,
): Promise<Bytes | null> {
  if (grant?.model == null) return null;
  try {
    const place = { ...grant.model, label: modelLabel(jobId, stage) };
    return await fetchBytes(env.relays, place, job.content.arena.maxModelBytes, env.signal);
  } catch (error) {
    if (!(error instanceof NmktError) || isNmktError(error, 'interrupted')) throw error;
    if (isUnproven(error, env.clock.nowSec() - since)) throw error;
    return null;
  }
}

function openedSet(env: ArenaValidatorEnv, folded: FoldedArena, stage: number) {
  const known = env.opened.get(stage);
  if (known !== undefined) return known;
  const { locator, blind, key } = setGrant(env, folded, stage)!;
  const { manifest } = env.sets[stage]!;
  const place = locatedIn(openLocator(locator, blind, manifest.locator), 0);
  const opening = openShard(env.relays, manifest, place, 0, key, { signal: env.signal });
  opening.catch(() => env.opened.delete(stage));
  env.opened.set(stage, opening);
  return opening;
}
