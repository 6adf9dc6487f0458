import { arenaPlan, ranksOf } from '../../market/arena/rank-rules.js';
import { seatsIn, type ArenaStage, type ArenaState } from '../../market/arena/state.js';
import type { ArenaBook } from './env.js';

/** What a stage comes to, said by whoever says it: the customer, or a participant when it is silent. Each signs one event. */

export async function rank(book: ArenaBook, state: ArenaState, stage: ArenaStage): Promise<void> {
  const ranks = ranksOf(stage, seatsIn(state, stage));
  const people = [...new Set(ranks.map(({ trainer }) => trainer))];
  await book.sign('ranking', { stage: stage.stage, table: stage.table!.id, ranks: [...ranks] }, people);
}

/** What the stage pays as it stands. */
export function planNow(state: ArenaState, stage: ArenaStage): ReturnType<typeof arenaPlan> {
  return arenaPlan(state, { ...stage, ranks: ranksOf(stage, seatsIn(state, stage)) });
}

/** @param ranking  its own, or the customer's */
export async function settle(
  book: ArenaBook,
  state: ArenaState,
  stage: ArenaStage,
  ranking: Parameters<typeof arenaPlan>[0]['job']['id'],
): Promise<void> {
  const { plan, totalMsat } = planNow(state, stage);
  const people = [...new Set(plan.map(({ payee }) => payee))];
  await book.sign('arena-settlement', { stage: stage.stage, ranking, plan: [...plan], totalMsat }, people);
}
