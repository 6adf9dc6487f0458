import type { Pubkey } from '../hash.js';
import type { FoldedAlliance } from '../market/alliance/fold.js';
import type { FoldedArena } from '../market/arena/fold.js';
import type { AnyJobState, JobState, Violation } from '../market/state.js';
import { silentAt as allianceSilentAt } from './alliance/member-decide.js';
import { owedOf } from './arena/env.js';
import { silentAt as arenaSilentAt } from './arena/worker-decide.js';
import { ownStakes } from './stake.js';
import { decideMoney, lapse, silentAt, type MoneyAction, type Owing } from './worker-decide.js';
import { countersignedMsat, workOn, type WorkerEnv, type WorkerFacts } from './worker-loop.js';

export type DelegatorAction = MoneyAction | { readonly do: 'done' } | { readonly do: 'stop'; readonly why: string };

/** A job of any kind, as a delegator looks at it. */
export interface Delegated extends Owing, Pick<JobState, 'chains'> {
  readonly phase: string;
  readonly firstBad: Violation | null;
  /** When a customer that was last heard of then counts as gone; Unix seconds. */
  goneAt(facts: Pick<WorkerFacts, 'heardAt'>): number;
}

export function delegatedJob(state: JobState): Delegated {
  const { job, rounds, chains, phase, firstBad } = state;
  const goneAt: Delegated['goneAt'] = (facts) => Math.max(silentAt(state, facts), job?.content.deadline ?? 0);
  return { job, rounds, chains, phase, firstBad, goneAt };
}

export function delegatedAlliance({ state, job, chains, phase, firstBad }: FoldedAlliance): Delegated {
  const goneAt: Delegated['goneAt'] = (facts) => Math.max(allianceSilentAt(state!, facts), job?.content.deadline ?? 0);
  return { job, rounds: state?.rounds ?? [], chains, phase, firstBad, goneAt };
}

export function delegatedArena(folded: FoldedArena): Delegated {
  const { state, job, chains, phase, firstBad } = folded;
  const until = job?.content.arena.finalUntil ?? 0;
  const goneAt: Delegated['goneAt'] = (facts) => Math.max(arenaSilentAt(state!, facts), until);
  return { job, rounds: owedOf(folded).rounds, chains, phase, firstBad, goneAt };
}

/** Claims what settlements promise for a delegation, countersigns it, and waits for more; pure, so that a restart decides the same. */
export function decideDelegator(
  at: Delegated,
  facts: Pick<WorkerFacts, 'me' | 'held' | 'heardAt' | 'deafAt'>,
  now: number,
): DelegatorAction {
  if (at.job === null) return { do: 'stop', why: 'the job event is not at hand' };
  if (at.firstBad !== null)
    return { do: 'stop', why: `the customer broke a rule: ${at.firstBad.rule}: ${at.firstBad.detail}` };
  const money = decideMoney(at, facts, now);
  if (money !== null) return money;
  if (at.phase === 'finished' || at.phase === 'cancelled') return { do: 'done' };
  if (!isStanding(at, facts.me)) return { do: 'stop', why: 'nothing of this key stands behind anybody in the job' };
  return lapse(facts, now, at.goneAt(facts), 'the next settlement');
}

function isStanding(at: Pick<Delegated, 'chains'>, me: Pubkey): boolean {
  return ownStakes(at, me).some(({ event, isLeaving }) => event.type === 'delegate' && !isLeaving);
}

/** Stays with a job until it is over. @returns what was paid and countersigned, and why it stopped before, or null */
export async function serveDelegator<S extends AnyJobState>(
  env: WorkerEnv<S>,
  look: (state: S) => Delegated,
): Promise<{ readonly paidMsat: bigint; readonly why: string | null }> {
  const me = env.signer.pubkey;
  const { state, action } = await workOn<DelegatorAction, S>(env, {
    story: () => [],
    lookUp: async () => undefined,
    decide: (at, facts, now) => decideDelegator(look(at), facts, now),
    carryOut: async () => undefined,
  });
  return { paidMsat: countersignedMsat(look(state), me), why: action.do === 'stop' ? action.why : null };
}
