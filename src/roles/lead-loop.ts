import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { AnyJobState, AnyPayout, Owed } from '../market/state.js';
import type { NmktError } from '../errors.js';
import type { Stake } from '../ports.js';
import { askAboutAbsence } from './absence.js';
import type { CustomerEnv } from './customer-env.js';
import type { Hold } from './customer-money.js';
import type { DueTable } from './customer-stakes.js';
import type { JobBook } from './job-book.js';
import { heldPayouts, type HeldPayouts } from './held-payouts.js';
import { refreshSec, watchOutage, type Outage } from './outage.js';
import { clockTime, patiently, requireRunning } from './patience.js';
import { PAYEES_AT_ONCE, sideBySide } from './side-by-side.js';

/** What customers of any kind of job share: read events, fold, decide, carry out, remember, until the job is over. */

export interface LeadEnv<S extends AnyJobState> extends Pick<
  CustomerEnv,
  'relays' | 'clock' | 'bell' | 'progress' | 'signal' | 'stake'
> {
  readonly book: JobBook<S>;
  onStep?(step: string, state: S): void;
}

/** What only this process knows, of any customer. Times in Unix seconds. */
export interface LeadFacts {
  /** When this process began to serve the job. */
  readonly servingSince: number;
  /** When relays were last found silent by this process; 0: never. */
  readonly relaysSilentAt: number;
  /** When the own wallet was last found away, or could not tell what became of a payment; 0: never. */
  readonly walletAwayAt: number;
  /** When the last `seen` or the phase's opening event was published. */
  readonly lastSeenAt: number;
  /** Payouts whose outcome is unknown or whose claim is not payable: looked at again later. */
  readonly heldPayouts: ReadonlySet<Sha256>;
  /** Of them those that may still arrive. */
  readonly paymentsInFlight: ReadonlySet<Sha256>;
}

/** Of every kind of job; what `wait`, `done`, `stop` and `pay` are called there. */
export type LeadAction =
  | { readonly do: 'pay'; readonly round: Owed; readonly payout: AnyPayout }
  /** `for` completes the sentence "waiting for ..."; `until` in Unix seconds. */
  | { readonly do: 'wait'; readonly for: string; readonly until: number }
  | { readonly do: 'done' }
  | { readonly do: 'stop' };
type Ends = 'wait' | 'done' | 'stop';

/** What a kind of job brings. */
export interface Leader<A extends { readonly do: string }, S extends AnyJobState> {
  /** Equal while what was said seen last still counts. */
  phase(state: S): string;
  /** Once each. @param answered  relays that answered just now */
  sendGrants(state: S, answered?: readonly string[]): Promise<void>;
  /** Opens what a decision needs. */
  lookUp(state: S): Promise<void>;
  /** Ends here whatever is left to do. */
  isEnough(state: S): boolean;
  /** What this process tells of others. */
  whoForked(state: S): ReadonlySet<Pubkey>;
  dueTable(state: S, now: number): DueTable | null;
  publishTable(stake: Stake, table: DueTable, now: number, notBefore: Map<EventId, number>): Promise<void>;
  /** May the next table change what comes next? */
  awaitsTable(state: S): boolean;
  decide(state: S, facts: LeadFacts, now: number): A;
  /** Does this rest on something that is not there? Then relays must have said so, or it is only silence. */
  restsOnAbsence(action: A, state: S): boolean;
  carryOut(state: S, action: Exclude<A, { readonly do: Ends }>, isDegraded: boolean): Promise<Hold | null>;
  /** What comes after the last event. */
  finish(state: S): Promise<void>;
  stopped(state: S, action: Extract<A, { readonly do: 'stop' }>): NmktError;
}

/** How long events that no relay takes, and relays that are asked about an absence, are left alone. */
const PAUSE_SEC = 5;

/** @param what  has the shape of the `LeadAction` of that name */
const isOf = <A extends { readonly do: string }, K extends LeadAction['do']>(
  action: A,
  what: K,
): action is A & Extract<LeadAction, { readonly do: K }> => action.do === what;

/**
 * A crash anywhere and a new start give the same result.
 *
 * @returns the last state; payouts may be left that nobody claimed
 * @throws NmktError as `stopped` says, or `interrupted`
 */
