import type { EventId, Pubkey } from '../hash.js';
import type { Rung } from '../learning/types.js';
import type { AwardContent, BID_RULES } from '../protocol/award.js';
import type { EventOf } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import { leadingZeroBits } from './proof-of-work.js';
import { NO_STAKES, type StakeBook } from './stake.js';
import { asksStake, namedStake } from './stake-terms.js';

/** What the customer knows of a trainer from receipts it trusts. */
export interface Standing {
  readonly attempts: number;
  readonly successes: number;
}
export const UNKNOWN_TRAINER: Standing = { attempts: 0, successes: 0 };

type BidRule = (typeof BID_RULES)[number];
export type Considered = AwardContent['bids'][number];
export interface Seat {
  readonly trainer: Pubkey;
  readonly bid: EventId;
  readonly shard: number;
  readonly priceMsat: bigint;
}
export interface AuctionResult {
  /** In order: winners, spares, refused; each by effective price, ties by key. */
  readonly considered: readonly Considered[];
  readonly seats: readonly Seat[];
  /** Seats that offers of new keys could fill and `newKeyShare` leaves empty; absent: none. */
  readonly withheld?: number;
}

/**
 * Offers of shards, best first: the k-th shard of a trainer, k from 1, competes at k times its effective price. So a key gets a
 * second shard where the next one is missing, or dearer than twice its price; the first ones come before all others of a free job.
 * Ties by k, then by key.
 *
 * @param rows  admissible bids
 */
function offersOf<
  Row extends { readonly trainer: Pubkey; readonly effectiveMsat: bigint; readonly shards?: number | undefined },
>(rows: readonly Row[]): Row[] {
  const offers = rows.flatMap((row) =>
    Array.from({ length: row.shards ?? 1 }, (_, i) => ({ row, k: i + 1, msat: row.effectiveMsat * BigInt(i + 1) })),
  );
  offers.sort((a, b) =>
    a.msat !== b.msat ? (a.msat < b.msat ? -1 : 1) : a.k - b.k || (a.row.trainer < b.row.trainer ? -1 : 1),
  );
  return offers.map(({ row }) => row);
}

/** What an award leaves, best first: a trainer stands in it as often as it offers another shard. */
export function spareOffers(
  considered: readonly Considered[],
  seats: number,
  newSeats: number = seats,
): readonly Considered[] {
  return stakedFirst(
    seatOffers(offersOf(considered.filter(({ outcome }) => outcome !== 'refused')), seats, newSeats).left,
  );
}

/** Likewise, where the customer chose: a bid stands in `chosen` as often as it got a shard. */
export function unchosenOffers(considered: readonly Considered[], chosen: readonly EventId[]): readonly Considered[] {
  return stakedFirst(chosenOffers(offersOf(considered.filter(({ outcome }) => outcome !== 'refused')), chosen).left);
}

/** Who takes over a shard gets its key, too: first those who answer for it. Otherwise in their order. */
function stakedFirst(offers: readonly Considered[]): readonly Considered[] {
  const isStaked = ({ stakeMsat }: Considered): boolean => stakeMsat !== undefined;
  return [...offers.filter(isStaked), ...offers.filter((offer) => !isStaked(offer))];
}

/** In the order of the choice; what no offer answers is passed over. */
function chosenOffers<Row extends { readonly bid: EventId }>(
  offers: readonly Row[],
  chosen: readonly EventId[],
): { readonly won: Row[]; readonly left: Row[] } {
  const left = [...offers];
  const won = chosen.flatMap((bid) => {
    const at = left.findIndex((offer) => offer.bid === bid);
    return at === -1 ? [] : left.splice(at, 1);
  });
  return { won, left };
}

/** Most seats of keys without a receipt that the customer trusts; all, where the job does not say. */
export function newKeySeats({ trainers, newKeyShare }: Pick<JobTerms, 'trainers' | 'newKeyShare'>): number {
  return newKeyShare === undefined ? trainers : Math.ceil((trainers * newKeyShare) / 1_000_000);
}

/** Who has a stake that counts answers for its work: its key is no new one. */
export function isNewKey({ successes, stakeMsat }: Pick<Considered, 'successes' | 'stakeMsat'>): boolean {
  return successes === 0 && stakeMsat === undefined;
}

