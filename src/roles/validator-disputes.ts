import type { Pubkey } from '../hash.js';
import { chainCommitment, chainElement } from '../learning/seeds.js';
import { isAsked, mayChangeUntil, silentIn, unheardComplaints, type DisputeState } from '../market/dispute-state.js';
import type { JobState, RoundState } from '../market/state.js';
import { MAX_DISPUTES } from '../protocol/dispute.js';
import { grantHash, type RoundGrant, type ShardGrant } from '../protocol/grant.js';
import type { SealedUpdate } from '../protocol/submission.js';
import { isUnproven } from './missing.js';
import { isOwnTrouble } from './patience.js';
import { openState, repeatSegment } from './spot-check.js';
import { openBase } from './trainer-base.js';
import { openGrantedShard } from './trainer-grant.js';
import type { ValidatorEnv } from './validator.js';
import { updateGrantFor } from './validator-data.js';

/** What a validator does in a dispute: it opens its nonce, and when it is drawn repeats the segment and says in public what it ends in. */

export type DisputeAction =
  | { readonly do: 'dispute-nonce'; readonly dispute: DisputeState }
  | { readonly do: 'judge'; readonly dispute: DisputeState };

type Wait = { readonly do: 'wait'; readonly for: string; readonly until: number };

/** The first that is due now, else the first that may come to be; pure. */
export function decideDispute(
  state: JobState,
  me: Pubkey,
  canJudge: (dispute: DisputeState) => boolean,
  now: number,
): DisputeAction | Wait | null {
  const terms = state.job!.content.disputes;
  if (terms === undefined) return null;
  const { withinSec } = terms;
  const next = state.disputes.flatMap((dispute): (DisputeAction | Wait)[] => {
    const { opened, draw, order, verdicts, eligible, nonces } = dispute;
    if (!eligible.some(({ validator }) => validator === me)) return [];
    if (draw === null) {
      const until = opened.createdAt + 2 * withinSec;
      if (now >= until) return [];
      if (!nonces.has(me)) return [{ do: 'dispute-nonce', dispute }];
      return [{ do: 'wait', for: 'the draw of who repeats a disputed segment', until }];
    }
    if (order?.includes(me) !== true || verdicts.some(({ author }) => author === me)) return [];
    if (isAsked(dispute, me, silentIn(dispute, withinSec, now)) && canJudge(dispute)) return [{ do: 'judge', dispute }];
    const until = mayChangeUntil(dispute, withinSec);
    return now < until ? [{ do: 'wait', for: 'what becomes of a disputed segment', until }] : [];
  });
  const unheard = unheardComplaints(state).map(({ createdAt }): Wait => {
    return { do: 'wait', for: 'the customer to list a complaint', until: createdAt + 2 * withinSec };
  });
  return (
    next.find((action) => action.do !== 'wait') ?? [...next, ...unheard.filter(({ until }) => now < until)][0] ?? null
  );
}

const CHAIN_FILE = 'dispute-chain.bin';

/** The end of the own chain of nonces for disputes; drawn once for a job. */
async function disputeChain(env: ValidatorEnv): Promise<Uint8Array> {
  const kept = await env.files.read(CHAIN_FILE);
  if (kept?.length === 32) return kept;
  const fresh = env.random(32);
  await env.files.write(CHAIN_FILE, fresh);
  return fresh;
}

/** Of a registration; nothing in jobs without disputes. */
export async function disputeCommitment(env: ValidatorEnv, { job }: JobState) {
  if (job!.content.disputes === undefined) return {};
  return { disputeCommitment: chainCommitment(await disputeChain(env), MAX_DISPUTES) };
}

export async function showDisputeNonce(
  env: ValidatorEnv,
  state: JobState,
  { index, opened }: DisputeState,
): Promise<void> {
  const nonce = chainElement(await disputeChain(env), MAX_DISPUTES, index);
  await env.book.sign('dispute-nonce', { round: opened.content.round, dispute: opened.id, nonce }, [state.job!.author]);
}

interface Keys {
  readonly shard: ShardGrant;
  /** In the order in which they are tried: anybody can send a wrong one. */
  readonly rounds: readonly RoundGrant[];
  /** Likewise; null: the segment begins at the base. */
  readonly states: readonly SealedUpdate['state'][];
}

