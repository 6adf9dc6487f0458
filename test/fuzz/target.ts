import type { ErrorCode } from '../../src/errors.js';
import type { Random } from './mutate.js';

/** A reader of what comes from outside: it gives a value, or refuses with an NmktError of these codes. */
export interface Target<I = unknown> {
  readonly name: string;
  /** Of all inputs, relative to the other targets; default 1. Slow readers get less. */
  readonly share: number;
  /** What it may refuse with: codes, and other errors where those are documented. */
  readonly codes: readonly (ErrorCode | 'SyntaxError' | 'RangeError' | 'ZodError')[];
  make(random: Random): I | Promise<I>;
  run(input: I): unknown;
  /**
   * A slow reader written apart from the product. Whatever the product takes it must take too, with an equal value
   * (bytes count as their hex); where it gives undefined, that it takes it is all.
   */
  reference?(input: I): unknown;
}

export function target<I>(
  name: string,
  codes: Target['codes'],
  of: Pick<Target<I>, 'make' | 'run' | 'reference'> & { readonly share?: number },
): Target {
  return { share: 1, ...of, name, codes };
}
