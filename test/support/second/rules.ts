import { keepsUp, showsWork, work } from './numbers.js';
import {
  Bad,
  byText,
  fields,
  fromHex,
  hex,
  must,
  nameOf,
  sha256,
  u32,
  u64,
  type BidRow,
  type ClaimBad,
  type Events,
  type RawEvent,
  type ScoreRow,
  type Scores,
  type Terms,
  type Verdict,
} from './wire.js';
import { isForged, takeDraw, takeFraud, takeSpot } from './spot.js';
import { potShares, Stakes, wantsStake, type Slashed } from './stakes.js';
import { areScoring, feesOf, judgesAfter, takeJudges, takeJudgesList, takeLie, type Judge } from './validators.js';

/** The customer's chain, event by event, by "Who signs what, and when" of docs/protocol.md. */

export interface Held {
  readonly shard: number;
  readonly trainer: string;
  readonly priceMsat: bigint;
}
export interface Round {
  readonly round: number;
  readonly open: RawEvent;
  readonly seats: readonly Held[];
  readonly lossBefore: number | null;
  /** Hashes of updates that opened in earlier rounds. */
  readonly shown: ReadonlySet<string>;
  readonly seen: Set<string>;
  commitList: RawEvent | null;
  draw: RawEvent | null;
  /** By shard, like the reveals. */
  readonly commits: Map<number, RawEvent>;
  revealList: RawEvent | null;
  readonly reveals: Map<number, RawEvent>;
  /** Of the customer. */
  scores: RawEvent | null;
  readonly judges: readonly Judge[];
  /** Keys of those that the draw names, of them who has a seat, and their nonces. */
  readonly heard: string[];
  readonly drawn: string[];
  readonly nonces: string[];
  scoreList: RawEvent | null;
  /** By validator, as listed. */
  scoreCommits: Map<string, RawEvent> | null;
  scoreReveals: Map<string, RawEvent> | null;
  /** Proven to have lied in this round. */
  readonly liars: Set<string>;
  /** What decides: the customer's scores, or the median of listed ones. */
  verdict: { readonly by: string; readonly isMedian: boolean; readonly rows: readonly ScoreRow[] } | null;
  close: RawEvent | null;
  voided: RawEvent | null;
  settlement: RawEvent | null;
  readonly receipts: Map<string, RawEvent>;
}
export interface Walked {
  readonly stakes: Stakes;
  /** How accepted updates become one. */
  readonly rule: string;
  readonly events: Events;
  readonly job: RawEvent;
  readonly terms: Terms;
  readonly rounds: readonly Round[];
  readonly artifact: RawEvent | null;
  /** Trainers proven to have forged. */
  readonly frauds: ReadonlyMap<string, RawEvent>;
  /** By claim. */
  readonly refused: ReadonlyMap<string, RawEvent>;
  /** What the last settlement pays out of. */
  readonly slashed: readonly Slashed[];
}

export class Walk implements Walked {
  readonly terms: Terms;
  readonly rounds: Round[] = [];
  artifact: RawEvent | null = null;
  readonly frauds = new Map<string, RawEvent>();
  readonly refused = new Map<string, RawEvent>();
  rule = 'fedavg';
  slashed: readonly Slashed[] = [];
  #award: RawEvent | null = null;
  #spares: BidRow[] = [];
  #judges: readonly Judge[] = [];
  readonly #held = new Map<number, Held>();
  /** Shards that anybody ever held. */
  readonly #known = new Set<number>();
  /** Trainers that lost a seat. */
  readonly #lost = new Set<string>();
  #replaced = 0;
  readonly stakes = new Stakes();
  #model: string | null = null;
  #loss: number | null = null;
  #isOver = false;

  constructor(
    readonly events: Events,
    readonly job: RawEvent,
  ) {
    this.terms = fields<Terms>(job);
  }