/** The first offers get the seats; one of a new key is passed over once those hold what they may. */
function seatOffers<Row extends Pick<Considered, 'successes' | 'stakeMsat'>>(
  offers: readonly Row[],
  seats: number,
  newSeats: number,
): { readonly won: Row[]; readonly left: Row[] } {
  const won: Row[] = [];
  const left: Row[] = [];
  let held = 0;
  for (const offer of offers) {
    const isNew = isNewKey(offer);
    if (won.length === seats || (isNew && held === newSeats)) left.push(offer);
    else {
      won.push(offer);
      if (isNew) held++;
    }
  }
  return { won, left };
}

/** max(1, min(2, (attempts + 2) / (successes + 1))), as a fraction. */
function multiplier({ attempts, successes }: Standing): readonly [numerator: bigint, denominator: bigint] {
  const numerator = BigInt(attempts + 2);
  const denominator = BigInt(successes + 1);
  if (numerator <= denominator) return [1n, 1n];
  return numerator >= 2n * denominator ? [2n, 1n] : [numerator, denominator];
}

/**
 * price * max(1, min(2, (attempts + 2) / (successes + 1))), rounded down to the msat: an unknown key counts at twice its price,
 * a key without failures approaches its price, whitewashing a bad key gains nothing.
 */
export function effectivePrice(priceMsat: bigint, standing: Standing): bigint {
  const [numerator, denominator] = multiplier(standing);
  return (priceMsat * numerator) / denominator;
}

/** The highest price that counts as at most `effectiveMsat`. */
export function highestPrice(effectiveMsat: bigint, standing: Standing): bigint {
  const [numerator, denominator] = multiplier(standing);
  return ((effectiveMsat + 1n) * denominator - 1n) / numerator;
}

/**
 * What a winner is paid by the uniform price: the most it could have asked against the offer that would have the seat in its place, at
 * most the ceiling, which is also paid where there is none. It does not depend on its own bid, so asking what the work costs is best
 * (Vickrey 1961); never below the own bid.
 *
 * @param offers  all admissible ones, best first, one per trainer
 */
function uniformPrice(winner: Considered, offers: readonly Considered[], terms: JobTerms): bigint {
  const newSeats = newKeySeats(terms);
  const others = offers.filter(({ trainer }) => trainer !== winner.trainer);
  const { won } = seatOffers(others, terms.trainers, newSeats);
  const news = won.filter(isNewKey);
  // A new key takes a seat from a new one where those have all that are theirs.
  const rivals = isNewKey(winner) && news.length === newSeats ? news : won.length === terms.trainers ? won : [];
  const rival = rivals.at(-1);
  if (rival === undefined) return terms.maxPriceMsat;
  const priceMsat = highestPrice(rival.effectiveMsat, winner);
  return priceMsat < terms.maxPriceMsat ? priceMsat : terms.maxPriceMsat;
}

/** What a bid is held against besides itself. */
export interface BidContext {
  readonly terms: JobTerms;
  readonly customer: Pubkey;
  readonly blocked: ReadonlySet<Pubkey>;
  /** Whom the customer does not follow, where it takes no others. */
  readonly strangers?: ReadonlySet<Pubkey>;
  /** As the last stake table has them; absent: none. */
  readonly stakes?: StakeBook;
  readonly atSec: number;
}

const stakeOf = ({ terms, stakes = NO_STAKES }: BidContext, { author, content }: EventOf<'bid'>): bigint =>
  namedStake(terms, stakes, 'trainer', { author, lock: content.lock });

/** The first rule that keeps a bid out; null: it is admissible. */
export function refusalOf(
  context: BidContext,
  bid: EventOf<'bid'>,
  standing: Pick<Standing, 'successes'>,
): BidRule | null {
  const { terms, customer, blocked, strangers, atSec } = context;
  if (bid.author === customer) return 'own-job';
  if (blocked.has(bid.author)) return 'blocked';
  if (strangers?.has(bid.author) === true) return 'web-of-trust';
  if (terms.minBidPow !== undefined && leadingZeroBits(bid.id) < terms.minBidPow) return 'proof-of-work';
  if (terms.keyRelease === 'known' && standing.successes === 0) return 'unknown-key';
  if (asksStake(terms, 'trainer') && stakeOf(context, bid) === 0n) return 'unstaked';
  if (bid.content.priceMsat > terms.maxPriceMsat) return 'price-above-ceiling';
  if (!acceptsEngine(terms, bid.content.engine)) return 'engine-not-accepted';
  if (bid.content.expires < atSec) return 'expired';
  return null;
}

