import type { Pubkey, Sha256 } from '../hash.js';
import { ruleFor, type Rule } from '../learning/aggregate/rule.js';
import type { AwardContent } from '../protocol/award.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';
import { newKeySeats, runAuction, spareOffers, unchosenOffers, type Considered } from './auction.js';
import { broken, type Broken, type Draft } from './draft.js';
import { lateBidRefusal } from './late-bids.js';
import { firstFit } from './new-keys.js';
import { bidOpenedAs } from './sealed-bids.js';
import { seatValidators } from './validator-seats.js';

/** Newest bid per trainer that was not withdrawn after it; who resigned is out of the job for good. */
export function openBids<T extends 'bid' | 'sealed-bid'>(sound: readonly JobEvent[], type: T): EventOf<T>[] {
  const newest = new Map<Pubkey, EventOf<T> | null>();
  const gone = new Set<Pubkey>();
  for (const event of sound) {
    if (event.type === type) newest.set(event.author, event as EventOf<T>);
    if (event.type === 'withdrawn') newest.set(event.author, null);
    if (event.type === 'resign') gone.add(event.author);
  }
  return [...newest.values()].filter((bid) => bid !== null && !gone.has(bid.author)) as EventOf<T>[];
}

/** The rule that the job promised, for so many seats. */
export function awardedRule(
  { aggregation, attackers }: Pick<JobTerms, 'aggregation' | 'attackers'>,
  seats: number,
): AwardContent['rule'] {
  return { ...ruleFor(aggregation, attackers, seats), name: aggregation };
}

const spellRule = ({ name, f, m }: Rule): string => `${name} (f ${f}, m ${m})`;

export function applyAward(draft: Draft, event: EventOf<'award'>): Broken | null {
  if (draft.award !== null) return broken('second-award', `the job was awarded by ${draft.award.id}`);
  const { bids: considered, winners, rule, withheld } = event.content;
  const promised = awardedRule(draft.job.content, winners.length);
  if (rule.name !== promised.name || rule.f !== promised.f || rule.m !== promised.m)
    return broken(
      'award-rule',
      `with ${winners.length} seats the rule is ${spellRule(promised)}, not ${spellRule(rule)}`,
    );
  const bids = considered.map((row) => draft.byId.get(row.bid));
  considered.forEach((row, index) => bids[index] === undefined && draft.missing.add(row.bid));
  const type = draft.job.content.bids === 'sealed' ? 'sealed-bid' : 'bid';
  if (bids.some((bid) => bid !== undefined && bid.type !== type))
    return broken('award-bids', `a considered id is not a ${type}`);
  if (new Set(considered.map((row) => row.trainer)).size !== considered.length)
    return broken('award-bids', 'a trainer is considered twice');
  // Without a stake that a table names nobody can tell who had one.
  const isTold = draft.job.content.stake === undefined || !draft.lacksStakes;
  if (isTold && bids.every((bid) => bid !== undefined)) {
    const opened = openConsidered(considered, bids);
    if ('rule' in opened) return opened;
    const expected = runAuction({
      terms: draft.job.content,
      customer: draft.job.author,
      ...opened,
      standing: new Map(considered.map((row) => [row.trainer, row])),
      blocked: refusedAs(considered, 'blocked'),
      strangers: refusedAs(considered, 'web-of-trust'),
      stakes: draft.stakes,
      atSec: event.createdAt,
      chosen: winners.map(({ bid }) => bid),
    });
    const spell = (rows: readonly Considered[]) =>
      rows
        .map((row) =>
          [
            ...[row.bid, row.trainer, row.priceMsat, row.effectiveMsat, row.outcome, row.shards ?? 1],
            ...[row.stakeMsat ?? 0n, row.rule ?? ''],
          ].join(':'),
        )
        .join(' ');
    if (spell(expected.considered) !== spell(considered))
      return broken('award-order', 'the order of bids does not follow from prices and standing');
    const seats = (rows: readonly { trainer: string; bid: string; shard: number; priceMsat: bigint }[]) =>
      rows.map((row) => `${row.trainer}:${row.bid}:${row.shard}:${row.priceMsat}`).join(' ');
    if (seats(expected.seats) !== seats(winners))
      return broken('award-winners', 'winners, shards or prices do not follow from the bids');
    if (expected.withheld !== withheld)
      return broken('award-winners', `newKeyShare leaves ${expected.withheld ?? 0} seats empty, not ${withheld ?? 0}`);
  }
  const seated = seatValidators(draft, event);
  if (seated !== null) return seated;
  draft.award = event;
  const terms = draft.job.content;
  draft.spares =
    terms.award === 'manual'
      ? unchosenOffers(
          considered,
          winners.map(({ bid }) => bid),
        )
      : spareOffers(considered, terms.trainers, newKeySeats(terms));
  for (const winner of winners) assign(draft, event, winner.shard, winner);
  return null;
}

/** The customer's word about these keys. */
function refusedAs(considered: AwardContent['bids'], rule: 'blocked' | 'web-of-trust'): ReadonlySet<Pubkey> {
  return new Set(considered.filter((row) => row.rule === rule).map(({ trainer }) => trainer));
}

