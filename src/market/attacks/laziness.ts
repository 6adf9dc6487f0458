import { sha256Hex, type Bytes, type EventId } from '../../hash.js';
import { prng } from '../../learning/prng.js';
import { drawnSegment, type SpotDraw } from '../spot-rules.js';
import { numberedKey, percent, seedOf, shareRow, type AttackRow } from './row.js';

/** What a trainer works for. Sats may be fractions. */
export interface LazyJob {
  readonly rounds: number;
  readonly priceSat: number;
  /** Of the whole work of a round, to the trainer. */
  readonly costSat: number;
  /** Segments of a training, of which one may be repeated. */
  readonly segments: number;
  /** So many of them a lazy trainer does. */
  readonly trained: number;
  /** How likely such an update passes the work floor. */
  readonly passesFloor: number;
  /** How likely one is. */
  readonly rate: number;
  /** Lost with the first proven fraud. */
  readonly stakeSat: number;
}

const TABLE: Omit<LazyJob, 'rate' | 'stakeSat'> = {
  ...{ rounds: 10, priceSat: 21, costSat: 12, segments: 10, trained: 1, passesFloor: 1 },
};
const RATES = [0, 0.05, 0.1, 1 / 3, 1];
/** Trainers per seed. */
const TRAINERS = 10;

/**
 * A trainer that trains its first round as agreed, since that one is always drawn, and from then on one segment of it, in a job where that
 * passes the work floor (leastWork 0). It is found out when another segment than its own is drawn, loses that round, its seat and its stake.
 */
export function laziness(seeds: number): AttackRow[] {
  const { rounds, priceSat, costSat } = TABLE;
  return [0, 2 * priceSat, 10 * priceSat].flatMap((stakeSat) =>
    RATES.map((rate) => {
      const job = { ...TABLE, rate, stakeSat };
      const staked = stakeSat === 0 ? '' : `, ${stakeSat} sat at stake`;
      const of = `${rounds} rounds at ${priceSat} sat that cost ${costSat}${staked}`;
      const setting = `audit rate ${percent(rate)}, ${of}: profit, honest is ${honestProfit(job)} sat`;
      return { attack: 'a tenth of the work', setting, ...lazyProfits(job, seeds) };
    }),
  );
}

export function honestProfit({ rounds, priceSat, costSat }: Pick<LazyJob, 'rounds' | 'priceSat' | 'costSat'>): number {
  return rounds * (priceSat - costSat);
}

/** Mean over 10 trainers per seed beside what is expected. */
export function lazyProfits(job: LazyJob, seeds: number): Omit<AttackRow, 'attack' | 'setting'> {
  const profits = Array.from({ length: TRAINERS * seeds }, (_, n) => lazyProfit(job, n));
  const measured = profits.reduce((sum, profit) => sum + profit, 0) / profits.length;
  const variance =
    profits.reduce((sum, profit) => sum + (profit - measured) * (profit - measured), 0) / (profits.length - 1);
  const computed = expectedLazyProfit(job);
  const fits = Math.abs(measured - computed) <= 4 * Math.sqrt(variance / profits.length) + 1e-9;
  return { unit: 'sat', measured, computed, fits };
}

/** The sum over the rounds of (chance to have passed so far) x (what the round brings); the work floor costs the seat, but no stake. */
export function expectedLazyProfit(job: LazyJob): number {
  const { rounds, priceSat, costSat, segments, trained, passesFloor, rate, stakeSat } = job;
  const unfound = passing(rate, segments, trained);
  let profit = priceSat - costSat;
  let chance = 1;
  for (let round = 1; round < rounds; round++) {
    profit += chance * (unfound * passesFloor * priceSat - (costSat * trained) / segments - (1 - unfound) * stakeSat);
    chance *= unfound * passesFloor;
  }
  return profit;
}

/** Nothing is repeated, or a segment that was trained. */
const passing = (rate: number, segments: number, trained = 1): number => 1 - rate * (1 - trained / segments);

