import type { Pubkey } from '../../hash.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { arenaPlan, ranksOf, wrongPlan, wrongRanking } from './rank-rules.js';
import { seatsIn, type ArenaStage, type ArenaState } from './state.js';

/**
 * A customer that falls silent once the names are told keeps nobody from the settlement: everything that it says is told already. Whoever
 * works in the stage may say it too; it counts where it is what the fold itself comes to, so it does not matter who was first, nor when.
 */

const isParticipant = ({ submissions, validators }: ArenaStage, who: Pubkey): boolean =>
  submissions.has(who) || validators.has(who);

/** What participants said of a stage, and rightly. @returns  in order of (author, seq, id); empty until the table is opened */
export function settledByOthers(state: ArenaState, stage: ArenaStage): readonly EventOf<'arena-settlement'>[] {
  if (stage.table === null) return [];
  const ofStage = (event: JobEvent): boolean => isParticipant(stage, event.author);
  const said = [...state.byId.values()].filter(
    (event): event is EventOf<'arena-settlement'> =>
      event.type === 'arena-settlement' && event.content.stage === stage.stage && ofStage(event),
  );
  if (said.length === 0) return [];
  const ranks = ranksOf(stage, seatsIn(state, stage));
  const due = arenaPlan(state, { ...stage, ranks });
  const isSound = ({ content }: EventOf<'arena-settlement'>): boolean => {
    const ranking = state.byId.get(content.ranking);
    if (ranking?.type !== 'ranking' || wrongPlan(content, due) !== null) return false;
    const { stage: number, table, ranks: found } = ranking.content;
    const isOurs = ofStage(ranking) || ranking.id === stage.ranking?.id;
    return isOurs && number === stage.stage && table === stage.table!.id && wrongRanking(found, ranks) === null;
  };
  return said
    .filter(isSound)
    .sort((a, b) => (a.author !== b.author ? (a.author < b.author ? -1 : 1) : a.seq - b.seq || (a.id < b.id ? -1 : 1)));
}

/** All that say what a stage pays, with the same content: claims may name any of them. The customer's is the first. */
export function settlementsOf({ settlement, others }: ArenaStage): readonly EventOf<'arena-settlement'>[] {
  return settlement === null ? others : [settlement, ...others];
}
