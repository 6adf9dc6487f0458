import { expOf, powerOf } from './powers.js';
import { portions, Stakes } from './stakes.js';
import { seatsOf } from './validators.js';
import { byText, fields, fromHex, must, nameOf, sha256, u32, Events, type RawEvent, type Terms } from './wire.js';

/** "Arena" of docs/protocol.md: what an honest customer's events come to, worked out from the raw ones. */

interface ArenaTerms extends Pick<Terms, 'stake' | 'keyRelease'> {
  readonly payoutFloorMsat: string;
  readonly arena: {
    readonly potMsat: string;
    readonly sides: { readonly sides: string; readonly validatorSharePpm: number; readonly gPpm: number };
    readonly interimSharePpm: number;
    readonly qPpm: number;
    readonly bestStakes: number | null;
    readonly bestValidators: number | null;
    readonly lambdaPpm: number;
    readonly seats: number;
  };
}
interface Row {
  readonly alias: number;
  readonly model: string | null;
  readonly scorePpm: number;
}
type Line = readonly [payee: string, purpose: string, msat: bigint];

/** As the two implementations are compared. */
export interface StageResult {
  /** By draw and alias, in the order of keys. */
  readonly seats: readonly (readonly (readonly string[])[])[];
  readonly ranks: readonly (readonly [trainer: string, scorePpm: number])[];
  readonly plan: readonly Line[];
}

interface Stage {
  readonly number: number;
  /** By trainer: id of its submission, and its stake. */
  readonly submissions: Map<string, { readonly id: string; readonly msat: bigint }>;
  validators: readonly (readonly [string, bigint])[];
  count: number;
  /** Of each alias: what the job says, or the largest odd number of validators, 3 at least. */
  m: number;
  readonly seats: Map<number, string[]>[];
  /** By alias, of the draw that decides. */
  readonly scores: Map<number, (readonly [string, Row])[]>;
}

const WORST = 999_000_000;

/** Stages that were settled. */
export function playArena(all: readonly RawEvent[], jobId: string): StageResult[] {
  const events = new Events(all, jobId);
  const job = events.at(jobId);
  const terms = fields<ArenaTerms>(job);
  const stakes = new Stakes();
  const missed = new Map<string, number>();
  const waiting = new Map<string, bigint>();
  const results: StageResult[] = [];
  let stage: Stage | undefined;
  for (const event of events.chains.get(job.pubkey)!.events.slice(1)) {
    switch (nameOf(event)) {
      case '4631/table':
        stakes.take(events, event);
        break;
      case '4622/arena-list':
        stage = listed(events, event, (key) => stakeOf(stakes, terms, key, 'trainer'));
        break;
      case '4622/alias-root': {
        const { count, validators } = fields<{ count: number; validators: readonly string[] }>(event);
        const keys = validators.map((id) => events.at(id).pubkey);
        stage!.count = count;
        stage!.m = Math.max(3, Math.min(terms.arena.seats, keys.length - 1 + (keys.length % 2)));
        stage!.validators = keys.map((key) => [key, stakeOf(stakes, terms, key, 'validator')]);
        break;
      }
      case '4622/draw':
        draw(events, jobId, event, stage!, missed);
        break;
      case '4622/list':
        if (fields<{ of: string }>(event).of === 'score-reveal') scored(events, event, stage!, missed);
        break;
      case '4622/alias-table':
        results.push(settle(job.pubkey, event, stage!, terms, stakes, waiting));
    }
  }
  return results;
}

/** Equal where none is asked. */
function stakeOf(stakes: Stakes, terms: ArenaTerms, key: string, role: 'trainer' | 'validator'): bigint {
  return isAsked(terms, role) ? stakes.of(key, terms as unknown as Terms, role) : 1n;
}

function isAsked({ stake, keyRelease }: ArenaTerms, role: 'trainer' | 'validator'): boolean {
  if (stake === undefined) return false;
  if (role === 'validator') return BigInt(stake.validatorMsat) > 0n;
  return BigInt(stake.trainerMsat) > 0n || keyRelease === 'staked';
}

function listed(events: Events, list: RawEvent, stakeOfKey: (key: string) => bigint): Stage {
  const { stage: number, ids } = fields<{ stage: number; ids: readonly string[] }>(list);
  const submissions = new Map<string, { id: string; msat: bigint }>();
  // By rising seq, so the last of an author stays.
  const order = ids.map((id) => events.at(id)).sort((a, b) => seq(a) - seq(b));
  for (const { pubkey, id } of order) submissions.set(pubkey, { id, msat: stakeOfKey(pubkey) });
  return { number, submissions, validators: [], count: 0, m: 0, seats: [], scores: new Map() };
}

