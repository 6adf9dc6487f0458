import type { ParamSet } from '../types.js';
import { fedAvg } from './fedavg.js';
import type { Update } from './update.js';

/** Names of the rules that combine the accepted updates of a round into one model. */
export const RULES = ['fedavg'] as const;
export type RuleName = (typeof RULES)[number];

/** As fixed in the award. */
export interface Rule {
  readonly name: RuleName;
  /** Attackers among the updates that the rule is to withstand. */
  readonly f: number;
  /** Updates that the rule averages in the end (Multi-Krum); 0 where it has no such number. */
  readonly m: number;
}

/**
 * The model that the accepted updates of a round make together: a pure function of the base and the set of updates, in any order.
 *
 * @param base  the model that they were trained from
 */
export function combine(rule: Rule, _base: ParamSet, updates: readonly Update[]): ParamSet {
  switch (rule.name) {
    case 'fedavg':
      return fedAvg(updates);
  }
}
