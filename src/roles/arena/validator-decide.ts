import type { EventId } from '../../hash.js';
import { mayDraw, roundTaking } from '../../market/arena/due.js';
import type { FoldedArena } from '../../market/arena/fold.js';
import { nonceFor } from '../../market/arena/seat-rules.js';
import { drawsOf, type ArenaRound, type ArenaStage, type ArenaState } from '../../market/arena/state.js';
import { decideMoney, isOverlooked, type MoneyAction } from '../worker-decide.js';
import type { WorkerFacts } from '../worker-loop.js';
import { owedOf } from './env.js';
import { awaitCustomer, decideSettle, stageName, type SettleAction } from './worker-decide.js';

export type ArenaValidatorAction =
  | { readonly do: 'register' }
  | { readonly do: 'nonce'; readonly stage: ArenaStage; readonly round: number }
  /** Everything is at hand, or no more will come in time: open, measure, commit. */
  | { readonly do: 'score'; readonly stage: ArenaStage; readonly round: ArenaRound }
  | { readonly do: 'reveal'; readonly round: ArenaRound }
  | SettleAction
  | { readonly do: 'republish'; readonly event: EventId; readonly what: string }
  | MoneyAction
  | { readonly do: 'done' }
  | { readonly do: 'lost' | 'stop'; readonly why: string };

export interface ArenaValidatorFacts extends WorkerFacts {
  /** Aliases of its seats for which no grant came; all of them while the set is missing. */
  readonly missingModels: (round: ArenaRound) => number;
  /** Did this home commit to its scores? Then it has them and the salt. */
  readonly canReveal: (round: ArenaRound) => boolean;
}

/** The next thing a validator of an arena does; pure, so that a restart decides the same. */
export function decideArenaValidator(
  folded: FoldedArena,
  facts: ArenaValidatorFacts,
  now: number,
): ArenaValidatorAction {
  const { state, firstBad, phase, job } = folded;
  if (job === null || state === null) return { do: 'stop', why: 'the job event is not at hand' };
  const money = decideMoney(owedOf(folded), facts, now);
  if (money !== null && money.do !== 'wait') return money;
  const settling = decideSettle(folded, state, facts, now);
  if (settling !== null) return settling;
  if (firstBad !== null)
    return money ?? { do: 'stop', why: `the customer broke a rule: ${firstBad.rule}: ${firstBad.detail}` };
  if (phase === 'finished' || phase === 'cancelled') return money ?? { do: 'done' };
  const mine = folded.chains.get(facts.me)?.events ?? [];
  const { finalUntil } = job.content.arena;
  if (mine.some(({ type }) => type === 'submit')) return { do: 'lost', why: 'this key trains in the arena' };
  if (!mine.some(({ type }) => type === 'register'))
    return now < finalUntil ? { do: 'register' } : { do: 'lost', why: 'the arena is closed' };
  const stage = state.stages.at(-1);
  const scoring =
    stage?.root != null && stage.validators.has(facts.me) ? decideScoring(state, stage, facts, now) : null;
  if (scoring !== null && scoring.do !== 'wait' && scoring.do !== 'stop') return scoring;
  if (stage?.stage === 1 && stage.root !== null && !stage.validators.has(facts.me))
    return money ?? { do: 'lost', why: 'the seats of the final stage are drawn among others' };
  if (phase === 'submitting') return money ?? { do: 'wait', for: 'submissions', until: submittedBy(state) };
  // Whoever is owed stays until it is paid, or until it said in public that it was not.
  if (scoring?.do === 'stop') return money ?? scoring;
  return scoring ?? money ?? awaitCustomer(state, facts, now, phase === 'listed' ? 'the aliases' : 'the settlement');
}

function submittedBy({ stages, job }: ArenaState): number {
  const { interimUntil, finalUntil } = job.content.arena;
  return stages.length === 0 ? interimUntil : finalUntil;
}

/** Null: nothing for this validator. */
function decideScoring(
  state: ArenaState,
  stage: ArenaStage,
  facts: ArenaValidatorFacts,
  now: number,
): ArenaValidatorAction | null {
  const { revealTimeoutSec } = state.job.content;
  const name = stageName(stage.stage);
  const wait = awaitCustomer(state, facts, now, `the next step of ${name}`);
  const mine = state.sound.get(facts.me) ?? [];
  const overlooked = (event: { readonly id: EventId; readonly createdAt: number }, what: string) =>
    isOverlooked({ seen: state.seenScoring }, event, revealTimeoutSec, facts, now)
      ? ({ do: 'republish', event: event.id, what } as const)
      : wait;
  const round = roundTaking(stage);
  if (round === null) {
    if (!mayDraw(state, stage)) return wait;
    const said = mine.find(nonceFor(stage, drawsOf(state)));
    return said === undefined ? { do: 'nonce', stage, round: drawsOf(state) } : overlooked(said, `the nonce, ${name}`);
  }
  if (!round.seats.has(facts.me)) return wait;
  if (round.commitList === null) {
    const said = mine.find((event) => event.type === 'score-commit' && event.content.list === round.draw.id);
    if (said !== undefined) return overlooked(said, `the scores of ${name}`);
    const missing = facts.missingModels(round);
    const seats = round.seats.get(facts.me)!.length;
    const halfway = round.draw.createdAt + Math.floor(revealTimeoutSec / 2);
    if (missing === 0 || (now >= halfway && missing < seats)) return { do: 'score', stage, round };
    return {
      do: 'wait',
      for: `keys to ${missing} models, ${name}`,
      until: now < halfway ? halfway : wait.do === 'wait' ? wait.until : now + 1,
    };
  }
  if (!round.commits.has(facts.me)) return wait;
  const said = mine.find((event) => event.type === 'arena-scores' && event.content.list === round.commitList!.id);
  if (said !== undefined) return overlooked(said, `the scores of ${name}`);
  return facts.canReveal(round) ? { do: 'reveal', round } : wait;
}
