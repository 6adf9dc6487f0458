import { acceptedRounds, type Assignment, type JobState, type RoundState } from '../market/state.js';
import { grantHash, type RoundGrant, type ShardGrant } from '../protocol/grant.js';
import type { EventId } from '../hash.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { Clock, Engine, Progress, RandomBytes, Relays, Signer, Wallet } from '../ports.js';
import type { Examples } from '../learning/types.js';
import type { Bell } from './bell.js';
import type { Wrap } from './customer.js';
import type { SentGrant } from './customer-grants.js';
import type { ChunkFiles } from './home-files.js';
import type { AllowedRelay } from './relay-lists.js';
import type { JobFiles } from './customer-env.js';
import type { Inbox, Received } from './inbox.js';
import type { JobBook } from './job-book.js';
import type { Quote } from './price-policy.js';
import type { OwnStake } from './stake.js';
import { answerGrant, bid } from './trainer-actions.js';
import { answerFraud, appeal, passOn } from './trainer-disputes.js';
import { sellerOf } from './trainer-sale.js';
import { hasCommitted, reveal, train } from './trainer-work.js';
import { trainerStory } from './trainer-story.js';
import { decideTrainer, type TrainerAction } from './trainer-decide.js';
import { countersignedMsat, workOn } from './worker-loop.js';

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
  /** Absent: it locks no stake by itself. */
  readonly stake?: OwnStake;
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
  /** To send grants to validators in a dispute; absent: it does without them. */
  readonly post?: { readonly wrap: Wrap; readonly allowedRelay: AllowedRelay };
  /** A stream event of serve-trainer, without `job` and `at`. */
  emit(event: string, fields: Record<string, unknown>, text: string): void;
}

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
  const committed = new Set<string>();
  const answers = new Map<EventId, string>();
  const passed = new Set<string>();
  const sent = new Map<string, SentGrant>();
  const me = env.signer.pubkey;
  const seller = sellerOf(env, sent);
  const { wasOver, state, action } = await workOn<TrainerAction>(
    { ...env, ...(seller.rail !== null && { rail: seller.rail }) },
    {
      story: (now) => trainerStory(now, me),
      async lookUp(now) {
        for (const round of now.rounds)
          for (const { trainer, shard } of round.assigned)
            if (trainer === me && !committed.has(workOf(round, shard)) && (await hasCommitted(env, now, round, shard)))
              committed.add(workOf(round, shard));
      },
      decide: (at, facts, now) =>
        decideTrainer(
          at,
          {
            ...facts,
            hasShardGrant: (seat) => shardGrantFor(env, at, seat) !== undefined,
            hasRoundGrant: (round, seat) =>
              roundGrantFor(env, at, round) !== undefined &&
              (committed.has(workOf(round, seat.shard)) || holdsShard(env, at, seat)),
            canReveal: (round, shard) => committed.has(workOf(round, shard)),
            maxExposureMsat: env.terms.maxExposureMsat,
            ...(at.job?.content.rail === 'key-sale' && seller.facts(now)),
            ...(env.post !== undefined && {
              disputes: {
                hasAnswered: (fraud) => answers.has(fraud),
                hasPassedOn: (draw, to) => passed.has(`${draw}/${to}`) || grantsToPassOn(env, at) === null,
              },
            }),
          },
          now,
        ),
      async carryOut(now, next) {
        if (next.do === 'contest') answers.set(next.fraud.id, await answerAccusation(env, now, next.fraud));
        else if (next.do === 'appeal') await appeal(env, now, next.dispute, next.verdict);
        else if (next.do === 'give-key' || next.do === 'end-sale') await seller.carryOut(now, next);
        else if (next.do === 'pass-on') {
          await passOn(env, now, next.dispute, next.to, grantsToPassOn(env, now)!, sent);
          passed.add(`${next.dispute.draw!.id}/${next.to}`);
        } else await carryOut(env, now, next);
      },
    },
  );
  switch (action.do) {
    case 'done':
      return { wasOver, end: 'done', rounds: acceptedRounds(state, me), paidMsat: countersignedMsat(state, me) };
    case 'stop':
      return { wasOver, end: 'stopped', why: action.why };
    case 'accused':
      return {
        ...{ wasOver, end: 'lost' },
        why: describeAccusation(
          state,
          action.fraud,
          answers.get(action.fraud.id) ?? (await answerAccusation(env, state, action.fraud)),
        ),
      };
    default:
      return { wasOver, end: action.do, why: action.why };
  }
}

type Work = Extract<TrainerAction, { do: 'bid' | 'answer-grant' | 'train' | 'reveal' }>;

async function carryOut(env: TrainerEnv, state: JobState, action: Work): Promise<void> {
  switch (action.do) {
    case 'bid':
      await bid(env);
      return;
    case 'answer-grant':
      await answerGrant(env, state, action.assignment, shardGrantFor(env, state, action.assignment)!);
      return;
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
      return;
    }
    case 'reveal':
      await reveal(env, state, action.round, action.shard);
      return;
  }
}

/** An accusation is checked before it is passed on: the segment is repeated here, too. */
async function answerAccusation(env: TrainerEnv, state: JobState, fraud: EventOf<'fraud'>): Promise<string> {
  const { round: index, shard } = fraud.content;
  const round = state.rounds[index]!;
  const seat = ownSeat(env, round, shard);
  return answerFraud(
    env,
    state,
    fraud,
    shardGrantFor(env, state, seat)?.grant,
    roundGrantFor(env, state, round)?.grant,
  );
}

function describeAccusation(state: JobState, { id, content }: EventOf<'fraud'>, answer: string): string {
  const { round, segment } = content;
  const dispute = state.disputes.find(({ fraud }) => fraud.id === id);
  const said = `the customer says that segment ${segment} of round ${round + 1} was not trained as committed; `;
  switch (dispute?.outcome) {
    case 'trainer':
      return `${said}validators repeated it, and it ends as committed: the proof is false, ${dispute.owedMsat / 1000n} sat of the round are ${dispute.isSettled ? 'settled' : 'owed'}`;
    case 'customer':
      return `${said}validators repeated it, and say so too`;
    case 'nobody':
      return `${said}${answer}; no validator on the engine can repeat it`;
    default:
      return said + answer;
  }
}

/** As they came; null while one of them has not come again. */
function grantsToPassOn(env: TrainerEnv, state: JobState): readonly Received<unknown>[] | null {
  const { round: index, shard } = state.frauds.get(env.signer.pubkey)!.content;
  const round = state.rounds[index]!;
  const grants = [shardGrantFor(env, state, ownSeat(env, round, shard)), roundGrantFor(env, state, round)];
  return grants.includes(undefined) ? null : (grants as readonly Received<unknown>[]);
}
