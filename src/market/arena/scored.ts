import type { Pubkey, Sha256 } from '../../hash.js';
import type { ArenaScore } from '../../protocol/arena/scores.js';
import { consensusOf } from './consensus.js';
import type { ArenaRound, ArenaStage } from './state.js';
import type { Scored } from './weights.js';

/** What was revealed of each alias. */

/** By validator, of one draw. */
function rowsOf({ reveals }: ArenaRound, alias: number): ReadonlyMap<Pubkey, ArenaScore> {
  return new Map(
    [...reveals].flatMap(([key, { content }]) => {
      const row = content.scores.find((one) => one.alias === alias);
      return row === undefined ? [] : [[key, row] as const];
    }),
  );
}

/** The first draw that gave enough of them decides; null: none did. */
export function decidingDraw({ rounds }: ArenaStage, alias: number, seats: number): ArenaRound | null {
  const isEnough = (round: ArenaRound) =>
    round.revealList !== null && consensusOf(scoresOf(rowsOf(round, alias)), seats) !== null;
  return rounds.find(isEnough) ?? null;
}

/** Of the draw that decides; null: none does. */
export function revealedOf(stage: ArenaStage, alias: number, seats: number): ReadonlyMap<Pubkey, ArenaScore> | null {
  const round = decidingDraw(stage, alias, seats);
  return round && rowsOf(round, alias);
}

/** Without a score yet: their seats are drawn again. */
export function pendingAliases(stage: ArenaStage, seats: number): readonly number[] {
  const aliases = Array.from({ length: stage.root?.content.count ?? 0 }, (_, alias) => alias);
  return aliases.filter((alias) => revealedOf(stage, alias, seats) === null);
}

/**
 * Aliases of an opened table as which more than half of the validators opened another model: the customer gave them one, or they lie together.
 * Too few scores are left for a rank. No rule is broken, else those validators could end the job.
 */
export function contradictedAliases(stage: ArenaStage, seats: number): readonly number[] {
  return (stage.table?.content.entries ?? []).flatMap(({ model }, alias) => {
    const rows = [...(revealedOf(stage, alias, seats)?.values() ?? [])];
    const others = rows.filter((row) => row.model !== null && model !== null && row.model !== model);
    return 2 * others.length > rows.length ? [alias] : [];
  });
}

/** Scores of the model that the table names, or of none; of another one they count not. */
export function scoredOf(rows: ReadonlyMap<Pubkey, ArenaScore>, model: Sha256, seats: number): Scored {
  const same = new Map([...rows].filter(([, row]) => row.model === null || row.model === model));
  return { seats, scoresPpm: scoresOf(same) };
}

function scoresOf(rows: ReadonlyMap<Pubkey, ArenaScore>): ReadonlyMap<Pubkey, number> {
  return new Map([...rows].map(([key, { scorePpm }]) => [key, scorePpm]));
}
