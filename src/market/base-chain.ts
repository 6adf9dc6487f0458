import type { EventOf } from '../protocol/events.js';

interface Opened {
  readonly open: EventOf<'open'>;
}

/**
 * The rounds whose blobs lead to the model that the last of these starts from: the last one that published a whole model, then one by one
 * those that published a difference to the one before.
 *
 * @param rounds  of a job, from the first on; at least one
 */
export function baseChain<R extends Opened>(rounds: readonly R[]): readonly [R, ...R[]] {
  const whole = rounds.findLastIndex(({ open }) => open.content.difference === undefined);
  return rounds.slice(Math.max(whole, 0)) as [R, ...R[]];
}

/** How many differences lead to the model that the last of these starts from. */
export function differencesOf(rounds: readonly Opened[]): number {
  return rounds.length === 0 ? 0 : baseChain(rounds).length - 1;
}
