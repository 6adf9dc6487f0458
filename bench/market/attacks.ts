import { sha256, sha256Hex, u32be, type EventId, type Pubkey } from '../../src/hash.js';
import { prng } from '../../src/learning/prng.js';
import { isEnough, lowerMedian } from '../../src/market/consensus.js';
import { effectivePrice } from '../../src/market/auction.js';
import { afterMatch, conservative, NEW_SKILL } from '../../src/market/skill.js';
import { drawnSegment, type SpotDraw } from '../../src/market/spot-rules.js';
import { collusionProbability, drawSeats } from '../../src/market/stake-draw.js';

/** Attacks on the rules of the market, each against what is computed for it; every number follows from a seed. */

export interface AttackRow {
  readonly attack: string;
  readonly setting: string;
  readonly measured: string;
  readonly computed: string;
  /** Does the measurement fit? */
  readonly fits: boolean;
}

const SEEDS = 200;
const SUBMISSIONS = 20;
const seedOf = (name: string, n: number) => sha256('market attack', name, u32be(n));
const key = (i: number) => sha256Hex('market attack', u32be(i)) as string as Pubkey;
const percent = (x: number) => `${(100 * x).toFixed(2)} %`;

/** Validators that score for their friend as high as they can: the lower median moves above every honest score when they are the majority. */
export function collusion(): AttackRow[] {
  const pareto = Array.from({ length: 7 }, (_, i) => Math.round(1_000 * (1 - (i + 0.5) / 7) ** (-1 / 1.16))).reverse();
  const equal = pareto.map(() => 1_000);
  const rows = [
    { name: 'equal stakes', stakes: equal },
    { name: 'Pareto stakes, the two richest', stakes: pareto },
  ].flatMap(({ name, stakes }) =>
    [3, 5, 7].map((m) => colluding(`2 of 7 validators, ${m} seats, ${name}`, stakes, 2, m)),
  );
  const shares = [0.1, 0.2, 0.3, 0.4].flatMap((share) =>
    [3, 5, 7].map((m) =>
      colluding(
        `${100 * share} % of equal stakes of 20 keys, ${m} seats`,
        Array.from({ length: 20 }, () => 1_000),
        20 * share,
        m,
      ),
    ),
  );
  return [...rows, ...shares];
}

function colluding(
  setting: string,
  stakes: readonly number[],
  colluders: number,
  m: number,
  attack = 'collusion',
): AttackRow {
  const all = new Map(stakes.map((stake, i) => [key(i), BigInt(stake)]));
  const bad = new Set(stakes.slice(0, colluders).map((_, i) => key(i)));
  let moved = 0;
  for (let n = 0; n < SEEDS; n++)
    for (let k = 0; k < SUBMISSIONS; k++) {
      const seed = sha256(seedOf(setting, n), u32be(k));
      const noise = prng(seed, 'scores');
      const honest: number[] = [];
      const scores = drawSeats(seed, all, m).map((validator) => {
        if (bad.has(validator)) return 999_000_000;
        honest.push(500_000 + noise.below(2_000));
        return honest.at(-1)!;
      });
      if (lowerMedian(scores) > Math.max(0, ...honest)) moved++;
    }
  const list = stakes.map((stake, i) => ({ stake, colludes: i < colluders }));
  const computed = collusionProbability(list, m, (m + 1) / 2);
  return row(attack, setting, moved / (SEEDS * SUBMISSIONS), computed, SEEDS * SUBMISSIONS);
}

/** Within four standard errors; what is impossible never happens. */
function row(attack: string, setting: string, measured: number, computed: number, n: number): AttackRow {
  const fits = Math.abs(measured - computed) <= 4 * Math.sqrt((computed * (1 - computed)) / n) + 1e-12;
  return {
    attack,
    setting: `${setting}: scores moved`,
    measured: percent(measured),
    computed: percent(computed),
    fits,
  };
}

/** 30 % of the stake in one hand, against 14 honest keys with 5 % each; one seat per key. */
export function splitting(): AttackRow[] {
  return [1, 2, 3, 6].map((keys) => {
    const stakes = [...Array.from({ length: keys }, () => 30_000 / keys), ...Array.from({ length: 14 }, () => 5_000)];
    return colluding(`30 % of the stake in ${keys} keys, 7 seats`, stakes, keys, 7, 'Sybil splitting');
  });
}

const ROUNDS = 10;
const PRICE_SAT = 21;
const COST_SAT = 12;
const SEGMENTS = 10;

/**
 * A trainer that trains its first round as agreed, since that one is always drawn, and from then on a tenth of it: it passes the work
 * floor. It is found out when another segment than its own is drawn, loses that round and its seat.
 */
export function laziness(): AttackRow[] {
  const honest = ROUNDS * (PRICE_SAT - COST_SAT);
  return [0, 0.05, 0.1, 1 / 3, 1].map((rate) => {
    const profits = Array.from({ length: 10 * SEEDS }, (_, n) => lazyProfit(rate, n));
    const mean = profits.reduce((sum, profit) => sum + profit, 0) / profits.length;
    const variance = profits.reduce((sum, profit) => sum + (profit - mean) ** 2, 0) / (profits.length - 1);
    const pass = 1 - rate * (1 - 1 / SEGMENTS);
    let computed = PRICE_SAT - COST_SAT;
    for (let k = 0; k < ROUNDS - 1; k++) computed += pass ** k * (pass * PRICE_SAT - COST_SAT / SEGMENTS);
    return {
      attack: 'a tenth of the work',
      setting: `audit rate ${percent(rate)}, ${ROUNDS} rounds at ${PRICE_SAT} sat that cost ${COST_SAT}: profit, honest is ${honest} sat`,
      measured: `${mean.toFixed(1)} sat`,
      computed: `${computed.toFixed(1)} sat`,
      fits: Math.abs(mean - computed) <= 4 * Math.sqrt(variance / profits.length) + 1e-9,
    };
  });
}