  /** @throws Bad that names the first event which does not follow, or one that is missing */
  take(event: RawEvent): void {
    const name = nameOf(event);
    must(!this.#isOver || ['4628/receipt', '4628/claim-bad'].includes(name), event.id, 'after the end');
    const step = {
      '4626/award': () => this.#takeAward(event),
      '4626/replace': () => this.#takeReplace(event),
      '4626/cancel': () => this.#takeCancel(event),
      '4622/open': () => this.#takeOpen(event),
      '4622/seen': () => this.#seenOf(event),
      '4622/list': () => this.#takeList(event),
      '4622/draw': () => takeDraw(this, this.#last(event), event),
      '4629/reveal': () => this.#takeScores(event),
      '4628/fraud': () => this.#takeFraud(event),
      '4628/validator-fraud': () => takeLie(this.#last(event), event),
      '4622/close': () => this.#takeClose(event),
      '4622/void': () => this.#takeVoid(event),
      '4630': () => this.#takeSettlement(event),
      '4628/receipt': () => this.#takeReceipt(event),
      '4628/claim-bad': () => this.#takeClaimBad(event),
      '4631/table': () => this.stakes.take(this.events, event),
      '4632': () => this.#takeArtifact(event),
    }[name];
    if (step === undefined) throw new Bad(event.id, `a ${name} of the customer`);
    step();
  }

  #last(event: RawEvent): Round {
    const last = this.rounds.at(-1);
    must(last !== undefined && last.close === null && last.voided === null, event.id, 'no round is open');
    must(fields(event).round === last.round, event.id, 'another round');
    return last;
  }

  #takeAward(event: RawEvent): void {
    const { bids: rows, winners, rule, withheld } = fields(event);
    must(
      this.#award === null && rule.f === 0 && rule.m === 0,
      event.id,
      'a second award, or a rule that counts attackers',
    );
    must(new Set(rows.map(({ trainer }) => trainer)).size === rows.length, event.id, 'a trainer twice');
    const expected = order(
      rows,
      rows.map(({ bid }) => this.events.at(bid)),
      this.terms,
      event,
      this.job.pubkey,
      this.stakes,
    );
    const spell = (list: readonly BidRow[]) =>
      list.map((row) =>
        [
          row.bid,
          row.trainer,
          row.priceMsat,
          row.effectiveMsat,
          row.outcome,
          row.shards,
          row.stakeMsat,
          row.rule,
        ].join(),
      );
    must(spell(rows).join(' ') === spell(expected).join(' '), event.id, 'another order of bids');
    const offered = offers(expected.filter(({ outcome }) => outcome !== 'refused'));
    const { won, left } =
      this.terms.award === 'manual'
        ? picked(
            offered,
            winners.map(({ bid }) => bid),
          )
        : seated(offered, this.terms);
    const good = expected.filter(({ outcome }) => outcome !== 'refused');
    const seats = won.map((row, shard) => ({ ...row, shard, priceMsat: paid(row, good, this.terms) }));
    const place = (list: readonly { trainer: string; bid: string; shard: number; priceMsat: string }[]) =>
      list.map((seat) => [seat.trainer, seat.bid, seat.shard, seat.priceMsat].join()).join(' ');
    must(place(seats) === place(winners), event.id, 'other winners');
    const isManual = this.terms.award === 'manual';
    must(!isManual || winners.length <= this.terms.trainers, event.id, 'more winners than seats');
    const empty = isManual ? 0 : Math.min(this.terms.trainers - won.length, left.length);
    must((withheld ?? 0) === empty, event.id, 'another number of seats withheld');
    this.#award = event;
    this.rule = rule.name;
    this.#judges = takeJudges(this, this.events, event, expected);
    this.#spares = [...left.filter(isStaked), ...left.filter((row) => !isStaked(row))];
    for (const { shard, trainer, priceMsat } of seats) this.#hold({ shard, trainer, priceMsat: BigInt(priceMsat) });
  }

  #takeReplace(event: RawEvent): void {
    const { shard, out, in: next, reason } = fields(event);
    const last = this.rounds.at(-1);
    must(this.#award !== null && shard < this.terms.trainers, event.id, 'no such seat');
    must((this.#held.get(shard)?.trainer ?? null) === out, event.id, 'it does not hold the shard');
    must((out === null) === (reason === 'vacant') && (out ?? next) !== null, event.id, 'vacant, or not');
    must(last === undefined || last.close !== null || last.voided !== null, event.id, 'a round is open');
    this.#held.delete(shard);
    if (out !== null) this.#lost.add(out);
    this.#spares = this.#spares.filter(({ trainer }) => trainer !== out);
    if (next === null) return;
    const at = this.#spares.findIndex(({ trainer }) => this.#isAnswering(trainer) && this.#hasRoomFor(trainer));
    const spare = this.#spares[at];
    if (spare === undefined) this.#takeLate(event, next);
    else {
      this.#spares.splice(at, 1);
      const isFirst = spare.bid === next.bid && spare.trainer === next.trainer && spare.priceMsat === next.priceMsat;
      must(isFirst, event.id, 'not the first spare');
    }
    must(!this.#known.has(shard) || this.#replaced++ < this.terms.maxReplacements, event.id, 'too many');
    this.#hold({ shard, trainer: next.trainer, priceMsat: BigInt(next.priceMsat) });
  }

  /** A bid that the award did not consider, of a trainer that may have one more shard. */
  #takeLate(
    event: RawEvent,
    next: { readonly trainer: string; readonly bid: string; readonly priceMsat: string },
  ): void {
    const bid = this.events.at(next.bid);
    const { priceMsat, engine, expires, capacity } = fields(bid);
    const { bids } = fields(this.#award!);
    const isIts = nameOf(bid) === '4625/bid' && bid.pubkey === next.trainer && priceMsat === next.priceMsat;
    const isOut = (rule?: string) => rule === 'blocked' || rule === 'web-of-trust';
    const isNew = !bids.some((row) => row.bid === bid.id || (row.trainer === bid.pubkey && isOut(row.rule)));
    const successes = bids.find(({ trainer }) => trainer === bid.pubkey)?.successes ?? 0;
    const isGood =
      BigInt(priceMsat) <= BigInt(this.terms.maxPriceMsat) &&
      acceptsEngine(this.terms, engine) &&
      zeroBits(bid.id) >= (this.terms.minBidPow ?? 0) &&
      (this.terms.keyRelease !== 'known' || successes > 0) &&
      (!wantsStake(this.terms) || this.stakes.named(bid, this.terms) > 0n) &&
      expires >= event.created_at &&
      bid.pubkey !== this.job.pubkey;
    const held = [...this.#held.values()].filter(({ trainer }) => trainer === bid.pubkey).length;
    const mayHold = held < Math.min(capacity, this.terms.shardsPerTrainer ?? 1) && !this.#lost.has(bid.pubkey);
    const fits = this.#hasRoomFor(bid.pubkey);
    must(isIts && isNew && isGood && mayHold && fits, event.id, 'no late bid that may take over');
  }

  /** Of keys without a success in the award at most so many hold seats. */
  #hasRoomFor(trainer: string): boolean {
    const rows = fields(this.#award!).bids;
    const isNew = (key: string) => {
      const row = rows.find(({ trainer: other }) => other === key);
      return row === undefined ? this.stakes.of(key, this.terms) === 0n : isNewRow(row);
    };
    const held = [...this.#held.values()].filter((seat) => isNew(seat.trainer)).length;
    return !isNew(trainer) || held < mostNew(this.terms);
  }

  /** Where the job asks for a stake, it has to be there still. */
  #isAnswering(trainer: string): boolean {
    return !wantsStake(this.terms) || this.stakes.of(trainer, this.terms) > 0n;
  }

  #hold(seat: Held): void {
    this.#held.set(seat.shard, seat);
    this.#known.add(seat.shard);
  }

  #takeOpen(event: RawEvent): void {
    const { round, base, trainers, difference } = fields(event);
    const last = this.rounds.at(-1);
    must(this.#award !== null, event.id, 'not awarded');
    must(last === undefined || isDone(this, last), event.id, 'the last round is not over');
    must(round === this.rounds.length && round < this.terms.rounds, event.id, 'another round comes next');
    must(this.#model === null || this.#model === base.sha256, event.id, 'another base');
    if (difference !== undefined) {
      must(last !== undefined && difference.to === fields(last.open).base.sha256, event.id, 'to another model');
      const row = this.rounds.slice(-8);
      const isWholeDue = row.length === 8 && row.every(({ open }) => fields(open).difference !== undefined);
      must(!isWholeDue, event.id, 'a whole model is due');
    }
    const seats = [...this.#held.values()].sort((a, b) => a.shard - b.shard);
    const spell = (list: readonly { shard: number; trainer: string }[]) =>
      list.map((seat) => `${seat.shard}:${seat.trainer}`).join(' ');
    must(spell(seats) === spell(trainers), event.id, 'other seats');
    must(!seats.some(({ trainer }) => this.frauds.has(trainer)), event.id, 'a proven fraud has a seat');
    this.#model = base.sha256;
    this.rounds.push({
      ...{ round, open: event, seats, lossBefore: this.#loss, seen: new Set() },
      shown: last === undefined ? new Set() : shownAfter(this.job.id, last),
      ...{ commitList: null, draw: null, commits: new Map(), revealList: null, reveals: new Map() },
      ...{ scores: null, judges: this.#judges, heard: [], drawn: [], nonces: [], liars: new Set(), verdict: null },
      ...{ scoreList: null, scoreCommits: null, scoreReveals: null },
      ...{ close: null, voided: null, settlement: null, receipts: new Map() },
    });
  }

  #seenOf(event: RawEvent): void {
    const round = this.#last(event);
    for (const id of fields(event).ids) {
      this.events.at(id);
      round.seen.add(id);
    }
  }

  #takeList(event: RawEvent): void {
    const round = this.#last(event);
    const { of, ids, until } = fields(event);
    if (of !== 'commit' && of !== 'reveal')
      return takeJudgesList(this, this.events, round, event, (scores) => this.#checkRows(round, scores));
    const counts = (other: RawEvent): boolean => {
      if (nameOf(other) !== `4627/${of}`) return false;
      const { round: index, shard, open, list, commit } = fields(other);
      const seat = round.seats.find((one) => one.shard === shard);
      if (index !== round.round || other.pubkey !== seat?.trainer) return false;
      if (of === 'commit') return open === round.open.id;
      return list === round.commitList?.id && commit === round.commits.get(shard)?.id;
    };
    if (of === 'commit') must(round.commitList === null && until !== null, event.id, 'listed before, or no until');
    else must(round.commitList !== null && round.revealList === null, event.id, 'reveals are not due');
    if (of === 'reveal') must(this.terms.spot == null || round.draw !== null, event.id, 'before the draw');
    must(new Set(ids).size === ids.length, event.id, 'an id twice');
    const first = new Map<number, RawEvent>();
    for (const { trainer, shard } of round.seats) {
      const isIts = (other: RawEvent) => other.pubkey === trainer && counts(other) && fields(other).shard === shard;
      const inChain = this.events.chains.get(trainer)?.events.find(isIts);
      const seen = [...round.seen].map((id) => this.events.at(id)).find(isIts);
      const one = inChain ?? seen;
      if (one !== undefined) first.set(shard, one);
    }
    for (const { id } of first.values()) must(!round.seen.has(id) || ids.includes(id), event.id, 'an omission');
    const found = of === 'commit' ? round.commits : round.reveals;
    for (const id of ids) {
      const other = this.events.at(id);
      const { shard } = fields(other);
      must(counts(other) && !found.has(shard), event.id, `${id} does not count`);
      must((first.get(shard)?.id ?? id) === id, event.id, 'not the first');
      found.set(shard, other);
    }
    if (of === 'commit') round.commitList = event;
    else round.revealList = event;
  }

  #takeScores(event: RawEvent): void {
    const round = this.#last(event);
    const { list, scores } = fields<Scores>(event);
    must(round.revealList?.id === list && round.verdict === null, event.id, 'scores are not due');
    const isAsked = areScoring(this.terms, round);
    must(!isAsked || round.scoreReveals !== null, event.id, 'validators were not heard');
    this.#checkRows(round, event);
    round.scores = event;
    round.verdict = { by: event.id, isMedian: false, rows: scores };
  }

  #checkRows(round: Round, event: RawEvent): void {
    const { data, scores } = fields<Scores>(event);
    must(data === this.terms.evalA.commitment, event.id, 'another set');
    must(new Set(scores.map(({ shard }) => shard)).size === scores.length, event.id, 'a seat twice');
    for (const row of scores) {
      const reveal = round.reveals.get(row.shard);
      must(reveal?.id === row.submission && reveal.pubkey === row.trainer, event.id, 'of no listed reveal');
      const { dPpm, ePpm } = work(row);
      must(dPpm === row.dPpm && ePpm === row.ePpm, event.id, `D and E must be ${dPpm} and ${ePpm}`);
      takeSpot(this, round, event, row);
    }
  }

  #takeFraud(event: RawEvent): void {
    const { trainer } = fields(event);
    takeFraud(this.#last(event), event);
    must(!this.frauds.has(trainer), event.id, 'a proven fraud already');
    this.frauds.set(trainer, event);
  }

  #takeClose(event: RawEvent): void {
    const round = this.#last(event);
    const { list, scores, accepted, rejected, aggregate, lossPpm } = fields(event);
    must(round.verdict?.by === scores && round.revealList?.id === list, event.id, 'it does not follow the scores');
    const { rows } = round.verdict;
    const isUnmeasured = (shard: number): boolean => !rows.some((row) => row.shard === shard);
    const found = new Map(
      rejected
        .filter(({ rule, shard }) => isFinding(rule) || (rule === 'spot-check' && isUnmeasured(shard)))
        .map((row) => [row.shard, row.rule]),
    );
    const right = judge(this, round, found);
    must(spellSide(right.accepted) === spellSide(accepted), event.id, 'other updates are accepted');
    const spell = (rows: readonly Verdict[]) =>
      rows.map((row) => [row.shard, row.trainer, row.submission, row.rule].join()).join(' ');
    must(spell(right.rejected) === spell(rejected), event.id, 'other updates are rejected');
    for (const { trainer, shard, rule } of rejected)
      if (rule === 'spot-check' && !isUnmeasured(shard)) must(this.frauds.has(trainer), event.id, 'no proof of it');
    must(accepted.length >= quorum(this, round), event.id, 'below the quorum');
    round.close = event;
    this.#judges = judgesAfter(this.terms, round);
    this.#model = aggregate;
    this.#loss = lossPpm;
  }

  #takeVoid(event: RawEvent): void {
    const round = this.#last(event);
    must(round.commitList !== null && !mustClose(this, round), event.id, 'it has to close');
    round.voided = event;
    this.#judges = judgesAfter(this.terms, round);
  }

  #takeSettlement(event: RawEvent): void {
    const last = this.rounds.at(-1);
    const { round, close, plan, totalMsat } = fields(event);
    must(last !== undefined && last.settlement === null && last.round === round, event.id, 'nothing to settle');
    must(last.close?.id === close, event.id, 'it settles another close');
    if (last.round === this.terms.rounds - 1) this.slashed = this.stakes.slashes;
    const right = planOf(this, last);
    plans.set(last, right);
    const spell = (rows: typeof plan) => rows.map((row) => [row.payout, row.payee, row.purpose, row.amountMsat].join());
    must(spell(right).join(' ') === spell(plan).join(' '), event.id, 'another plan');
    must(right.reduce((sum, row) => sum + BigInt(row.amountMsat), 0n) === BigInt(totalMsat), event.id, 'another total');
    last.settlement = event;
  }

  #takeReceipt(event: RawEvent): void {
    const { settlement, payout, payee, amountMsat, preimage, paymentHash, claim: claimId } = fields(event);
    const round = this.rounds.find((one) => one.settlement?.id === settlement);
    const line = round?.settlement && fields(round.settlement).plan.find((row) => row.payout === payout);
    must(round !== undefined && line?.payee === payee, event.id, 'nobody was promised that');
    must(!round.receipts.has(payout) && line.amountMsat === amountMsat, event.id, 'twice, or another amount');
    must(hex(sha256(fromHex(preimage))) === paymentHash, event.id, 'another preimage');
    const claim = this.events.at(claimId);
    const said = fields(claim);
    const isIts = nameOf(claim) === '4633/claim' && claim.pubkey === payee && said.payout === payout;
    must(isIts && said.settlement === settlement && said.amountMsat === amountMsat, event.id, 'another claim');
    round.receipts.set(payout, event);
  }

  #takeClaimBad(event: RawEvent): void {
    const { claim: id, payout, invoice } = fields<ClaimBad>(event);
    const claim = this.events.at(id);
    must(nameOf(claim) === '4633/claim' && fields(claim).payout === payout, event.id, 'no claim of that payout');
    const isShown = invoice === null || hex(sha256('nmkt/1/invoice', invoice)) === fields(claim).invoiceHash;
    must(isShown, event.id, 'another invoice than the claim’s');
    const isPaid = this.rounds.some(({ receipts }) => {
      const receipt = receipts.get(payout);
      return receipt !== undefined && fields(receipt).claim === id;
    });
    must(!isPaid && !this.refused.has(id), event.id, 'paid, or refused before');
    this.refused.set(id, event);
  }

