import { fromHex } from '../hash.js';
import { publicFailure } from '../market/acceptance.js';
import type { JobState, RoundState } from '../market/state.js';
import { isScoredByValidators, scorersOf } from '../market/score-rules.js';
import { parseSnapshot } from '../protocol/dataset.js';
import { encodeGrant } from '../protocol/grant.js';
import type { CustomerEnv } from './customer-env.js';
import { roundGrant, shardGrant, type GrantToSend } from './customer-grants.js';
import { loadModel } from './customer-models.js';
import { ownShardKey } from './epoch.js';
import { openSealedUpdate, openUpdates, publicEvidence } from './measure.js';

/** What the customer gives to its validators: the data, the models of rounds, and the updates they score. */

/** The key to set A and the scoring secret; the same bytes each time, so that the award can name their hash. */
export function evalGrant(env: CustomerEnv, state: JobState): string {
  const { event, secrets } = env.secrets.a;
  const { manifest, id } = parseSnapshot(event);
  return encodeGrant({
    purpose: 'eval',
    job: state.jobId,
    snapshot: id,
    key: ownShardKey(manifest, secrets, 0),
    scoring: fromHex(env.secrets.scoring),
    locator: secrets.locator,
    blind: fromHex(secrets.blind),
    notAfter: state.job!.content.deadline,
  });
}

/** Grants that a validator may still wait for. @param isSent  by this process */
export async function validatorGrants(
  env: CustomerEnv,
  state: JobState,
  isSent: (id: string) => boolean,
): Promise<readonly GrantToSend[]> {
  const round = state.rounds.at(-1);
  const isOpen = round !== undefined && round.close === null && round.voided === null;
  const due: GrantToSend[] = [];
  for (const { validator, isLost } of state.validators) {
    const said = state.chains.get(validator)?.events ?? [];
    const ofJob = (what: string, content: string) =>
      due.push({ id: `${state.award!.id}/${what}/${validator}`, to: validator, content });
    // Who has committed to scores once, has all of them.
    if (!isLost && !said.some(({ type }) => type === 'score-commit')) {
      ofJob('eval', evalGrant(env, state));
      env.data.train.manifest.shards.forEach((_, shard) => ofJob(`shard ${shard}`, shardGrant(env, state, shard)));
    }
    if (isOpen && !round.scoreCommits.has(validator) && round.validators.some((seat) => seat.validator === validator))
      due.push({
        id: `${round.open.id}/${validator}`,
        to: validator,
        content: encodeGrant(roundGrant(env, state, round.round)),
      });
  }
  // On rail key-sale trainers give the keys: the customer has none.
  const isGiver = state.job!.content.rail !== 'key-sale';
  if (isGiver && isOpen && state.phase === 'scoring' && round.scoreCommitList === null)
    due.push(...(await updateGrants(env, state, round, isSent)));
  return due;
}

/** Each update that opens here, and of each other one that it does not. */
async function updateGrants(
  env: CustomerEnv,
  state: JobState,
  round: RoundState,
  isSent: (id: string) => boolean,
): Promise<readonly GrantToSend[]> {
  const job = state.job!;
  if (!isScoredByValidators(job.content, round)) return [];
  const evidence = publicEvidence(job, round);
  const scored = [...round.listedReveals].filter(([shard]) => publicFailure(evidence, shard) === null);
  const waiting = scorersOf(job.content, round).filter(({ validator }) => !round.scoreCommits.has(validator));
  const named = waiting.flatMap(({ validator }) =>
    scored.map(([shard, { id: submission }]) => ({ id: `${submission}/${validator}`, validator, shard, submission })),
  );
  if (named.every(({ id }) => isSent(id))) return [];
  const base = await loadModel(env, state, round.open.content.base.sha256);
  const keys = (reveal: Parameters<typeof openSealedUpdate>[1]) => openSealedUpdate(env.signer, reveal);
  const { sealed, findings } = await openUpdates(
    ...([env.relays, keys, job, round, base, env.clock.nowSec(), env.signal, env.files] as const),
  );
  return named.map(({ id, validator, shard, submission }) => ({
    id,
    to: validator,
    content: encodeGrant({
      ...{ purpose: 'update', job: job.id, submission, notAfter: job.content.deadline },
      update: findings.has(shard) ? null : (sealed.get(shard) ?? null),
    }),
  }));
}
