import type { Bytes, EventId, Pubkey } from '../hash.js';
import { isChainElement } from '../learning/seeds.js';
import { disputeOrder, MAX_DISPUTES } from '../protocol/dispute.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { isExactEngine } from './contradictions.js';
import { broken, type Broken, type Draft } from './draft.js';
import type { ValidatorSeat } from './state.js';

/** The customer's events of a dispute: it lists the complaint, then draws who repeats the segment. */

/** A dispute while it is being folded. */
export interface DraftDispute {
  readonly index: number;
  readonly opened: EventOf<'dispute'>;
  readonly fraud: EventOf<'fraud'>;
  /** With a seat and the engine that repeats, when it was listed. */
  readonly eligible: readonly ValidatorSeat[];
  draw: EventOf<'dispute-draw'> | null;
  /** Who repeats, one after the other; null before the draw, or while one of its nonces is not at hand. */
  order: readonly Pubkey[] | null;
  /** The customer's complaints of verdicts. */
  readonly ownAppeals: EventOf<'complaint'>[];
}

/** Does a trainer say of its own segment that it ends as committed, against this proof? */
export function contests({ content, author }: EventOf<'complaint'>, fraud: EventOf<'fraud'>, engine: string): boolean {
  const { found } = content;
  const { trainer, round, shard, segment, committed } = fraud.content;
  return (
    author === trainer &&
    content.subject === fraud.id &&
    content.round === round &&
    content.shard === shard &&
    content.engine === engine &&
    found.what === 'segment' &&
    found.segment === segment &&
    found.hash === committed
  );
}

export function applyDispute(draft: Draft, event: EventOf<'dispute'>): Broken | null {
  const bad = (detail: string) => broken('dispute', detail);
  const { disputes, spot } = draft.job.content;
  const { round, shard, complaint } = event.content;
  if (disputes === undefined || spot === null) return bad('the job has none');
  if (draft.disputes.length >= MAX_DISPUTES) return bad(`a job has at most ${MAX_DISPUTES}`);
  const fraud = [...draft.frauds.values()].find(({ content }) => content.round === round && content.shard === shard);
  if (fraud === undefined) return bad(`nobody is proven a fraud by shard ${shard} of round ${round}`);
  if (draft.disputes.some((one) => one.fraud === fraud)) return bad(`${fraud.id} is disputed already`);
  const said = draft.byId.get(complaint);
  if (said === undefined) draft.missing.add(complaint);
  else if (said.type !== 'complaint' || !contests(said, fraud, spot.engine))
    return bad(`${complaint} does not say that the segment ends as committed`);
  const isEligible = ({ validator, registration, isLost }: ValidatorSeat): boolean =>
    !isLost &&
    !draft.validatorFrauds.has(validator) &&
    isExactEngine(spot.engine) &&
    (registration === null || registration.content.engine === spot.engine);
  draft.disputes.push({
    ...{ index: draft.disputes.length, opened: event, fraud },
    eligible: [...draft.validators.values()].filter(isEligible),
    ...{ draw: null, order: null, ownAppeals: [] },
  });
  return null;
}

/** Is it the nonce that its validator committed to for this dispute? While the registration is not at hand nobody can say. */
export function isDisputeNonce({ index, opened, eligible }: Pick<DraftDispute, 'index' | 'opened' | 'eligible'>) {
  return (event: JobEvent): event is EventOf<'dispute-nonce'> => {
    if (event.type !== 'dispute-nonce' || event.content.dispute !== opened.id) return false;
    const seat = eligible.find(({ validator }) => validator === event.author);
    if (seat === undefined) return false;
    if (seat.registration === null) return true;
    const { disputeCommitment } = seat.registration.content;
    return disputeCommitment !== undefined && isChainElement(event.content.nonce, index, disputeCommitment);
  };
}

export function applyDisputeDraw(draft: Draft, event: EventOf<'dispute-draw'>): Broken | null {
  const bad = (detail: string) => broken('dispute-draw', detail);
  const dispute = draft.disputes.find(({ opened }) => opened.id === event.content.dispute);
  if (dispute === undefined || dispute.draw !== null || dispute.opened.content.round !== event.content.round)
    return bad('it draws for no dispute that waits for it');
  const found = drawnNonces(draft, dispute, event.content.nonces ?? []);
  if (typeof found === 'string') return bad(found);
  dispute.draw = event;
  if (found !== null) dispute.order = disputeOrder(draft.jobId, dispute.index, dispute.opened.content.complaint, found);
  return null;
}

type Drawn = { readonly validator: Pubkey; readonly nonce: Bytes };

/** @returns null: one is not at hand; else why they do not count */
function drawnNonces(draft: Draft, dispute: DraftDispute, ids: readonly EventId[]): readonly Drawn[] | null | string {
  const found: Drawn[] = [];
  let isComplete = true;
  for (const id of ids) {
    const event = draft.byId.get(id);
    if (event === undefined) {
      draft.missing.add(id);
      isComplete = false;
      continue;
    }
    if (!isDisputeNonce(dispute)(event)) return `${id} is no nonce of a validator for this dispute`;
    if (event.author <= (found.at(-1)?.validator ?? '')) return 'its nonces are not one of each validator, by key';
    found.push({ validator: event.author, nonce: event.content.nonce });
  }
  return isComplete ? found : null;
}

/** The customer appeals: in its own chain, too, a complaint is about something. */
export function applyAppeal(draft: Draft, event: EventOf<'complaint'>): Broken | null {
  const { round, shard, subject } = event.content;
  const verdict = draft.byId.get(subject);
  if (verdict === undefined) draft.missing.add(subject);
  const dispute = draft.disputes.find(({ fraud }) => fraud.content.round === round && fraud.content.shard === shard);
  const isOfIt = verdict === undefined || (verdict.type === 'verdict' && verdict.content.draw === dispute?.draw?.id);
  if (dispute === undefined || dispute.draw === null || !isOfIt)
    return broken('complaint', 'the customer complains of verdicts only');
  dispute.ownAppeals.push(event);
  return null;
}