  #takeCancel(event: RawEvent): void {
    const last = this.rounds.at(-1);
    must(last === undefined || !mustClose(this, last), event.id, 'updates are out');
    must(last === undefined || last.close === null || isDone(this, last), event.id, 'a round is not settled');
    this.#isOver = true;
  }

  #takeArtifact(event: RawEvent): void {
    const last = this.rounds.at(-1);
    const { weights, model, rounds, trainers } = fields(event);
    must(last !== undefined && this.rounds.length === this.terms.rounds && isDone(this, last), event.id, 'too early');
    must(weights.sha256 === this.#model, event.id, 'another model');
    const spell = (spec: Terms['model']) => JSON.stringify(Object.entries(spec).sort(([a], [b]) => byText(a, b)));
    must(spell(model) === spell(this.terms.model), event.id, 'another architecture');
    const closes = this.rounds.flatMap(({ close }) => (close === null ? [] : [fields(close).accepted]));
    must(rounds === closes.length, event.id, 'another number of rounds');
    const everyone = new Set(this.rounds.flatMap(({ seats }) => seats.map(({ trainer }) => trainer)));
    const credits = [...everyone].sort(byText).map((trainer) => {
      const count = closes.filter((rows) => rows.some((row) => row.trainer === trainer)).length;
      return `${trainer}:${count}`;
    });
    must(credits.join() === trainers.map((row) => `${row.trainer}:${row.rounds}`).join(), event.id, 'other credits');
    this.artifact = event;
    this.#isOver = true;
  }
}

