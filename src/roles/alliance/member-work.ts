import { isNmktError } from '../../errors.js';
import { type Bytes, type EventId } from '../../hash.js';
import { encodeParams } from '../../learning/safetensors.js';
import { chainCommitment, chainElement, trainingSeed } from '../../learning/seeds.js';
import { sideOf } from '../../market/alliance/list-rules.js';
import { allianceDue } from '../../market/alliance/settle-rules.js';
import { endOf, type AllianceRoundState, type AllianceState } from '../../market/alliance/state.js';
import { groupCommitment } from '../../protocol/alliance/job.js';
import { proposalKey } from '../../protocol/alliance/proposal.js';
import { sha256Hex } from '../../hash.js';
import { measuredPpm } from '../measure.js';
import { describeStep } from '../pace.js';
import { blobSecrets, chunkExpiry, publishSealed } from '../round-blobs.js';
import { slashInAlliance } from '../slash.js';
import { lockFor } from '../stake.js';
import { whileOpen } from '../while-open.js';
import type { MemberEnv } from './env.js';
import {
  commitmentToBallot,
  commitmentToProposal,
  keepBallot,
  keepGroup,
  keepProposal,
  keptBallot,
  keptGroup,
  keptProposal,
  keptSecrets,
  makeSecrets,
} from './member-files.js';
import { aggregateOf, baseOf, keepModel, gatherProposals, proposalLabel, type ModelEnv } from './models.js';

/** What a member carries out: each signs at most one event, after everything it needs is durable. */

export async function register(env: MemberEnv, { job }: AllianceState): Promise<void> {
  const { nonces } = await makeSecrets(env);
  const { id } = await env.engine();
  const { deadline, rounds } = job.content;
  const nonceCommitment = chainCommitment(nonces, rounds);
  const lock = await lockFor(env.book, env.signer.pubkey, 'trainer', env.stake);
  const named = lock === undefined ? {} : { lock };
  const content = { engine: id, nonceCommitment, expires: chunkExpiry(deadline), ...named };
  await env.book.sign('register', content, [job.author]);
}

export async function showNonce(env: MemberEnv, { job }: AllianceState, round: AllianceRoundState): Promise<void> {
  const { nonces } = (await keptSecrets(env))!;
  const nonce = chainElement(nonces, job.content.rounds, round.round);
  await env.book.sign('nonce', { round: round.round, list: round.open.id, nonce }, [job.author]);
}

/** A keeper that is away, or says no, costs a share of what is lost, and no work: `nmkt slash` asks again. */
export async function report(env: MemberEnv, votes: readonly EventId[]): Promise<void> {
  try {
    const stake = await env.stake!.stake();
    if (stake === null) return;
    const found = await slashInAlliance(env.book, stake, env.signer.pubkey, new Set(votes));
    for (const { guilty, takenMsat, refused } of found)
      env.progress.note(
        `a vote of ${guilty.slice(0, 12)}… that lost: ${refused ?? `${takenMsat / 1000n} sat of its stake are slashed`}`,
      );
  } catch (error) {
    if (!isNmktError(error)) throw error;
    env.progress.warn(`no stake is slashed: ${error.message}`);
  }
}

/** The group's key, as the job commits to it; kept in the home, for relays forget. Undefined: its grant has not come. */
export async function groupKey(
  env: Pick<MemberEnv, 'inbox' | 'files'>,
  { jobId, job }: AllianceState,
): Promise<Bytes | undefined> {
  const { groupCommitment: committed } = job.content.alliance;
  const kept = await keptGroup(env);
  if (kept !== undefined && groupCommitment(kept) === committed) return kept;
  const received = env.inbox
    .grants(jobId, 'group')
    .find(({ from, grant }) => from === job.author && groupCommitment(grant.key) === committed);
  if (received === undefined) return undefined;
  await keepGroup(env, received.grant.key);
  return received.grant.key;
}

async function modelEnv(env: MemberEnv, state: AllianceState): Promise<ModelEnv> {
  const { relays, files, signal, clock } = env;
  return { relays, files, signal, nowSec: clock.nowSec(), group: (await groupKey(env, state))! };
}

/** Is it still this step of this round? */
function isStill(env: MemberEnv, round: AllianceRoundState, next: 'commits' | 'voteCommits'): boolean {
  const { state } = env.book.state();
  return state?.rounds.at(-1)?.round === round.round && state.rounds.at(-1)![next] === null;
}

/** Trains from the global model on its own data and commits to what came out. */
export async function propose(env: MemberEnv, state: AllianceState, round: AllianceRoundState): Promise<void> {
  let kept = await keptProposal(env, round);
  if (kept === undefined) {
    const trained = await trainProposal(env, state, round);
    if (trained === null) return;
    // A commitment cannot be trained again: salt and bytes are durable before it is signed.
    kept = await keepProposal(env, round, trained);
  }
  if (!isStill(env, round, 'commits')) return;
  const commitment = commitmentToProposal(env, state, round, kept);
  await env.book.sign('commit', { round: round.round, shard: 0, open: round.draw!.id, commitment }, [state.job.author]);
}

