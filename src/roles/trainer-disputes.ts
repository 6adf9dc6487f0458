import type { Pubkey, Sha256 } from '../hash.js';
import type { EngineId } from '../learning/types.js';
import type { DisputeState } from '../market/dispute-state.js';
import type { JobState } from '../market/state.js';
import { encodeGrant, type RoundGrant, type ShardGrant } from '../protocol/grant.js';
import type { EventOf } from '../protocol/events.js';
import { sendEach, type SentGrant } from './customer-grants.js';
import type { Received } from './inbox.js';
import { repeatSegment } from './spot-check.js';
import { openBase } from './trainer-base.js';
import { openedShard } from './trainer-grant.js';
import { findStart, showState } from './trainer-work.js';
import type { TrainerEnv } from './trainer.js';

/** What a trainer carries out that is called a fraud: it repeats the segment, complains, and gives the validators what they need to repeat it. */

/**
 * Repeats the segment that the customer calls forged.
 *
 * @returns what follows from it, as half a sentence
 */
export async function answerFraud(
  env: TrainerEnv,
  state: JobState,
  fraud: EventOf<'fraud'>,
  shardGrant: ShardGrant | undefined,
  roundGrant: RoundGrant | undefined,
): Promise<string> {
  const { content } = fraud;
  const { round: index, shard, segment } = content;
  const round = state.rounds[index]!;
  const terms = state.job!.content;
  const before = segment === 0 ? null : await findStart(env, state, round, shard, segment);
  const unknown = 'this home cannot repeat it any more';
  if (shardGrant === undefined || roundGrant === undefined || before === undefined) return unknown;
  const base = await openBase(env, state, round, roundGrant);
  const examples = await openedShard(env, state, shardGrant);
  const training = { terms, base, examples, seed: shardGrant.seed, round: index, shard };
  const engine = await env.engine();
  if (engine.id !== terms.spot!.engine) return unknown;
  const hash = await repeatSegment(engine, { ...training, trainer: env.signer.pubkey }, segment, before, env.signal);
  if (hash === content.committed) {
    await contradict(env, state, fraud, engine.id, hash);
    return 'repeated here it ends in what was committed: the accusation is false if both engines work; an audit with the shard tells';
  }
  return 'repeated here it does not end in what was committed either';
}

/** Says in public, once, what the segment ends in here. */
async function contradict(
  env: TrainerEnv,
  state: JobState,
  { id, content: { round, shard, segment } }: EventOf<'fraud'>,
  engine: EngineId,
  hash: Sha256,
): Promise<void> {
  const mine = state.chains.get(env.signer.pubkey)?.events ?? [];
  if (mine.some((event) => event.type === 'complaint' && event.content.subject === id)) return;
  const found = { what: 'segment' as const, segment, hash };
  const detail = 'repeated by its trainer it ends as committed';
  await env.book.sign('complaint', { round, shard, subject: id, engine, found, detail }, [state.job!.author]);
}

/** Its own end of the segment against that of a validator. */
export async function appeal(
  env: TrainerEnv,
  state: JobState,
  { fraud }: DisputeState,
  verdict: EventOf<'verdict'>,
): Promise<void> {
  const { round, shard, segment, committed } = fraud.content;
  const found = { what: 'segment' as const, segment, hash: committed };
  const detail = 'repeated by its trainer it ends as committed';
  const { engine } = state.job!.content.spot!;
  await env.book.sign('complaint', { round, shard, subject: verdict.id, engine, found, detail }, [
    verdict.author,
    state.job!.author,
  ]);
}

/** The trainer's own grants as it got them, and the key to the state before the segment. */
export async function passOn(
  env: TrainerEnv,
  state: JobState,
  { draw, fraud }: DisputeState,
  to: Pubkey,
  grants: readonly Received<unknown>[],
  sent: Map<string, SentGrant>,
): Promise<void> {
  const { round, shard, segment } = fraud.content;
  const before = await showState(env, state, state.rounds[round]!, shard, segment);
  const notAfter = state.job!.content.deadline;
  const key = encodeGrant({ purpose: 'segment', job: state.jobId, draw: draw!.id, state: before, notAfter });
  const letters = [...grants.map((grant) => grant.content), key].map((content, index) => ({
    id: `${draw!.id}/${to}/${index}`,
    to,
    content,
  }));
  const { relays, progress, post } = env;
  await sendEach({ relays, progress, allowedRelay: post!.allowedRelay }, letters, post!.wrap, sent);
}
