import type { Pubkey } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import { refusalOf } from './auction.js';
import { keysGiven } from './holders.js';
import { firstFit, hasRoomFor } from './new-keys.js';
import type { StakeBook } from './stake.js';
import type { Assignment, JobState } from './state.js';

/** Bids that the award did not consider: taken when its offers are used up, for seats that are, or become, free. */

/** What decides whether a late bid may have a seat. */
export interface LateFacts {
  readonly terms: JobTerms;
  readonly customer: Pubkey;
  readonly award: EventOf<'award'>;
  readonly assignments: ReadonlyMap<number, Assignment>;
  readonly lost: ReadonlySet<Pubkey>;
  readonly stakes: StakeBook;
}

/** Why a bid may not have a seat now; null: it may. The price is its own, and at most the job's ceiling as in the award. */
export function lateBidRefusal(
  { terms, customer, award, assignments, lost, stakes }: LateFacts,
  bid: EventOf<'bid'>,
  atSec: number,
): string | null {
  const { bids } = award.content;
  if (bids.some((row) => row.bid === bid.id)) return 'the award considered it';
  if (award.content.validators?.some(({ validator }) => validator === bid.author) === true)
    return 'its author is a validator of the job';
  if (lost.has(bid.author)) return 'its author lost a seat before';
  const blocked = new Set(bids.filter(({ rule }) => rule === 'blocked').map(({ trainer }) => trainer));
  const strangers = new Set(bids.filter(({ rule }) => rule === 'web-of-trust').map(({ trainer }) => trainer));
  // Of keys that it does not name the award counts nothing.
  const standing = bids.find(({ trainer }) => trainer === bid.author) ?? { successes: 0 };
  const rule = refusalOf({ terms, customer, blocked, strangers, stakes, atSec }, bid, standing);
  if (rule !== null) return rule;
  const most = Math.min(bid.content.capacity, terms.shardsPerTrainer ?? 1);
  const held = [...assignments.values()].filter(({ trainer }) => trainer === bid.author).length;
  if (held >= most) return `its author holds ${held} of at most ${most} shards`;
  return hasRoomFor(bid.author, { terms, award, assignments, stakes }) ? null : 'newKeyShare leaves its key no seat';
}

/** Whom the customer takes among late bidders: its own affair. */
export type IsWanted = (trainer: Pubkey) => boolean;
const anyone: IsWanted = () => true;

/** Late bids that may have a seat now, the cheapest first, ties by key. */
export function lateBids(state: JobState, atSec: number, isWanted: IsWanted = anyone): readonly EventOf<'bid'>[] {
  const { job, award, assignments, lost, stakes } = state;
  if (job === null || award === null) return [];
  const facts = { terms: job.content, customer: job.author, award, assignments, lost, stakes };
  return state.bids
    .filter((bid) => isWanted(bid.author) && lateBidRefusal(facts, bid, atSec) === null)
    .sort((a, b) =>
      a.content.priceMsat === b.content.priceMsat
        ? a.author < b.author
          ? -1
          : 1
        : a.content.priceMsat < b.content.priceMsat
          ? -1
          : 1,
    );
}

/** Shards of the job that nobody holds: their trainers are gone, or too few had bid. */
export function vacantShards({ job, award, assignments }: JobState): readonly number[] {
  if (job === null || award === null) return [];
  return Array.from({ length: job.content.trainers }, (_, shard) => shard).filter((shard) => !assignments.has(shard));
}

const RUNNING: readonly JobState['phase'][] = ['awarded', 'committing', 'revealing', 'scoring', 'closed', 'between'];

/** Is there a round left in which a late bid could train? */
export function takesLateBids({ job, phase, rounds }: JobState, nowSec: number): boolean {
  return job !== null && RUNNING.includes(phase) && nowSec < job.content.deadline && rounds.length < job.content.rounds;
}

/** May this shard get another holder? The first one of a shard is no replacement, and a key once given is known for ever. */
export function mayBeTakenOver(state: JobState, shard: number): boolean {
  const { job, heldShards, replacements } = state;
  if (!heldShards.has(shard)) return true;
  return replacements < job!.content.maxReplacements && holdersOf(state, shard).size < job!.content.maxHolders;
}

function holdersOf(state: JobState, shard: number): ReadonlySet<Pubkey> {
  return new Set([...keysGiven(state)].flatMap((given) => (given.shard === shard ? given.trainer : [])));
}

/** Who gets a shard: the best offer of the award that is left, else the cheapest late bid; never who loses it. */
export function successorFor(
  state: JobState,
  shard: number,
  out: Pubkey | null,
  atSec: number,
  isWanted: IsWanted = anyone,
): { readonly trainer: Pubkey; readonly bid: EventOf<'bid'>['id']; readonly priceMsat: bigint } | undefined {
  if (!mayBeTakenOver(state, shard)) return undefined;
  const { job, award, assignments, stakes } = state;
  const spares = state.spares.filter(({ trainer }) => trainer !== out);
  const spare = firstFit(spares, { terms: job!.content, award: award!, assignments, stakes }, shard);
  if (spare !== undefined) return spare;
  const others = new Map([...assignments].filter(([other]) => other !== shard));
  const late = lateBids({ ...state, assignments: others }, atSec, isWanted).find(({ author }) => author !== out);
  return late && { trainer: late.author, bid: late.id, priceMsat: late.content.priceMsat };
}
