import type { EventId, Pubkey } from '../hash.js';
import { payoutId, type PlanLine } from '../protocol/settlement.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { contests, isDisputeNonce, type DraftDispute } from './dispute-rules.js';
import type { Draft, DraftRound } from './draft.js';
import { isRepeated } from './draw-rules.js';
import type { JobState, RoundState } from './state.js';

/** Who is right about a segment that its customer calls forged. */

/**
 * `trainer`: more than half of the repetitions end as committed, so the customer's proof is false; `customer`: more than half do not;
 * `nobody`: no validator on the engine opened a nonce, so the customer's word stands; `open`: none repeated it yet, or half of them say the one, half the other.
 */
export type DisputeOutcome = 'open' | 'trainer' | 'customer' | 'nobody';

export interface DisputeState extends DraftDispute {
  /** Null: not at hand. */
  readonly complaint: EventOf<'complaint'> | null;
  /** At hand, listed or not. */
  readonly nonces: ReadonlyMap<Pubkey, EventOf<'dispute-nonce'>>;
  /** In the order of the draw. */
  readonly verdicts: readonly EventOf<'verdict'>[];
  readonly outcome: DisputeOutcome;
  /** Verdicts that the party they go against holds to be false, by complaints in the order of the verdicts: each asks one more validator. */
  readonly appeals: readonly EventOf<'complaint'>[];
  /** Validators that say the opposite of more than half of them. */
  readonly liars: readonly Pubkey[];
  /** What the rejected seats of the round would have paid; 0 unless the trainer is right. */
  readonly owedMsat: bigint;
  /** Did the customer settle that? */
  readonly isSettled: boolean;
}

export function disputesOf(draft: Draft): readonly DisputeState[] {
  return draft.disputes.map((dispute) => {
    const said = draft.byId.get(dispute.opened.content.complaint);
    const verdicts = verdictsOf(draft, dispute);
    const isRight = ({ content }: EventOf<'verdict'>): boolean => content.hash === dispute.fraud.content.committed;
    const outcome = outcomeOf(dispute, verdicts.filter(isRight).length, verdicts.length);
    const isFalse = (verdict: EventOf<'verdict'>): boolean =>
      outcome === 'trainer' ? !isRight(verdict) : outcome === 'customer' && isRight(verdict);
    const nonces = new Map<Pubkey, EventOf<'dispute-nonce'>>();
    const counts = isDisputeNonce(dispute);
    for (const { validator } of dispute.eligible) {
      const first = draft.sound.get(validator)?.find(counts);
      if (first !== undefined) nonces.set(validator, first);
    }
    return {
      ...dispute,
      complaint: said?.type === 'complaint' ? said : null,
      ...{ nonces, verdicts, outcome },
      appeals: verdicts.flatMap((verdict) => appealOf(draft, dispute, verdict, isRight(verdict)) ?? []),
      liars: verdicts.filter(isFalse).map(({ author }) => author),
      owedMsat: outcome === 'trainer' ? rejectedMsat(draft.rounds, dispute) : 0n,
      isSettled: isCorrected(draft.rounds, dispute),
    };
  });
}

/** The first of each validator that the draw names. */
function verdictsOf({ job, sound }: Draft, { draw, order, fraud }: DraftDispute): readonly EventOf<'verdict'>[] {
  const { round, shard, segment } = fraud.content;
  const counts = (event: JobEvent): event is EventOf<'verdict'> =>
    event.type === 'verdict' &&
    event.content.draw === draw?.id &&
    event.content.round === round &&
    event.content.shard === shard &&
    event.content.segment === segment &&
    event.content.engine === job.content.spot?.engine;
  return (order ?? []).flatMap((validator) => sound.get(validator)?.find(counts) ?? []);
}

function outcomeOf({ order }: DraftDispute, right: number, all: number): DisputeOutcome {
  if (order?.length === 0) return 'nobody';
  if (2 * right === all) return 'open';
  return 2 * right > all ? 'trainer' : 'customer';
}

/** The complaint of the customer about a verdict for the trainer, or of the trainer about one against it. */
function appealOf(
  { sound }: Draft,
  { fraud, ownAppeals }: DraftDispute,
  { id }: EventOf<'verdict'>,
  isRight: boolean,
): EventOf<'complaint'> | null {
  if (isRight) return ownAppeals.find(({ content }) => content.subject === id) ?? null;
  const isIt = (event: JobEvent): event is EventOf<'complaint'> =>
    event.type === 'complaint' && event.content.subject === id;
  return sound.get(fraud.content.trainer)?.find(isIt) ?? null;
}