/** Void, or closed and settled where it owes anything. */
function isDone(walked: Walked, round: Round): boolean {
  if (round.voided !== null) return true;
  return round.close !== null && (round.settlement !== null || planOf(walked, round).length === 0);
}

const isFinding = (rule: string): boolean => rule === 'blob' || rule === 'shape';
export const spellSide = (rows: readonly Omit<Verdict, 'rule'>[]): string =>
  rows.map((row) => [row.shard, row.trainer, row.submission].join()).join(' ');

/** Every shard that a bid offers, its k-th at k times the effective price; ties by k, then by key. */
function offers<Row extends BidRow | Omit<BidRow, 'outcome'>>(rows: readonly Row[]): Row[] {
  return rows
    .flatMap((row) => Array.from({ length: row.shards ?? 1 }, (_, i) => ({ row, k: BigInt(i + 1) })))
    .sort((a, b) => {
      const [left, right] = [a.k * BigInt(a.row.effectiveMsat), b.k * BigInt(b.row.effectiveMsat)];
      if (left !== right) return left < right ? -1 : 1;
      return a.k === b.k ? byText(a.row.trainer, b.row.trainer) : a.k < b.k ? -1 : 1;
    })
    .map(({ row }) => row);
}

/** Does the opening give the hash of the sealed bid? */
function commits(bid: RawEvent, { priceMsat, opened }: BidRow): boolean {
  const { capacity, engine, throughput, expires, salt } = opened!;
  const job = bid.tags.find(([name]) => name === 'e')![1]!;
  const amounts = [u64(BigInt(priceMsat)), u32(capacity), sha256(engine), u32(throughput), u64(BigInt(expires))];
  const hash = sha256('nmkt/1/bid', fromHex(job), fromHex(bid.pubkey), ...amounts, fromHex(salt));
  return hex(hash) === fields(bid).commitment;
}

