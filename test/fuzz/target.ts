import type { Random } from './mutate.js';

/** A reader of what comes from outside: it may refuse with an NmktError, and with nothing else. */
export interface Target<I = unknown> {
  readonly name: string;
  /** Of all inputs, relative to the other targets; default 1. Slow readers get less. */
  readonly share?: number;
  make(random: Random): I | Promise<I>;
  run(input: I): unknown;
}

export function target<I>(name: string, make: Target<I>['make'], run: Target<I>['run'], share = 1): Target {
  return { name, share, make, run };
}
