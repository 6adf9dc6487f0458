import { isNmktError } from '../errors.js';
import { MissingChunks } from '../blob/transfer.js';

/** So long every relay must say that something is absent; then half of them are enough. */
export const ABSENCE_GRACE_SEC = 600;

/**
 * Did a download fail because relays could not be asked, and not because of whoever should have published? The download itself
 * must have heard from them: a relay that answers again a moment later was silent all the same.
 *
 * @param waitedSec  since the bytes were due
 */
export function isUnproven(error: unknown, waitedSec: number): boolean {
  if (!isNmktError(error, 'relay-unreachable')) return false;
  if (!(error instanceof MissingChunks)) return true;
  const { answered, silent } = error;
  return silent > 0 && (waitedSec < ABSENCE_GRACE_SEC || answered < silent || answered === 0);
}
