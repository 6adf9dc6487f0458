import type { EventId, Pubkey } from '../../hash.js';
import { WORST_SCORE_PPM } from '../../protocol/arena/scores.js';
import { consensusOf } from './consensus.js';
import { settlementsOf } from './lapse.js';
import { arenaPlan, ranksOf, scoresOf, stagePotMsat } from './rank-rules.js';
import { contradictedAliases, decidingDraw, revealedOf } from './scored.js';
import { seatsIn, type ArenaRound, type ArenaStage, type ArenaState } from './state.js';
import { conductOf } from './weights.js';

/** Who is where in an arena, and why: what the events say, put beside each other. */

/** What one validator with a seat said of a model. */
export interface Said {
  readonly validator: Pubkey;
  /** Null: it revealed nothing, or not yet. */
  readonly scorePpm: number | null;
  /** Does it count? Scores of another model, of draws that gave too few, and where too few are of the model, do not. */
  readonly counts: boolean;
  /** Which draw of the stage, from 0. */
  readonly draw: number;
}

export type NoRank = 'unopened' | 'no-score' | 'contradicted' | 'worst-score';

export interface LeaderboardRow {
  /** From 1; null: not ranked (yet). */
  readonly rank: number | null;
  /** Null until the names are told. */
  readonly trainer: Pubkey | null;
  readonly submission: EventId | null;
  readonly alias: number;
  /** Lower median; null: too few scores. */
  readonly scorePpm: number | null;
  /** What counts of the trainer's stake; of equals 1. */
  readonly stakeMsat: bigint | null;
  /** Of what trainers get in the stage, in ppm, rounded down. */
  readonly weightPpm: number | null;
  /** With what those behind it get; null until the names are told. */
  readonly rewardMsat: bigint | null;
  readonly noRank: NoRank | null;
  readonly said: readonly Said[];
  readonly draws: number;
}

export interface LeaderboardValidator {
  readonly validator: Pubkey;
  readonly stakeMsat: bigint;
  /** Seats over all draws, and those of which it revealed the scores. */
  readonly seats: number;
  readonly revealed: number;
  /** Scores that count for its fee, and their mean distance in spreads; null until the names are told, and where nothing counts. */
  readonly counted: number | null;
  readonly deviationMillionths: bigint | null;
  readonly rewardMsat: bigint | null;
}

export interface Leaderboard {
  readonly stage: number;
  readonly isFinal: boolean;
  readonly potMsat: bigint | null;
  /** Who settled it; empty: nobody yet, amounts are what it will pay. */
  readonly settledBy: readonly Pubkey[];
  readonly refundMsat: bigint | null;
  readonly rows: readonly LeaderboardRow[];
  readonly validators: readonly LeaderboardValidator[];
}

/** Stages whose submissions are listed, in their order. */
export function leaderboards(state: ArenaState): readonly Leaderboard[] {
  return state.stages.map((stage) => leaderboardOf(state, stage));
}

