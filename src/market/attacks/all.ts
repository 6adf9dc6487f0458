import { collusion, splitting, withheldReveals } from './collusion.js';
import { flashDelegation } from './delegation.js';
import { freeRiding } from './free-riding.js';
import { laziness, withheldNonces } from './laziness.js';
import type { AttackRow } from './row.js';
import { selfDealt, whitewashing } from './standing.js';

/**
 * Attacks against the functions that decide in a real market, in the order of docs/market.md.
 *
 * @param seeds  10 or more, where chance decides; each row follows from them alone
 */
export const MARKET_ATTACKS: readonly ((seeds: number) => AttackRow[])[] = [
  ...[collusion, splitting, freeRiding, laziness, withheldNonces, withheldReveals],
  ...[selfDealt, whitewashing, flashDelegation],
];

export const DEFAULT_SEEDS = 200;
