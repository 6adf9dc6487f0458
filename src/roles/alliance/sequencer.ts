import { NmktError } from '../../errors.js';
import { fromHex, type Pubkey } from '../../hash.js';
import { chainElement } from '../../learning/seeds.js';
import { awaitedNow } from '../../market/alliance/awaited.js';
import type { FoldedAlliance } from '../../market/alliance/fold.js';
import { proveIn } from '../../market/alliance/lost-votes.js';
import { registered } from '../../market/alliance/open-rules.js';
import { allianceDue, settlementsOf } from '../../market/alliance/settle-rules.js';
import { baseHashOf, endOf, lastRound, type AllianceState } from '../../market/alliance/state.js';
import { MAX_MEMBERS } from '../../protocol/alliance/job.js';
import type { ContentOf } from '../../protocol/events.js';
import { encodeGrant } from '../../protocol/grant.js';
import type { Wrap } from '../customer.js';
import { sendEach, type SentGrant } from '../customer-grants.js';
import { payOut, tellShortfall, type Hold } from '../customer-money.js';
import { dueTableOf, publishTableOf } from '../customer-stakes.js';
import { leadBy } from '../lead-loop.js';
import { chunkExpiry } from '../round-blobs.js';
import type { SequencerEnv } from './env.js';
import { modelOf } from './models.js';
import { decideSequencer, restsOnAbsence, type SequencerAction } from './sequencer-decide.js';

/** The customer of an alliance: it opens rounds, draws, lists, settles and pays; everybody recomputes what it says. */

/**
 * Leads an alliance from its first member to its last payment, or with `env.cancel` to its cancellation; the last accepted model lies in
 * the home then. A crash anywhere and a new start give the same result.
 *
 * @returns the last state; payouts may be left that nobody claimed
 * @throws NmktError `job-closed` (lapsed, cancelled; finished when it should be cancelled), `audit-failed`, `interrupted`
 */
export async function leadAlliance(env: SequencerEnv, wrap: Wrap): Promise<FoldedAlliance> {
  const sent = new Map<string, SentGrant>();
  const { members, joinWindowSec } = env.secrets;
  return leadBy<SequencerAction, FoldedAlliance>(env, {
    phase: ({ phase, state }) => `${state?.rounds.length}/${phase}`,
    sendGrants: (folded, answered) => sendEach(env, dueGrants(env, folded), wrap, sent, answered),
    lookUp: async () => undefined,
    isEnough: () => false,
    whoForked: ({ state }) => new Set(lastRound(state ?? { rounds: [] })?.members.keys()),
    dueTable(folded, now) {
      const { state, chains, phase } = folded;
      if (state === null || folded.firstBad !== null || phase === 'finished' || phase === 'cancelled') return null;
      const { job, stakes } = state;
      return dueTableOf({ job, chains, stakes, isJoining: phase === 'joining', isCounting: false }, now);
    },
    publishTable: (stake, table, now, notBefore) =>
      publishTableOf(
        { ...env, jobId: env.book.jobId, ...staking(env.book.state().state!) },
        ...([stake, table, now, notBefore] as const),
      ),
    awaitsTable: ({ job, phase }) => job?.content.stake !== undefined && phase === 'joining',
    decide: (state, facts, now) =>
      decideSequencer(state, { ...facts, members, joinWindowSec, isCancelling: env.cancel !== undefined }, now),
    restsOnAbsence,
    carryOut: ({ state }, action, isDegraded) => carryOut(env, state!, action, isDegraded),
    finish: ({ state }) => keepLastModel(env, state!),
    stopped: (folded, { why }) => stopped(folded, why),
  });
}

const staking = (state: AllianceState) => ({ stakes: state.stakes, prove: proveIn(state) });

/** To everybody named in a round's opening who has not shown yet that it has the key. */
function dueGrants({ secrets, book }: SequencerEnv, { state }: FoldedAlliance) {
  const round = lastRound(state ?? { rounds: [] });
  if (state === null || round === undefined || round.settlement !== null) return [];
  const { deadline, rounds, roundTimeoutSec, voteTimeoutSec } = state.job.content;
  const notAfter = chunkExpiry(deadline) + rounds * (roundTimeoutSec + voteTimeoutSec);
  const content = encodeGrant({ purpose: 'group', job: book.jobId, key: fromHex(secrets.group), notAfter });
  const hasKey = (member: Pubkey) =>
    state.sound.get(member)?.some(({ type }) => type === 'proposal' || type === 'vote');
  return [...round.members.keys()]
    .filter((member) => hasKey(member) !== true)
    .map((to) => ({ id: `group/${to}`, to, content }));
}

type Work = Exclude<SequencerAction, { readonly do: 'wait' | 'done' | 'stop' }>;

