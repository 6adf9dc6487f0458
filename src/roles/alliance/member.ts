import type { AllianceRoundState, AllianceState } from '../../market/alliance/state.js';
import type { FoldedAlliance } from '../../market/alliance/fold.js';
import type { ServeEnd } from '../trainer.js';
import { countersignedMsat, workOn } from '../worker-loop.js';
import type { MemberEnv } from './env.js';
import { decideMember, type MemberAction, type MemberWork } from './member-decide.js';
import { commitmentToBallot, commitmentToProposal, keptBallot, keptProposal, keptSecrets } from './member-files.js';
import { memberStory } from './member-story.js';
import { groupKey, showNonce, propose, register, report, reveal, settle, showVote, vote } from './member-work.js';
import type { EventId } from '../../hash.js';

/** Takes part in an alliance from its registration to its last payment. A crash anywhere and a new start give the same events. */
export async function serveAlliance(env: MemberEnv): Promise<ServeEnd> {
  const me = env.signer.pubkey;
  const kept = new Set<string>();
  const reported = new Set<EventId>();
  let [hasKey, hasSecrets] = [false, false];
  const { wasOver, state, action } = await workOn<MemberAction, FoldedAlliance>(env, {
    story: (now) => memberStory(now, me),
    async lookUp({ state: now }) {
      if (now === null) return;
      hasKey ||= (await groupKey(env, now)) !== undefined;
      hasSecrets ||= (await keptSecrets(env)) !== undefined;
      const round = now.rounds.at(-1);
      if (round === undefined) return;
      for (const what of ['proposal', 'vote'] as const)
        if (!kept.has(workOf(round, what)) && (await keeps(env, now, round, what))) kept.add(workOf(round, what));
    },
    decide: (at, facts, now) =>
      decideMember(
        at,
        {
          ...{ ...facts, hasKey, hasSecrets, reported, canReport: env.stake !== undefined },
          keeps: (round, what) => kept.has(workOf(round, what)),
        },
        now,
      ),
    async carryOut({ state: now }, next) {
      await carryOut(env, now!, next);
      if (next.do === 'report') next.votes.forEach((id) => reported.add(id));
    },
  });
  if (action.do === 'stop') return { wasOver, end: 'stopped', why: action.why };
  if (action.do !== 'done') return { wasOver, end: action.do, why: action.why };
  const rounds = state.state!.rounds;
  const earned = rounds.filter(({ payouts }) => payouts.some(({ payee }) => payee === me)).length;
  return { wasOver, end: 'done', rounds: earned, paidMsat: countersignedMsat({ rounds }, me) };
}

const workOf = ({ open }: AllianceRoundState, what: string): string => `${open.id}/${what}`;

/** Another home of the same key may have committed to something else. */
async function keeps(
  env: MemberEnv,
  state: AllianceState,
  round: AllianceRoundState,
  what: 'proposal' | 'vote',
): Promise<boolean> {
  const me = env.signer.pubkey;
  const listed = what === 'proposal' ? round.commits?.by.get(me) : round.voteCommits?.by.get(me);
  if (listed === undefined) return false;
  const commitment =
    what === 'proposal'
      ? await keptProposal(env, round).then((one) => one && commitmentToProposal(env, state, round, one))
      : await keptBallot(env, round).then((one) => one && commitmentToBallot(env, state, round, one));
  return commitment === listed.content.commitment;
}

async function carryOut(env: MemberEnv, state: AllianceState, action: MemberWork): Promise<void> {
  switch (action.do) {
    case 'register':
      return register(env, state);
    case 'nonce':
      return showNonce(env, state, action.round);
    case 'propose':
      return propose(env, state, action.round);
    case 'reveal':
      return reveal(env, state, action.round);
    case 'vote':
      env.progress.update(`round ${action.round.round + 1}: aggregating ${action.round.proposals!.by.size} proposals`);
      return vote(env, state, action.round);
    case 'show':
      return showVote(env, state, action.round);
    case 'settle':
      return settle(env, state, action.round);
    case 'report':
      return report(env, action.votes);
  }
}