/** @returns canonical bytes; null: the round went on without it */
async function trainProposal(env: MemberEnv, state: AllianceState, round: AllianceRoundState): Promise<Bytes | null> {
  const { model, hyper, seed, rounds } = state.job.content;
  const name = `job ${state.jobId.slice(0, 12)}…, round ${round.round + 1} of ${rounds}`;
  const weights = await baseOf(await modelEnv(env, state), state, round.round);
  const { train: examples } = await env.local();
  const engine = await env.engine();
  const startMs = env.clock.nowMs();
  const request = { model, hyper, weights, examples, seed: trainingSeed(seed, round.round, 0, env.signer.pubkey) };
  const onProgress = (done: number, total: number, loss: number): void => {
    const at = { from: 0, done, total, loss, batch: hyper.batch, elapsedMs: env.clock.nowMs() - startMs };
    env.progress.update(`${name}: ${describeStep(at)}`);
  };
  const isOpen = (): boolean => isStill(env, round, 'commits');
  const result = await whileOpen(env, isOpen, (signal) => engine.train(request, onProgress, signal));
  if (result === null)
    env.progress.warn(`${name}: the round goes on without this proposal, its commitments are listed`);
  return result && encodeParams(result.weights);
}

export async function reveal(env: MemberEnv, state: AllianceState, round: AllianceRoundState): Promise<void> {
  const { salt, model } = (await keptProposal(env, round))!;
  const { uploads } = (await keptSecrets(env))!;
  const me = env.signer.pubkey;
  const { pointer, inline } = await publishSealed(
    env.relays,
    model,
    {
      key: proposalKey((await groupKey(env, state))!, round.round, me),
      upload: blobSecrets(uploads, 'proposal', round.round).upload,
      label: proposalLabel(state.jobId, round.round, me),
      dateSec: state.job.createdAt,
      expirationSec: chunkExpiry(state.job.content.deadline),
    },
    env.signal,
  );
  await env.book.sign(
    'proposal',
    {
      ...{ round: round.round, list: round.commits!.list.id, commit: round.commits!.by.get(me)!.id, salt },
      ...{ model: sha256Hex(model), engine: (await env.engine()).id, pointer },
      ...(inline === undefined ? {} : { inline }),
    },
    [state.job.author],
  );
}

/** Aggregates what opens, measures it on its own test data and commits to its word. */
export async function vote(env: MemberEnv, state: AllianceState, round: AllianceRoundState): Promise<void> {
  const ballot = (await keptBallot(env, round)) ?? (await makeBallot(env, state, round));
  if (!isStill(env, round, 'voteCommits')) return;
  const commitment = commitmentToBallot(env, state, round, ballot);
  await env.book.sign('score-commit', { round: round.round, list: round.proposals!.list.id, commitment }, [
    state.job.author,
  ]);
}

async function makeBallot(env: MemberEnv, state: AllianceState, round: AllianceRoundState) {
  const models = await modelEnv(env, state);
  const terms = state.job.content;
  const base = await baseOf(models, state, round.round);
  const opened = await gatherProposals(models, state, round);
  const next = aggregateOf(terms, base, opened);
  const aggregate = await keepModel(env, next);
  const engine = await env.engine();
  const { test } = await env.local();
  const beforePpm = measuredPpm(await engine.evaluate(terms.model, base, test));
  const afterPpm = measuredPpm(await engine.evaluate(terms.model, next, test));
  const side = sideOf(terms.alliance, { beforePpm, afterPpm });
  const proposals = [...round.proposals!.by].filter(([key]) => opened.has(key)).map(([, { id }]) => id);
  return keepBallot(env, round, { proposals, aggregate, vote: side, beforePpm, afterPpm });
}

export async function showVote(env: MemberEnv, state: AllianceState, round: AllianceRoundState): Promise<void> {
  const { proposals, ...ballot } = (await keptBallot(env, round))!;
  const { list, by } = round.voteCommits!;
  await env.book.sign(
    'vote',
    {
      ...{ round: round.round, list: list.id, commit: by.get(env.signer.pubkey)!.id },
      ...{ ...ballot, proposals: [...proposals], engine: (await env.engine()).id },
    },
    [state.job.author],
  );
}

/** What the customer would say; it counts because everybody recomputes it. */
export async function settle(env: MemberEnv, state: AllianceState, round: AllianceRoundState): Promise<void> {
  const { plan, carried: _, ...due } = allianceDue(state, round);
  env.progress.warn(`round ${round.round + 1}: the customer is silent, this member says what the round pays`);
  await env.book.sign('alliance-settlement', { round: round.round, last: endOf(round)!, ...due, plan: [...plan] }, [
    ...new Set(plan.map(({ payee }) => payee)),
  ]);
}