async function carryOut(
  env: SequencerEnv,
  state: AllianceState,
  action: Work,
  isDegraded: boolean,
): Promise<Hold | null> {
  const { book, progress, clock } = env;
  const terms = state.job.content;
  const round = lastRound(state);
  const number = round?.round ?? 0;
  switch (action.do) {
    case 'open':
      progress.update(`opening round ${state.rounds.length + 1} of ${terms.rounds}`);
      await open(env, state);
      return null;
    case 'seen':
      await book.sign('seen', { round: number, of: action.of, ids: [...action.ids] });
      return null;
    case 'roles': {
      const nonces = [...awaitedNow(state)!.answers.values()].map(({ id }) => id);
      const s = chainElement(fromHex(env.secrets.chain), terms.rounds, number);
      const until = clock.nowSec() + terms.roundTimeoutSec;
      await book.sign('roles', { round: number, list: round!.open.id, s, nonces, until });
      return null;
    }
    case 'list': {
      const { revealTimeoutSec, voteTimeoutSec } = terms;
      const next = { commit: revealTimeoutSec, reveal: voteTimeoutSec, 'score-commit': revealTimeoutSec };
      const until = action.of === 'score-reveal' ? null : clock.nowSec() + next[action.of];
      const degraded = isDegraded ? { degraded: true as const } : {};
      await book.sign('list', { round: number, of: action.of, ids: [...action.ids], until, ...degraded });
      return null;
    }
    case 'settle':
      await settle(env, state);
      return null;
    case 'pay': {
      const { payout, round: owed } = action;
      progress.update(`paying ${payout.amountMsat / 1000n} sat to ${payout.payee.slice(0, 12)}…`);
      const planHash = settlementsOf(state.rounds[owed.round]!)[0]!.contentHash;
      const { network } = terms;
      const debt = { state: book.state(), network, rounds: state.rounds, round: owed.round, planHash };
      return payOut(env, debt, payout);
    }
    case 'cancel':
      await book.sign('cancel', env.cancel!, [...(round?.members.keys() ?? [])]);
      return null;
  }
}

/** Names everybody that may be named; of more than fit, those of the round before come first. */
async function open({ book, clock }: SequencerEnv, state: AllianceState): Promise<void> {
  const before = lastRound(state)?.members;
  const all = registered(state);
  const ranked = [...all].sort((a, b) => Number(before?.has(b.author) ?? 0) - Number(before?.has(a.author) ?? 0));
  const picked = new Set(ranked.slice(0, MAX_MEMBERS).map(({ id }) => id));
  const members = all.filter(({ id }) => picked.has(id));
  const until = clock.nowSec() + state.job.content.revealTimeoutSec;
  const content: ContentOf<'alliance-open'> = {
    round: state.rounds.length,
    members: members.map(({ id }) => id),
    until,
  };
  await book.sign(
    'alliance-open',
    content,
    members.map(({ author }) => author),
  );
}

async function settle(env: SequencerEnv, state: AllianceState): Promise<void> {
  const { book, progress } = env;
  const round = lastRound(state)!;
  const { plan, carried: _, ...due } = allianceDue(state, round);
  const word = due.isAccepted ? 'the aggregate was accepted' : 'the model before stays';
  progress.note(`round ${round.round + 1} of ${state.job.content.rounds}: ${word}, ${due.totalMsat / 1000n} sat`);
  await book.sign('alliance-settlement', { round: round.round, last: endOf(round)!, ...due, plan: [...plan] }, [
    ...new Set(plan.map(({ payee }) => payee)),
  ]);
  await tellShortfall(env, book.jobId, round.round, plan);
}

async function keepLastModel(env: SequencerEnv, state: AllianceState): Promise<void> {
  const hash = baseHashOf(state, state.rounds.length);
  if (hash === null) return;
  const { relays, files, signal } = env;
  env.progress.update('opening the proposals of the last accepted model');
  await modelOf({ relays, files, signal, nowSec: env.clock.nowSec(), group: fromHex(env.secrets.group) }, state, hash);
}

function stopped({ jobId, state, firstBad }: FoldedAlliance, why: string): NmktError {
  if (why === 'finished')
    return new NmktError('job-closed', 'the job is finished: there is nothing to cancel', {
      expected: 'a job with a round that is not settled',
      got: `${state!.rounds.length} settled rounds`,
      remedy: `nmkt collect-model ${jobId} --out model`,
    });
  if (why === 'cancelled')
    return new NmktError('job-closed', 'the job was cancelled', {
      expected: 'a job that goes on',
      got: `a cancellation${state!.cancelled!.content.reason === '' ? '' : `: ${state!.cancelled!.content.reason}`}`,
      remedy: 'post it again: nmkt post-job --again',
    });
  if (why === 'lapsed')
    return new NmktError('job-closed', 'the job lapsed: too few joined until its deadline', {
      expected: 'as many members as a round takes',
      got: `${registered(state!).length}`,
      remedy: 'post it again with --again, with a later --deadline or a lower stake',
    });
  return new NmktError('audit-failed', 'an event of this job does not follow from the others', {
    expected: 'a chain of events that follows the rules',
    got: firstBad === null ? 'no job event' : `${firstBad.rule}: ${firstBad.detail}`,
    remedy: `nmkt audit ${jobId}`,
  });
}
