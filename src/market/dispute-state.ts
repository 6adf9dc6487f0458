import type { Pubkey, Sha256 } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { contests, isDisputeNonce, type DraftDispute } from './dispute-rules.js';
import type { Draft, DraftRound } from './draft.js';
import { isRepeated } from './draw-rules.js';
import type { JobState } from './state.js';

/** Who is right about a segment that its customer calls forged. */

/**
 * `trainer`: more than half of the repetitions end as committed, so the customer's proof is false; `customer`: more than half do not;
 * `nobody`: no validator on the engine opened a nonce, so the customer's word stands; `open`: none repeated it yet, or as many say the one as the other.
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
  /** Validators whose repetition ends in something else than more than half of them say. */
  readonly liars: readonly Pubkey[];
  /** What the rejected seats of the round would have paid; 0 unless the trainer is right. */
  readonly owedMsat: bigint;
}

export function disputesOf(draft: Draft): readonly DisputeState[] {
  return draft.disputes.map((dispute) => {
    const said = draft.byId.get(dispute.opened.content.complaint);
    const verdicts = verdictsOf(draft, dispute);
    const winner = majority(verdicts);
    const isRight = winner === dispute.fraud.content.committed;
    const outcome =
      dispute.order?.length === 0 ? 'nobody' : winner === null ? 'open' : isRight ? 'trainer' : 'customer';
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
      liars:
        winner === null ? [] : verdicts.filter(({ content }) => content.hash !== winner).map(({ author }) => author),
      owedMsat: outcome === 'trainer' ? rejectedMsat(draft.rounds, dispute) : 0n,
    };
  });
}

/** The first of each validator that the draw names. */
function verdictsOf({ sound }: Draft, { draw, order, fraud }: DraftDispute): readonly EventOf<'verdict'>[] {
  const { round, shard, segment } = fraud.content;
  const counts = (event: JobEvent): event is EventOf<'verdict'> =>
    event.type === 'verdict' &&
    event.content.draw === draw?.id &&
    event.content.round === round &&
    event.content.shard === shard &&
    event.content.segment === segment;
  return (order ?? []).flatMap((validator) => sound.get(validator)?.find(counts) ?? []);
}

/** What more than half of them end in; null: there is none. */
function majority(verdicts: readonly EventOf<'verdict'>[]): Sha256 | null {
  const found = verdicts.find(
    ({ content }) => 2 * verdicts.filter((other) => other.content.hash === content.hash).length > verdicts.length,
  );
  return found?.content.hash ?? null;
}

/** Seats that the round rejected for nothing but the proof. */
function rejectedMsat(rounds: readonly DraftRound[], { fraud }: DraftDispute): bigint {
  const round = rounds[fraud.content.round];
  const rejected = round?.close?.content.rejected ?? [];
  return rejected
    .filter((row) => row.trainer === fraud.content.trainer && isRepeated(round!, row))
    .reduce((sum, { shard }) => sum + (round!.assigned.find((seat) => seat.shard === shard)?.priceMsat ?? 0n), 0n);
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

/**
 * Who is to repeat it now: the first of the order, and the next one while those before it do not settle it.
 *
 * @param silent  of the order, how many had their time
 */
export function isAsked({ order, verdicts, outcome }: DisputeState, validator: Pubkey, silent: number): boolean {
  if (order === null || outcome !== 'open') return false;
  const place = order.indexOf(validator);
  return place >= 0 && place <= verdicts.length + silent && !verdicts.some(({ author }) => author === validator);
}
