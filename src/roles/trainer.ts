import { isNmktError, NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { acceptedRounds, type Assignment, type JobState, type RoundState } from '../market/state.js';
import { grantHash, type RoundGrant, type ShardGrant } from '../protocol/grant.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { Clock, Engine, Progress, RandomBytes, Relays, Signer, Wallet } from '../ports.js';
import type { Examples } from '../learning/types.js';
import type { Bell } from './bell.js';
import type { JobFiles } from './customer-env.js';
import { clockTime } from './customer.js';
import type { Inbox, Received } from './inbox.js';
import type { JobBook } from './job-book.js';
import { patiently } from './patience.js';
import { answerGrant, bid, claim, countersign, markUnpaid, voidClaim } from './trainer-actions.js';
import { answerFraud, hasCommitted, reveal, train } from './trainer-work.js';
import { trainerStory } from './trainer-story.js';
import { decideTrainer, type TrainerAction } from './trainer-decide.js';

export interface TrainerTerms {
  /** Per accepted round and shard. */
  readonly priceMsat: bigint;
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
  readonly snapshot: Snapshot;
  /** Null: only jobs on rail `none`. */
  readonly wallet: Wallet | null;
  readonly network: string;
  /** Of a BOLT11 invoice, hex. */
  paymentHashOf(invoice: string): string;
  engine(): Promise<Engine>;
  /** One at a time over all jobs of the process: the shard of this job, opened. */
  readonly shard: { examples: Examples | null };
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** A stream event of serve-trainer, without `job` and `at`. */
  emit(event: string, fields: Record<string, unknown>, text: string): void;
}

const HOLD_SEC = 5;
const REFRESH_SEC = 30;

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

/** After a restart the shard's grant may arrive after the round's. */
function holdsShard(env: TrainerEnv, state: JobState, round: RoundState): boolean {
  const seat = round.assigned.find((candidate) => candidate.trainer === env.signer.pubkey);
  return seat !== undefined && shardGrantFor(env, state, seat) !== undefined;
}

/** Works on one job from bid to last payment. A crash anywhere and a new start give the same events and bytes. */
export async function serveJob(env: TrainerEnv): Promise<ServeEnd> {
  const held = new Map<Sha256, number>();
  const told = new Set<string>();
  const committed = new Set<EventId>();
  const me = env.signer.pubkey;
  let refreshedAt = env.clock.nowSec();
  let heard = -1;
  let heardAt = refreshedAt;
  const refresh = async (): Promise<boolean> => {
    refreshedAt = env.clock.nowSec();
    await env.book.retryUnpublished();
    const isReachable = (await env.book.refresh()).length > 0;
    // Who hears no relay cannot say that the customer is silent.
    if (!isReachable) heardAt = refreshedAt;
    return isReachable;
  };
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
      if (!committed.has(round.open.id) && (await hasCommitted(env, state, round))) committed.add(round.open.id);
    for (const [payout, until] of held) if (now >= until) held.delete(payout);
    const action = decideTrainer(
      state,
      {
        me,
        hasShardGrant: (seat) => shardGrantFor(env, state, seat) !== undefined,
        hasRoundGrant: (round) =>
          roundGrantFor(env, state, round) !== undefined &&
          (env.shard.examples !== null || committed.has(round.open.id) || holdsShard(env, state, round)),
        canReveal: (round) => committed.has(round.open.id),
        held: new Set(held.keys()),
        heardAt,
        maxExposureMsat: env.terms.maxExposureMsat,
      },
      now,
    );
    if (action.do === 'done') {
      if ((await env.book.retryUnpublished()) > 0) {
        env.progress.update('waiting for a relay that takes the last events');
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
      env.progress.update(
        `job ${state.jobId.slice(0, 12)}…: waiting for ${action.for}, until ${clockTime(action.until)}`,
      );
      const next = Math.min(action.until, ...held.values(), now + REFRESH_SEC);
      await env.bell.wait(Math.max(50, next * 1000 - env.clock.nowMs()), env.signal);
      if (env.clock.nowSec() - refreshedAt >= REFRESH_SEC) await refresh();
      continue;
    }
    if (action.do === 'mark-unpaid') {
      const isReachable = await refresh();
      if (env.book.state() !== state) continue;
      if (!isReachable) {
        await env.bell.wait(HOLD_SEC * 1000, env.signal);
        continue;
      }
    }
    await patiently(env, async () => {
      const why = await carryOut(env, state, action);
      if (why === null || !('payout' in action)) return;
      held.set(action.payout.payout, now + HOLD_SEC);
      if (why !== lastComplaint) env.progress.warn(why);
      lastComplaint = why;
    });
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
): Promise<string | null> {
  switch (action.do) {
    case 'bid':
      await bid(env);
      return null;
    case 'answer-grant':
      await answerGrant(env, state, action.assignment, shardGrantFor(env, state, action.assignment)!);
      return null;
    case 'train': {
      const seat = action.round.assigned.find((candidate) => candidate.trainer === env.signer.pubkey)!;
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
    case 'mark-unpaid':
      await markUnpaid(env, action.round, action.payout);
      return null;
  }
}

/** An accusation is checked before it is passed on: the segment is repeated here, too. */
async function describeAccusation(env: TrainerEnv, state: JobState, fraud: EventOf<'fraud'>): Promise<string> {
  const { round: index, segment } = fraud.content;
  const round = state.rounds[index]!;
  const seat = round.assigned.find((candidate) => candidate.trainer === env.signer.pubkey)!;
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
