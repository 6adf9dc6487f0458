import type { EventId } from '../hash.js';
import type { JobState } from '../market/state.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { CustomerData } from './customer-data.js';
import type { TrainerEnv } from './trainer.js';
import { decideValidator, type ValidatorAction } from './validator-decide.js';
import { grantsOf } from './validator-data.js';
import { disputeKeys, judge, showDisputeNonce } from './validator-disputes.js';
import { validatorStory } from './validator-story.js';
import { complain, hasScored, missingUpdates, showNonce, register, revealScores, score } from './validator-work.js';
import { countersignedMsat, workOn } from './worker-loop.js';

export interface ValidatorEnv extends Omit<TrainerEnv, 'terms' | 'shard' | 'post'> {
  /** Of evaluation set A; `snapshot` is of the training data. */
  readonly evalA: Snapshot;
  /** What was opened of this job. */
  readonly data: { opened: CustomerData | null };
}

/** `wasOver`: the job was over before this run did anything. */
export type ValidatorEnd = { readonly wasOver: boolean } & (
  | { readonly end: 'done'; readonly rounds: number; readonly paidMsat: bigint }
  | { readonly end: 'lost' | 'stopped'; readonly why: string }
);

/** Scores one job from its registration to the last fee. A crash anywhere and a new start give the same events. */
export async function serveValidator(env: ValidatorEnv): Promise<ValidatorEnd> {
  const end = await untilTheEnd(env);
  await env.chunks.remove();
  return end;
}

async function untilTheEnd(env: ValidatorEnv): Promise<ValidatorEnd> {
  const scored = new Set<EventId>();
  const unjudged = new Set<EventId>();
  const me = env.signer.pubkey;
  const { wasOver, state, action } = await workOn<ValidatorAction>(env, {
    story: (now) => validatorStory(now, me),
    async lookUp(now) {
      for (const round of now.rounds)
        if (round.scoreCommits.has(me) && !scored.has(round.open.id) && (await hasScored(env, now, round)))
          scored.add(round.open.id);
    },
    decide: (at, facts, now) =>
      decideValidator(
        at,
        {
          ...facts,
          hasKeys: (round) => grantsOf(env, at, round) !== undefined,
          missingUpdates: (round) => missingUpdates(env, at, round),
          canReveal: ({ open }) => scored.has(open.id),
          canJudge: (dispute) => !unjudged.has(dispute.draw!.id) && disputeKeys(env, at, dispute) !== undefined,
        },
        now,
      ),
    async carryOut(now, next) {
      if (next.do !== 'judge') return carryOut(env, now, next);
      const why = await judge(env, now, next.dispute);
      if (why === null) return;
      unjudged.add(next.dispute.draw!.id);
      env.progress.warn(`a disputed segment cannot be repeated: ${why}`);
    },
  });
  if (action.do === 'lost') return { wasOver, end: 'lost', why: action.why };
  if (action.do === 'stop') return { wasOver, end: 'stopped', why: action.why };
  return { wasOver, end: 'done', rounds: scoredRounds(state, me), paidMsat: countersignedMsat(state, me) };
}

type Work = Extract<
  ValidatorAction,
  {
    do: 'register' | 'nonce' | 'score' | 'reveal' | 'complain' | 'dispute-nonce';
  }
>;

/** Rounds in which its scores counted. */
export function scoredRounds(state: JobState, me: JobState['validators'][number]['validator']): number {
  return state.rounds.filter(({ listedScoreReveals }) => listedScoreReveals.has(me)).length;
}

async function carryOut(env: ValidatorEnv, state: JobState, action: Work): Promise<void> {
  switch (action.do) {
    case 'register':
      await register(env, state);
      return;
    case 'nonce':
      await showNonce(env, state, action.round);
      return;
    case 'score':
      env.progress.update(`round ${action.round.round + 1}: scoring ${action.round.listedReveals.size} updates`);
      await score(env, state, action.round);
      return;
    case 'reveal':
      await revealScores(env, state, action.round);
      return;
    case 'dispute-nonce':
      await showDisputeNonce(env, state, action.dispute);
      return;
    case 'complain':
      await complain(env, state, action.round, action.subject);
      return;
  }
}
