import { NmktError } from '../errors.js';
import { modelBytes, modelCost } from './model-cost.js';
import type { ModelSpec } from './types.js';

/** For models of the user's own: what could be collected can be applied. */
export const OWN_LIMITS = { maxParams: 250_000_000, maxBytes: 2 ** 34 };

/**
 * To be asked before weights are made or read: a file of a few hundred bytes can ask for any size.
 *
 * @param batch  examples at a time
 * @throws       NmktError `too-large`
 */
export function checkOwnSize(model: ModelSpec, batch: number): void {
  const cost = modelCost(model);
  const bytes = modelBytes(cost, batch);
  if (cost.parameters > OWN_LIMITS.maxParams) throw tooLarge('parameters', OWN_LIMITS.maxParams, cost.parameters);
  if (bytes > OWN_LIMITS.maxBytes) throw tooLarge('bytes of memory to train', OWN_LIMITS.maxBytes, bytes);
}

function tooLarge(what: string, most: number, got: number): NmktError {
  return new NmktError('too-large', `the model takes too many ${what}`, {
    expected: `at most ${most}`,
    got: `${got}`,
    remedy: 'a smaller model, or a smaller --batch; nmkt inspect says what a model takes',
  });
}
