import type { ParamSet } from '../types.js';
import { bulyan } from './bulyan.js';
import { centredClip } from './centred-clip.js';
import { fedAvg } from './fedavg.js';
import { flTrust } from './fltrust.js';
import { geometricMedian } from './geometric-median.js';
import { krum, multiKrum } from './krum.js';
import { coordinateMedian } from './median.js';
import { normClip } from './norm-clip.js';
import { trimmedMean } from './trimmed-mean.js';
import type { Update } from './update.js';

/** Names of the rules that combine the accepted updates of a round into one model. */
export const RULES = [
  'fedavg',
  'median',
  'trimmed-mean',
  'geometric-median',
  'norm-clip',
  'centred-clip',
  'krum',
  'multi-krum',
  'bulyan',
  'fltrust',
] as const;
export type RuleName = (typeof RULES)[number];

/** As fixed in the award. */
export interface Rule {
  readonly name: RuleName;
  /** Attackers among the updates that the rule is to withstand; 0 for rules that take no such number. */
  readonly f: number;
  /** Updates that Multi-Krum averages in the end; else 0. */
  readonly m: number;
}

/** Of so many updates, the attackers that a rule with a number for them can withstand; the others take none. */
export function mostAttackers(name: RuleName, updates: number): number {
  switch (name) {
    case 'trimmed-mean':
      return Math.max(0, Math.floor((updates - 1) / 2));
    case 'krum':
    case 'multi-krum':
      return Math.max(0, Math.floor((updates - 3) / 2));
    case 'bulyan':
      return Math.max(0, Math.floor((updates - 3) / 4));
    default:
      return 0;
  }
}

/** Does the rule take a number of attackers? */
export function takesAttackers(name: RuleName): boolean {
  return mostAttackers(name, 1_000) > 0;
}

/**
 * The rule for so many updates, which may be fewer than seats: f within what they allow, m all but f.
 *
 * @param attackers  asked for, >= 0
 * @param updates    >= 1
 */
export function ruleFor(name: RuleName, attackers: number, updates: number): Rule {
  const f = Math.min(attackers, mostAttackers(name, updates));
  return { name, f, m: name === 'multi-krum' ? updates - f : 0 };
}

/** From five seats on the median length says what is usual; below, one of two or three may set it. */
const ROBUST_FROM = 5;

/** Behind the work floor, which stops what makes a shard's own loss worse, it is enough to bound the rest (docs/decisions/2026-11-27-default-rule.md). */
export function defaultRule(seats: number): 'fedavg' | 'norm-clip' {
  return seats < ROBUST_FROM ? 'fedavg' : 'norm-clip';
}

/** Three of ten. */
export function defaultAttackers(name: RuleName, seats: number): number {
  return Math.min(Math.floor((3 * seats) / 10), mostAttackers(name, seats));
}

/**
 * The model that the accepted updates of a round make together: a pure function of the base and the set of updates, in any order.
 *
 * @param base  the model that they were trained from
 * @param root  what the customer's own data made of it; for `fltrust`
 * @throws      RangeError (a bug of the caller) as `inOrder`, or for `fltrust` without a root
 */
export function combine(rule: Rule, base: ParamSet, updates: readonly Update[], root?: ParamSet): ParamSet {
  const { f, m } = ruleFor(rule.name, rule.f, updates.length);
  switch (rule.name) {
    case 'fedavg':
      return fedAvg(updates);
    case 'median':
      return coordinateMedian(updates);
    case 'trimmed-mean':
      return trimmedMean(updates, f);
    case 'geometric-median':
      return geometricMedian(base, updates);
    case 'norm-clip':
      return normClip(base, updates);
    case 'centred-clip':
      return centredClip(base, updates);
    case 'krum':
      return krum(updates, f);
    case 'multi-krum':
      return multiKrum(updates, f, m);
    case 'bulyan':
      return bulyan(updates, f);
    case 'fltrust':
      if (root === undefined) throw new RangeError('fltrust takes a root update');
      return flTrust(base, updates, root);
  }
}
