import type { Round, Walked } from './rules.js';
import { opensChain } from './spot.js';
import {
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
  type Events,
  type RawEvent,
  type ScoreRow,
  type Scores,
  type Terms,
} from './wire.js';

/** "Validators" of docs/protocol.md, without disputes. */

export interface Judge {
  readonly validator: string;
  readonly register: RawEvent;
  readonly missed: number;
}

const isMajority = (count: number, { validators }: Terms): boolean => 2 * count >= validators!.count + 1;

/** The first by seat hash, none of whom bids with success or is the customer. */
export function takeJudges(
  { job, terms, stakes }: Walked,
  events: Events,
  award: RawEvent,
  bids: readonly BidRow[],
): Judge[] {
  const { validators = [] } = fields<{ validators?: readonly { validator: string; register: string }[] }>(award);
  const most = isStaked(terms) ? MOST : (terms.validators?.count ?? 0);
  must(validators.length <= most, award.id, 'more validators than seats');
  const places = validators.map(({ validator }) => hex(sha256('nmkt/1/seat', fromHex(job.id), fromHex(validator))));
  must([...new Set(places)].sort(byText).join() === places.join(), award.id, 'another order of validators');
  return validators.map(({ validator, register: id }) => {
    const register = events.at(id);
    const isIts = nameOf(register) === '4629/register' && register.pubkey === validator;
    const isBidder = bids.some(({ trainer, outcome }) => trainer === validator && outcome !== 'refused');
    const isValid = fields(register).expires > award.created_at && validator !== job.pubkey && !isBidder;
    const hasStake = !isStaked(terms) || stakes.named(register, terms, 'validator') > 0n;
    must(isIts && isValid && hasStake, award.id, `${validator} may have no seat`);
    return { validator, register, missed: 0 };
  });
}

/** Of one job, where each round draws its own among them. */
const MOST = 15;
const isStaked = ({ stake }: Terms): boolean => stake !== undefined && BigInt(stake.validatorMsat) > 0n;

const isNonce = ({ round, commitList, judges }: Round, event: RawEvent): boolean => {
  const judge = judges.find(({ validator }) => validator === event.pubkey);
  if (judge === undefined || nameOf(event) !== '4629/nonce') return false;
  const { round: index, list, nonce } = fields<{ round: number; list: string; nonce: string }>(event);
  const { nonceCommitment } = fields<{ nonceCommitment: string }>(judge.register);
  return index === round && list === commitList?.id && opensChain(nonce, round, nonceCommitment);
};

/** Those that the draw names, by the keys of who opened them. */
export function takeNonces({ job, terms, events, stakes }: Walked, round: Round, draw: RawEvent): string[] {
  const { nonces = [] } = fields<{ nonces?: readonly string[] }>(draw);
  const named = nonces.map((id) => events.at(id));
  named.forEach((event, at) => {
    must(isNonce(round, event), draw.id, `${event.id} is no nonce of this round`);
    must(at === 0 || named[at - 1]!.pubkey < event.pubkey, draw.id, 'nonces in another order');
  });
  omitsNone(events, round, (event) => isNonce(round, event), nonces, draw);
  const keys = named.map(({ pubkey }) => pubkey);
  const opened = named.map((event) => fields<{ nonce: string }>(event).nonce);
  round.heard.push(...keys);
  const { list, s } = fields(draw);
  const place = [fromHex(job.id), u32(round.round), fromHex(list), fromHex(s), ...opened.map(fromHex)];
  const seed = sha256('nmkt/1/draw', 'seat', ...place);
  const weights = keys.map((key) => [key, stakes.of(key, terms, 'validator')] as const);
  round.drawn.push(...(isStaked(terms) ? seatsOf(seed, weights, terms.validators!.count) : keys));
  return opened;
}

/** Each seat to whose part of the stake that is left a number from the seed falls into. */
export function seatsOf(seed: Buffer, all: readonly (readonly [key: string, msat: bigint])[], count: number): string[] {
  const won: string[] = [];
  for (let seat = 0; seat < count; seat++) {
    const left = all.filter(([key, msat]) => msat > 0n && !won.includes(key)).sort(([a], [b]) => byText(a, b));
    const total = left.reduce((sum, [, msat]) => sum + msat, 0n);
    const word = BigInt(`0x${hex(sha256('nmkt/1/seat', seed, u32(seat)).subarray(0, 16))}`);
    const point = (word * total) >> 128n;
    let upTo = 0n;
    const found = left.find(([, msat]) => point < (upTo += msat));
    if (found !== undefined) won.push(found[0]);
  }
  return won;
}

