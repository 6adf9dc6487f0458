import { collusion, laziness, splitting, whitewashing, withheldNonces, withheldReveals } from './market/attacks.js';
import { flashDelegation, freeRiding, selfDealt } from './market/receipts.js';
import type { BenchResult } from './run.js';

/** Attacks on a market's rules, 200 seeds each where chance decides, beside what is computed for them. */
export async function bench(): Promise<BenchResult> {
  const attacks = [
    ...[collusion, splitting, freeRiding, laziness, withheldNonces, withheldReveals],
    ...[selfDealt, whitewashing, flashDelegation],
  ];
  const all = attacks.map((attack) => attack());
  return {
    rows: all.flat().map(({ fits: _, ...row }) => row),
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