function leaderboardOf(state: ArenaState, stage: ArenaStage): Leaderboard {
  const seats = seatsIn(state, stage);
  const isOpen = stage.table !== null;
  const ranks = isOpen ? ranksOf(stage, seats) : [];
  const due = isOpen ? arenaPlan(state, { ...stage, ranks }) : null;
  const earned = (who: Pubkey, purpose: 'trainer' | 'fee'): bigint =>
    (due?.earned ?? [])
      .filter((line) => (line.payee === who && line.purpose === purpose) || line.purpose === `delegation:${who}`)
      .reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
  const trainersMsat = ranks.reduce((sum, { trainer }) => sum + earned(trainer, 'trainer'), 0n);
  const contradicted = new Set(contradictedAliases(stage, seats));
  const authors = new Map([...stage.submissions].map(([trainer, { id }]) => [id, trainer]));
  const rowOf = (alias: number): LeaderboardRow => {
    const entry = stage.table?.content.entries[alias];
    const trainer = entry === undefined ? null : authors.get(entry.submission)!;
    const at = ranks.findIndex((row) => row.trainer === trainer);
    const scored = isOpen ? scoresOf(stage, seats)[alias]! : blindScores(stage, alias, seats);
    const scorePpm = scored === null ? null : consensusOf(scored.scoresPpm, seats);
    const rewardMsat = trainer === null ? null : earned(trainer, 'trainer');
    const noRank = !isOpen || at >= 0 ? null : whyNone(entry!.model === null, contradicted.has(alias), scorePpm);
    return {
      ...{ rank: at < 0 ? null : at + 1, trainer, submission: entry?.submission ?? null, alias, scorePpm },
      stakeMsat: trainer === null ? null : stage.trainerStakes.get(trainer)!,
      weightPpm: rewardMsat === null ? null : partPpm(rewardMsat, trainersMsat),
      ...{ rewardMsat, noRank },
      said: saidOf(
        stage,
        alias,
        decidingDraw(stage, alias, seats),
        new Set(scorePpm === null ? [] : scored!.scoresPpm.keys()),
      ),
      draws: stage.rounds.filter((round) => seatsOf(round, alias).length > 0).length,
    };
  };
  const rows = Array.from({ length: stage.root?.content.count ?? 0 }, (_, alias) => rowOf(alias));
  return {
    ...{
      stage: stage.stage,
      isFinal: stage.stage === 1,
      potMsat: due === null ? null : stagePotMsat(state, stage.stage),
    },
    settledBy: settlementsOf(stage).map(({ author }) => author),
    refundMsat: due?.plan.find(({ purpose }) => purpose === 'refund')?.amountMsat ?? (isOpen ? 0n : null),
    rows: rows.sort((a, b) => (a.rank ?? Infinity) - (b.rank ?? Infinity) || a.alias - b.alias),
    validators: validatorsOf(stage, seats, earned),
  };
}

function whyNone(isUnopened: boolean, isContradicted: boolean, scorePpm: number | null): NoRank {
  if (isUnopened) return 'unopened';
  if (isContradicted) return 'contradicted';
  return scorePpm === WORST_SCORE_PPM ? 'worst-score' : 'no-score';
}

function blindScores(stage: ArenaStage, alias: number, seats: number) {
  const rows = revealedOf(stage, alias, seats);
  return rows && { scoresPpm: new Map([...rows].map(([key, { scorePpm }]) => [key, scorePpm])) };
}

const seatsOf = ({ seats }: ArenaRound, alias: number): readonly Pubkey[] =>
  [...seats].flatMap(([key, aliases]) => (aliases.includes(alias) ? [key] : []));

/**
 * Of every draw, in order of keys.
 *
 * @param deciding  the draw whose scores count
 * @param counting  whose of them do
 */
function saidOf(
  { rounds }: ArenaStage,
  alias: number,
  deciding: ArenaRound | null,
  counting: ReadonlySet<Pubkey>,
): readonly Said[] {
  return rounds.flatMap((round, draw) =>
    seatsOf(round, alias).map((validator): Said => {
      const row = round.reveals.get(validator)?.content.scores.find((one) => one.alias === alias);
      const counts = row !== undefined && round === deciding && counting.has(validator);
      return { validator, scorePpm: row?.scorePpm ?? null, counts, draw };
    }),
  );
}

function validatorsOf(
  stage: ArenaStage,
  seats: number,
  earned: (who: Pubkey, purpose: 'fee') => bigint,
): readonly LeaderboardValidator[] {
  const isOpen = stage.table !== null;
  const conduct = isOpen ? conductOf(scoresOf(stage, seats).filter((one) => one !== null)) : new Map<Pubkey, never>();
  return [...stage.validatorStakes].map(([validator, stakeMsat]) => {
    const own = stage.rounds.filter((round) => round.seats.has(validator));
    const count = (rounds: readonly ArenaRound[]) =>
      rounds.reduce((sum, round) => sum + round.seats.get(validator)!.length, 0);
    const { count: counted = null, deviation = null } = conduct.get(validator) ?? {};
    return {
      ...{ validator, stakeMsat, seats: count(own) },
      revealed: count(own.filter((round) => round.reveals.has(validator))),
      ...{ counted, deviationMillionths: deviation, rewardMsat: isOpen ? earned(validator, 'fee') : null },
    };
  });
}

const partPpm = (part: bigint, whole: bigint): number => (whole === 0n ? 0 : Number((part * 1_000_000n) / whole));
