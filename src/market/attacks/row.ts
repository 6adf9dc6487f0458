import { sha256, sha256Hex, u32be, type Bytes, type Pubkey, type Sha256 } from '../../hash.js';

/** Attacks on the rules of the market, each against what is computed for it; every number follows from a seed. */

/** Share: of 1. Sat: of a trainer over the whole job. Rule: which one rejects, or what counts in words. */
export type Unit = 'share' | 'sat' | 'rating' | 'factor' | 'rule';

export interface AttackRow {
  readonly attack: string;
  readonly setting: string;
  readonly unit: Unit;
  readonly measured: number | string;
  readonly computed: number | string;
  /** Does the measurement fit? */
  readonly fits: boolean;
}

export const seedOf = (name: string, n: number): Bytes => sha256('market attack', name, u32be(n));
export const numberedKey = (i: number): Pubkey => sha256Hex('market attack', u32be(i)) as string as Pubkey;
export const named = (text: string): Sha256 => sha256Hex('market attack', text);

export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

export function inUnit(value: number | string, unit: Unit): string {
  if (typeof value === 'string') return value;
  if (unit === 'share') return percent(value);
  if (unit === 'sat') return `${value.toFixed(1)} sat`;
  return unit === 'factor' ? `x${value.toFixed(2)}` : value.toFixed(2);
}

/** Of n tries: within four standard errors; what is impossible never happens. */
export function shareRow(
  attack: string,
  setting: string,
  { measured, computed, n }: { readonly measured: number; readonly computed: number; readonly n: number },
): AttackRow {
  const fits = Math.abs(measured - computed) <= 4 * Math.sqrt((computed * (1 - computed)) / n) + 1e-12;
  return { attack, setting, unit: 'share', measured, computed, fits };
}
