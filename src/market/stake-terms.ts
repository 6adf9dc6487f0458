import type { Pubkey, Sha256 } from '../hash.js';
import type { JobTerms, StakeTerms } from '../protocol/job.js';
import type { StakeRow } from '../protocol/stake.js';
import { rowsOf, type StakeBook } from './stake.js';
import { effectiveStake } from './stake-reward.js';

/** What a job makes of the stake in its tables: who has enough of it, and how much of it counts. */

type Role = StakeRow['role'];
type Terms = Pick<JobTerms, 'stake' | 'keyRelease'>;

/** May nobody train, or score, in this job without a stake? */
export function asksStake({ stake, keyRelease }: Terms, role: Role): boolean {
  if (stake === undefined) return false;
  if (role === 'validator') return stake.validatorMsat > 0n;
  return stake.trainerMsat > 0n || keyRelease === 'staked';
}

function minimumOf(stake: StakeTerms, role: Role): bigint {
  return role === 'trainer' ? stake.trainerMsat : stake.validatorMsat;
}

/** Own stake and what counts of that behind it, by key; keys below the job's minimum of own stake have none. */
export function countedStakes({ stake }: Terms, book: StakeBook, role: Role): ReadonlyMap<Pubkey, bigint> {
  if (stake === undefined) return new Map();
  const { delegatedPpm, maxDelegated } = stake;
  const terms = { minMsat: minimumOf(stake, role), delegatedPpm, maxDelegated };
  return new Map(
    rowsOf(book)
      .filter((row) => row.role === role)
      .map((row) => [row.operator, effectiveStake(row, terms)] as const)
      .filter(([, msat]) => msat > 0n),
  );
}

/**
 * What the stake of a key counts in an award, where its bid or registration names one of its own locks; 0: not at all. A lock is named
 * after its job, so that none serves two.
 */
export function namedStake(
  terms: Terms,
  book: StakeBook,
  role: Role,
  { author, lock }: { readonly author: Pubkey; readonly lock: Sha256 | undefined },
): bigint {
  const named = lock === undefined ? undefined : book.locks.get(lock);
  if (named === undefined || named.leftAt !== null || named.owner !== author || named.operator !== author) return 0n;
  return countedStakes(terms, book, role).get(author) ?? 0n;
}

/** What a key that has no stake yet has to lock to have a say; 0: nothing is asked of it. */
export function stakeToPut(terms: Terms, role: Role): bigint {
  if (!asksStake(terms, role)) return 0n;
  const least = minimumOf(terms.stake!, role);
  return least > 0n ? least : LEAST_MSAT;
}

/** Where a job wants some stake, and says not how much. */
const LEAST_MSAT = 1_000n;
