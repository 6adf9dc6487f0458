import type { Bytes, EventId, Pubkey } from '../hash.js';
import { isChainElement } from '../learning/seeds.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import type { ValidatorSeat } from './state.js';

/** The shares of validators in a draw. */

/** Nonces count for a quarter of the time of reveals: trainers reveal after the draw. */
export function noncesUntil(terms: { readonly revealTimeoutSec: number }, listedAt: number): number {
  return listedAt + Math.ceil(terms.revealTimeoutSec / 4);
}

/** Is it the nonce that its validator committed to? While the registration is not at hand nobody can say. */
export function isNonceOf(seat: ValidatorSeat, round: number, list: EventId) {
  return (event: JobEvent): event is EventOf<'nonce'> =>
    event.type === 'nonce' &&
    event.author === seat.validator &&
    event.content.round === round &&
    event.content.list === list &&
    (seat.registration === null ||
      isChainElement(event.content.nonce, round, seat.registration.content.nonceCommitment));
}

/** By validator, its first event that counts. */
export function firstOfValidators<E extends JobEvent>(
  { index }: Draft,
  { round }: Pick<DraftRound, 'round'>,
  seats: readonly ValidatorSeat[],
  matches: (seat: ValidatorSeat) => (event: JobEvent) => event is E,
): Map<Pubkey, E> {
  const found = new Map<Pubkey, E>();
  for (const seat of seats) {
    const answers: readonly JobEvent[] = index.scoring(seat.validator, round);
    const event = answers.find(matches(seat));
    if (event !== undefined) found.set(seat.validator, event);
  }
  return found;
}

/** After the list of commitments. */
export function noncesOf(draft: Draft, round: DraftRound, list: EventOf<'list'>): Map<Pubkey, EventOf<'nonce'>> {
  return firstOfValidators(draft, round, round.validators, (seat) => isNonceOf(seat, round.round, list.id));
}

/** @returns the nonces of a draw in order of their authors' keys; null: one is not at hand */
export function drawnNonces(
  draft: Draft,
  round: DraftRound,
  { content }: EventOf<'draw'>,
): readonly Bytes[] | null | Broken {
  const ids = content.nonces ?? [];
  const left = leftOut(round.nonces, round.seen, ids);
  if (left !== null) return left;
  const found: Bytes[] = [];
  let last = '';
  let isComplete = true;
  for (const id of ids) {
    const event = draft.byId.get(id);
    if (event === undefined) {
      draft.missing.add(id);
      draft.lacksListed = true;
      isComplete = false;
      continue;
    }
    const seat = round.validators.find(({ validator }) => validator === event.author);
    if (seat === undefined || !isNonceOf(seat, round.round, content.list)(event))
      return broken('draw', `${id} is no nonce of a validator for this list`);
    const first = round.nonces.get(event.author);
    if (event.author <= last || (first !== undefined && first.id !== id))
      return broken('draw', 'its nonces are not the first of each validator, in order of their keys');
    last = event.author;
    round.nonces.set(event.author, event);
    found.push(event.content.nonce);
  }
  return isComplete ? found : null;
}

/** What the customer saw of validators and left out: its own signatures prove it. */
export function leftOut(
  candidates: ReadonlyMap<Pubkey, { readonly id: EventId }>,
  seen: ReadonlySet<EventId>,
  ids: readonly EventId[],
): Broken | null {
  for (const { id } of candidates.values())
    if (seen.has(id) && !ids.includes(id)) return broken('omission', `${id} was seen and is left out`);
  return null;
}
