import type { EventId } from '../../hash.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import { settlementsOf } from '../../market/arena/lapse.js';
import type { ArenaStage, ArenaState } from '../../market/arena/state.js';
import { lapse } from '../worker-decide.js';
import { PATIENCE_SEC } from '../patience.js';
import type { WorkerFacts } from '../worker-loop.js';
import { worksIn } from './env.js';

/** What trainers and validators of an arena do alike. Pure. */

export type SettleAction =
  /** The customer is silent: what follows from the opened table, said by this one. */
  | { readonly do: 'rank'; readonly stage: ArenaStage }
  | { readonly do: 'settle'; readonly stage: ArenaStage; readonly ranking: EventId };

export type Lapse = ReturnType<typeof lapse>;

/** When a customer that should be busy counts as gone: each step of a scoring has its time. */
export function silentAt({ job }: ArenaState, { heardAt }: Pick<WorkerFacts, 'heardAt'>): number {
  return heardAt + 2 * job.content.revealTimeoutSec + PATIENCE_SEC;
}

/**
 * Settles a stage of this participant whose names are told and whose customer is silent; null: nothing to settle, or not yet.
 * A ranking of its own from before a crash is found again.
 */
export function decideSettle(
  { chains }: FoldedArena,
  state: ArenaState,
  facts: WorkerFacts,
  now: number,
): SettleAction | null {
  const stage = state.stages.at(-1);
  if (stage === undefined || stage.table === null || settlementsOf(stage).length > 0 || !worksIn(stage, facts.me))
    return null;
  if (now < Math.max(silentAt(state, facts), facts.deafAt + PATIENCE_SEC)) return null;
  const own = chains
    .get(facts.me)
    ?.events.find((event) => event.type === 'ranking' && event.content.table === stage.table!.id);
  const ranking = stage.ranking ?? own;
  return ranking === undefined ? { do: 'rank', stage } : { do: 'settle', stage, ranking: ranking.id };
}

/** What the customer does next, for those who wait for it; after long silence they stop. */
export function awaitCustomer(state: ArenaState, facts: WorkerFacts, now: number, what: string): Lapse {
  return lapse(facts, now, silentAt(state, facts), what);
}

export const stageName = (stage: number): string => (stage === 0 ? 'the interim stage' : 'the final stage');
