import type { JobEvent } from '../../protocol/events.js';
import { settlementsOf } from './lapse.js';
import { pendingAliases } from './scored.js';
import { MAX_DRAWS } from './seat-rules.js';
import { currentStage, seatsIn, type ArenaPhase, type ArenaState } from './state.js';

/** Where an arena stands, in words. */

export const stageName = (stage: number): string => (stage === 0 ? 'interim' : 'final');

export function phaseText(state: ArenaState, phase: ArenaPhase): string {
  const stage = currentStage(state);
  const name = stageName(stage?.stage ?? 0);
  const texts: Readonly<Record<ArenaPhase, string>> = {
    submitting: `open for submissions to the ${stageName(state.stages.length)} stage`,
    listed: `${name} stage: submissions are listed, no aliases yet`,
    scoring: `${name} stage: validators score`,
    scored: `${name} stage: names are told, no ranking of the customer yet`,
    ranked: `${name} stage: ranked, not settled by the customer yet`,
    finished: 'finished',
    cancelled: 'cancelled',
    frozen: 'frozen: an event of the customer does not follow from the others',
    incomplete: 'some of its events are on no relay that answered',
    unknown: 'the job event is not at hand',
  };
  return texts[phase];
}

export interface Awaited {
  /** Completes "waits for ...". */
  readonly what: string;
  /** Unix seconds of the customer's own words; null: nothing says until when. */
  readonly until: number | null;
}

/** What comes next; null: nothing more. Of what phases wait for in vain, the times only tell: no rule reads them. */
export function awaitedOf(state: ArenaState, phase: ArenaPhase): Awaited | null {
  const { arena } = state.job.content;
  const stage = currentStage(state);
  switch (phase) {
    case 'submitting': {
      const [last, next] = [state.stages.length, arena];
      return {
        what: `submissions to the ${stageName(last)} stage (${seenOf(state, last)} seen so far), then their list`,
        until: last === 0 ? next.interimUntil : next.finalUntil,
      };
    }
    case 'listed':
      return { what: 'the customer to fix aliases and who may score', until: stage!.list.content.until };
    case 'scoring':
      return scoringStep(state);
    case 'scored':
    case 'ranked':
      return settlementsOf(stage!).length > 0
        ? { what: 'the customer to say what others settled already', until: null }
        : { what: 'a settlement: by the customer, or any trainer or validator of the stage', until: null };
    default:
      return null;
  }
}

/** Submissions to a stage that the customer saw. */
function seenOf({ seen, byId }: ArenaState, stage: number): number {
  const isOf = (event: JobEvent | undefined) => event?.type === 'submit' && event.content.stage === stage;
  return [...seen.keys()].filter((id) => isOf(byId.get(id))).length;
}

function scoringStep(state: ArenaState): Awaited {
  const stage = currentStage(state)!;
  const round = stage.rounds.at(-1);
  const pending = pendingAliases(stage, seatsIn(state, stage)).length;
  if (round === undefined) return { what: 'nonces of validators, then the draw', until: stage.list.content.until };
  const missing = (said: { has(key: string): boolean }, from: Iterable<string>) =>
    [...from].filter((key) => !said.has(key)).length;
  if (round.commitList === null)
    return { what: `commitments to scores of ${round.seats.size} validators`, until: null };
  if (round.revealList === null)
    return { what: `the scores of ${round.commits.size} validators`, until: round.commitList.content.until };
  const silent = missing(round.reveals, round.seats.keys());
  return pending > 0 && stage.rounds.length < MAX_DRAWS
    ? {
        what: `another draw: ${pending} submissions have too few scores, ${silent} validators revealed none`,
        until: null,
      }
    : { what: 'the customer to open the table of names', until: null };
}