export async function leadBy<A extends { readonly do: string }, S extends AnyJobState>(
  env: LeadEnv<S>,
  leader: Leader<A, S>,
): Promise<S> {
  const servingSince = env.clock.nowSec();
  const held = heldPayouts(env);
  const named = new Set<Pubkey>();
  let lastSeenAt = servingSince;
  let phaseKey = '';
  let refreshedAt = servingSince;
  let relaysSilentAt = 0;
  let nextTableAt = 0;
  const notLockedUntil = new Map<EventId, number>();
  const outage = watchOutage(env);
  const refresh = async (): Promise<readonly string[]> => {
    await env.book.retryUnpublished();
    const answered = await env.book.refresh();
    refreshedAt = env.clock.nowSec();
    if (answered.length === 0) relaysSilentAt = refreshedAt;
    outage.heard(answered);
    if (answered.length > 0) await patiently(env, () => leader.sendGrants(env.book.state(), answered), outage);
    return answered;
  };
  const absence = askAboutAbsence(env.book, env.clock, refresh);
  const carryOut = (state: S, action: A, isDegraded = false): Promise<Hold | null> =>
    leader.carryOut(state, action as Parameters<typeof leader.carryOut>[1], isDegraded);
  const facts = (): LeadFacts => ({
    ...{ servingSince, relaysSilentAt, lastSeenAt },
    ...{ walletAwayAt: held.walletAwayAt(), ...held.now() },
  });
  type Payment = A & Extract<LeadAction, { do: 'pay' }>;
  /** The next thing to do beside these, if it is to pay somebody else. */
  const nextPayment = (inHand: readonly Payment[]): Payment | null => {
    const [state, known, payees] = [env.book.state(), facts(), new Set(inHand.map(({ payout }) => payout.payee))];
    const busy = new Set([...known.heldPayouts, ...inHand.map(({ payout }) => payout.payout)]);
    for (;;) {
      const action = leader.decide(state, { ...known, heldPayouts: busy }, env.clock.nowSec());
      if (!isOf(action, 'pay')) return null;
      if (!payees.has(action.payout.payee)) return action;
      busy.add(action.payout.payout);
    }
  };
  const pay = async (action: Payment): Promise<boolean> => {
    const { payout, round } = action;
    const isDone = await patiently(
      env,
      async () => held.note(payout, round.round, await carryOut(env.book.state(), action)),
      outage,
    );
    env.onStep?.('pay', env.book.state());
    return isDone;
  };

  for (;;) {
    requireRunning(env.signal);
    const now = env.clock.nowSec();
    const state = env.book.state();
    if (outage.since === null) await patiently(env, () => leader.sendGrants(state), outage);
    if (!(await patiently(env, () => leader.lookUp(state), outage))) continue;
    if (leader.isEnough(state)) return state;
    nameForks(env, leader.whoForked(state), state, named);
    const key = leader.phase(state);
    if (key !== phaseKey) {
      phaseKey = key;
      lastSeenAt = now;
    }
    const table = now < nextTableAt ? null : leader.dueTable(state, now);
    if (table !== null) {
      nextTableAt = table.nextAt;
      const stake = (await env.stake?.()) ?? null;
      const publish = (own: Stake) => leader.publishTable(own, table, now, notLockedUntil);
      if (stake !== null && !(await patiently(env, () => publish(stake), outage))) nextTableAt = 0;
      continue;
    }
    const action = leader.decide(state, facts(), now);
    if (isOf(action, 'done')) {
      if ((await env.book.retryUnpublished()) > 0) {
        outage.tell(
          `waiting for a relay that takes the last events, until one does; again at ${clockTime(env.clock.nowSec() + PAUSE_SEC)}`,
        );
        await env.bell.wait(PAUSE_SEC * 1000, env.signal);
        continue;
      }
      if (await patiently(env, () => leader.finish(state), outage)) return state;
      continue;
    }
    if (isOf(action, 'stop')) throw leader.stopped(state, action as unknown as Extract<A, { readonly do: 'stop' }>);
    if (isOf(action, 'wait')) {
      const everySec = refreshSec(env.book, outage);
      const wakeAt =
        leader.awaitsTable(state) && now < nextTableAt ? Math.min(nextTableAt, now + everySec) : now + everySec;
      await wait(env, action, held, wakeAt, outage);
      if (env.clock.nowSec() - refreshedAt >= everySec) await refresh();
      continue;
    }
    if (isOf(action, 'pay')) {
      await sideBySide<Payment>(env, PAYEES_AT_ONCE, action, nextPayment, pay);
      continue;
    }
    let isDegraded = false;
    if (leader.restsOnAbsence(action, state)) {
      const found = await absence.ask();
      if (env.book.state() !== state) continue;
      if (found === 'unknown') {
        const line = `waiting for relays: too few answered to tell who is absent, until all do, or half of them after ${clockTime(absence.graceEndsAt)}`;
        if (absence.isNew) env.progress.warn(line);
        else env.progress.update(line);
        await env.bell.wait(PAUSE_SEC * 1000, env.signal);
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
    await patiently(env, async () => void (await carryOut(state, action, isDegraded)), outage);
    env.onStep?.(action.do, env.book.state());
  }
}

async function wait(
  env: Pick<CustomerEnv, 'progress' | 'bell' | 'clock' | 'signal'>,
  action: Extract<LeadAction, { do: 'wait' }>,
  held: Pick<HeldPayouts, 'nextAt'>,
  refreshAt: number,
  outage: Outage,
): Promise<void> {
  const line = `waiting for ${action.for}, until ${clockTime(action.until)}`;
  if (outage.since === null) env.progress.update(line);
  else outage.tell(line);
  const next = Math.min(action.until, held.nextAt(), refreshAt);
  await env.bell.wait(Math.max(50, next * 1000 - env.clock.nowMs()), env.signal);
}

/** Once each; strangers may fork as they like. */
function nameForks(
  env: Pick<CustomerEnv, 'progress'>,
  who: ReadonlySet<Pubkey>,
  { chains }: AnyJobState,
  named: Set<Pubkey>,
): void {
  for (const author of who) {
    const fork = chains.get(author)?.fork ?? null;
    if (named.has(author) || fork === null) continue;
    named.add(author);
    env.progress.warn(
      `${author.slice(0, 12)}… signed two events with seq ${fork.seq}: it counts as absent from there on`,
    );
  }
}
