import type { EventId, Pubkey } from '../hash.js';
import {
  acceptedRounds,
  currentRound,
  hasResigned,
  owedMsat,
  type Assignment,
  type JobState,
  type RoundState,
  quorumOf,
} from '../market/state.js';
import { takesLateBids } from '../market/late-bids.js';
import type { EventOf } from '../protocol/events.js';
import { PATIENCE_SEC } from './patience.js';
import { spurnedRound, unsoldRound, waitingForKey } from './trainer-sale-decide.js';
import { decideMoney, isOverlooked, lapse, silentAt, type MoneyAction, type PayeeFacts } from './worker-decide.js';
import { decideAccused, type DisputeAction, type DisputeFacts } from './trainer-accused.js';

export type TrainerAction =
  | { readonly do: 'bid' }
  /** The shard grant is at hand: open the shard and answer. */
  | { readonly do: 'answer-grant'; readonly assignment: Assignment }
  | { readonly do: 'train'; readonly round: RoundState; readonly shard: number }
  | { readonly do: 'reveal'; readonly round: RoundState; readonly shard: number }
  /** Neither seen nor listed for long: the relays may have lost it. */
  | { readonly do: 'republish'; readonly event: EventId; readonly what: string }
  /** A validator needs it to score what is sold. */
  | { readonly do: 'give-key'; readonly round: RoundState; readonly to: Pubkey }
  /** Nobody bought the key in time: its invoice is withdrawn. */
  | { readonly do: 'end-sale'; readonly round: RoundState }
  | DisputeAction
  | MoneyAction
  | { readonly do: 'done' }
  | { readonly do: 'lost'; readonly why: string }
  /** The customer ended the job before any work of this trainer was accepted. */
  | { readonly do: 'cancelled'; readonly why: string }
  | { readonly do: 'stop'; readonly why: string }
  /** The customer published a proof against this trainer: nothing follows but the question whether it is true. */
  | { readonly do: 'accused'; readonly fraud: EventOf<'fraud'> };

export interface TrainerFacts extends PayeeFacts {
  readonly hasShardGrant: (assignment: Assignment) => boolean;
  readonly hasRoundGrant: (round: RoundState, seat: Assignment) => boolean;
  /** Did this home commit to it? Then it has the bytes and the salt. */
  readonly canReveal: (round: RoundState, shard: number) => boolean;
  /** How often this process has published an event again. */
  readonly republished: (event: EventId) => number;
  /** Does this validator have the key to the update that is sold? Absent: on this rail nobody needs one. */
  readonly hasGivenKey?: (round: RoundState, to: Pubkey) => boolean;
  /** Is what nobody bought in this round withdrawn? */
  readonly hasEndedSale?: (round: RoundState) => boolean;
  /** When this process last learned something new from the customer, by its own clock. */
  readonly heardAt: number;
  /** When this process last asked its relays and none answered; 0: never. */
  readonly deafAt: number;
  readonly maxExposureMsat: bigint;
  /** Absent: it takes part in no disputes. */
  readonly disputes?: DisputeFacts;
}