/** Seats that the round rejected for nothing but the proof. */
function rejectedMsat(
  rounds: readonly Pick<RoundState, 'close' | 'assigned' | 'verdict'>[],
  { fraud }: Pick<DraftDispute, 'fraud'>,
): bigint {
  const round = rounds[fraud.content.round];
  const rejected = round?.close?.content.rejected ?? [];
  return rejected
    .filter((row) => row.trainer === fraud.content.trainer && isRepeated(round!, row))
    .reduce((sum, { shard }) => sum + (round!.assigned.find((seat) => seat.shard === shard)?.priceMsat ?? 0n), 0n);
}

/** The line of a settlement that makes good what a false proof had rejected. */
export function correctionOf(
  job: EventId,
  rounds: readonly Pick<RoundState, 'close' | 'assigned' | 'verdict'>[],
  dispute: Pick<DraftDispute, 'fraud'>,
): PlanLine {
  const { round, trainer: payee } = dispute.fraud.content;
  const payout = payoutId(job, round, payee, 'correction');
  return { payout, payee, purpose: 'correction', amountMsat: rejectedMsat(rounds, dispute) };
}

function isCorrected(rounds: readonly DraftRound[], { fraud }: DraftDispute): boolean {
  const { round, trainer } = fraud.content;
  return rounds[round]?.corrections.some(({ content }) => content.plan[0]?.payee === trainer) ?? false;
}

/** Did validators find the proof against this trainer false? */
export function isCleared({ disputes }: Pick<JobState, 'disputes'>, trainer: Pubkey): boolean {
  return disputes.some(({ fraud, outcome }) => outcome === 'trainer' && fraud.content.trainer === trainer);
}

/** Complaints of trainers about the proof against them that the customer has not listed, in order of the proofs. */
export function unheardComplaints({ job, frauds, disputes, chains }: JobState): readonly EventOf<'complaint'>[] {
  const { spot, disputes: terms } = job?.content ?? {};
  if (terms === undefined || spot == null) return [];
  return [...frauds.values()].flatMap((fraud) => {
    if (disputes.some((one) => one.fraud.id === fraud.id)) return [];
    const said = chains.get(fraud.content.trainer)?.events ?? [];
    const found = said.find((event) => event.type === 'complaint' && contests(event, fraud, spot.engine));
    return found?.type === 'complaint' ? [found] : [];
  });
}

/** Of the order, how many had their time. */
export function silentIn({ draw }: Pick<DisputeState, 'draw'>, withinSec: number, nowSec: number): number {
  return draw === null ? 0 : Math.max(0, Math.floor((nowSec - draw.createdAt) / withinSec));
}

/** So many verdicts are asked for again, of each dispute: a party can have it repeated three times. */
export const MAX_APPEALS = 2;

function needsMore({ outcome, verdicts, appeals }: DisputeState): boolean {
  return outcome === 'open' || verdicts.length <= Math.min(appeals.length, MAX_APPEALS);
}

/**
 * Who is to repeat it now: the first of the order, and the next one while those before it do not settle it, or a party appeals.
 *
 * @param silent  of the order, how many had their time
 */
export function isAsked(dispute: DisputeState, validator: Pubkey, silent: number): boolean {
  const { order, verdicts } = dispute;
  if (order === null || !needsMore(dispute)) return false;
  const place = order.indexOf(validator);
  return place >= 0 && place <= verdicts.length + silent && !verdicts.some(({ author }) => author === validator);
}

/** A verdict against this party that it may appeal: of three repetitions the last is final, and so is one after which nobody is left. */
export function appealable(dispute: DisputeState, party: 'trainer' | 'customer'): EventOf<'verdict'> | null {
  const { outcome, verdicts, appeals, order, fraud } = dispute;
  const against = party === 'trainer' ? 'customer' : 'trainer';
  if (outcome !== against || needsMore(dispute) || appeals.length >= MAX_APPEALS) return null;
  if (order === null || verdicts.length >= order.length) return null;
  const isAgainst = ({ content }: EventOf<'verdict'>) =>
    (content.hash === fraud.content.committed) === (party === 'customer');
  const isAppealed = ({ id }: EventOf<'verdict'>) => appeals.some(({ content }) => content.subject === id);
  return verdicts.find((one) => isAgainst(one) && !isAppealed(one)) ?? null;
}

/** Until when another verdict or an appeal may come (Unix seconds); 0: none does any more. */
export function mayChangeUntil(dispute: DisputeState, withinSec: number): number {
  const { draw, order, verdicts, appeals } = dispute;
  if (draw === null || order === null || verdicts.length >= order.length) return 0;
  const allHadTheirTime = draw.createdAt + withinSec * (order.length + 1);
  if (needsMore(dispute)) return allHadTheirTime;
  if (appeals.length >= MAX_APPEALS) return 0;
  return Math.min(allHadTheirTime, Math.max(...verdicts.map(({ createdAt }) => createdAt)) + withinSec);
}
