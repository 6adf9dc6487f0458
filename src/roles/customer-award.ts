import type { EventId, Pubkey } from '../hash.js';
import { mostConsidered, runAuction, type AuctionResult } from '../market/auction.js';
import { awardedRule } from '../market/award-rules.js';
import { bidOpenedAs, openingOf } from '../market/sealed-bids.js';
import { chosenValidators } from '../market/validator-seats.js';
import { knownBidders, type EarlierJob } from '../market/standing.js';
import type { JobState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import { grantHash } from '../protocol/grant.js';
import type { SealedBidContent } from '../protocol/sealed-bid.js';
import type { CustomerEnv } from './customer-env.js';
import { shardGrant } from './customer-grants.js';
import { evalGrant } from './validator-grants.js';
import { unsealBid } from './sealed-bids.js';

/** What only the customer knows of bids. */
export interface BidFacts {
  readonly earlier?: readonly EarlierJob[];
  /** By sealed bid; null: it does not open its commitment. */
  readonly opened?: ReadonlyMap<EventId, SealedBidContent | null>;
  /** With `award` `manual`: the bids that get shard 0, 1, 2 ... */
  readonly chosen?: readonly EventId[];
  /** Bids of others are refused; absent: of nobody for that. */
  readonly followed?: ReadonlySet<Pubkey>;
  /** Bids of these are refused. */
  readonly blocked?: ReadonlySet<Pubkey>;
}

/** What this home and its user say about bids. */
export function ownBidFacts({ earlier, chosen, followed, blocked }: BidFacts): BidFacts {
  return {
    ...(earlier && { earlier }),
    ...(chosen && { chosen }),
    ...(followed && { followed }),
    ...(blocked && { blocked }),
  };
}

/** Late bidders that this customer takes. */
export function wantedBy({ followed, blocked }: Pick<BidFacts, 'followed' | 'blocked'>): (trainer: Pubkey) => boolean {
  return (trainer) => (followed === undefined || followed.has(trainer)) && blocked?.has(trainer) !== true;
}

/** Bids that the award of this job may name. */
export function bidsOf({ job, bids, sealedBids }: JobState): readonly (EventOf<'bid'> | EventOf<'sealed-bid'>)[] {
  return job!.content.bids === 'sealed' ? sealedBids : bids;
}

/** The award as it would be now, and the earlier jobs that it counts. */
export function auctionNow(
  state: JobState,
  { earlier = [], opened = new Map(), chosen, followed, blocked = new Set() }: BidFacts,
  atSec: number,
  events: readonly (EventOf<'bid'> | EventOf<'sealed-bid'>)[] = bidsOf(state),
): AuctionResult & { readonly counted: readonly EventId[] } {
  const { content: terms, author: customer } = state.job!;
  const { standing, counted } = knownBidders(terms, earlier, new Set(events.map(({ author }) => author)));
  const bids: EventOf<'bid'>[] = [];
  const unopened: EventOf<'sealed-bid'>[] = [];
  for (const event of events) {
    if (event.type === 'bid') bids.push(event);
    else {
      const content = opened.get(event.id) ?? null;
      const bid = content === null ? null : bidOpenedAs(event, content);
      if (bid === null) unopened.push(event);
      else bids.push(bid);
    }
  }
  const strangers = new Set(
    events.flatMap(({ author }) => (followed === undefined || followed.has(author) ? [] : [author])),
  );
  const rules = {
    ...{ terms, customer, standing, blocked, strangers, stakes: state.stakes, atSec },
    ...(chosen && { chosen }),
  };
  return { ...runAuction({ ...rules, bids, unopened }), counted };
}

/** Who registered so far, and would be taken. */
export function validatorsNow(
  { jobId, job, chains, stakes }: JobState,
  considered: Parameters<typeof chosenValidators>[1],
  atSec: number,
): readonly EventOf<'register'>[] {
  const events = [...chains.values()].flatMap((chain) => chain.events);
  return chosenValidators({ jobId, job: job!, stakes }, considered, events, atSec);
}

export async function award(env: CustomerEnv, state: JobState, opened: BidFacts['opened']): Promise<void> {
  const atSec = env.clock.nowSec();
  const { content: terms } = state.job!;
  const facts: BidFacts = { ...ownBidFacts(env), ...(opened && { opened }) };
  const best = new Set([
    ...(env.chosen ?? []),
    ...auctionNow(state, facts, atSec)
      .considered.slice(0, mostConsidered(terms.trainers))
      .map((row) => row.bid),
  ]);
  const named = bidsOf(state).filter((bid) => best.has(bid.id));
  const { considered, seats, withheld, counted } = auctionNow(state, facts, atSec, named);
  if (withheld !== undefined)
    env.progress.warn(`${withheld} seats stay empty: newKeyShare leaves no more to keys that were never paid here`);
  const winners = seats.map((seat) => ({ ...seat, grant: grantHash(shardGrant(env, state, seat.shard)) }));
  const rule = awardedRule(terms, winners.length);
  const bids = considered.map((row) => {
    const content = row.rule === 'sealed' ? null : opened?.get(row.bid);
    return content == null ? row : { ...row, opened: openingOf(content) };
  });
  const validators = validatorsNow(state, considered, atSec).map(({ author, id }) => ({
    ...{ validator: author, register: id },
    grant: grantHash(evalGrant(env, state)),
  }));
  await env.book.sign(
    'award',
    {
      ...{ bids, winners, rule },
      ...(withheld !== undefined && { withheld }),
      ...(counted.length > 0 && { counted: [...counted] }),
      ...(validators.length > 0 && { validators }),
    },
    [...winners.map(({ trainer }) => trainer), ...validators.map(({ validator }) => validator)],
    atSec,
  );
}

/** Opens what is new. @param opened  by sealed bid; changed */
export async function unsealBids(
  { signer }: Pick<CustomerEnv, 'signer'>,
  state: JobState,
  opened: Map<EventId, SealedBidContent | null>,
): Promise<void> {
  if (state.phase !== 'awarding' || state.job?.content.bids !== 'sealed') return;
  for (const bid of state.sealedBids)
    if (!opened.has(bid.id)) opened.set(bid.id, await unsealBid(signer, bid.author, bid));
}
