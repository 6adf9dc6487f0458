import { fromHex, type Pubkey } from '../hash.js';
import { awaitedSeats, hasResigned, type JobState } from '../market/state.js';
import { encodeGrant, type Grant } from '../protocol/grant.js';
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
