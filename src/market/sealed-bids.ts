import type { EventOf } from '../protocol/events.js';
import { bidCommitment, type OpenedBid, type SealedBidContent } from '../protocol/sealed-bid.js';

/** What an opening makes of a sealed bid: a bid as if it had been open. Null: it commits to something else. */
export function bidOpenedAs(event: EventOf<'sealed-bid'>, content: SealedBidContent): EventOf<'bid'> | null {
  if (bidCommitment(event.job, event.author, content) !== event.content.commitment) return null;
  const { salt: _, ...bid } = content;
  const { lock } = event.content;
  return { ...event, type: 'bid', content: { ...bid, ...(lock !== undefined && { lock }) } };
}

/** How an award shows it. */
export function openingOf({ priceMsat: _, ...opened }: SealedBidContent): OpenedBid {
  return opened;
}
