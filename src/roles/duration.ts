import { z } from 'zod';
import { NmktError } from '../errors.js';

const DURATION = /^([0-9]{1,6})(s|m|h|d)?$/;
const UNIT_SEC = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** `90s`, `15m`, `2h`, `7d` or a number of seconds. @throws NmktError `bad-usage` naming the field */
export function parseDuration(text: string | number, field: string): number {
  const match = DURATION.exec(String(text));
  const seconds = match === null ? 0 : Number(match[1]) * UNIT_SEC[(match[2] ?? 's') as keyof typeof UNIT_SEC];
  if (seconds >= 1 && seconds <= 31_536_000) return seconds;
  throw new NmktError('bad-usage', `${field} is not a duration`, {
    expected: 'such as 90s, 15m, 2h or 7d, up to 365d',
    got: String(text),
    remedy: `${field} 15m`,
  });
}

/** As a job file has it: text, or seconds. */
export const duration = z.union([z.string().regex(DURATION, 'expected a duration such as 15m'), z.int().min(1)]);
