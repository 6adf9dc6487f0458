import { isNmktError, NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { acceptedRounds, type Assignment, type JobState, type RoundState } from '../market/state.js';
import { grantHash, type RoundGrant, type ShardGrant } from '../protocol/grant.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { Clock, Engine, Progress, RandomBytes, Relays, Signer, Wallet } from '../ports.js';
import type { Examples } from '../learning/types.js';
import type { Bell } from './bell.js';
import type { ChunkFiles } from './home-files.js';
import type { JobFiles } from './customer-env.js';
import type { Inbox, Received } from './inbox.js';
import type { JobBook } from './job-book.js';
import { askAboutAbsence } from './absence.js';
import { refreshSec, watchOutage } from './outage.js';
import type { Quote } from './price-policy.js';
import { clockTime, patiently } from './patience.js';
import { answerGrant, bid, claim, countersign, markUnpaid, voidClaim } from './trainer-actions.js';
import { answerFraud, hasCommitted, reveal, train } from './trainer-work.js';
import { trainerStory } from './trainer-story.js';
import { decideTrainer, type TrainerAction } from './trainer-decide.js';

export interface TrainerTerms {
  /** Per accepted round and shard. */
  readonly priceMsat: bigint;
  /** That it would take at a time; the job may allow fewer. */
  readonly shards: number;
  readonly maxExposureMsat: bigint;
  readonly maxBytes: number;
}

export interface TrainerEnv {
  readonly book: JobBook;
  readonly relays: Relays;
  readonly signer: Signer;
  readonly inbox: Inbox;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly bell: Bell;
  readonly files: JobFiles;
  readonly terms: TrainerTerms;
  /** What it asks now; absent: the price of its terms. */
  readonly quote?: () => Quote;
  readonly snapshot: Snapshot;
  /** Null: only jobs on rail `none`. */
  readonly wallet: Wallet | null;
  readonly network: string;
  /** Of a BOLT11 invoice, hex. */
  paymentHashOf(invoice: string): string;
  engine(): Promise<Engine>;
  /** Of its shard and of the base models, one after the other. */
  readonly chunks: ChunkFiles;
  /** One of this job's, opened. */
  readonly shard: { opened: { readonly shard: number; readonly examples: Examples } | null };
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** A stream event of serve-trainer, without `job` and `at`. */
  emit(event: string, fields: Record<string, unknown>, text: string): void;
}

const HOLD_SEC = 5;

/** `wasOver`: the job was over before this run did anything. */
export type ServeEnd = { readonly wasOver: boolean } & (
  | { readonly end: 'done'; readonly rounds: number; readonly paidMsat: bigint }
  | { readonly end: 'lost'; readonly why: string }
  | { readonly end: 'cancelled'; readonly why: string }
  | { readonly end: 'stopped'; readonly why: string }
);

/** The shard grant that the award's hash promises; another one, or another sender, is no grant. */
export function shardGrantFor(
  env: Pick<TrainerEnv, 'inbox'>,
  state: JobState,
  seat: Assignment,
): Received<ShardGrant> | undefined {
  return env.inbox
    .shardGrants(state.jobId)
    .find(
      (received) =>
        received.from === state.job!.author &&
        received.grant.shard === seat.shard &&
        grantHash(received.content) === seat.grant,
    );
}

export function roundGrantFor(
  env: Pick<TrainerEnv, 'inbox'>,
  state: JobState,
  round: RoundState,
): Received<RoundGrant> | undefined {
  return env.inbox
    .roundGrants(state.jobId)
    .find((received) => received.from === state.job!.author && received.grant.round === round.round);
}

/** The seat of this trainer for that shard. */
function ownSeat(env: Pick<TrainerEnv, 'signer'>, round: RoundState, shard: number): Assignment {
  return round.assigned.find((seat) => seat.trainer === env.signer.pubkey && seat.shard === shard)!;
}

/** After a restart the shard's grant may arrive after the round's. */
function holdsShard(env: TrainerEnv, state: JobState, seat: Assignment): boolean {
  return env.shard.opened?.shard === seat.shard || shardGrantFor(env, state, seat) !== undefined;
}

/** Tells an update of this trainer from all others of the job. */
const workOf = (round: RoundState, shard: number): string => `${round.open.id}/${shard}`;

/** Works on one job from bid to last payment. A crash anywhere and a new start give the same events and bytes. */
export async function serveJob(env: TrainerEnv): Promise<ServeEnd> {
  const end = await untilTheEnd(env);
  await env.chunks.remove();
  return end;
}

async function untilTheEnd(env: TrainerEnv): Promise<ServeEnd> {
  const held = new Map<Sha256, number>();
  const told = new Set<string>();
  const committed = new Set<string>();
  const me = env.signer.pubkey;
  let refreshedAt = env.clock.nowSec();
  let heard = -1;
  let heardAt = refreshedAt;
  let deafAt = 0;
  const outage = watchOutage(env);
  const republished = new Map<EventId, number>();
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
  let wasOver = true;
  let lastComplaint = '';
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
      for (const { trainer, shard } of round.assigned)
        if (trainer === me && !committed.has(workOf(round, shard)) && (await hasCommitted(env, state, round, shard)))
          committed.add(workOf(round, shard));
    for (const [payout, until] of held) if (now >= until) held.delete(payout);
    const action = decideTrainer(
      state,
      {
        me,
        hasShardGrant: (seat) => shardGrantFor(env, state, seat) !== undefined,
        hasRoundGrant: (round, seat) =>
          roundGrantFor(env, state, round) !== undefined &&
          (committed.has(workOf(round, seat.shard)) || holdsShard(env, state, seat)),
        canReveal: (round, shard) => committed.has(workOf(round, shard)),
        republished: (event) => republished.get(event) ?? 0,
        held: new Set(held.keys()),
        heardAt,
        deafAt,
        maxExposureMsat: env.terms.maxExposureMsat,
      },
      now,
    );
    if (action.do === 'done') {
      if ((await env.book.retryUnpublished()) > 0) {
        outage.tell(
          `waiting for a relay that takes the last events, until one does; again at ${clockTime(env.clock.nowSec() + HOLD_SEC)}`,
        );
        await env.bell.wait(HOLD_SEC * 1000, env.signal);
        continue;
      }
      return { wasOver, end: 'done', rounds: acceptedRounds(state, me), paidMsat: countersigned(state, me) };
    }
    if (action.do === 'lost' || action.do === 'cancelled') return { wasOver, end: action.do, why: action.why };
    if (action.do === 'stop') return { wasOver, end: 'stopped', why: action.why };
    if (action.do === 'accused')
      return { wasOver, end: 'lost', why: await describeAccusation(env, state, action.fraud) };
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
        const line = `waiting for relays: too few answered to call round ${action.round.round + 1} unpaid, until all do, or half of them after ${clockTime(absence.graceEndsAt)}`;
        if (absence.isNew) env.progress.warn(line);
        else env.progress.update(line);
        await env.bell.wait(HOLD_SEC * 1000, env.signal);
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

function countersigned(state: JobState, me: Pubkey): bigint {
  let sum = 0n;
  for (const round of state.rounds)
    for (const payout of round.payouts) if (payout.payee === me && payout.received !== null) sum += payout.amountMsat;
  return sum;
}

/** @returns why it did not work and should be tried again later, or null */
async function carryOut(
  env: TrainerEnv,
  state: JobState,
  action: Exclude<TrainerAction, { do: 'wait' | 'done' | 'lost' | 'cancelled' | 'stop' | 'accused' }>,
  isDegraded: boolean,
): Promise<string | null> {
  switch (action.do) {
    case 'bid':
      await bid(env);
      return null;
    case 'answer-grant':
      await answerGrant(env, state, action.assignment, shardGrantFor(env, state, action.assignment)!);
      return null;
    case 'train': {
      const seat = ownSeat(env, action.round, action.shard);
      await train(
        env,
        state,
        action.round,
        seat,
        shardGrantFor(env, state, seat),
        roundGrantFor(env, state, action.round)!,
      );
      return null;
    }
    case 'reveal':
      await reveal(env, state, action.round, action.shard);
      return null;
    case 'claim':
    case 'void-claim':
    case 'countersign':
      try {
        if (action.do === 'void-claim') return await voidClaim(env, state, action.payout);
        return await (action.do === 'claim' ? claim : countersign)(env, state, action.round, action.payout);
      } catch (error) {
        if (isNmktError(error, 'wallet-unreachable')) return error.message;
        throw error;
      }
    case 'republish':
      await env.book.republish();
      return null;
    case 'mark-unpaid':
      await markUnpaid(env, action.round, action.payout, isDegraded);
      return null;
  }
}

/** An accusation is checked before it is passed on: the segment is repeated here, too. */
async function describeAccusation(env: TrainerEnv, state: JobState, fraud: EventOf<'fraud'>): Promise<string> {
  const { round: index, segment, shard } = fraud.content;
  const round = state.rounds[index]!;
  const seat = ownSeat(env, round, shard);
  const answer = await answerFraud(
    env,
    state,
    fraud,
    shardGrantFor(env, state, seat)?.grant,
    roundGrantFor(env, state, round)?.grant,
  );
  return `the customer says that segment ${segment} of round ${index + 1} was not trained as committed; ${answer}`;
}

/** Each line of the story once. */
function tell(env: TrainerEnv, state: JobState, told: Set<string>): void {
  for (const { key, event, fields, text } of trainerStory(state, env.signer.pubkey)) {
    if (told.has(key)) continue;
    told.add(key);
    env.emit(event, fields, text);
  }
}
