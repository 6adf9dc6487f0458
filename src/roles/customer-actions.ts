import { fromHex, type EventId, type Sha256 } from '../hash.js';
import { chainElement } from '../learning/seeds.js';
import type { ParamSet } from '../learning/types.js';
import { successorFor } from '../market/late-bids.js';
import { isScoredByValidators } from '../market/score-rules.js';
import type { JobState, RoundState, Verdict } from '../market/state.js';
import { grantHash } from '../protocol/grant.js';
import type { ListedPhase } from '../protocol/round.js';
import { closeRound, degraded, endsFile } from './close-round.js';
import { wantedBy } from './customer-award.js';
import type { CustomerAction } from './customer-decide.js';
import type { CustomerEnv } from './customer-env.js';
import { shardGrant } from './customer-grants.js';
import { keepModel, keepOuterState, loadModel, outerBefore } from './customer-models.js';
import { openSealedUpdate, openUpdates, scoreUpdates } from './measure.js';
import { nextModel, rulesOf } from './next-model.js';
import { likelyReplays } from './replays.js';
import { openDrawnStates, repeatDrawn, type OpenedStates } from './spot-check.js';

/** What the customer carries out: each publishes at most one event of its chain, so a repetition goes on where it stopped. */

export async function replace(
  env: CustomerEnv,
  state: JobState,
  { shard, out, reason }: Extract<CustomerAction, { do: 'replace' }>,
  isDegraded: boolean,
): Promise<void> {
  const found = successorFor(state, shard, out, env.clock.nowSec(), wantedBy(env));
  if (out === null && found === undefined) return; // the only late bid has expired just now
  const next = found && {
    ...{ trainer: found.trainer, bid: found.bid, priceMsat: found.priceMsat },
    grant: grantHash(shardGrant(env, state, shard)),
  };
  const taker = next === undefined ? 'no spare is left' : `${next.trainer.slice(0, 12)}… takes over`;
  env.progress.warn(
    out === null
      ? `shard ${shard} was vacant; ${taker}`
      : `${out.slice(0, 12)}… loses shard ${shard} (${reason}); ${taker}`,
  );
  const people = [out, next?.trainer].filter((one) => one != null);
  await env.book.sign('replace', { shard, out, reason, in: next ?? null, ...degraded(isDegraded) }, people);
}

/** Opens s_round: nobody could know before the list which segments are repeated. */
export async function draw(
  env: CustomerEnv,
  state: JobState,
  { round, commitList, nonces: opened }: RoundState,
): Promise<void> {
  const s = chainElement(fromHex(env.secrets.chain), state.job!.content.rounds, round);
  const nonces = [...opened].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { id }]) => id);
  await env.book.sign('draw', { round, list: commitList!.id, s, ...(nonces.length > 0 && { nonces }) });
}

export async function list(
  env: CustomerEnv,
  state: JobState,
  of: ListedPhase,
  ids: readonly EventId[],
  isDegraded: boolean,
): Promise<void> {
  const round = state.rounds.at(-1)!;
  const terms = state.job!.content;
  const isScored = isScoredByValidators(terms, round);
  // What the next phase gets: updates and scores are revealed at once, and scores take time like updates.
  const next = { commit: terms.revealTimeoutSec, reveal: isScored ? terms.roundTimeoutSec : null };
  const nextSec = { ...next, 'score-commit': terms.revealTimeoutSec, 'score-reveal': null }[of];
  const until = nextSec === null ? null : env.clock.nowSec() + nextSec;
  await env.book.sign('list', { round: round.round, of, ids: [...ids], until, ...degraded(isDegraded) });
}

/** Opens the updates, measures and publishes the scores (once), then closes the round, or voids it below the quorum. */
export async function measureAndClose(env: CustomerEnv, state: JobState, round: RoundState): Promise<void> {
  const job = state.job!;
  const base = await loadModel(env, state, round.open.content.base.sha256);
  const opened = await openUpdates(
    env.relays,
    (reveal) => openSealedUpdate(env.signer, reveal),
    job,
    round,
    base,
    env.clock.nowSec(),
    env.signal,
    env.files,
  );
  const states = await openDrawnStates(
    env.relays,
    state,
    round,
    base,
    opened.sealed,
    (shard) => env.data.train.manifest.shards[shard]!.examples,
    env.clock.nowSec(),
    env.signal,
  );
  // What most validators opened and scored is open.
  const isScored = (shard: number) =>
    round.verdict?.from === 'validators' && round.verdict.rows.some((row) => row.shard === shard);
  const findings = new Map([...opened.findings, ...states.findings].filter(([shard]) => !isScored(shard)));
  const updates = new Map([...opened.params].filter(([shard]) => !findings.has(shard)));
  const verdict = round.verdict ?? (await measure(env, state, round, base, updates, states.drawn));
  await closeRound(env, state, round, { verdict, findings, base }, async (accepted, root) => {
    const { shards } = env.data.train.manifest;
    const from = { base, outerState: await outerBefore(env, state, round), root };
    const next = nextModel(rulesOf(state), from, accepted, updates, (shard) => shards[shard]!.examples);
    await keepModel(env, next.params);
    await keepOuterState(env, next);
    return next;
  });
}

async function measure(
  env: CustomerEnv,
  state: JobState,
  round: RoundState,
  base: ParamSet,
  updates: ReadonlyMap<number, ParamSet>,
  drawn: OpenedStates['drawn'],
): Promise<Verdict> {
  const job = state.job!;
  const engine = await env.engine();
  const { spot, validators } = job.content;
  if (validators !== undefined)
    env.progress.warn(`round ${round.round + 1}: too few validators revealed scores, so the customer’s own count`);
  if (spot !== null && spot.engine !== engine.id)
    env.progress.warn(`nothing is repeated: the engine here is ${engine.id}, the job names ${spot.engine}`);
  const model = (hash: Sha256) => loadModel(env, state, hash);
  const suspects =
    spot === null ? new Set<number>() : await likelyReplays({ files: env.files, model }, state, round, base, updates);
  for (const shard of suspects)
    env.progress.warn(
      `${round.listedReveals.get(shard)!.author.slice(0, 12)}… sent nearly what was sent before: its whole training is repeated`,
    );
  const repeated = await repeatDrawn(
    engine,
    round,
    drawn,
    suspects,
    async (trainer, shard) => ({
      ...{ terms: job.content, base, seed: fromHex(env.secrets.seed), round: round.round, shard, trainer },
      examples: await env.data.shard(shard),
    }),
    env.signal,
    ({ id }, ends) => env.files.write(endsFile(id), Buffer.from(JSON.stringify(ends))),
  );
  const scoring = fromHex(env.secrets.scoring);
  const scores = await env.book.sign('scores', {
    round: round.round,
    list: round.revealList!.id,
    engine: engine.id,
    data: job.content.evalA.commitment,
    scores: await scoreUpdates(engine, env.data, scoring, job, round, base, updates, repeated),
  });
  return { by: scores.id, from: 'customer', rows: scores.content.scores };
}
