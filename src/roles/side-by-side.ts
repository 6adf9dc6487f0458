import type { Bell } from './bell.js';

/** A payment takes as long as its route, and one whose outcome is unknown a minute more. */
export const PAYEES_AT_ONCE = 4;

/** Without news it is asked again so often. */
const ASK_MS = 30_000;

/**
 * Carries out one thing and, beside it, whatever comes next, up to `atMost` at a time, until nothing is in hand: a slow one holds up its
 * own place only.
 *
 * @param next  what may begin beside those in hand, asked after each ring of the bell; null: nothing, for now
 * @param run   @returns false: nothing more is begun
 * @throws the first error, once everything that had begun has ended
 */
export async function sideBySide<T>(
  { bell, signal }: { readonly bell: Bell; readonly signal: AbortSignal },
  atMost: number,
  first: T,
  next: (inHand: readonly T[]) => T | null,
  run: (one: T) => Promise<boolean>,
): Promise<void> {
  const inHand = new Map<T, Promise<void>>();
  const errors: unknown[] = [];
  let isStopped = false;
  const carryOut = async (one: T): Promise<void> => {
    try {
      if (!(await run(one))) isStopped = true;
    } catch (error) {
      errors.push(error);
      isStopped = true;
    }
    inHand.delete(one);
    bell.ring();
  };
  for (let one: T | null = first; one !== null || inHand.size > 0;) {
    const mayBegin = (): boolean => !isStopped && !signal.aborted && inHand.size < atMost;
    if (one !== null) inHand.set(one, carryOut(one));
    else if (mayBegin()) await bell.wait(ASK_MS, signal);
    else await Promise.race(inHand.values());
    one = mayBegin() ? next([...inHand.keys()]) : null;
  }
  if (errors.length > 0) throw errors[0];
}