/** By the uniform price the last msat at which the trainer still comes before who would have its seat. */
function paid(row: BidRow, good: readonly BidRow[], terms: Terms): string {
  if (terms.payment !== 'uniform') return row.priceMsat;
  const { won } = seated(
    good.filter(({ trainer }) => trainer !== row.trainer),
    terms,
  );
  const news = won.filter(isNewRow);
  const isBound = isNewRow(row) && news.length >= mostNew(terms);
  if (!isBound && won.length < terms.trainers) return terms.maxPriceMsat;
  const most = BigInt((isBound ? news : won).at(-1)!.effectiveMsat);
  const effective = (price: bigint) => {
    const [over, under] = [BigInt(row.attempts + 2), BigInt(row.successes + 1)];
    const least = over < under ? under : over;
    return (price * (least > 2n * under ? 2n * under : least)) / under;
  };
  let price = BigInt(row.priceMsat);
  for (let step = 1n << 62n; step > 0n; step >>= 1n) if (effective(price + step) <= most) price += step;
  return `${price < BigInt(terms.maxPriceMsat) ? price : terms.maxPriceMsat}`;
}

/** Of the id as a binary number of 256 digits. */
const zeroBits = (id: string): number => {
  const bits = [...id].map((digit) => parseInt(digit, 16).toString(2).padStart(4, '0')).join('');
  return bits.includes('1') ? bits.indexOf('1') : 256;
};

