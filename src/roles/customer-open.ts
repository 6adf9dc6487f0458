import { fromHex } from '../hash.js';
import { differencesOf } from '../market/base-chain.js';
import type { JobState } from '../market/state.js';
import { MAX_DIFFERENCES } from '../protocol/round.js';
import { announce, smallest } from './base-model.js';
import type { CustomerEnv } from './customer-env.js';
import { initialModel, keepModel, keptModel, loadModel } from './customer-models.js';
import { baseLabel, chunkExpiry, publishBytes } from './round-blobs.js';

/** Publishes the model that a round starts from, whole or as a difference, whichever takes fewer bytes; then opens the round. */
export async function openRound(env: CustomerEnv, state: JobState, round: number): Promise<void> {
  const terms = state.job!.content;
  const base = state.modelHash === null ? initialModel(env, state) : await loadModel(env, state, state.modelHash);
  await keepModel(env, base);
  const last =
    differencesOf(state.rounds) < MAX_DIFFERENCES ? state.rounds.at(-1)?.open.content.base.sha256 : undefined;
  const before = last === undefined ? undefined : await keptModel(env, state, last);
  const { bytes, isWhole } = smallest(base, before ?? null);
  const published = await publishBytes(
    env.relays,
    bytes,
    {
      secret: fromHex(env.secrets.blobs),
      purpose: 'base',
      index: round,
      label: baseLabel(state.jobId, round),
      dateSec: state.job!.createdAt,
      expirationSec: chunkExpiry(terms.deadline),
    },
    env.signal,
  );
  const seats = [...state.assignments.values()].sort((a, b) => a.shard - b.shard);
  const trainers = seats.map(({ trainer, shard }) => ({ trainer, shard }));
  await env.book.sign(
    'open',
    {
      round,
      ...announce(base, published, isWhole ? null : last!),
      trainers,
      until: env.clock.nowSec() + terms.roundTimeoutSec,
    },
    trainers.map((seat) => seat.trainer),
  );
}
