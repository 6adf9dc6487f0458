import type { EventId } from '../hash.js';
import { MAX_CONSIDERED, runAuction, type AuctionResult } from '../market/auction.js';
import { awardedRule } from '../market/award-rules.js';
import { knownBidders, type EarlierJob } from '../market/standing.js';
import type { JobState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import { grantHash } from '../protocol/grant.js';
import type { CustomerEnv } from './customer-env.js';
import { shardGrant } from './customer-grants.js';

/** The award as it would be now, and the earlier jobs that it counts. */
export function auctionNow(
  { job }: JobState,
  { earlier = [] }: { readonly earlier?: readonly EarlierJob[] },
  bids: readonly EventOf<'bid'>[],
  atSec: number,
): AuctionResult & { readonly counted: readonly EventId[] } {
  const { content: terms, author: customer } = job!;
  const { standing, counted } = knownBidders(terms, earlier, new Set(bids.map(({ author }) => author)));
  return { ...runAuction({ terms, customer, bids, standing, blocked: new Set(), atSec }), counted };
}

export async function award(env: CustomerEnv, state: JobState, bids: readonly EventOf<'bid'>[]): Promise<void> {
  const atSec = env.clock.nowSec();
  const best = new Set(
    auctionNow(state, env, bids, atSec)
      .considered.slice(0, MAX_CONSIDERED)
      .map((row) => row.bid),
  );
  const named = bids.filter((bid) => best.has(bid.id));
  const { considered, seats, withheld, counted } = auctionNow(state, env, named, atSec);
  if (withheld !== undefined)
    env.progress.warn(`${withheld} seats stay empty: newKeyShare leaves no more to keys that were never paid here`);
  const winners = seats.map((seat) => ({ ...seat, grant: grantHash(shardGrant(env, state, seat.shard)) }));
  const rule = awardedRule(state.job!.content, winners.length);
  await env.book.sign(
    'award',
    {
      ...{ bids: [...considered], winners, rule },
      ...(withheld !== undefined && { withheld }),
      ...(counted.length > 0 && { counted: [...counted] }),
    },
    winners.map((winner) => winner.trainer),
  );
}