const mostNew = ({ trainers, newKeyShare }: Terms): number =>
  newKeyShare === undefined ? trainers : Math.ceil((trainers * newKeyShare) / 1e6);

const isStaked = ({ stakeMsat }: Pick<BidRow, 'stakeMsat'>): boolean => stakeMsat !== undefined;
const isNewRow = (row: Pick<BidRow, 'successes' | 'stakeMsat'>): boolean => row.successes === 0 && !isStaked(row);

function seated<Row extends Pick<BidRow, 'successes' | 'stakeMsat'>>(
  rows: readonly Row[],
  terms: Terms,
): { won: Row[]; left: Row[] } {
  const won: Row[] = [];
  const left = rows.filter((row) => {
    const isFull = won.length === terms.trainers;
    const news = won.filter(isNewRow).length;
    if (isFull || (isNewRow(row) && news >= mostNew(terms))) return true;
    won.push(row);
    return false;
  });
  return { won, left };
}

/** What the customer named, and what that leaves. */
function picked<Row extends { readonly bid: string }>(rows: readonly Row[], bids: readonly string[]) {
  const left = [...rows];
  const won: Row[] = [];
  for (const bid of bids) {
    const at = left.findIndex((row) => row.bid === bid);
    if (at >= 0) won.push(...left.splice(at, 1));
  }
  return { won, left };
}

