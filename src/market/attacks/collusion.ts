import { sha256, u32be } from '../../hash.js';
import { pow } from '../../learning/pow.js';
import { prng } from '../../learning/prng.js';
import { lowerMedian } from '../../learning/lower-median.js';
import { isEnough } from '../consensus.js';
import { collusionProbability, drawSeats } from '../stake-draw.js';
import { numberedKey, seedOf, shareRow, type AttackRow } from './row.js';

const SUBMISSIONS = 20;

/**
 * Validators that score for their friend as high as they can: the lower median moves above every honest score when they are the majority.
 *
 * @param seeds  draws of 20 submissions each
 */
export function collusion(seeds: number): AttackRow[] {
  const pareto = Array.from({ length: 7 }, (_, i) => Math.round(1_000 * pow(1 - (i + 0.5) / 7, -1 / 1.16))).reverse();
  const equal = pareto.map(() => 1_000);
  const rows = [
    { name: 'equal stakes', stakes: equal },
    { name: 'Pareto stakes, the two richest', stakes: pareto },
  ].flatMap(({ name, stakes }) =>
    [3, 5, 7].map((m) =>
      colluding('collusion', `2 of 7 validators, ${m} seats, ${name}`, { stakes, colluders: 2, m, seeds }),
    ),
  );
  const stakes = Array.from({ length: 20 }, () => 1_000);
  const shares = [0.1, 0.2, 0.3, 0.4].flatMap((share) =>
    [3, 5, 7].map((m) =>
      colluding('collusion', `${100 * share} % of equal stakes of 20 keys, ${m} seats`, {
        ...{ stakes, colluders: 20 * share, m, seeds },
      }),
    ),
  );
  return [...rows, ...shares];
}

interface Coalition {
  readonly stakes: readonly number[];
  /** The first of them. */
  readonly colluders: number;
  readonly m: number;
  readonly seeds: number;
}

function colluding(attack: string, setting: string, { stakes, colluders, m, seeds }: Coalition): AttackRow {
  const all = new Map(stakes.map((stake, i) => [numberedKey(i), BigInt(stake)]));
  const bad = new Set(stakes.slice(0, colluders).map((_, i) => numberedKey(i)));
  let moved = 0;
  for (let n = 0; n < seeds; n++)
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
  const n = seeds * SUBMISSIONS;
  return shareRow(attack, `${setting}: scores moved`, { measured: moved / n, computed, n });
}

/** 30 % of the stake in one hand, against 14 honest keys with 5 % each; one seat per key. */
export function splitting(seeds: number): AttackRow[] {
  return [1, 2, 3, 6].map((keys) => {
    const stakes = [...Array.from({ length: keys }, () => 30_000 / keys), ...Array.from({ length: 14 }, () => 5_000)];
    return colluding('Sybil splitting', `30 % of the stake in ${keys} keys, 7 seats`, {
      ...{ stakes, colluders: keys, m: 7, seeds },
    });
  });
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
        ...{
          attack: 'withheld reveals',
          setting: `${silent} of ${seats} validators are silent`,
          unit: 'rule' as const,
        },
        ...{ measured, computed, fits: measured === computed },
      };
    }),
  );
}
