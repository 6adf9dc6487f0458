import { isNmktError, NmktError } from '../errors.js';
import type { EventId, Sha256 } from '../hash.js';
import type { JobState } from '../market/state.js';
import type { Snapshot } from '../protocol/dataset.js';
import { askAboutAbsence } from './absence.js';
import type { CustomerData } from './customer-data.js';
import { refreshSec, watchOutage } from './outage.js';
import { clockTime, patiently } from './patience.js';
import { claim, countersign, markUnpaid, voidClaim } from './trainer-actions.js';
import type { TrainerEnv } from './trainer.js';
import { decideValidator, type ValidatorAction } from './validator-decide.js';
import { grantsOf } from './validator-data.js';
import { validatorStory } from './validator-story.js';
import { complain, hasScored, missingUpdates, showNonce, register, revealScores, score } from './validator-work.js';

export interface ValidatorEnv extends Omit<TrainerEnv, 'terms' | 'shard'> {
  /** Of evaluation set A; `snapshot` is of the training data. */
  readonly evalA: Snapshot;
  /** What was opened of this job. */
  readonly data: { opened: CustomerData | null };
}

const HOLD_SEC = 5;

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
  const held = new Map<Sha256, number>();
  const told = new Set<string>();
  const scored = new Set<EventId>();
  const republished = new Map<EventId, number>();
  const me = env.signer.pubkey;
  let refreshedAt = env.clock.nowSec();
  let [heard, heardAt, deafAt] = [-1, refreshedAt, 0];
  let wasOver = true;
  let lastComplaint = '';
  const outage = watchOutage(env);
  const refresh = async (): Promise<readonly string[]> => {
    refreshedAt = env.clock.nowSec();
    await env.book.retryUnpublished();
    const answered = await env.book.refresh();
    outage.heard(answered);
    // Who hears no relay cannot say that the customer is silent.
    if (outage.since !== null) heardAt = deafAt = refreshedAt;
    return answered;
  };
  const absence = askAboutAbsence(env.book, env.clock, refresh);
  const pause = (line: string): Promise<void> => {
    outage.tell(line);
    return env.bell.wait(HOLD_SEC * 1000, env.signal);
  };
  for (;;) {
    if (env.signal.aborted)
      throw new NmktError('interrupted', 'stopped; the job waits where it is', {
        remedy: 'run the same command again to go on',
      });
    const now = env.clock.nowSec();
    const state = env.book.state();
    tell(env, state, told);
    const events = state.job === null ? 0 : (state.chains.get(state.job.author)?.events.length ?? 0);
    if (events !== heard) [heard, heardAt] = [events, now];
    for (const round of state.rounds)
      if (round.scoreCommits.has(me) && !scored.has(round.open.id) && (await hasScored(env, state, round)))
        scored.add(round.open.id);
    for (const [payout, until] of held) if (now >= until) held.delete(payout);
    const facts = {
      ...{ me, heardAt, deafAt, held: new Set(held.keys()) },
      hasKeys: (round: JobState['rounds'][number]) => grantsOf(env, state, round) !== undefined,
      missingUpdates: (round: JobState['rounds'][number]) => missingUpdates(env, state, round),
      canReveal: ({ open }: JobState['rounds'][number]) => scored.has(open.id),
      republished: (event: EventId) => republished.get(event) ?? 0,
    };
    const action = decideValidator(state, facts, now);
    if (action.do === 'done') {
      if ((await env.book.retryUnpublished()) > 0) {
        await pause('waiting for a relay that takes the last events, until one does');
        continue;
      }
      return { wasOver, end: 'done', rounds: scoredRounds(state, me), paidMsat: receivedMsat(state, me) };
    }
    if (action.do === 'lost') return { wasOver, end: 'lost', why: action.why };
    if (action.do === 'stop') return { wasOver, end: 'stopped', why: action.why };
    wasOver = false;
    if (action.do === 'wait') {
      const line = `job ${state.jobId.slice(0, 12)}…: waiting for ${action.for}, until ${clockTime(action.until)}`;
      if (outage.since === null) env.progress.update(line);
      else outage.tell(line);
      const everySec = refreshSec(env.book, outage);
      const next = Math.min(action.until, ...held.values(), now + everySec);
      await env.bell.wait(Math.max(50, next * 1000 - env.clock.nowMs()), env.signal);
      if (env.clock.nowSec() - refreshedAt >= everySec) await refresh();
      continue;
    }
    let isDegraded = false;
    if (action.do === 'mark-unpaid') {
      const found = await absence.ask();
      if (env.book.state() !== state) continue;
      if (found === 'unknown') {
        await pause(`waiting for relays: too few answered to call round ${action.round.round + 1} unpaid`);
        continue;
      }
      isDegraded = found === 'degraded';
    }
    absence.forget();
    if (action.do === 'republish') {
      env.progress.warn(`${action.what} was neither seen nor listed yet: it is published again`);
      republished.set(action.event, (republished.get(action.event) ?? 0) + 1);
    }
    await patiently(
      env,
      async () => {
        const why = await carryOut(env, state, action, isDegraded);
        if (why === null || !('payout' in action)) return;
        held.set(action.payout.payout, now + HOLD_SEC);
        if (why !== lastComplaint) env.progress.warn(why);
        lastComplaint = why;
      },
      outage,
    );
  }
}

/** Rounds in which its scores counted. */
export function scoredRounds(state: JobState, me: JobState['validators'][number]['validator']): number {
  return state.rounds.filter(({ listedScoreReveals }) => listedScoreReveals.has(me)).length;
}

function receivedMsat(state: JobState, me: string): bigint {
  const mine = state.rounds.flatMap(({ payouts }) => payouts).filter(({ payee, received }) => payee === me && received);
  return mine.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
}

/** @returns why it did not work and should be tried again later, or null */
async function carryOut(
  env: ValidatorEnv,
  state: JobState,
  action: Exclude<ValidatorAction, { do: 'wait' | 'done' | 'lost' | 'stop' }>,
  isDegraded: boolean,
): Promise<string | null> {
  switch (action.do) {
    case 'register':
      await register(env, state);
      return null;
    case 'nonce':
      await showNonce(env, state, action.round);
      return null;
    case 'score':
      env.progress.update(`round ${action.round.round + 1}: scoring ${action.round.listedReveals.size} updates`);
      await score(env, state, action.round);
      return null;
    case 'reveal':
      await revealScores(env, state, action.round);
      return null;
    case 'complain':
      await complain(env, state, action.round, action.subject);
      return null;
    case 'republish':
      await env.book.republish();
      return null;
    case 'mark-unpaid':
      await markUnpaid(env, action.round, action.payout, isDegraded);
      return null;
    default:
      try {
        if (action.do === 'void-claim') return await voidClaim(env, state, action.payout);
        return await (action.do === 'claim' ? claim : countersign)(env, state, action.round, action.payout);
      } catch (error) {
        if (isNmktError(error, 'wallet-unreachable')) return error.message;
        throw error;
      }
  }
}

/** Each line of the story once. */
function tell(env: ValidatorEnv, state: JobState, told: Set<string>): void {
  for (const { key, event, fields, text } of validatorStory(state, env.signer.pubkey)) {
    if (told.has(key)) continue;
    told.add(key);
    env.emit(event, fields, text);
  }
}
