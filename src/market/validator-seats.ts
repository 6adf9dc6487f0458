import type { EventId, Pubkey } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { seatHash } from '../protocol/validator.js';
import { broken, type Broken, type Draft } from './draft.js';

/** Who has a seat as a validator. */

/** Rounds in a row without an answer, after which a validator has its seat no more. */
export const MISSES_TO_LOSE = 3;

/** Newest registration of everybody, in the order in which they are taken. */
export function registrationsOf(job: EventId, sound: readonly JobEvent[]): readonly EventOf<'register'>[] {
  const newest = new Map<Pubkey, EventOf<'register'>>();
  for (const event of sound) if (event.type === 'register') newest.set(event.author, event);
  const order = new Map([...newest.keys()].map((author) => [author, seatHash(job, author)]));
  return [...newest.values()].sort((a, b) => (order.get(a.author)! < order.get(b.author)! ? -1 : 1));
}

/** Those that an award takes: neither the customer nor who trains or may come to train, as many as there are seats. */
export function chosenValidators(
  { jobId, job }: Pick<Draft, 'jobId' | 'job'>,
  bids: readonly Pick<EventOf<'award'>['content']['bids'][number], 'trainer' | 'outcome'>[],
  registers: readonly JobEvent[],
  atSec: number,
): readonly EventOf<'register'>[] {
  const { validators } = job.content;
  if (validators === undefined) return [];
  const bidders = new Set(bids.filter(({ outcome }) => outcome !== 'refused').map(({ trainer }) => trainer));
  return registrationsOf(jobId, registers)
    .filter(({ author, content }) => author !== job.author && !bidders.has(author) && content.expires > atSec)
    .slice(0, validators.count);
}

/** Whoever the award names has a seat; what it left out is its word against theirs. */
export function seatValidators(draft: Draft, award: EventOf<'award'>): Broken | null {
  const named = award.content.validators ?? [];
  const { validators } = draft.job.content;
  if (named.length > (validators?.count ?? 0))
    return broken('award-validators', `the job has ${validators?.count ?? 0} seats for validators`);
  const registers = named.map(({ register }) => draft.byId.get(register));
  named.forEach(({ register }, index) => registers[index] === undefined && draft.missing.add(register));
  if (registers.some((event, index) => event !== undefined && event.author !== named[index]!.validator))
    return broken('award-validators', 'it cites no registration of that validator');
  const hashes = named.map(({ validator }) => seatHash(draft.jobId, validator));
  if (hashes.some((hash, index) => index > 0 && hash <= hashes[index - 1]!))
    return broken('award-validators', 'its validators are not in the order of their hashes');
  const known = registers.filter((event) => event !== undefined);
  const chosen = chosenValidators(draft, award.content.bids, known, award.createdAt);
  if (chosen.length !== known.length)
    return broken(
      'award-validators',
      'one of its validators has a seat as a trainer, is the customer, or came too late',
    );
  for (const [index, { validator, register, grant }] of named.entries()) {
    const event = registers[index];
    draft.validators.set(validator, {
      ...{ validator, register, grant, missed: 0, isLost: false },
      registration: event?.type === 'register' ? event : null,
    });
  }
  return null;
}
