import type { Pubkey } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import { isNewKey, newKeySeats, type Considered } from './auction.js';
import type { Assignment } from './state.js';

/** `newKeyShare` after the award: what is left of a job's seats for keys without a receipt that the customer trusts. */

interface Seats {
  readonly terms: Pick<JobTerms, 'trainers' | 'newKeyShare'>;
  readonly award: EventOf<'award'>;
  readonly assignments: ReadonlyMap<number, Pick<Assignment, 'trainer'>>;
}

/** A key that the award does not name has shown nothing either. */
function isNew({ award }: Pick<Seats, 'award'>, trainer: Pubkey): boolean {
  const row = award.content.bids.find((one) => one.trainer === trainer);
  return row === undefined || isNewKey(row);
}

export function hasRoomFor(trainer: Pubkey, seats: Seats): boolean {
  if (seats.terms.newKeyShare === undefined || !isNew(seats, trainer)) return true;
  const held = [...seats.assignments.values()].filter((seat) => isNew(seats, seat.trainer)).length;
  return held < newKeySeats(seats.terms);
}

/** The first spare that may have this shard, whoever holds it now. */
export function firstFit(spares: readonly Considered[], seats: Seats, shard: number): Considered | undefined {
  const assignments = new Map([...seats.assignments].filter(([other]) => other !== shard));
  return spares.find(({ trainer }) => hasRoomFor(trainer, { ...seats, assignments }));
}