const seq = ({ tags }: RawEvent): number => Number(tags.find(([name]) => name === 'seq')![1]);

function draw(events: Events, jobId: string, event: RawEvent, stage: Stage, missed: ReadonlyMap<string, number>): void {
  const { round, list, s, nonces } = fields<{ round: number; list: string; s: string; nonces: readonly string[] }>(
    event,
  );
  const named = nonces.map((id) => events.at(id)).sort((a, b) => byText(a.pubkey, b.pubkey));
  const opened = named.map((one) => fromHex(fields<{ nonce: string }>(one).nonce));
  const seed = sha256('nmkt/1/draw', 'arena', fromHex(jobId), u32(round), fromHex(list), fromHex(s), ...opened);
  const keys = new Set(named.map(({ pubkey }) => pubkey));
  const open = stage.validators.filter(([key]) => keys.has(key) && (missed.get(key) ?? 0) < 3);
  const seats = new Map<number, string[]>();
  for (let alias = 0; alias < stage.count; alias++)
    if (!stage.scores.has(alias))
      seats.set(alias, seatsOf(sha256('nmkt/1/arena-seat', seed, u32(alias)), open, stage.m));
  stage.seats.push(seats);
}

function scored(events: Events, list: RawEvent, stage: Stage, missed: Map<string, number>): void {
  const sheets = fields<{ ids: readonly string[] }>(list).ids.map((id) => events.at(id));
  const seats = stage.seats.at(-1)!;
  const drawn = new Set([...seats.values()].flat());
  for (const key of drawn)
    missed.set(key, sheets.some(({ pubkey }) => pubkey === key) ? 0 : (missed.get(key) ?? 0) + 1);
  for (const [alias] of seats) {
    const rows = sheets.flatMap((sheet) => {
      const row = fields<{ scores: readonly Row[] }>(sheet).scores.find((one) => one.alias === alias);
      return row === undefined ? [] : [[sheet.pubkey, row] as const];
    });
    if (2 * rows.length >= stage.m + 1) stage.scores.set(alias, rows);
  }
}

function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length / 2) - 1]!;
}

/** @param waiting  what is below the floor, by payee: it changes */
function settle(
  customer: string,
  table: RawEvent,
  stage: Stage,
  terms: ArenaTerms,
  stakes: Stakes,
  waiting: Map<string, bigint>,
): StageResult {
  const { entries } = fields<{ entries: readonly { submission: string; model: string | null }[] }>(table);
  const { arena } = terms;
  const whose = new Map([...stage.submissions].map(([key, { id }]) => [id, key]));
  const counted = entries.flatMap(({ submission, model }, alias) => {
    const rows = (stage.scores.get(alias) ?? []).filter(([, row]) => row.model === null || row.model === model);
    return model === null || 2 * rows.length < stage.m + 1 ? [] : [{ trainer: whose.get(submission)!, rows }];
  });
  const scores = counted.map(({ trainer, rows }) => ({
    trainer,
    rows,
    c: middle(rows.map(([, row]) => row.scorePpm)),
  }));
  const ranks = scores
    .filter(({ c }) => c !== WORST)
    .map(({ trainer, c }) => [trainer, c] as const)
    .sort((a, b) => a[1] - b[1] || byText(a[0], b[0]));
  const interim = (BigInt(arena.potMsat) * BigInt(arena.interimSharePpm)) / 1_000_000n;
  const pot = stage.number === 0 ? interim : BigInt(arena.potMsat) - interim;

  const staked = ranks.map(([key, c]) => ({ key, c, msat: stage.submissions.get(key)!.msat }));
  const least = !isAsked(terms, 'trainer') ? 1n : BigInt(terms.stake!.trainerMsat) || 1_000n;
  const weights = validatorWeights(scores, new Map(stage.validators), arena);
  const sum = (of: readonly bigint[]) => of.reduce((all, one) => all + one, 0n);
  const scorers = new Set(scores.flatMap(({ rows }) => rows.map(([key]) => key)));
  const [t, v] = [
    sum(staked.map(({ msat }) => msat)),
    sum(stage.validators.filter(([key]) => scorers.has(key)).map(([, msat]) => msat)),
  ];
  const forTrainers = trainersPart(pot, arena.sides, t, v);
  const forEach = [
    ...(t > 0n ? rankParts(forTrainers, staked, arena.qPpm, arena.bestStakes, least) : []).map(
      ([key, msat]) => [key, 'trainer', msat] as const,
    ),
    ...portions(weights.length > 0 ? pot - forTrainers : 0n, weights).map(([key, msat]) => [key, 'fee', msat] as const),
  ];
  const paid = forEach.flatMap(([key, purpose, msat]) =>
    stakes
      .split(key, msat, terms as unknown as Terms)
      .map(([payee, part]): Line => [payee, payee === key ? purpose : `delegation:${key}`, part]),
  );
  const back = pot - sum(paid.map(([, , msat]) => msat));
  const before = sum([...waiting.values()]);
  const lines: Line[] = [[customer, 'refund', back]];
  const isSmall = (msat: bigint): boolean => stage.number === 0 && msat < BigInt(terms.payoutFloorMsat);
  for (const [payee, purpose, msat] of paid)
    if (isSmall(msat)) waiting.set(payee, (waiting.get(payee) ?? 0n) + msat);
    else lines.push([payee, purpose, msat]);
  for (const [payee, msat] of [...waiting])
    if (!isSmall(msat)) {
      lines.push([payee, 'carry', msat]);
      waiting.delete(payee);
    }
  const plan = lines.filter(([, , msat]) => msat > 0n).sort((a, b) => byText(a[0], b[0]) || byText(a[1], b[1]));
  const after = sum([...waiting.values()]);
  must(sum(plan.map(([, , msat]) => msat)) + after === pot + before, table.id, 'lines of another sum');
  const seats = stage.seats.map((draws) =>
    Array.from({ length: stage.count }, (_, alias) => [...(draws.get(alias) ?? [])].sort(byText)),
  );
  return { seats, ranks, plan };
}