/** The next thing a trainer does; pure, so that a restart decides the same. */
export function decideTrainer(state: JobState, facts: TrainerFacts, now: number): TrainerAction {
  const { me } = facts;
  const job = state.job;
  if (job === null) return { do: 'stop', why: 'the job event is not at hand' };
  if (state.firstBad !== null)
    return { do: 'stop', why: `the customer broke a rule: ${state.firstBad.rule}: ${state.firstBad.detail}` };
  const money = decideMoney(state, facts, now);
  if (money !== null && money.do !== 'wait') return money;

  const unsold = unsoldRound(state, me, facts.hasEndedSale ?? (() => true));
  if (unsold !== undefined) return { do: 'end-sale', round: unsold };
  if (state.keyFrauds.has(me))
    return money ?? { do: 'lost', why: 'the key that this trainer sold is not the one it signed' };
  const spurned = spurnedRound(state, me);
  if (spurned !== undefined)
    return money ?? { do: 'stop', why: `the customer did not buy the accepted update of round ${spurned.round + 1}` };
  const fraud = state.frauds.get(me);
  if (fraud !== undefined)
    return (facts.disputes && decideAccused(state, fraud, facts.disputes, now)) ?? money ?? { do: 'accused', fraud };
  if (hasResigned(state, me) && !isCommitted(state, me)) return money ?? decideResigned(state, facts, now);
  if (state.phase === 'awarding') return decideBid(state, me, now);
  const mine = [...state.assignments.values()].filter((seat) => seat.trainer === me).sort((a, b) => a.shard - b.shard);
  if (state.phase === 'cancelled') return money ?? decideCancelled(state, me);
  if (state.phase === 'finished')
    return money ?? (took(state, me) ? { do: 'done' } : { do: 'lost', why: 'the job went to others' });
  if (mine.length === 0) {
    if (money !== null) return money;
    const refused = state.chains.get(me)?.events.findLast((event) => event.type === 'grant-bad');
    if (refused?.type === 'grant-bad') return { do: 'stop', why: `the grant breaks a rule: ${refused.content.rule}` };
    if (took(state, me)) return { do: 'lost', why: 'the shard went to a spare' };
    if (state.award?.content.winners.some((winner) => winner.trainer === me) === true)
      return { do: 'lost', why: 'the seat was taken back before the first round' };
    if (state.spares.some((spare) => spare.trainer === me) && now < job.content.deadline)
      return { do: 'wait', for: 'a seat: this bid is a spare', until: job.content.deadline };
    return decideLate(state, me, now);
  }
  const waiting = mine.filter((seat) => seat.ready === null && seat.grantBad === null);
  const lapseOf = (seat: Assignment): number => seat.awardedAt + job.content.readyTimeoutSec + PATIENCE_SEC;
  const granted = waiting.find((seat) => facts.hasShardGrant(seat) && now < lapseOf(seat));
  if (granted !== undefined) return { do: 'answer-grant', assignment: granted };
  const ready = mine.filter((seat) => seat.ready !== null);
  if (ready.length > 0)
    return (
      decideSeats(state, facts, ready, now) ?? money ?? lapse(facts, now, silentAt(state, facts), 'the next round')
    );
  if (waiting.length > 0) return lapse(facts, now, Math.max(...waiting.map(lapseOf)), 'the key to the shard');
  return { do: 'stop', why: `the grant breaks a rule: ${mine[0]!.grantBad!.content.rule}` };
}

/** Seat by seat: what one has to do comes before what another waits for. */
function decideSeats(
  state: JobState,
  facts: TrainerFacts,
  seats: readonly Assignment[],
  now: number,
): TrainerAction | null {
  const next = seats.flatMap((seat) => decideRound(state, facts, seat, now) ?? []);
  return (
    next.find((action) => action.do !== 'wait' && action.do !== 'stop') ??
    next.find((action) => action.do === 'wait') ??
    next[0] ??
    null
  );
}

/** A round that it committed to before is brought to its end all the same. */
function isCommitted(state: JobState, me: Pubkey): boolean {
  const round = currentRound(state);
  if (round === undefined || round.close !== null || round.voided !== null) return false;
  return [...round.commits.values()].some(({ author }) => author === me);
}

function decideResigned(state: JobState, facts: TrainerFacts, now: number): TrainerAction {
  if (state.phase === 'cancelled') return decideCancelled(state, facts.me);
  const last = currentRound(state);
  const isOwed = last?.close?.content.accepted.some((entry) => entry.trainer === facts.me) ?? false;
  if (state.phase === 'closed' && isOwed)
    return lapse(facts, now, silentAt(state, facts), `the settlement of round ${last!.round + 1}`);
  return acceptedRounds(state, facts.me) > 0 ? { do: 'done' } : { do: 'lost', why: 'this trainer resigned' };
}

function decideCancelled(state: JobState, me: Pubkey): TrainerAction {
  if (acceptedRounds(state, me) > 0) return { do: 'done' };
  const { reason } = state.cancelled!.content;
  return { do: 'cancelled', why: `the customer cancelled the job${reason === '' ? '' : `: ${reason}`}` };
}

function took(state: JobState, me: Pubkey): boolean {
  return state.rounds.some((round) => round.assigned.some((seat) => seat.trainer === me));
}

function refusal(state: JobState, me: Pubkey): string {
  const row = state.award?.content.bids.find((bid) => bid.trainer === me);
  if (row === undefined) return 'the award does not name this bid';
  return row.rule === undefined ? 'the award went to other bids' : `the bid was refused: ${row.rule}`;
}

