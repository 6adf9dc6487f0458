import { NmktError } from '../errors.js';

/**
 * One line of JSON; bigint becomes a JSON integer.
 * @throws NmktError `too-large` for an integer above 2^53 - 1: most JSON readers would round it silently
 */
export function toJsonLine(value: unknown): string {
  return JSON.stringify(value, (key, part: unknown) => {
    if (typeof part !== 'bigint') return part;
    const number = Number(part);
    if (Number.isSafeInteger(number)) return number;
    throw new NmktError('too-large', `${key || 'a value'} does not fit in a JSON number`, {
      remedy: 'run the command without --json',
      expected: 'an integer of at most 2^53 - 1',
      got: String(part),
    });
  });
}
