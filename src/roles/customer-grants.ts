import { fromHex, type Pubkey } from '../hash.js';
import { awaitedSeats, hasResigned, type JobState } from '../market/state.js';
import { encodeGrant, type Grant } from '../protocol/grant.js';
import type { NostrEvent } from '../ports.js';
import type { CustomerEnv } from './customer-env.js';
import { ownShardKey } from './epoch.js';
import { blobSecrets } from './round-blobs.js';

/** A trainer's key to its shard; the same bytes each time, so that the award can name their hash. */
export function shardGrant(env: CustomerEnv, state: JobState, shard: number): string {
  const { manifest, id } = env.data.train;
  const { secrets } = env.secrets.train;
  return encodeGrant({
    purpose: 'shard',
    job: state.jobId,
    snapshot: id,
    shard,
    key: ownShardKey(manifest, secrets, shard),
    seed: fromHex(env.secrets.seed),
    locator: secrets.locator,
    blind: fromHex(secrets.blind),
    notAfter: state.job!.content.deadline,
  });
}

export interface GrantToSend {
  /** One wrap per process and id. */
  readonly id: string;
  readonly to: Pubkey;
  readonly content: string;
}

/** Grants that somebody may still wait for: shards without an answer, the round key of trainers that have not committed. */
export function dueGrants(env: CustomerEnv, state: JobState): readonly GrantToSend[] {
  const due: GrantToSend[] = [];
  for (const seat of state.assignments.values())
    if (seat.ready === null && seat.grantBad === null && !hasResigned(state, seat.trainer))
      due.push({ id: `${seat.award}/${seat.shard}`, to: seat.trainer, content: shardGrant(env, state, seat.shard) });
  const round = state.phase === 'committing' ? state.rounds.at(-1) : undefined;
  for (const seat of round === undefined ? [] : awaitedSeats(state, round))
    if (!round!.commits.has(seat.trainer))
      due.push({
        id: `${round!.open.id}/${seat.trainer}`,
        to: seat.trainer,
        content: encodeGrant(roundGrant(env, state, round!.round)),
      });
  return due;
}

function roundGrant(env: CustomerEnv, state: JobState, round: number): Grant {
  const { key } = blobSecrets(fromHex(env.secrets.blobs), 'base', round);
  return { purpose: 'round', job: state.jobId, round, key, notAfter: state.job!.content.deadline };
}

/** A grant as it was sent, and the relays that could not be reached with it. */
export interface SentGrant {
  readonly wrapped: NostrEvent;
  readonly lacking: ReadonlySet<string>;
  readonly isOnSome: boolean;
}

/**
 * Sends each due grant once. A relay that was away gets it when it answers again: the trainer may be started again when only that
 * one is left.
 *
 * @param sent      by grant, of this run; changed
 * @param answered  relays that answered just now
 */
export async function sendGrants(
  env: CustomerEnv,
  state: JobState,
  wrap: (content: string, to: string) => Promise<NostrEvent>,
  sent: Map<string, SentGrant>,
  answered: readonly string[] = [],
): Promise<void> {
  for (const grant of dueGrants(env, state)) {
    const known = sent.get(grant.id);
    const to =
      known === undefined || !known.isOnSome ? env.relays.urls : answered.filter((relay) => known.lacking.has(relay));
    if (to.length === 0) continue;
    const wrapped = known?.wrapped ?? (await wrap(grant.content, grant.to));
    const outcomes = await env.relays.publish(wrapped, to);
    const lacking = new Set(known?.lacking ?? env.relays.urls);
    for (const { relay, state: took } of outcomes) if (took !== 'unreachable') lacking.delete(relay);
    const isOnSome = known?.isOnSome === true || outcomes.some((outcome) => outcome.state === 'stored');
    if (!isOnSome && known === undefined)
      env.progress.warn(`a grant for ${grant.to.slice(0, 12)}… reached no relay; it is sent again until one takes it`);
    sent.set(grant.id, { wrapped, lacking, isOnSome });
  }
}
