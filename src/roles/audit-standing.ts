import type { EventId, Pubkey } from '../hash.js';
import type { Standing } from '../market/auction.js';
import { buildChains } from '../market/chain.js';
import { counts, standingIn } from '../market/standing.js';
import type { JobState } from '../market/state.js';
import type { Relays } from '../ports.js';
import { parseJobEvents, type JobEvent } from '../protocol/events.js';
import { JOB_KINDS, KINDS } from '../protocol/kinds.js';
import type { Finding } from './audit-format.js';

/** What the award says that its customer knew of bidders, counted again from the jobs it names. */

export interface StandingCheck {
  /** Earlier jobs that were at hand. */
  readonly jobs: number;
  /** Null: all of it was counted again. */
  readonly why: string | null;
}

type Counted = ReadonlyMap<Pubkey, Standing>;

/** @returns null where the award counts nothing */
export async function auditStanding(
  { job, jobId, award }: JobState,
  relays: Relays,
): Promise<{ readonly found: Finding | null; readonly check: StandingCheck } | null> {
  if (job === null || award === null) return null;
  const { bids, counted = [] } = award.content;
  const isNothing = counted.length === 0 && bids.every(({ attempts, successes }) => attempts + successes === 0);
  if (isNothing) return null;
  const wrong = (detail: string, jobs: number) => ({
    found: { event: award.id, rule: 'standing', detail },
    check: { jobs, why: null },
  });
  if (counted.length === 0)
    return { found: null, check: { jobs: 0, why: 'the award names no earlier job that it counted' } };
  const jobs: Counted[] = [];
  const seen = new Set<EventId>([jobId]);
  for (const head of counted) {
    const spine = await spineUpTo(relays, head, job.author);
    if (spine === null) continue;
    const earlier = spine[0]!;
    if (earlier.type !== 'job' || seen.has(earlier.id)) return wrong(`${head} counts a job twice`, jobs.length);
    seen.add(earlier.id);
    if (!counts(earlier.content, job.content))
      return wrong(`receipts of ${earlier.id} do not count for this job`, jobs.length);
    jobs.push(standingIn(spine, earlier.content.rail));
  }
  const isAll = jobs.length === counted.length;
  for (const { trainer, attempts, successes } of bids) {
    const known = sumOf(jobs, trainer);
    const isEqual = known.attempts === attempts && known.successes === successes;
    const isPart = !isAll && known.attempts <= attempts && known.successes <= successes;
    if (!isEqual && !isPart)
      return wrong(
        `${trainer} has ${known.successes} of ${known.attempts} rounds in the jobs it names, it says ${successes} of ${attempts}`,
        jobs.length,
      );
  }
  const lacking = counted.length - jobs.length;
  const why = isAll ? null : `${lacking} of ${counted.length} earlier jobs are on no relay that answered`;
  return { found: null, check: { jobs: jobs.length, why } };
}

function sumOf(jobs: readonly Counted[], trainer: Pubkey): Standing {
  const sum = { attempts: 0, successes: 0 };
  for (const job of jobs) {
    const { attempts, successes } = job.get(trainer) ?? { attempts: 0, successes: 0 };
    sum.attempts += attempts;
    sum.successes += successes;
  }
  return sum;
}

/** The customer's chain of an earlier job, from the job to `head`; null where a part of it is not at hand. */
async function spineUpTo(relays: Relays, head: EventId, customer: Pubkey): Promise<readonly JobEvent[] | null> {
  const last = (await ownEvents(relays, customer, { ids: [head] })).find(({ id }) => id === head);
  if (last === undefined) return null;
  const own = [
    ...(await ownEvents(relays, customer, { ids: [last.job] })),
    ...(await ownEvents(relays, customer, {
      '#e': [last.job],
      kinds: [...JOB_KINDS, KINDS.part],
      authors: [customer],
    })),
  ].filter((event) => event.job === last.job && (event.seq < last.seq || event.id === head));
  const { events } = buildChains(own).get(customer)!;
  return events.at(-1)?.id === head ? events : null;
}

async function ownEvents(
  relays: Relays,
  customer: Pubkey,
  filter: Parameters<Relays['fetch']>[0][number],
): Promise<readonly JobEvent[]> {
  const { events } = await relays.fetch([filter]);
  return parseJobEvents(events.filter(({ pubkey }) => pubkey === customer));
}