/** Bids as they were made, or as the award opens them. */
function openConsidered(
  considered: AwardContent['bids'],
  events: readonly JobEvent[],
): { readonly bids: EventOf<'bid'>[]; readonly unopened: EventOf<'sealed-bid'>[] } | Broken {
  const bids: EventOf<'bid'>[] = [];
  const unopened: EventOf<'sealed-bid'>[] = [];
  for (const [index, event] of events.entries()) {
    const { opened, priceMsat } = considered[index]!;
    if (event.type === 'bid' && opened === undefined) bids.push(event);
    else if (event.type === 'sealed-bid' && opened === undefined) unopened.push(event);
    else {
      const bid = event.type === 'sealed-bid' ? bidOpenedAs(event, { ...opened!, priceMsat }) : null;
      if (bid === null) return broken('award-opening', `${event.id} does not commit to what the award shows`);
      bids.push(bid);
    }
  }
  return { bids, unopened };
}

function assign(
  draft: Draft,
  event: EventOf<'award'> | EventOf<'replace'>,
  shard: number,
  seat: { readonly trainer: Pubkey; readonly priceMsat: bigint; readonly grant: Sha256 },
): void {
  const answers = draft.sound.get(seat.trainer) ?? [];
  const mine = (other: EventOf<'ready'> | EventOf<'grant-bad'>) =>
    other.content.award === event.id && other.content.shard === shard;
  draft.heldShards.add(shard);
  draft.assignments.set(shard, {
    shard,
    trainer: seat.trainer,
    priceMsat: seat.priceMsat,
    grant: seat.grant,
    award: event.id,
    awardedAt: event.createdAt,
    ready:
      (answers.find((other) => other.type === 'ready' && mine(other) && other.content.grant === seat.grant) as
        EventOf<'ready'> | undefined) ?? null,
    grantBad:
      (answers.find((other) => other.type === 'grant-bad' && mine(other)) as EventOf<'grant-bad'> | undefined) ?? null,
  });
}

export function applyReplace(draft: Draft, event: EventOf<'replace'>): Broken | null {
  const { shard, out, reason, in: next } = event.content;
  const current = draft.assignments.get(shard)?.trainer ?? null;
  if (draft.award === null || shard >= draft.job.content.trainers)
    return broken('replace', `there is no seat ${shard}`);
  if (current !== out) return broken('replace', `shard ${shard} is held by ${current ?? 'nobody'}, not by ${out}`);
  if ((out === null) !== (reason === 'vacant') || (out === null && next === null))
    return broken('replace', 'a vacant shard goes from nobody to somebody');
  const last = draft.rounds.at(-1);
  if (last !== undefined && last.close === null && last.voided === null) return broken('replace', 'a round is open');
  // Who lost a seat is offered no other.
  const spares = draft.spares.filter(({ trainer }) => trainer !== out);
  const isAgain = draft.heldShards.has(shard);
  const { award, assignments, stakes } = draft;
  const seats = { terms: draft.job.content, award, assignments, stakes };
  const best = firstFit(spares, seats, shard);
  if (next !== null) {
    const wrong = best !== undefined ? notTheBest(best, next) : notLate(draft, event, next);
    if (wrong !== null) return broken('replace', wrong);
    if (isAgain && draft.replacements >= draft.job.content.maxReplacements)
      return broken('replace', `at most ${draft.job.content.maxReplacements} replacements`);
  }
  if (out !== null) draft.lost.add(out);
  const used = next === null || best === undefined ? -1 : spares.indexOf(best);
  draft.spares = spares.filter((_, i) => i !== used);
  if (next === null) draft.assignments.delete(shard);
  else assign(draft, event, shard, next);
  if (next !== null && isAgain) draft.replacements++;
  return null;
}

type Successor = NonNullable<EventOf<'replace'>['content']['in']>;

function notTheBest(spare: Considered, next: Successor): string | null {
  const isIt = spare.bid === next.bid && spare.trainer === next.trainer && spare.priceMsat === next.priceMsat;
  return isIt ? null : `the best spare is ${spare.trainer}`;
}

/** Among late bids the customer chooses; whether one may have the seat, everybody sees. */
function notLate(draft: Draft, event: EventOf<'replace'>, next: Successor): string | null {
  const bid = draft.byId.get(next.bid);
  if (bid === undefined) {
    draft.missing.add(next.bid);
    return null;
  }
  if (bid.type !== 'bid' || bid.author !== next.trainer || bid.content.priceMsat !== next.priceMsat)
    return 'no spare is left, and it cites no bid of that trainer at that price';
  const { shard, out } = event.content;
  const facts = {
    ...{ terms: draft.job.content, customer: draft.job.author, award: draft.award!, stakes: draft.stakes },
    assignments: new Map([...draft.assignments].filter(([other]) => other !== shard)),
    lost: out === null ? draft.lost : new Set([...draft.lost, out]),
  };
  const refusal = lateBidRefusal(facts, bid, event.createdAt);
  return refusal === null ? null : `no spare is left, and this bid cannot take over: ${refusal}`;
}