function decideBid(state: JobState, me: Pubkey, now: number): TrainerAction {
  const { deadline, bids } = state.job!.content;
  if (now >= deadline) return { do: 'lost', why: 'the job lapsed without an award' };
  const made = bids === 'sealed' ? state.sealedBids : state.bids;
  if (made.some((bid) => bid.author === me)) return { do: 'wait', for: 'the award', until: deadline };
  return firstBid(state, me);
}

/** Not named by the award, with a bid or without one yet: there may be a free seat, or one may become free. */
function decideLate(state: JobState, me: Pubkey, now: number): TrainerAction {
  const isNamed = state.award?.content.bids.some((bid) => bid.trainer === me) ?? false;
  const isOwnJob = state.job!.author === me;
  if (isNamed || isOwnJob || !takesLateBids(state, now)) return { do: 'lost', why: refusal(state, me) };
  if (!state.bids.some((bid) => bid.author === me)) return firstBid(state, me);
  return { do: 'wait', for: 'a seat: this bid came after the award', until: state.job!.content.deadline };
}

function firstBid(state: JobState, me: Pubkey): TrainerAction {
  const withdrew = state.chains.get(me)?.events.some((event) => event.type === 'withdrawn') ?? false;
  return withdrew ? { do: 'lost', why: 'the bid was withdrawn' } : { do: 'bid' };
}

function decideRound(state: JobState, facts: TrainerFacts, mine: Assignment, now: number): TrainerAction | null {
  const terms = state.job!.content;
  const round = currentRound(state);
  if (round === undefined || !isAssigned(round, mine)) return null;
  const { shard } = mine;
  const name = `round ${round.round + 1} of ${terms.rounds}`;
  if (state.phase === 'committing') {
    const { until } = round.open.content;
    const commit = round.commits.get(shard);
    if (commit !== undefined && isOverlooked(round, commit, until - round.open.createdAt, facts, now))
      return { do: 'republish', event: commit.id, what: `the commitment of ${name}` };
    if (commit !== undefined)
      return lapse(facts, now, until + 2 * terms.roundTimeoutSec + PATIENCE_SEC, `the list of commitments, ${name}`);
    if (hasResigned(state, facts.me)) return null;
    const owed = owedMsat(state, facts.me) + committedMsat(round, facts.me);
    if (owed + mine.priceMsat > facts.maxExposureMsat)
      return lapse(facts, now, until, `payment of ${owed} msat before training for more`);
    if (!facts.hasRoundGrant(round, mine)) return lapse(facts, now, until, `the key to ${name}`);
    return { do: 'train', round, shard };
  }
  if (state.phase === 'revealing') {
    const until = round.commitList!.content.until!;
    const revealed = round.reveals.get(shard);
    if (revealed !== undefined && isOverlooked(round, revealed, until - round.commitList!.createdAt, facts, now))
      return { do: 'republish', event: revealed.id, what: `the reveal of ${name}` };
    const ends = until + 2 * terms.revealTimeoutSec + PATIENCE_SEC;
    // Below the quorum the round is void: nobody shows an update that will not be paid.
    const isHopeless = round.listedCommits.size < quorumOf(terms, round);
    if (isHopeless || !round.listedCommits.has(shard) || round.reveals.has(shard))
      return lapse(facts, now, ends, `the list of reveals, ${name}`);
    if (terms.spot !== null && round.drawNonces === null)
      return lapse(facts, now, until + PATIENCE_SEC, `the draw, ${name}`);
    return facts.canReveal(round, shard)
      ? { do: 'reveal', round, shard }
      : // Without the salt this round is lost, and only this round.
        lapse(facts, now, ends, 'a reveal only the home that committed can make');
  }
  if (state.phase === 'scoring') {
    const to = waitingForKey(state, round, facts.me).find(
      (validator) => facts.hasGivenKey?.(round, validator) === false,
    );
    if (to !== undefined) return { do: 'give-key', round, to };
  }
  if (state.phase === 'scoring') return lapse(facts, now, silentAt(state, facts), `the scores of ${name}`);
  return null;
}

function isAssigned(round: RoundState, { trainer, shard }: Assignment): boolean {
  return round.assigned.some((seat) => seat.trainer === trainer && seat.shard === shard);
}

/** What this round may come to owe for shards that are trained already. */
function committedMsat(round: RoundState, me: Pubkey): bigint {
  const mine = round.assigned.filter(({ trainer, shard }) => trainer === me && round.commits.has(shard));
  return mine.reduce((sum, { priceMsat }) => sum + priceMsat, 0n);
}
