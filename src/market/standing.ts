import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { JobEvent } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import type { Standing } from './auction.js';

/** What a customer knows of trainers: the closed rounds of its earlier jobs, as its own signed events tell them. */

/** How many earlier jobs an award counts: their names have to fit into its event. */
export const MAX_COUNTED = 64;

/** One earlier job of the same customer, up to its event `head`. */
export interface EarlierJob {
  /** The last event of the customer's chain that is counted: it pins the chain before it. */
  readonly head: EventId;
  readonly terms: Pick<JobTerms, 'network' | 'rail'>;
  readonly standing: ReadonlyMap<Pubkey, Standing>;
}

/**
 * Attempts of a trainer are the closed rounds in which it held a seat; successes those in which every update of it was accepted, and paid
 * where the rail pays. Accepted work that is not paid yet is neither: the trainer did not fail. A void round counts for nobody.
 *
 * @param spine  the customer's events of one job, in order
 */
export function standingIn(spine: readonly JobEvent[], rail: JobTerms['rail']): ReadonlyMap<Pubkey, Standing> {
  const paid = new Set(spine.flatMap((event) => (event.type === 'receipt' ? [event.content.payout] : [])));
  const payouts = new Map<string, Sha256>();
  /** What a false proof had rejected and the customer made good: no failure. */
  const corrected = new Set<string>();
  for (const event of spine)
    if (event.type === 'settlement')
      for (const { payee, payout, purpose } of event.content.plan)
        if (purpose === 'correction') corrected.add(`${event.content.round}/${payee}`);
        else payouts.set(`${event.content.round}/${payee}`, payout);
  const standing = new Map<Pubkey, Standing>();
  const count = (trainer: Pubkey, isSuccess: boolean): void => {
    const { attempts, successes } = standing.get(trainer) ?? { attempts: 0, successes: 0 };
    standing.set(trainer, { attempts: attempts + 1, successes: successes + (isSuccess ? 1 : 0) });
  };
  let seats: readonly { readonly trainer: Pubkey }[] = [];
  for (const event of spine) {
    if (event.type === 'open') seats = event.content.trainers;
    if (event.type !== 'close') continue;
    const { round, accepted } = event.content;
    for (const trainer of new Set(seats.map((seat) => seat.trainer))) {
      const held = seats.filter((seat) => seat.trainer === trainer).length;
      const isAccepted = accepted.filter((row) => row.trainer === trainer).length === held;
      const payout = payouts.get(`${round}/${trainer}`);
      if (corrected.has(`${round}/${trainer}`)) continue;
      if (!isAccepted) count(trainer, false);
      else if (rail === 'none' || (payout !== undefined && paid.has(payout))) count(trainer, true);
    }
  }
  return standing;
}

/** Play money and free work are cheap to make: receipts of a network other than bitcoin count on it only, those of rail `none` on that rail only. */
export function counts(earlier: Pick<JobTerms, 'network' | 'rail'>, job: Pick<JobTerms, 'network' | 'rail'>): boolean {
  return (
    (earlier.network === 'bitcoin' || earlier.network === job.network) &&
    (earlier.rail !== 'none' || job.rail === 'none')
  );
}

export interface Known {
  readonly standing: ReadonlyMap<Pubkey, Standing>;
  /** Heads of the jobs that it was counted in, in the order given. */
  readonly counted: readonly EventId[];
}

/** What an award counts of bidders: of the first MAX_COUNTED jobs that count for it and had one of them. */
export function knownBidders(
  job: Pick<JobTerms, 'network' | 'rail'>,
  earlier: readonly EarlierJob[],
  bidders: ReadonlySet<Pubkey>,
): Known {
  const used = earlier
    .filter(({ terms, standing }) => counts(terms, job) && [...standing.keys()].some((key) => bidders.has(key)))
    .slice(0, MAX_COUNTED);
  const standing = new Map<Pubkey, Standing>();
  for (const { standing: theirs } of used)
    for (const [trainer, { attempts, successes }] of theirs) {
      if (!bidders.has(trainer)) continue;
      const known = standing.get(trainer) ?? { attempts: 0, successes: 0 };
      standing.set(trainer, { attempts: known.attempts + attempts, successes: known.successes + successes });
    }
  return { standing, counted: used.map(({ head }) => head) };
}