/** In order of effective price, ties by key, refused ones last. */
function order(
  rows: readonly BidRow[],
  bids: readonly RawEvent[],
  terms: Terms,
  award: RawEvent,
  customer: string,
  stakes: Stakes,
): BidRow[] {
  const considered = rows.map((row, i) => {
    const bid = bids[i]!;
    must(nameOf(bid) === (terms.bids === 'sealed' ? '4625/sealed' : '4625/bid'), award.id, 'not a bid');
    must(terms.bids === 'sealed' || row.opened === undefined, award.id, 'an open bid, opened');
    const isClosed = terms.bids === 'sealed' && row.opened === undefined;
    if (row.opened !== undefined) must(commits(bid, row), award.id, 'another bid than it commits to');
    const { priceMsat, engine, expires, capacity } = isClosed
      ? { priceMsat: '0', engine: '', expires: 0, capacity: 1 }
      : { ...fields(bid), ...row.opened, ...(row.opened && { priceMsat: row.priceMsat }) };
    const under = BigInt(row.successes + 1);
    const over = BigInt(row.attempts + 2);
    const bounded = over < under ? under : over > 2n * under ? 2n * under : over;
    const stake = isClosed ? 0n : stakes.named(bid, terms);
    const rule = [
      ['own-job', bid.pubkey === customer],
      ['blocked', row.rule === 'blocked'],
      ['web-of-trust', row.rule === 'web-of-trust'],
      ['sealed', isClosed],
      ['proof-of-work', zeroBits(bid.id) < (terms.minBidPow ?? 0)],
      ['unknown-key', terms.keyRelease === 'known' && row.successes === 0],
      ['unstaked', wantsStake(terms) && stake === 0n],
      ['price-above-ceiling', BigInt(priceMsat) > BigInt(terms.maxPriceMsat)],
      ['engine-not-accepted', !acceptsEngine(terms, engine)],
      ['expired', expires < award.created_at],
    ].find(([, isIt]) => isIt)?.[0] as string | undefined;
    const effective = (BigInt(priceMsat) * bounded) / under;
    const most = Math.min(capacity, terms.shardsPerTrainer ?? 1);
    const shards = most === 1 ? undefined : most;
    const effectiveMsat = `${effective}`;
    const stakeMsat = stake === 0n ? undefined : `${stake}`;
    return { ...row, bid: bid.id, trainer: bid.pubkey, priceMsat, effective, effectiveMsat, shards, stakeMsat, rule };
  });
  considered.sort((a, b) =>
    a.effective === b.effective ? byText(a.trainer, b.trainer) : a.effective < b.effective ? -1 : 1,
  );
  const good = considered.filter(({ rule }) => rule === undefined);
  const placed = [...good, ...considered.filter(({ rule }) => rule !== undefined)];
  const named = fields(award).winners.map(({ bid }) => bid);
  const { won } = terms.award === 'manual' ? picked(offers(good), named) : seated(offers(good), terms);
  const winners = new Set(won.map(({ trainer }) => trainer));
  return placed.map(({ rule, ...row }) => ({
    ...row,
    outcome: rule !== undefined ? 'refused' : winners.has(row.trainer) ? 'won' : 'spare',
    ...(rule === undefined ? {} : { rule }),
  }));
}

function acceptsEngine({ acceptedEngines, spot }: Terms, engine: string): boolean {
  return acceptedEngines.includes(engine.split('/')[0]!) && (spot == null || spot.engine === engine);
}

export const quorum = ({ terms }: Walked, { seats }: Round): number => Math.min(terms.quorum, seats.length);

function mustClose(walked: Walked, round: Round): boolean {
  if (round.close !== null || round.voided !== null || round.commitList === null) return false;
  const count =
    round.verdict !== null
      ? judge(walked, round, new Map()).accepted.length
      : (round.revealList === null ? round.commits : round.reveals).size;
  return count >= quorum(walked, round);
}

export function commitmentOf(job: string, reveal: RawEvent): string {
  const { round, shard, baseHash, updateHash, salt, checkpoints } = fields(reveal);
  const place = [fromHex(job), u32(round), u32(shard), fromHex(reveal.pubkey), fromHex(baseHash), fromHex(updateHash)];
  const states = checkpoints?.map((hash) => fromHex(hash));
  const bound = states === undefined ? [] : [sha256('nmkt/1/checkpoints', u32(states.length), ...states)];
  return hex(sha256('nmkt/1/upd', ...place, ...bound, fromHex(salt)));
}

function opens(job: string, round: Round, reveal: RawEvent): boolean {
  const commit = round.commits.get(fields(reveal).shard);
  return commit?.pubkey === reveal.pubkey && fields(commit).commitment === commitmentOf(job, reveal);
}

function shownAfter(job: string, round: Round): Set<string> {
  const good = [...round.reveals.values()].filter((reveal) => opens(job, round, reveal));
  return new Set([...round.shown, ...good.map((reveal) => fields(reveal).updateHash)]);
}

/** Which rule keeps an update from being opened; undefined: none. */
export function closedRule({ job, terms }: Walked, round: Round, shard: number): string | undefined {
  const reveal = round.reveals.get(shard);
  if (!round.commits.has(shard)) return 'absent';
  if (reveal === undefined) return 'no-reveal';
  const { baseHash, updateHash, engine } = fields(reveal);
  if (!opens(job.id, round, reveal)) return 'opening';
  const base = fields(round.open).base.sha256;
  if (baseHash !== base) return 'base';
  if (terms.spot != null && engine !== terms.spot.engine) return 'engine';
  if (updateHash === base) return 'unchanged';
  const isTwice = [...round.reveals.values()].some(
    (other) => other !== reveal && fields(other).updateHash === updateHash && opens(job.id, round, other),
  );
  return isTwice || round.shown.has(updateHash) ? 'copy' : undefined;
}

