import type { EventId } from '../../hash.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import { submittingStage, type ArenaState } from '../../market/arena/state.js';
import { seenIntervalSec } from '../customer-scoring.js';
import { decideMoney, isOverlooked, lapse, type MoneyAction } from '../worker-decide.js';
import { PATIENCE_SEC } from '../patience.js';
import type { WorkerFacts } from '../worker-loop.js';
import { owedOf } from './env.js';
import { awaitCustomer, decideSettle, stageName, type SettleAction } from './worker-decide.js';

export type ArenaTrainerAction =
  | { readonly do: 'enter' }
  /** The training set is at hand: search, publish, submit. */
  | { readonly do: 'submit'; readonly stage: number }
  | SettleAction
  | { readonly do: 'republish'; readonly event: EventId; readonly what: string }
  | MoneyAction
  | { readonly do: 'done' }
  | { readonly do: 'lost' | 'cancelled' | 'stop'; readonly why: string };

export interface ArenaTrainerFacts extends WorkerFacts {
  /** Are the keys to the whole training set here, or a model that was made of it for this stage? */
  readonly hasData: (stage: number) => boolean;
}

/** The next thing a trainer of an arena does; pure, so that a restart decides the same. */
export function decideArenaTrainer(folded: FoldedArena, facts: ArenaTrainerFacts, now: number): ArenaTrainerAction {
  const { state, firstBad, phase, job } = folded;
  if (job === null || state === null) return { do: 'stop', why: 'the job event is not at hand' };
  const money = decideMoney(owedOf(folded), facts, now);
  if (money !== null && money.do !== 'wait') return money;
  const stopping = decideSettle(folded, state, facts, now);
  if (stopping !== null) return stopping;
  if (firstBad !== null)
    return money ?? { do: 'stop', why: `the customer broke a rule: ${firstBad.rule}: ${firstBad.detail}` };
  const mine = folded.chains.get(facts.me)?.events ?? [];
  const hasSubmitted = mine.some(({ type }) => type === 'submit');
  if (phase === 'cancelled')
    return money ?? (paysMe(folded, facts) ? { do: 'done' } : { do: 'cancelled', why: cancelText(state) });
  if (phase === 'finished')
    return money ?? (hasSubmitted ? { do: 'done' } : { do: 'lost', why: 'the arena went to others' });
  const stage = submittingStage(state);
  if (stage === null) {
    if (hasSubmitted) return money ?? awaitCustomer(state, facts, now, stepName(folded));
    const { finalUntil } = job.content.arena;
    return state.stages.length === 2 || now >= finalUntil
      ? { do: 'lost', why: 'the arena is closed' }
      : { do: 'wait', for: 'the final stage', until: finalUntil };
  }
  const next = decideStage(state, stage, mine, facts, now) ??
    money ?? { do: 'lost' as const, why: 'the arena is closed' };
  // Whoever is owed stays until it is paid, or until it said in public that it was not.
  return next.do === 'stop' ? (money ?? next) : next;
}

function decideStage(
  state: ArenaState,
  stage: number,
  mine: NonNullable<ReturnType<FoldedArena['chains']['get']>>['events'],
  facts: ArenaTrainerFacts,
  now: number,
): ArenaTrainerAction | null {
  const { interimUntil, finalUntil } = state.job.content.arena;
  const until = stage === 0 ? interimUntil : finalUntil;
  const submitted = mine.findLast((event) => event.type === 'submit' && event.content.stage === stage);
  if (submitted !== undefined) {
    const openedAt = state.stages.at(-1)?.settlement?.createdAt ?? state.job.createdAt;
    const phaseSec = 4 * seenIntervalSec(Math.max(1, until - openedAt));
    return isOverlooked({ seen: new Set(state.seen.keys()) }, submitted, phaseSec, facts, now)
      ? { do: 'republish', event: submitted.id, what: `the submission to ${stageName(stage)}` }
      : lapse(
          facts,
          now,
          Math.max(until, facts.heardAt) + PATIENCE_SEC,
          `the list of submissions, ${stageName(stage)}`,
        );
  }
  const isLate = now >= until;
  if (isLate && stage === 1)
    return mine.some(({ type }) => type === 'submit') ? awaitCustomer(state, facts, now, 'the end') : null;
  if (isLate) return { do: 'wait', for: 'the final stage', until: Math.max(now + 1, finalUntil) };
  if (!mine.some(({ type }) => type === 'enter')) return { do: 'enter' };
  if (!facts.hasData(stage)) return { do: 'wait', for: `the keys to the training set, ${stageName(stage)}`, until };
  return { do: 'submit', stage };
}

function stepName({ phase }: FoldedArena): string {
  if (phase === 'listed') return 'the aliases';
  if (phase === 'scoring') return 'scores';
  return 'the ranking';
}

const paysMe = (folded: FoldedArena, { me }: WorkerFacts): boolean =>
  owedOf(folded).rounds.some(({ payouts }) => payouts.some(({ payee }) => payee === me));

function cancelText({ cancelled }: ArenaState): string {
  const reason = cancelled?.content.reason ?? '';
  return `the customer cancelled the arena${reason === '' ? '' : `: ${reason}`}`;
}
