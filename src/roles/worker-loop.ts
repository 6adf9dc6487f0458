import { isNmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { AnyJobState, JobState, Owed } from '../market/state.js';
import { askAboutAbsence } from './absence.js';
import type { JobBook } from './job-book.js';
import { refreshSec, watchOutage } from './outage.js';
import { clockTime, patiently, requireRunning } from './patience.js';
import { claim, countersign, markUnpaid, voidClaim } from './trainer-actions.js';
import type { Later, PayeeRail } from './payee-rail.js';
import type { TrainerEnv } from './trainer.js';
import type { MoneyAction } from './worker-decide.js';

/** What trainers and validators share: reads events, tells what happened, decides, carries out, is paid, until its part in a job is over. */

/** Neither seen nor listed for long: the relays may have lost it. */
export type Republish = { readonly do: 'republish'; readonly event: EventId; readonly what: string };
type Shared = MoneyAction | Republish;
type Ending = 'done' | 'lost' | 'cancelled' | 'stop' | 'accused';
export interface WorkerEnv<S extends AnyJobState = JobState> extends Pick<
  TrainerEnv,
  | 'relays'
  | 'signer'
  | 'clock'
  | 'random'
  | 'bell'
  | 'wallet'
  | 'network'
  | 'paymentHashOf'
  | 'progress'
  | 'signal'
  | 'emit'
> {
  readonly book: JobBook<S>;
  readonly rail?: PayeeRail;
}

/** What only this process knows, of any worker. Times in Unix seconds. */
export interface WorkerFacts {
  readonly me: Pubkey;
  /** When the customer was last heard of, and when no relay was. */
  readonly heardAt: number;
  readonly deafAt: number;
  /** Payouts that are looked at again later. */
  readonly held: ReadonlySet<Sha256>;
  /** How often this process has published an event again. */
  readonly republished: (event: EventId) => number;
}

export interface Worker<A extends { readonly do: string }, S extends AnyJobState = JobState> {
  /** In the order things happened; a restarted worker tells the same. */
  story(state: S): readonly {
    readonly key: string;
    readonly event: string;
    readonly fields: Readonly<Record<string, unknown>>;
    readonly text: string;
  }[];
  /** Reads what the home has, before anything is decided. */
  lookUp(state: S): Promise<void>;
  decide(state: S, facts: WorkerFacts, now: number): A;
  carryOut(state: S, action: Exclude<A, Shared | { readonly do: Ending }>): Promise<void>;
}

const HOLD_SEC = 5;
const ENDINGS: ReadonlySet<string> = new Set<Ending>(['done', 'lost', 'cancelled', 'stop', 'accused']);
const SHARED: ReadonlySet<string> = new Set<Exclude<Shared['do'], 'wait'>>([
  ...(['claim', 'void-claim', 'collect', 'countersign', 'mark-unpaid', 'republish'] as const),
]);
const isEnding = <A extends { readonly do: string }>(action: A): action is Extract<A, { readonly do: Ending }> =>
  ENDINGS.has(action.do);
const isShared = (action: { readonly do: string }): action is Exclude<Shared, { readonly do: 'wait' }> =>
  SHARED.has(action.do);

/** @returns how it ended; `wasOver`: before this run did anything */
export async function workOn<A extends { readonly do: string }, S extends AnyJobState = JobState>(
  env: WorkerEnv<S>,
  worker: Worker<A | Shared, S>,
): Promise<{
  readonly wasOver: boolean;
  readonly state: S;
  readonly action: Extract<A, { readonly do: Ending }>;
}> {
  const held = new Map<Sha256, number>();
  const told = new Set<string>();
  const republished = new Map<EventId, number>();
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
  for (;;) {
    requireRunning(env.signal);
    const now = env.clock.nowSec();
    const state = env.book.state();
    for (const { key, event, fields, text } of worker.story(state)) {
      if (told.has(key)) continue;
      told.add(key);
      env.emit(event, fields, text);
    }
    const events = state.job === null ? 0 : (state.chains.get(state.job.author)?.events.length ?? 0);
    if (events !== heard) [heard, heardAt] = [events, now];
    await worker.lookUp(state);
    for (const [payout, until] of held) if (now >= until) held.delete(payout);
    const action = worker.decide(
      state,
      {
        ...{ me: env.signer.pubkey, heardAt, deafAt, held: new Set(held.keys()) },
        republished: (event) => republished.get(event) ?? 0,
      },
      now,
    );
    if (isEnding(action)) {
      if (action.do !== 'done' || (await env.book.retryUnpublished()) === 0) return { wasOver, state, action: action };
      outage.tell(
        `waiting for a relay that takes the last events, until one does; again at ${clockTime(env.clock.nowSec() + HOLD_SEC)}`,
      );
      await env.bell.wait(HOLD_SEC * 1000, env.signal);
      continue;
    }
    wasOver = false;
    if (isWait(action)) {
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
    if (isShared(action) && action.do === 'mark-unpaid') {
      const found = await absence.ask();
      if (env.book.state() !== state) continue;
      if (found === 'unknown') {
        const line = `waiting for relays: too few answered to call round ${action.round.round + 1} unpaid, until all do, or half of them after ${clockTime(absence.graceEndsAt)}`;
        if (absence.isNew) env.progress.warn(line);
        else env.progress.update(line);
        await env.bell.wait(HOLD_SEC * 1000, env.signal);
        continue;
      }
      isDegraded = found === 'degraded';
    }
    absence.forget();
    if (isShared(action) && action.do === 'republish') {
      env.progress.warn(`${action.what} was neither seen nor listed yet: it is published again`);
      republished.set(action.event, (republished.get(action.event) ?? 0) + 1);
    }
    await patiently(
      env,
      async () => {
        if (!isShared(action)) return worker.carryOut(state, action as Parameters<typeof worker.carryOut>[1]);
        const later = await carryOutShared(env, state, action, isDegraded);
        if (later === null || !('payout' in action)) return;
        held.set(action.payout.payout, now + later.waitSec);
        if (later.why === null) return;
        if (later.why !== lastComplaint) env.progress.warn(later.why);
        lastComplaint = later.why;
      },
      outage,
    );
  }
}

function isWait(action: { readonly do: string }): action is Extract<Shared, { readonly do: 'wait' }> {
  return action.do === 'wait';
}

/** @returns when to look again where it did not work, or null */
async function carryOutShared<S extends AnyJobState>(
  env: WorkerEnv<S>,
  state: S,
  action: Exclude<Shared, { readonly do: 'wait' }>,
  isDegraded: boolean,
): Promise<Later | null> {
  const after = (why: string | null): Later | null => (why === null ? null : { why, waitSec: HOLD_SEC });
  if (action.do === 'republish') await env.book.republish();
  else if (action.do === 'mark-unpaid') await markUnpaid(env, action.payout, isDegraded);
  else
    try {
      if (action.do === 'collect') return await env.rail!.collect(action.payout);
      if (action.do === 'void-claim') return after(await voidClaim(env, state, action.payout));
      if (action.do === 'claim') return after(await claim(env, state, action.payout));
      return after(await countersign(env, state, action.round, action.payout));
    } catch (error) {
      if (isNmktError(error, 'wallet-unreachable')) return after(error.message);
      throw error;
    }
  return null;
}

/** What this payee has countersigned. */
export function countersignedMsat({ rounds }: { readonly rounds: readonly Owed[] }, me: Pubkey): bigint {
  const mine = rounds.flatMap(({ payouts }) => payouts).filter(({ payee, received }) => payee === me && received);
  return mine.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
}
