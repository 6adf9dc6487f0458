import { NmktError } from '../errors.js';

/** As the protocol bounds it. */
const MAX_CHARS = 500;

/** A public sentence; an absent one is empty. @throws NmktError `bad-usage` for control characters or more than 500 characters */
export function readReason(value: unknown): string {
  if (value === undefined) return '';
  const text = typeof value === 'string' ? value : '';
  // eslint-disable-next-line no-control-regex -- control characters are what is refused
  if (text.length <= MAX_CHARS && !/[\u0000-\u001f\u007f]/.test(text)) return text;
  throw new NmktError('bad-usage', '--reason cannot be published', {
    expected: `at most ${MAX_CHARS} characters on one line`,
    got: text.length > MAX_CHARS ? `${text.length} characters` : 'control characters or several lines',
    remedy: 'shorten it to one line, or leave it out',
  });
}
