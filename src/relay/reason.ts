import { explainDisk } from '../disk/durable.js';
import { isNmktError } from '../errors.js';
import { Refusal } from './admission.js';

/** What the embedded relay tells a client about a request that failed. */
export function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  if (isNmktError(error)) return `invalid: ${error.message}: expected ${error.expected}`;
  const disk = explainDisk(error instanceof Error && error.cause !== undefined ? error.cause : error, 'events');
  // Why, for whoever runs the relay; where its files lie is nobody's business.
  return isNmktError(disk)
    ? `error: could not store or read events: ${disk.code}`
    : 'error: could not store or read events';
}
