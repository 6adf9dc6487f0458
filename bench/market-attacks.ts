import { DEFAULT_SEEDS, MARKET_ATTACKS } from '../src/market/attacks/all.js';
import { inUnit } from '../src/market/attacks/row.js';
import type { BenchResult } from './run.js';

/** Attacks on a market's rules, 200 seeds each where chance decides, beside what is computed for them. */
export async function bench(): Promise<BenchResult> {
  const all = MARKET_ATTACKS.map((attack) => attack(DEFAULT_SEEDS));
  return {
    rows: all.flat().map(({ attack, setting, unit, measured, computed }) => ({
      ...{ attack, setting, measured: inUnit(measured, unit), computed: inUnit(computed, unit) },
    })),
    targets: all.map((mine) => {
      const fit = mine.filter(({ fits }) => fits).length;
      return {
        name: mine[0]!.attack,
        target: 'all as computed',
        got: `${fit} of ${mine.length}`,
        ok: fit === mine.length,
      };
    }),
  };
}
