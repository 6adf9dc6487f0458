import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { combine, type Rule } from '../learning/aggregate/rule.js';
import { outerStep, type Outer } from '../learning/outer/outer.js';
import { paramsHash } from '../learning/params.js';
import type { ParamSet } from '../learning/types.js';
import type { JobState } from '../market/state.js';

/** What a round makes of its base: the accepted updates combined by the awarded rule, then the outer step. */
export interface NextModel {
  readonly params: ParamSet;
  readonly hash: Sha256;
  /** What the outer step of the next round needs; null: nothing. */
  readonly outerState: ParamSet | null;
  readonly outerHash: Sha256 | undefined;
}

export interface RoundStart {
  readonly base: ParamSet;
  /** As the round before left it; null before the first, and where nothing is kept. */
  readonly outerState: ParamSet | null;
  /** What the customer's own training made of the base; null where the rule needs none. */
  readonly root: ParamSet | null;
}

export interface ModelRules {
  readonly rule: Rule;
  readonly outer: Outer;
}

/** Fixed by job and award. */
export function rulesOf({ job, award }: JobState): ModelRules {
  return { rule: award!.content.rule, outer: job!.content.outer };
}

export function nextModel(
  { rule, outer }: ModelRules,
  { base, outerState, root }: RoundStart,
  accepted: readonly { readonly trainer: Pubkey; readonly shard: number; readonly submission: EventId }[],
  updates: ReadonlyMap<number, ParamSet>,
  examplesOfShard: (shard: number) => number,
): NextModel {
  const combined = combine(
    rule,
    base,
    accepted.map(({ trainer, shard }) => ({
      trainer,
      shard,
      examples: examplesOfShard(shard),
      params: updates.get(shard)!,
    })),
    root ?? undefined,
  );
  const { params, state } = outerStep(outer, base, combined, outerState);
  return {
    params,
    hash: paramsHash(params),
    outerState: state,
    outerHash: state === null ? undefined : paramsHash(state),
  };
}