function omitsNone(
  events: Events,
  { seen }: Round,
  counts: (event: RawEvent) => boolean,
  ids: readonly string[],
  list: RawEvent,
): void {
  for (const id of seen) must(!counts(events.at(id)) || ids.includes(id), list.id, 'an omission');
}

/** Who has a say in the round: with spot checks whoever opened a nonce. */
function scorersOf({ spot }: Terms, { judges, drawn }: Round): readonly Judge[] {
  return spot == null ? judges : judges.filter(({ validator }) => drawn.includes(validator));
}

export function areScoring(terms: Terms, round: Round): boolean {
  return terms.validators !== undefined && isMajority(scorersOf(terms, round).length, terms);
}

const MEASURES = [
  ...(['ownBeforePpm', 'ownAfterPpm', 'otherBeforePpm', 'otherAfterPpm'] as const),
  ...(['ownSePpm', 'otherSePpm', 'dPpm', 'ePpm', 'lossPpm'] as const),
];

interface Opening {
  readonly opening?: { readonly list: string; readonly commit: string; readonly salt: string };
}

function isCommit(round: Round, event: RawEvent): boolean {
  const said = fields(event);
  return nameOf(event) === '4629/commit' && said.round === round.round && said.list === round.revealList?.id;
}

/** What the rows, written out, hash to. */
function commitmentOf(job: string, { pubkey, ...event }: RawEvent): string {
  const { round, list, engine, data, scores, opening } = fields<Scores & Opening>({ pubkey, ...event });
  const i64 = (value: number) => u64(BigInt.asUintN(64, BigInt(value)));
  const rows = scores.flatMap((row) => [
    ...[fromHex(row.submission), fromHex(row.trainer), u32(row.shard), ...MEASURES.map((name) => i64(row[name]))],
    ...[u32(row.spot == null ? 0 : row.spot.segment + 1), fromHex(row.spot?.hash ?? '00'.repeat(32))],
  ]);
  const place = [fromHex(job), u32(round), fromHex(list), fromHex(pubkey), sha256(engine), fromHex(data)];
  return hex(sha256('nmkt/1/score', ...place, u32(scores.length), ...rows, fromHex(opening!.salt)));
}

/** @param check  throws where rows break a rule that holds for the customer, too */
export function takeJudgesList(
  { job, terms }: Walked,
  events: Events,
  round: Round,
  list: RawEvent,
  check: (scores: RawEvent) => void,
): void {
  const { of, ids, until } = fields<{ of: string; ids: readonly string[]; until: number | null }>(list);
  const isOfCommits = of === 'score-commit';
  must(areScoring(terms, round) && round.scores === null && round.revealList !== null, list.id, 'scores are not due');
  must(isOfCommits === (until !== null), list.id, 'an until, or none');
  must((isOfCommits ? round.scoreCommits : round.scoreReveals) === null, list.id, 'listed before');
  must(isOfCommits || round.scoreCommits !== null, list.id, 'before the commitments');
  const counts = (event: RawEvent): boolean => {
    if (!scorersOf(terms, round).some(({ validator }) => validator === event.pubkey)) return false;
    if (isOfCommits) return isCommit(round, event);
    const commit = round.scoreCommits!.get(event.pubkey);
    if (nameOf(event) !== '4629/reveal' || commit === undefined) return false;
    const { opening, list: of } = fields<Scores & Opening>(event);
    const opens = opening?.list === round.scoreList!.id && opening.commit === commit.id && of === round.revealList!.id;
    return opens && commitmentOf(job.id, event) === fields(commit).commitment;
  };
  const found = new Map<string, RawEvent>();
  for (const id of ids) {
    const event = events.at(id);
    const first = events.chains.get(event.pubkey)?.events.find(counts);
    must(counts(event) && !found.has(event.pubkey) && first?.id === id, list.id, `${id} does not count`);
    if (!isOfCommits) check(event);
    found.set(event.pubkey, event);
  }
  omitsNone(events, round, counts, ids, list);
  if (isOfCommits) {
    round.scoreList = list;
    round.scoreCommits = found;
    return;
  }
  round.scoreReveals = found;
  if (isMajority(found.size, terms))
    round.verdict = { by: list.id, isMedian: true, rows: medianOf([...found.values()], terms.spot?.engine) };
}

