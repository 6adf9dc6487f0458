import { collusionFields, drawnMajorities, PAY_RULES, shareOfSplit } from '../src/market/attacks/majority.js';
import { inUnit, percent } from '../src/market/attacks/row.js';
import type { BenchResult } from './run.js';

/** Stages of 20 submissions. */
const DRAWS = 300;
/** Of the split stake: the part that it is of all. */
const FIFTH = 0.2;

/** Colluding majorities of an arena's seats, exact and drawn; then what a stake in one key or several earns by three rules. */
export async function bench(): Promise<BenchResult> {
  const majorities = [10, 20, 30, 40].flatMap((share) =>
    [7, 15, 30].flatMap((validators) =>
      collusionFields(share, validators).map((field) => ({ share, row: drawnMajorities(field, DRAWS) })),
    ),
  );
  const rules = Object.keys(PAY_RULES) as (keyof typeof PAY_RULES)[];
  const splits = rules.flatMap((rule) =>
    [3, 7].flatMap((seats) =>
      [1, 2, 3, 6].map((keys) => ({
        what: `a fifth of the stake, paid by ${rule}`,
        setting: `in ${keys} keys against 12, ${seats} seats`,
        computed: percent(FIFTH),
        drawn: percent(shareOfSplit(rule, keys, seats, DRAWS)),
      })),
    ),
  );
  const fit = majorities.filter(({ row }) => row.fits).length;
  return {
    rows: [
      ...majorities.map(({ share, row: { setting, unit, measured, computed } }) => ({
        what: `a majority by ${share} % of the stake`,
        ...{ setting, computed: inUnit(computed, unit), drawn: inUnit(measured, unit) },
      })),
      ...splits,
    ],
    targets: [
      {
        name: 'colluding majorities',
        target: 'all as computed',
        got: `${fit} of ${majorities.length}`,
        ok: fit === majorities.length,
      },
    ],
  };
}
