import type { Pubkey } from '../../hash.js';
import { afterTable, NO_STAKES, type StakeBook, type StakeEvent } from '../stake.js';
import { splitReward } from '../stake-reward.js';
import { named, type AttackRow } from './row.js';

/** A hundred times the stake of everybody else, for the last of 240 intervals. */
export function flashDelegation(): AttackRow[] {
  const [operator, steady, flash] = ['operator', 'steady', 'flash'].map(named) as string[] as [Pubkey, Pubkey, Pubkey];
  const event = (type: 'stake' | 'delegate', author: Pubkey, amountMsat: bigint) =>
    ({
      ...{ type, author, id: named(`event ${author}`) },
      content: { lock: named(`lock ${author}`), amountMsat, operator, role: 'trainer', sigmaPpm: 0 },
    }) as unknown as StakeEvent;
  return [1, 24, 240].map((intervals) => {
    const first = [event('stake', operator, 3_000n), event('delegate', steady, 1_000n)];
    const early = afterTable(NO_STAKES, 0, first) as StakeBook;
    const late = event('delegate', flash, 100_000n);
    const all =
      intervals === 240 ? afterTable(NO_STAKES, 0, [...first, late]) : afterTable(early, 240 - intervals, [late]);
    const { worked } = afterTable(all as StakeBook, 240, []) as StakeBook;
    const measured = Number(splitReward(operator, 1_000_000n, 0, worked.get(operator)!).get(flash)!) / 1e6;
    const computed = (100 * intervals) / (4 * 240 + 100 * intervals);
    return {
      attack: 'flash delegation',
      setting: `100 times the delegated stake for ${intervals} of 240 intervals: share of the reward`,
      unit: 'share',
      ...{ measured, computed, fits: Math.abs(measured - computed) < 2e-6 },
    };
  });
}