function lazyProfit(job: LazyJob, n: number): number {
  const { rounds, priceSat, costSat, segments, trained, passesFloor, rate, stakeSat } = job;
  let profit = priceSat - costSat;
  const id = sha256Hex(seedOf('job', n)) as string as EventId;
  const floor = prng(seedOf('floor', n), 'work floor');
  for (let round = 1; round < rounds; round++) {
    profit -= (costSat * trained) / segments;
    const list = sha256Hex(seedOf(`list ${round}`, n));
    const draw = { ...{ job: id, round, list, s: seedOf(`s ${round}`, n), nonces: [] }, ...{ rate, segments, n } };
    if (isFoundOut(draw, trained)) return profit - stakeSat;
    if (passesFloor < 1 && floor.float() >= passesFloor) return profit;
    profit += priceSat;
  }
  return profit;
}

interface LazyDraw {
  readonly job: EventId;
  readonly round: number;
  readonly list: string;
  readonly s: Bytes;
  readonly nonces: readonly Bytes[];
  readonly rate: number;
  readonly segments: number;
  /** Of the trainer. */
  readonly n: number;
}

/** Is another segment than the first ones drawn, by the rule of the market? */
function isFoundOut({ job, round, list, s, nonces, rate, segments, n }: LazyDraw, trained = 1): boolean {
  const draw = { content: { round, list, s } } as unknown as SpotDraw['draw'];
  const terms = { ratePpm: Math.round(rate * 1e6), everySteps: 1, engine: 'wasm' as never };
  const trainer = numberedKey(n);
  const of = { job, terms, isBySeat: false, draw, nonces, proven: new Set([`0:${trainer}`]) };
  const segment = drawnSegment(of, { trainer, shard: 0 }, segments);
  return segment !== null && segment >= trained;
}

const VALIDATORS = 5;

/**
 * Validators that help a lazy trainer out of a spot check: after all others opened their nonces, each of theirs is shown or not. Only who
 * knows the customer's secret of the round can tell which choice helps: it opens with the draw, when the nonces are closed.
 */
export function withheldNonces(seeds: number): AttackRow[] {
  const [rate, segments] = [0.333333, TABLE.segments];
  return [0, 1, 2].flatMap((colluders) =>
    [false, true].flatMap((knowsSecret) => {
      if (colluders === 0 && knowsSecret) return [];
      const tries = knowsSecret ? 2 ** colluders : 1;
      const n = 50 * seeds;
      let escaped = 0;
      for (let at = 0; at < n; at++) {
        const list = sha256Hex(seedOf('withheld list', at));
        const own = Array.from({ length: colluders }, (_, i) => seedOf(`withheld own ${i}`, at));
        const others = Array.from({ length: VALIDATORS - colluders }, (_, i) => seedOf(`withheld other ${i}`, at));
        const job = sha256Hex(seedOf('withheld job', at)) as string as EventId;
        for (let choice = 0; choice < tries; choice++) {
          const nonces = [...own.filter((_, i) => ((choice >> i) & 1) === 0), ...others];
          if (isFoundOut({ job, round: 1, list, s: seedOf('withheld s', at), nonces, rate, segments, n: at })) continue;
          escaped++;
          break;
        }
      }
      const who = knowsSecret ? 'who know the secret of the customer' : 'who do not know the secret of the customer';
      const setting = colluders === 0 ? '5 honest validators' : `${colluders} of 5 validators, ${who}`;
      const computed = escapeChance(rate, segments, tries);
      return [
        shareRow('withheld nonces', `${setting}: lazy trainer not found`, { measured: escaped / n, computed, n }),
      ];
    }),
  );
}

/** The best of so many draws. */
export function escapeChance(rate: number, segments: number, tries: number): number {
  let none = 1;
  for (let i = 0; i < tries; i++) none *= 1 - passing(rate, segments);
  return 1 - none;
}