function trainersPart(
  pot: bigint,
  { sides, validatorSharePpm, gPpm }: ArenaTerms['arena']['sides'],
  t: bigint,
  v: bigint,
) {
  if (sides === 'fixed') return pot - (pot * BigInt(validatorSharePpm)) / 1_000_000n;
  const [over, under] = t + v === 0n ? [1n, 2n] : [t, t + v];
  const g = BigInt(gPpm);
  return (pot * (g * under + (1_000_000n - 2n * g) * over)) / (1_000_000n * under);
}

/** q^Q - q^(Q + x): over scores, then over the keys of each. */
export function rankParts(
  pot: bigint,
  staked: readonly { readonly key: string; readonly c: number; readonly msat: bigint }[],
  qPpm: number,
  best: number | null,
  least: bigint,
): (readonly [string, bigint])[] {
  const depth = (msat: bigint) => {
    const most = best === null ? msat : BigInt(best) * least;
    return powerOf(qPpm, msat > most ? most : msat, least);
  };
  const levels = [...new Set(staked.map(({ c }) => c))].sort((a, b) => a - b);
  let above = 0n;
  const weights = levels.map((c, i) => {
    const before = depth(above);
    for (const { msat } of staked.filter((one) => one.c === c)) above += msat;
    return [String(i).padStart(9, '0'), before - depth(above)] as const;
  });
  const parts = new Map(portions(pot, weights));
  return levels.flatMap((c, i) =>
    portions(
      parts.get(String(i).padStart(9, '0')) ?? 0n,
      staked.filter((one) => one.c === c).map(({ key, msat }) => [key, msat] as const),
    ),
  );
}

/** stake * count * e^-(lambda * dev), dev less the smallest of those with stake; the heaviest. */
export function validatorWeights(
  scores: readonly {
    readonly c: number;
    readonly rows: readonly (readonly [string, { readonly scorePpm: number }])[];
  }[],
  stakes: ReadonlyMap<string, bigint>,
  { lambdaPpm, bestValidators }: Pick<ArenaTerms['arena'], 'lambdaPpm' | 'bestValidators'>,
): (readonly [string, bigint])[] {
  const devs = new Map<string, bigint[]>();
  for (const { c, rows } of scores) {
    const off = rows.map(([, { scorePpm }]) => Math.abs(scorePpm - c));
    const spread = BigInt(middle(off) + Math.max(Math.floor(c / 1_000), 100));
    rows.forEach(([key], i) => devs.set(key, [...(devs.get(key) ?? []), (BigInt(off[i]!) * 1_000_000n) / spread]));
  }
  const means = [...devs]
    .filter(([key]) => (stakes.get(key) ?? 0n) > 0n)
    .map(([key, all]) => {
      const dev = all.reduce((sum, one) => sum + one, 0n) / BigInt(all.length);
      return { key, dev, amount: stakes.get(key)! * BigInt(all.length) };
    });
  const least = means.reduce((min, { dev }) => (dev < min ? dev : min), means[0]?.dev ?? 0n);
  return means
    .map(({ key, dev, amount }) => [key, amount * expOf(BigInt(lambdaPpm) * (dev - least), 10n ** 12n)] as const)
    .filter(([, weight]) => weight > 0n)
    .sort((a, b) => (a[1] === b[1] ? byText(a[0], b[0]) : a[1] > b[1] ? -1 : 1))
    .slice(0, bestValidators ?? undefined);
}
