import type { Pubkey } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import { isNewKey, newKeySeats, type Considered } from './auction.js';
import type { StakeBook } from './stake.js';
import { asksStake, countedStakes } from './stake-terms.js';
import type { Assignment } from './state.js';

/** Seats after the award: what `newKeyShare` leaves to keys without a receipt that the customer trusts, and what a stake that left ends. */

interface Seats {
  readonly terms: Pick<JobTerms, 'trainers' | 'newKeyShare' | 'stake' | 'keyRelease'>;
  readonly award: EventOf<'award'>;
  readonly assignments: ReadonlyMap<number, Pick<Assignment, 'trainer'>>;
  /** As the last stake table has them. */
  readonly stakes: StakeBook;
}

/** A key that the award does not name has shown nothing either. */
function isNew({ award, terms, stakes }: Seats, trainer: Pubkey): boolean {
  const row = award.content.bids.find((one) => one.trainer === trainer);
  return row === undefined ? !countedStakes(terms, stakes, 'trainer').has(trainer) : isNewKey(row);
}

/** Is the stake that the job asks of a trainer still there? */
export function isStillStaked(trainer: Pubkey, { terms, stakes }: Pick<Seats, 'terms' | 'stakes'>): boolean {
  return !asksStake(terms, 'trainer') || countedStakes(terms, stakes, 'trainer').has(trainer);
}

export function hasRoomFor(trainer: Pubkey, seats: Seats): boolean {
  if (seats.terms.newKeyShare === undefined || !isNew(seats, trainer)) return true;
  const held = [...seats.assignments.values()].filter((seat) => isNew(seats, seat.trainer)).length;
  return held < newKeySeats(seats.terms);
}

/** The first spare that may have this shard, whoever holds it now. */
export function firstFit(spares: readonly Considered[], seats: Seats, shard: number): Considered | undefined {
  const assignments = new Map([...seats.assignments].filter(([other]) => other !== shard));
  return spares.find(({ trainer }) => isStillStaked(trainer, seats) && hasRoomFor(trainer, { ...seats, assignments }));
}