/** What customer or trainer gave of it; undefined while something is missing. */
export function disputeKeys(env: ValidatorEnv, state: JobState, { fraud, draw }: DisputeState): Keys | undefined {
  const { inbox } = env;
  const { round, shard, segment, trainer } = fraud.content;
  const seat = state.rounds[round]?.assigned.find((one) => one.shard === shard && one.trainer === trainer);
  const isParty = ({ from }: { readonly from: Pubkey }) => from === trainer || from === state.job!.author;
  // The award says what it hashes to: whoever passes it on, it is that one.
  const granted = inbox.shardGrants(state.jobId).find(({ content }) => grantHash(content) === seat?.grant)?.grant;
  const rounds = inbox
    .roundGrants(state.jobId)
    .filter((one) => isParty(one) && one.grant.round === round)
    .map(({ grant }) => grant);
  const states = inbox
    .segmentGrants(state.jobId)
    .filter(({ from, grant }) => from === trainer && grant.draw === draw?.id)
    .map(({ grant }) => grant.state);
  // Who scored the round has it already, where the drawn segment is the disputed one: a trainer that goes silent hides nothing.
  const scored = updateGrantFor(env, state, fraud.content.submission)?.grant.update?.state;
  if (scored != null) states.push(scored);
  if (granted === undefined || rounds.length === 0) return undefined;
  if (segment === 0) return { shard: granted, rounds, states: [null] };
  return states.length === 0 ? undefined : { shard: granted, rounds, states };
}

/**
 * Repeats the segment, says what it ends in.
 *
 * @returns why it cannot be repeated, or null
 */
export async function judge(env: ValidatorEnv, state: JobState, dispute: DisputeState): Promise<string | null> {
  const { round: index, shard, segment, trainer } = dispute.fraud.content;
  const round = state.rounds[index]!;
  const terms = state.job!.content;
  const keys = disputeKeys(env, state, dispute)!;
  const engine = await env.engine();
  if (engine.id !== terms.spot!.engine) return `the engine here is ${engine.id}, the job names ${terms.spot!.engine}`;
  let hash: Awaited<ReturnType<typeof repeatSegment>>;
  try {
    const base = await firstThat(keys.rounds, (key) => openBase(ownFiles(env), state, round, key));
    const before = await firstThat(keys.states, (key) => startOf(env, state, round, base, shard, segment, key));
    const examples = await openGrantedShard(env, state, keys.shard);
    const training = { terms, base, examples, seed: keys.shard.seed, round: index, shard, trainer };
    hash = await repeatSegment(engine, training, segment, before, env.signal);
  } catch (error) {
    const dueAt = dispute.draw!.createdAt;
    if (isOwnTrouble(error) || isUnproven(error, env.clock.nowSec() - dueAt)) throw error;
    return (error as Error).message;
  }
  if (env.book.state().disputes[dispute.index]?.verdicts.some(({ author }) => author === env.signer.pubkey))
    return null;
  await env.book.sign('verdict', { round: index, shard, draw: dispute.draw!.id, engine: engine.id, segment, hash }, [
    trainer,
    state.job!.author,
  ]);
  return null;
}

function startOf(
  env: ValidatorEnv,
  state: JobState,
  round: RoundState,
  base: Awaited<ReturnType<typeof openBase>>,
  shard: number,
  segment: number,
  key: SealedUpdate['state'],
) {
  return segment === 0
    ? Promise.resolve(null)
    : openState(env.relays, state, round, base, shard, segment, key, env.signal);
}

/** The model of an earlier round must not take the place of the last one. */
function ownFiles({ files, ...env }: ValidatorEnv): ValidatorEnv {
  const own = (name: string) => `dispute-${name}`;
  return {
    ...env,
    files: { read: (name) => files.read(own(name)), write: (name, bytes) => files.write(own(name), bytes) },
  };
}

/** The last error where none is right. */
async function firstThat<K, T>(keys: readonly K[], open: (key: K) => Promise<T>): Promise<T> {
  for (const key of keys.slice(0, -1))
    try {
      return await open(key);
    } catch (error) {
      if (isOwnTrouble(error)) throw error;
    }
  return open(keys.at(-1)!);
}