function unopenedRule({ customer, blocked, strangers }: BidContext, author: Pubkey): BidRule {
  if (author === customer) return 'own-job';
  if (blocked.has(author)) return 'blocked';
  return strangers?.has(author) === true ? 'web-of-trust' : 'sealed';
}

/** With spot checks only the engine that repeats: bits of others differ. */
export function acceptsEngine(
  { acceptedEngines, spot }: Pick<JobTerms, 'acceptedEngines' | 'spot'>,
  engine: string,
): boolean {
  return acceptedEngines.includes(rungOf(engine)) && (spot === null || spot.engine === engine);
}

/**
 * How many bids an award names: a flood of bids must not stop a job, so the best ones by effective price count, admissible ones first.
 *
 * @param seats  of the job
 */
export function mostConsidered(seats: number): number {
  return Math.max(100, Math.min(1_024, 2 * seats));
}

/** The first part of an engine id. */
export function rungOf(engine: string): Rung {
  return engine.split('/', 1)[0] as Rung;
}

/**
 * Admissible bids by effective price, ties by key; the first N of their offers that `newKeyShare` allows win
 * shard 0, 1, 2 ..., the rest are spares. Each is paid its bid,
 * or what `payment` `uniform` makes of the others'.
 *
 * @param bids      at most one per trainer (the newest); any order; sealed ones as opened
 * @param unopened  sealed bids without an opening: refused
 * @param standing  receipts trusted; a trainer that is not in it is unknown
 * @param atSec     the award's own time: decides which bids have expired
 * @param chosen    with `award` `manual` the bids that get shard 0, 1, 2 ...; without them nobody has won yet
 */
export function runAuction(
  input: BidContext & {
    readonly bids: readonly EventOf<'bid'>[];
    readonly unopened?: readonly Pick<EventOf<'sealed-bid'>, 'id' | 'author'>[];
    readonly standing: ReadonlyMap<Pubkey, Standing>;
    readonly chosen?: readonly EventId[];
  },
): AuctionResult {
  const known = (trainer: Pubkey): Standing => {
    const { attempts, successes } = input.standing.get(trainer) ?? UNKNOWN_TRAINER;
    return { attempts, successes };
  };
  const perTrainer = input.terms.shardsPerTrainer ?? 1;
  const described = [
    ...input.bids.map((bid): Considered => {
      const standing = known(bid.author);
      const { priceMsat, capacity } = bid.content;
      const rule = refusalOf(input, bid, standing);
      const shards = Math.min(capacity, perTrainer);
      const stakeMsat = stakeOf(input, bid);
      return {
        ...{ bid: bid.id, trainer: bid.author, priceMsat, ...standing },
        effectiveMsat: effectivePrice(priceMsat, standing),
        outcome: rule === null ? 'spare' : 'refused',
        ...(shards > 1 && { shards }),
        ...(stakeMsat > 0n && { stakeMsat }),
        ...(rule === null ? {} : { rule }),
      };
    }),
    ...(input.unopened ?? []).map(({ id, author }): Considered => {
      const rule = unopenedRule(input, author);
      return {
        ...{ bid: id, trainer: author, priceMsat: 0n, effectiveMsat: 0n, ...known(author) },
        outcome: 'refused',
        rule,
      };
    }),
  ];
  described.sort((a, b) =>
    a.effectiveMsat !== b.effectiveMsat ? (a.effectiveMsat < b.effectiveMsat ? -1 : 1) : a.trainer < b.trainer ? -1 : 1,
  );
  const admissible = described.filter(({ outcome }) => outcome !== 'refused');
  const { trainers, payment } = input.terms;
  const offers = offersOf(admissible);
  const isManual = input.terms.award === 'manual';
  const { won, left } = isManual
    ? chosenOffers(offers, (input.chosen ?? []).slice(0, trainers))
    : seatOffers(offers, trainers, newKeySeats(input.terms));
  const withheld = isManual ? 0 : Math.min(trainers - won.length, left.length);
  return {
    ...(withheld > 0 && { withheld }),
    considered: [
      ...admissible.map((row): Considered => (won.includes(row) ? { ...row, outcome: 'won' } : row)),
      ...described.filter(({ outcome }) => outcome === 'refused'),
    ],
    seats: won.map((row, shard) => {
      const priceMsat = payment === 'uniform' ? uniformPrice(row, offers, input.terms) : row.priceMsat;
      return { trainer: row.trainer, bid: row.bid, shard, priceMsat };
    }),
  };
}