function lazyProfit(rate: number, n: number): number {
  const job = sha256Hex(seedOf('job', n)) as string as EventId;
  const trainer = key(n);
  const proven = new Set<string>([`0:${trainer}`]);
  let profit = PRICE_SAT - COST_SAT;
  for (let round = 1; round < ROUNDS; round++) {
    profit -= COST_SAT / SEGMENTS;
    const list = sha256Hex(seedOf(`list ${round}`, n));
    const draw = { content: { round, list, s: seedOf(`s ${round}`, n) } } as unknown as SpotDraw['draw'];
    const terms = { ratePpm: Math.round(rate * 1e6), everySteps: 1, engine: 'wasm' as never };
    const segment = drawnSegment(
      { job, terms, isBySeat: false, draw, nonces: [], proven },
      { trainer, shard: 0 },
      SEGMENTS,
    );
    if (segment !== null && segment > 0) return profit;
    profit += PRICE_SAT;
  }
  return profit;
}

const SPOT = { ratePpm: 333_333, everySteps: 1, engine: 'wasm' as never };

/**
 * Validators that help a lazy trainer out of a spot check: after all others opened their nonces, each of theirs is shown or not. Only who
 * knows the customer's secret of the round can tell which choice helps: it opens with the draw, when the nonces are closed.
 */
export function withheldNonces(): AttackRow[] {
  const passes = 1 - (SPOT.ratePpm / 1e6) * (1 - 1 / SEGMENTS);
  return [0, 1, 2].flatMap((colluders) =>
    [false, true].flatMap((knowsSecret) => {
      if (colluders === 0 && knowsSecret) return [];
      const tries = knowsSecret ? 2 ** colluders : 1;
      const n = 50 * SEEDS;
      let escaped = 0;
      for (let at = 0; at < n; at++) {
        const list = sha256Hex(seedOf('withheld list', at));
        const own = Array.from({ length: colluders }, (_, i) => seedOf(`withheld own ${i}`, at));
        const others = Array.from({ length: 5 - colluders }, (_, i) => seedOf(`withheld other ${i}`, at));
        for (let choice = 0; choice < tries; choice++) {
          const draw = { content: { round: 1, list, s: seedOf('withheld s', at) } } as unknown as SpotDraw['draw'];
          const nonces = [...own.filter((_, i) => ((choice >> i) & 1) === 0), ...others];
          const job = sha256Hex(seedOf('withheld job', at)) as string as EventId;
          const trainer = key(at);
          const of = { job, terms: SPOT, isBySeat: false, draw, nonces, proven: new Set([`0:${trainer}`]) };
          const segment = drawnSegment(of, { trainer, shard: 0 }, SEGMENTS);
          if (segment !== null && segment > 0) continue;
          escaped++;
          break;
        }
      }
      const who = knowsSecret ? 'who know the secret of the customer' : 'who do not know the secret of the customer';
      const setting = colluders === 0 ? '5 honest validators' : `${colluders} of 5 validators, ${who}`;
      const computed = 1 - (1 - passes) ** tries;
      return [
        { ...row('withheld nonces', setting, escaped / n, computed, n), setting: `${setting}: lazy trainer not found` },
      ];
    }),
  );
}

/** Validators that committed to scores and do not reveal them: they lose their fee, and at the worst the customer's own scores count. */
export function withheldReveals(): AttackRow[] {
  return [3, 5, 7].flatMap((seats) =>
    [(seats - 1) / 2, (seats + 1) / 2].map((silent) => {
      const honest = Array.from({ length: seats - silent }, (_, i) => 500_000 + i);
      const counts = isEnough(honest.length, seats) && honest.includes(lowerMedian(honest));
      const say = (isMedian: boolean) => (isMedian ? 'an honest score counts' : "the customer's own scores count");
      const measured = say(counts);
      const computed = say(silent < seats / 2);
      return {
        ...{ attack: 'withheld reveals', setting: `${silent} of ${seats} validators are silent`, measured, computed },
        fits: measured === computed,
      };
    }),
  );
}

/** A key that failed, and the new one that it would take instead. */
export function whitewashing(): AttackRow[] {
  return [1, 3, 10].map((failures) => {
    let skill = NEW_SKILL;
    for (let i = 0; i < 10; i++) skill = afterMatch(skill, 'done', new Set(), 1);
    const good = conservative(skill);
    for (let i = 0; i < failures; i++) skill = afterMatch(skill, 'absent', new Set(['done']), 1);
    const old = Math.max(0, conservative(skill));
    const counts = (attempts: number, successes: number) =>
      Number(effectivePrice(1_000n, { attempts, successes })) / 1_000;
    const [kept, fresh] = [counts(10 + failures, 10), counts(0, 0)];
    return {
      attack: 'whitewashing',
      setting: `10 rounds accepted, then absent in ${failures}: rating and price factor of the old key, of a new one`,
      measured: `${old.toFixed(2)} (before ${good.toFixed(2)}), x${kept.toFixed(2)}`,
      computed: `0.00, x${fresh.toFixed(2)}`,
      fits: old >= 0 && kept <= fresh,
    };
  });
}
