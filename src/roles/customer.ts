import { NmktError } from '../errors.js';
import type { EventId, Sha256 } from '../hash.js';
import { currentRound, type JobState } from '../market/state.js';
import type { NostrEvent } from '../ports.js';
import type { SealedBidContent } from '../protocol/sealed-bid.js';
import { voidRound } from './close-round.js';
import { draw, list, measureAndClose, replace } from './customer-actions.js';
import { award, bidsOf, ownBidFacts, unsealBids, type BidFacts } from './customer-award.js';
import { publishModel, publishModelListing } from './customer-artifact.js';
import type { SentGrant } from './customer-grants.js';
import { sendGrants } from './send-grants.js';
import { payOne, settle, type Hold } from './customer-money.js';
import { closeForSale, endSale } from './customer-sale.js';
import { openRound } from './customer-open.js';
import { dueTable, publishTable } from './customer-stakes.js';
import { decideCustomer, restsOnAbsence, type CustomerAction, type StopReason } from './customer-decide.js';
import { carryOutDispute } from './customer-disputes.js';
import type { CustomerEnv } from './customer-env.js';
import { leadBy } from './lead-loop.js';

/** Wraps a grant to its recipient; given by the composition root, so that roles know no adapter. */
export type Wrap = (content: string, to: string) => Promise<NostrEvent>;

/**
 * Leads a job from its bids to its signed model, or with `env.cancel` to its cancellation: reads events, folds, decides, carries
 * out, remembers. A crash anywhere and a new start give the same result.
 *
 * @returns the last state; payouts may be left that nobody claimed
 * @throws NmktError `job-closed` (lapsed, cancelled; finished when it should be cancelled), `audit-failed` or `forked` (own events do not follow), `interrupted`
 */
export async function leadJob(env: CustomerEnv, wrap: Wrap): Promise<JobState> {
  const sent = new Map<string, SentGrant>();
  const opened = new Map<EventId, SealedBidContent | null>();
  const told = new Set<Sha256>();
  return leadBy<CustomerAction, JobState>(env, {
    phase: phaseName,
    sendGrants: (state, answered) => sendGrants(env, state, wrap, sent, answered),
    lookUp: (state) => unsealBids(env, state, opened),
    isEnough: (state) => env.chosen !== undefined && state.phase !== 'awarding',
    whoForked: ({ award: made }) => new Set(made?.content.bids.map(({ trainer }) => trainer)),
    dueTable,
    publishTable: (stake, table, now, notBefore) => publishTable(env, stake, table, now, notBefore),
    awaitsTable: asksForStake,
    decide: (state, facts, now) =>
      decideCustomer(state, { ...facts, ...ownBidFacts(env), opened, isCancelling: env.cancel !== undefined }, now),
    restsOnAbsence,
    carryOut: (state, action, isDegraded) => carryOut(env, state, action, isDegraded, { opened, told }),
    finish: async (state) => {
      if (state.artifact !== null) await publishModelListing(env, state);
    },
    stopped: (state, { why }) => stopped(state, why),
  });
}

/** Stakes that came just after a table wait for the next one, and their bids with them. */
function asksForStake({ job, award }: JobState): boolean {
  return job?.content.stake !== undefined && award === null;
}

/** Validators' phases of a round are told apart by what began them. */
function phaseName(state: JobState): string {
  const round = currentRound(state);
  const begun = state.validators.length === 0 ? [] : [round?.draw?.id, round?.scoreCommitList?.id];
  return [state.rounds.length, state.phase, ...begun].join('/');
}

async function carryOut(
  env: CustomerEnv,
  state: JobState,
  action: Exclude<CustomerAction, { do: 'wait' | 'done' | 'stop' }>,
  isDegraded: boolean,
  { opened, told }: Pick<BidFacts, 'opened'> & { readonly told: Set<Sha256> },
): Promise<Hold | null> {
  const { progress } = env;
  const { rounds, rail } = state.job!.content;
  const isSold = rail === 'key-sale';
  switch (action.do) {
    case 'award':
      progress.update(`awarding ${state.job!.content.trainers} seats among ${action.bids.length} bids`);
      await award(env, state, opened);
      return null;
    case 'replace':
      await replace(env, state, action, isDegraded);
      return null;
    case 'open':
      progress.update(`opening round ${action.round + 1} of ${rounds}`);
      await openRound(env, state, action.round);
      return null;
    case 'seen':
      await env.book.sign('seen', { round: currentRound(state)!.round, of: action.of, ids: [...action.ids] });
      return null;
    case 'list':
      await list(env, state, action.of, action.ids, isDegraded);
      return null;
    case 'draw':
      await draw(env, state, action.round);
      return null;
    case 'measure':
      progress.update(
        `round ${action.round.round + 1} of ${rounds}: ${isSold ? 'accepting' : `opening and ${action.round.verdict === null ? 'scoring' : 'averaging'}`} ${action.round.listedReveals.size} updates`,
      );
      await (isSold ? closeForSale : measureAndClose)(env, state, action.round);
      return null;
    case 'void':
      await voidRound(env, action.round, isDegraded);
      return null;
    case 'settle':
      await settle(env, state, action.round);
      return null;
    case 'pay':
      progress.update(`paying ${action.payout.amountMsat / 1000n} sat to ${action.payout.payee.slice(0, 12)}…`);
      return payOne(env, state, action.round, action.payout, told);
    case 'end-sale':
      progress.update(`round ${action.round.round + 1} of ${rounds}: opening what was bought`);
      await endSale(env, action.round);
      return null;
    case 'publish-model':
      progress.update('publishing the model');
      await publishModel(env, state);
      return null;
    case 'dispute':
    case 'dispute-draw':
    case 'appeal':
    case 'correct':
      await carryOutDispute(env, state, action);
      return null;
    case 'cancel':
      await env.book.sign('cancel', env.cancel!, [
        ...new Set([...state.assignments.values()].map(({ trainer }) => trainer)),
      ]);
      return null;
  }
}

function stopped(state: JobState, why: StopReason): NmktError {
  if (why === 'finished')
    return new NmktError('job-closed', 'the job is finished: there is nothing to cancel', {
      expected: 'a job whose model is not published',
      got: `model ${state.artifact!.id}`,
      remedy: `nmkt collect-model ${state.jobId} --out model`,
    });
  if (why === 'cancelled')
    return new NmktError('job-closed', 'the job was cancelled', {
      expected: 'a job that goes on',
      got: `a cancellation${state.cancelled!.content.reason === '' ? '' : `: ${state.cancelled!.content.reason}`}`,
      remedy: 'post it again: nmkt post-job --again',
    });
  if (why === 'lapsed')
    return new NmktError('job-closed', 'the job lapsed: too few trainers until its deadline', {
      expected: `an open job with ${state.job?.content.quorum ?? 1} trainers or more`,
      got: `${state.job === null ? 0 : bidsOf(state).length} bids, ${state.assignments.size} seats taken`,
      remedy: 'post it again with --again, with a higher --max-price-sats or a later --deadline',
    });
  return new NmktError('audit-failed', 'an event of this job does not follow from the others', {
    expected: 'a chain of events that follows the rules',
    got: state.firstBad === null ? 'no job event' : `${state.firstBad.rule}: ${state.firstBad.detail}`,
    remedy: `nmkt audit ${state.jobId}`,
  });
}
