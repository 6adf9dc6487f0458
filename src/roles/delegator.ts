import type { Pubkey } from '../hash.js';
import type { JobState } from '../market/state.js';
import { ownStakes } from './stake.js';
import { decideMoney, lapse, silentAt, type MoneyAction } from './trainer-decide.js';
import { countersignedMsat, workOn, type WorkerEnv, type WorkerFacts } from './worker-loop.js';

export type DelegatorAction = MoneyAction | { readonly do: 'done' } | { readonly do: 'stop'; readonly why: string };

/** Claims what settlements promise for a delegation, countersigns it, and waits for more; pure, so that a restart decides the same. */
export function decideDelegator(
  state: JobState,
  facts: Pick<WorkerFacts, 'me' | 'held' | 'heardAt' | 'deafAt'>,
  now: number,
): DelegatorAction {
  if (state.job === null) return { do: 'stop', why: 'the job event is not at hand' };
  if (state.firstBad !== null)
    return { do: 'stop', why: `the customer broke a rule: ${state.firstBad.rule}: ${state.firstBad.detail}` };
  const money = decideMoney(state, facts, now);
  if (money !== null) return money;
  if (state.phase === 'finished' || state.phase === 'cancelled') return { do: 'done' };
  if (!isStanding(state, facts.me)) return { do: 'stop', why: 'nothing of this key stands behind anybody in the job' };
  return lapse(facts, now, Math.max(silentAt(state, facts), state.job.content.deadline), 'the next settlement');
}

function isStanding(state: JobState, me: Pubkey): boolean {
  return ownStakes(state, me).some(({ event, isLeaving }) => event.type === 'delegate' && !isLeaving);
}

/** Stays with a job until it is over. @returns what was paid and countersigned, and why it stopped before, or null */
export async function serveDelegator(
  env: WorkerEnv,
): Promise<{ readonly paidMsat: bigint; readonly why: string | null }> {
  const me = env.signer.pubkey;
  const { state, action } = await workOn<DelegatorAction>(env, {
    story: () => [],
    lookUp: async () => undefined,
    decide: decideDelegator,
    carryOut: async () => undefined,
  });
  return { paidMsat: countersignedMsat(state, me), why: action.do === 'stop' ? action.why : null };
}