/** @param findings  what the update's key shows: blob or shape, by shard */
export function judge(walked: Walked, round: Round, findings: ReadonlyMap<number, string>) {
  const rows = round.verdict?.rows ?? [];
  const accepted: Omit<Verdict, 'rule'>[] = [];
  const rejected: Verdict[] = [];
  const seats = [...round.seats].sort((a, b) => a.shard - b.shard || byText(a.trainer, b.trainer));
  for (const { trainer, shard } of seats) {
    const submission = round.reveals.get(shard)?.id ?? null;
    const row = rows.find((one) => one.shard === shard);
    // What most validators opened, the customer cannot call closed.
    const found = round.verdict?.isMedian === true && row !== undefined ? undefined : findings.get(shard);
    const rule = closedRule(walked, round, shard) ?? found ?? scoreRule(walked, round, rows, row);
    if (rule === undefined) accepted.push({ submission, trainer, shard });
    else rejected.push({ submission, trainer, shard, rule });
  }
  return { accepted, rejected };
}

function scoreRule({ terms }: Walked, round: Round, rows: readonly ScoreRow[], row?: ScoreRow): string | undefined {
  if (row === undefined) return 'work-floor';
  if (terms.strictLoss) {
    const others = rows.filter((one) => one !== row);
    const mean = others.reduce((sum, { lossPpm }) => sum + lossPpm, 0) / others.length;
    const improves = round.lossBefore === null || row.lossPpm * 10 <= round.lossBefore * 11;
    if (!improves || (others.length > 0 && row.lossPpm * 10 > mean * 12)) return 'loss';
  }
  if (!showsWork(row)) return 'work-floor';
  if (terms.leastWorkPpm !== undefined && !keepsUp(row, rows, terms.leastWorkPpm)) return 'work-floor';
  const own = rows.filter(({ trainer }) => trainer === row.trainer);
  return own.some((one) => isForged(round.reveals.get(one.shard)!, one)) ? 'spot-check' : undefined;
}

/** The price of each accepted seat, one line per key, in order of keys; a price of nothing gives no line. */
type Plan = ReturnType<typeof pricesOf>;
/** As they were when they were settled: later tables change what stake brings. */
const plans = new WeakMap<Round, Plan>();

export function planOf(walked: Walked, round: Round): Plan {
  const known = plans.get(round);
  if (known !== undefined) return known;
  const { job, rounds, slashed, terms } = walked;
  const own = pricesOf(walked, round);
  if (round.round !== terms.rounds - 1 || slashed.length === 0) return own;
  const earned = new Map<string, bigint>();
  for (const one of rounds)
    for (const { payee, amountMsat } of one === round ? own : one.settlement === null ? [] : planOf(walked, one))
      earned.set(payee, (earned.get(payee) ?? 0n) + BigInt(amountMsat));
  const isOut = (key: string) => key === job.pubkey || walked.frauds.has(key);
  const bonuses = [...potShares(slashed, earned, isOut)].map(([payee, msat]) => {
    const payout = hex(sha256('nmkt/1/payout', fromHex(job.id), u32(round.round), fromHex(payee), 'bonus'));
    return { payout, payee, purpose: 'bonus', amountMsat: `${msat}` };
  });
  const lines = [...own, ...bonuses].filter(({ amountMsat }) => amountMsat !== '0');
  return lines.sort((a, b) => byText(a.payee, b.payee) || byText(a.purpose, b.purpose));
}

function pricesOf(walked: Walked, round: Round) {
  const { job } = walked;
  const accepted = round.close === null ? [] : fields(round.close).accepted;
  const payees = [...new Set(accepted.map(({ trainer }) => trainer))];
  const line = (payee: string, purpose: string, amountMsat: string) => {
    const payout = hex(sha256('nmkt/1/payout', fromHex(job.id), u32(round.round), fromHex(payee), purpose));
    return { payout, payee, purpose, amountMsat };
  };
  const fees = feesOf(walked, round).flatMap(({ validator, msat }) =>
    walked.stakes
      .split(validator, msat, walked.terms)
      .map(([key, part]) => line(key, key === validator ? 'fee' : `delegation:${validator}`, `${part}`)),
  );
  return [
    ...payees.map((payee) => {
      const shards = accepted.filter(({ trainer }) => trainer === payee).map(({ shard }) => shard);
      const seats = round.seats.filter(({ shard }) => shards.includes(shard));
      const amountMsat = `${seats.reduce((sum, { priceMsat }) => sum + priceMsat, 0n)}`;
      return line(payee, 'trainer', amountMsat);
    }),
    ...fees,
  ]
    .filter(({ amountMsat }) => amountMsat !== '0')
    .sort((a, b) => byText(a.payee, b.payee) || byText(a.purpose, b.purpose));
}
