import { NmktError } from '../errors.js';

/** Amounts as in the readable part of an invoice: bitcoin with an optional multiplier (BOLT 11). */

/** Millisatoshi per unit, largest first; a pico-bitcoin is a tenth of one. */
const UNITS = [
  ['', 100_000_000_000n],
  ['m', 100_000_000n],
  ['u', 100_000n],
  ['n', 100n],
] as const;
/** 21 million bitcoin. */
export const MAX_MSAT = 2_100_000_000_000_000_000n;

/** The shortest form. @throws RangeError unless 0 < msat <= MAX_MSAT */
export function formatAmount(msat: bigint): string {
  if (msat <= 0n || msat > MAX_MSAT) throw new RangeError(`not a payable amount: ${msat} msat`);
  const unit = UNITS.find(([, size]) => msat % size === 0n);
  return unit ? `${msat / unit[1]}${unit[0]}` : `${msat * 10n}p`;
}

/** @throws NmktError `bad-invoice`: no leading zero, nothing finer than a millisatoshi */
export function parseAmount(text: string): bigint {
  const [, digits, multiplier] = /^([1-9]\d{0,20})([munp]?)$/.exec(text) ?? [];
  if (digits === undefined) throw bad('digits and m, u, n or p', text.slice(0, 32));
  if (multiplier === 'p' && !digits.endsWith('0')) throw bad('whole millisatoshis', `${text} bitcoin`);
  const size = UNITS.find(([letter]) => letter === multiplier)?.[1];
  const msat = size === undefined ? BigInt(digits) / 10n : BigInt(digits) * size;
  if (msat > MAX_MSAT) throw bad(`at most ${MAX_MSAT} msat`, `${msat} msat`);
  return msat;
}

function bad(expected: string, got: string): NmktError {
  return new NmktError('bad-invoice', 'the invoice has a malformed amount', {
    remedy: 'ask the payee for a new invoice',
    expected,
    got,
  });
}
