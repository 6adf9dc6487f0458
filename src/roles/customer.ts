import { NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { currentRound, type JobState } from '../market/state.js';
import type { NostrEvent, Stake } from '../ports.js';
import type { SealedBidContent } from '../protocol/sealed-bid.js';
import { draw, list, measureAndClose, replace, voidRound } from './customer-actions.js';
import { award, bidsOf, ownBidFacts, unsealBids, type BidFacts } from './customer-award.js';
import { publishModel, publishModelListing } from './customer-artifact.js';
import type { SentGrant } from './customer-grants.js';
import { sendGrants } from './send-grants.js';
import { payOne, settle, type Hold } from './customer-money.js';
import { openRound } from './customer-open.js';
import { dueTable, publishTable } from './customer-stakes.js';
import { decideCustomer, restsOnAbsence, type CustomerAction, type StopReason } from './customer-decide.js';
import { carryOutDispute } from './customer-disputes.js';
import type { CustomerEnv } from './customer-env.js';
import { askAboutAbsence } from './absence.js';
import { refreshSec, watchOutage, type Outage } from './outage.js';
import { clockTime, patiently, requireRunning } from './patience.js';

/** How long a payout whose payment failed, or whose claim is not payable, is left alone. */
const HOLD_SEC = 5;
/** A look-up of an unknown payment can take a minute, in which nobody else is served: it is asked ever more rarely. */
const MAX_HOLD_SEC = 300;

function holdSec({ cause }: Hold, tries: number): number {
  return cause === 'unknown' ? Math.min(MAX_HOLD_SEC, HOLD_SEC * 2 ** Math.min(tries - 1, 10)) : HOLD_SEC;
}
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
  const servingSince = env.clock.nowSec();
  const held = new Map<Sha256, number>();
  const outcomes = new Map<Sha256, Hold & { readonly tries: number }>();
  const sent = new Map<string, SentGrant>();
  const named = new Set<Pubkey>();
  const opened = new Map<EventId, SealedBidContent | null>();
  let lastSeenAt = servingSince;
  let phaseKey = '';
  let lastComplaint = '';
  let refreshedAt = servingSince;
  let relaysSilentAt = 0;
  let walletAwayAt = 0;
  let nextTableAt = 0;
  const notLockedUntil = new Map<EventId, number>();
  const outage = watchOutage(env);
  const refresh = async (): Promise<readonly string[]> => {
    await env.book.retryUnpublished();
    const answered = await env.book.refresh();
    refreshedAt = env.clock.nowSec();
    if (answered.length === 0) relaysSilentAt = refreshedAt;
    outage.heard(answered);
    if (answered.length > 0)
      await patiently(env, () => sendGrants(env, env.book.state(), wrap, sent, answered), outage);
    return answered;
  };
  const absence = askAboutAbsence(env.book, env.clock, refresh);

  for (;;) {
    requireRunning(env.signal);
    const now = env.clock.nowSec();
    const state = env.book.state();
    if (outage.since === null) await patiently(env, () => sendGrants(env, state, wrap, sent), outage);
    if (!(await patiently(env, () => unsealBids(env, state, opened), outage))) continue;
    if (env.chosen !== undefined && state.phase !== 'awarding') return state;
    nameForks(env, state, named);
    for (const [payout, until] of held) if (now >= until) held.delete(payout);
    const key = phaseName(state);
    if (key !== phaseKey) {
      phaseKey = key;
      lastSeenAt = now;
    }
    const facts = {
      servingSince,
      relaysSilentAt,
      walletAwayAt,
      lastSeenAt,
      heldPayouts: new Set(held.keys()),
      ...{ ...ownBidFacts(env), opened },
      isCancelling: env.cancel !== undefined,
    };
    const table = now < nextTableAt ? null : dueTable(state, now);
    if (table !== null) {
      nextTableAt = table.nextAt;
      const stake = (await env.stake?.()) ?? null;
      const publish = (own: Stake) => publishTable(env, own, table, now, notLockedUntil);
      if (stake !== null && !(await patiently(env, () => publish(stake), outage))) nextTableAt = 0;
      continue;
    }
    const action = decideCustomer(state, facts, now);
    if (action.do === 'done') {
      if ((await env.book.retryUnpublished()) > 0) {
        outage.tell(
          `waiting for a relay that takes the last events, until one does; again at ${clockTime(env.clock.nowSec() + HOLD_SEC)}`,
        );
        await env.bell.wait(HOLD_SEC * 1000, env.signal);
        continue;
      }
      if (state.artifact === null) return state;
      if (await patiently(env, () => publishModelListing(env, state), outage)) return state;
      continue;
    }
    if (action.do === 'stop') throw stopped(state, action.why);
    if (action.do === 'wait') {
      const everySec = refreshSec(env.book, outage);
      const wakeAt = asksForStake(state) && now < nextTableAt ? Math.min(nextTableAt, now + everySec) : now + everySec;
      await wait(env, action, held, wakeAt, outage);
      if (env.clock.nowSec() - refreshedAt >= everySec) await refresh();
      continue;
    }
    let isDegraded = false;
    if (restsOnAbsence(action, state)) {
      const found = await absence.ask();
      if (env.book.state() !== state) continue;
      if (found === 'unknown') {
        const line = `waiting for relays: too few answered to tell who is absent, until all do, or half of them after ${clockTime(absence.graceEndsAt)}`;
        if (absence.isNew) env.progress.warn(line);
        else env.progress.update(line);
        await env.bell.wait(HOLD_SEC * 1000, env.signal);
        continue;
      }
      isDegraded = found === 'degraded';
      if (isDegraded)
        env.progress.warn(
          'only half of the relays that should know answered in ten minutes: what follows is marked degraded',
        );
    }
    absence.forget();
    if (action.do === 'seen') lastSeenAt = now;
    await patiently(
      env,
      async () => {
        const hold = await carryOut(env, state, action, isDegraded, opened);
        if (action.do !== 'pay') return;
        const { payout, payee, amountMsat } = action.payout;
        if (hold === null) return void outcomes.delete(payout);
        const tries = (outcomes.get(payout)?.tries ?? 0) + 1;
        outcomes.set(payout, { ...hold, tries });
        if (hold.cause === 'unreachable' || hold.cause === 'unknown') walletAwayAt = env.clock.nowSec();
        const until = env.clock.nowSec() + holdSec(hold, tries);
        held.set(payout, until);
        const line = `${payee.slice(0, 12)}… is not paid yet (round ${action.round.round + 1}, ${amountMsat / 1000n} sat): ${hold.why}`;
        if (line !== lastComplaint) env.progress.warn(`${line}; tried again at ${clockTime(until)}`);
        lastComplaint = line;
      },
      outage,
    );
    env.onStep?.(action.do, env.book.state());
  }
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

async function wait(
  env: CustomerEnv,
  action: Extract<CustomerAction, { do: 'wait' }>,
  held: ReadonlyMap<Sha256, number>,
  refreshAt: number,
  outage: Outage,
): Promise<void> {
  const line = `waiting for ${action.for}, until ${clockTime(action.until)}`;
  if (outage.since === null) env.progress.update(line);
  else outage.tell(line);
  const next = Math.min(action.until, ...held.values(), refreshAt);
  await env.bell.wait(Math.max(50, next * 1000 - env.clock.nowMs()), env.signal);
}

/** Once each; strangers may fork as they like. */
function nameForks(env: CustomerEnv, state: JobState, named: Set<Pubkey>): void {
  const bidders = new Set(state.award?.content.bids.map(({ trainer }) => trainer));
  for (const { author, seq } of state.forks) {
    if (named.has(author) || !bidders.has(author)) continue;
    named.add(author);
    env.progress.warn(`${author.slice(0, 12)}… signed two events with seq ${seq}: it counts as absent from there on`);
  }
}

async function carryOut(
  env: CustomerEnv,
  state: JobState,
  action: Exclude<CustomerAction, { do: 'wait' | 'done' | 'stop' }>,
  isDegraded: boolean,
  opened: BidFacts['opened'],
): Promise<Hold | null> {
  const { progress } = env;
  const rounds = state.job!.content.rounds;
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
        `round ${action.round.round + 1} of ${rounds}: opening and ${action.round.verdict === null ? 'scoring' : 'averaging'} ${action.round.listedReveals.size} updates`,
      );
      await measureAndClose(env, state, action.round);
      return null;
    case 'void':
      await voidRound(env, action.round, isDegraded);
      return null;
    case 'settle':
      await settle(env, state, action.round);
      return null;
    case 'pay':
      progress.update(`paying ${action.payout.amountMsat / 1000n} sat to ${action.payout.payee.slice(0, 12)}…`);
      return payOne(env, state, action.round, action.payout);
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