/** Every number the lower median of what more than half say; a repetition counts that more than half of its engine found. */
export function medianOf(events: readonly RawEvent[], engine: string | undefined): ScoreRow[] {
  const sheets = events.map((event) => fields<Scores>(event));
  const onEngine = sheets.filter((sheet) => sheet.engine === engine);
  const submissions = new Set(sheets.flatMap(({ scores }) => scores.map(({ submission }) => submission)));
  const rowsOf = (from: readonly Scores[], submission: string) =>
    from.flatMap(({ scores }) => scores.filter((row) => row.submission === submission));
  return [...submissions]
    .filter((submission) => rowsOf(sheets, submission).length > sheets.length / 2)
    .map((submission) => {
      const rows = rowsOf(sheets, submission);
      const middle = (name: (typeof MEASURES)[number]) => {
        const values = rows.map((row) => row[name]).sort((a, b) => a - b);
        return values[Math.ceil(values.length / 2) - 1]!;
      };
      const ends = rowsOf(onEngine, submission).map(({ spot }) => (spot == null ? '' : `${spot.segment} ${spot.hash}`));
      const most = ends.find((end) => end !== '' && ends.filter((other) => other === end).length > onEngine.length / 2);
      const [segment, hash] = most?.split(' ') ?? [];
      const numbers = Object.fromEntries(MEASURES.map((name) => [name, middle(name)]));
      const spot = most === undefined ? null : { segment: Number(segment), hash: hash! };
      return { ...rows[0]!, ...numbers, spot };
    })
    .sort((a, b) => a.shard - b.shard);
}

/** The judges of the next round: whoever missed three in a row is none of them, nor who is proven to have lied. */
export function judgesAfter(terms: Terms, round: Round): Judge[] {
  if (round.revealList === null) return [...round.judges];
  const heard = round.scoreReveals ?? new Map(scorersOf(terms, round).map(({ validator }) => [validator, null]));
  return round.judges
    .map((judge) => {
      const isPassedOver = round.heard.includes(judge.validator) && !round.drawn.includes(judge.validator);
      return { ...judge, missed: heard.has(judge.validator) || isPassedOver ? 0 : judge.missed + 1 };
    })
    .filter(({ validator, missed }) => missed < 3 && !round.liars.has(validator));
}

/** Whoever scored all that was accepted, and did not lie. */
export function feesOf({ terms }: Walked, round: Round): { readonly validator: string; readonly msat: bigint }[] {
  const accepted = round.close === null ? [] : fields(round.close).accepted;
  return [...(round.scoreReveals ?? [])]
    .filter(([validator, event]) => {
      const scored = fields<Scores>(event).scores.map(({ submission }) => submission);
      return !round.liars.has(validator) && accepted.every(({ submission }) => scored.includes(submission!));
    })
    .map(([validator]) => ({ validator, msat: BigInt(terms.validators!.feeMsat) }));
}

interface LieProof {
  readonly round: number;
  readonly validator: string;
  readonly scores: string;
  readonly submission: string;
  readonly field: (typeof MEASURES)[number] | 'spot';
  readonly witnesses: readonly string[];
}

/** More than half of those on its engine say one thing, and it another. */
export function takeLie(round: Round, event: RawEvent): void {
  const { validator, scores: id, submission, field, witnesses, ...rest } = fields<LieProof>(event);
  must(rest.round === round.round && !round.liars.has(validator), event.id, 'of another round, or proven before');
  const accused = round.scoreReveals?.get(validator);
  must(accused?.id === id, event.id, 'its scores are not listed');
  const { engine } = fields<Scores>(accused);
  const value = (one: RawEvent): string => {
    const row = fields<Scores>(one).scores.find((other) => other.submission === submission);
    if (row === undefined) return '';
    return field === 'spot' ? (row.spot == null ? '' : `${row.spot.segment} ${row.spot.hash}`) : `${row[field]}`;
  };
  const own = [...round.scoreReveals!.values()].filter((one) => fields<Scores>(one).engine === engine);
  const wanted = value(own.find((one) => one.id === witnesses[0]) ?? accused);
  const agreeing = own.filter((one) => value(one) === wanted).map((one) => one.id);
  must(wanted !== '' && value(accused) !== wanted && value(accused) !== '', event.id, 'it says the same');
  must([...witnesses].sort(byText).join() === agreeing.sort(byText).join(), event.id, 'other witnesses');
  must(
    2 * agreeing.length > own.length && /^(wasm|cpu)\//.test(engine),
    event.id,
    'too few of them, or an engine that differs',
  );
  round.liars.add(validator);
}
