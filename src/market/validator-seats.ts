import type { EventId, Pubkey } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { MAX_VALIDATORS, seatHash } from '../protocol/validator.js';
import { broken, type Broken, type Draft } from './draft.js';
import { asksStake, namedStake } from './stake-terms.js';

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

/**
 * Those that an award takes: neither the customer nor who trains or may come to train, as many as there are seats. Where the job asks
 * validators for stake, those with the most that counts, ties by key, for as many as one job may have: each round draws among them.
 */
export function chosenValidators(
  { jobId, job, stakes }: Pick<Draft, 'jobId' | 'job' | 'stakes'>,
  bids: readonly Pick<EventOf<'award'>['content']['bids'][number], 'trainer' | 'outcome'>[],
  registers: readonly JobEvent[],
  atSec: number,
): readonly EventOf<'register'>[] {
  const { validators } = job.content;
  if (validators === undefined) return [];
  const bidders = new Set(bids.filter(({ outcome }) => outcome !== 'refused').map(({ trainer }) => trainer));
  const able = registrationsOf(jobId, registers).filter(
    ({ author, content }) => author !== job.author && !bidders.has(author) && content.expires > atSec,
  );
  if (!asksStake(job.content, 'validator')) return able.slice(0, validators.count);
  const staked = able
    .map(
      ({ author, content }) =>
        [author, namedStake(job.content, stakes, 'validator', { author, lock: content.lock })] as const,
    )
    .filter(([, msat]) => msat > 0n)
    .sort(([a, x], [b, y]) => (x !== y ? (x > y ? -1 : 1) : a < b ? -1 : 1));
  const taken = new Set(staked.slice(0, MAX_VALIDATORS).map(([author]) => author));
  return able.filter(({ author }) => taken.has(author));
}

/** Whoever the award names has a seat; what it left out is its word against theirs. */
export function seatValidators(draft: Draft, award: EventOf<'award'>): Broken | null {
  const named = award.content.validators ?? [];
  const terms = draft.job.content;
  const isStaked = asksStake(terms, 'validator');
  const most = isStaked ? MAX_VALIDATORS : (terms.validators?.count ?? 0);
  if (named.length > most) return broken('award-validators', `the job has ${most} seats for validators`);
  const registers = named.map(({ register }) => draft.byId.get(register));
  named.forEach(({ register }, index) => registers[index] === undefined && draft.missing.add(register));
  if (registers.some((event, index) => event !== undefined && event.author !== named[index]!.validator))
    return broken('award-validators', 'it cites no registration of that validator');
  const hashes = named.map(({ validator }) => seatHash(draft.jobId, validator));
  if (hashes.some((hash, index) => index > 0 && hash <= hashes[index - 1]!))
    return broken('award-validators', 'its validators are not in the order of their hashes');
  const known = registers.filter((event) => event !== undefined);
  const chosen = chosenValidators(draft, award.content.bids, known, award.createdAt);
  if (chosen.length !== known.length && !(isStaked && draft.lacksStakes))
    return broken(
      'award-validators',
      'one of its validators has a seat as a trainer, is the customer, came too late, or names no stake that the job asks for',
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
