import type { Pubkey } from '../hash.js';
import { lowerMedian } from '../learning/lower-median.js';
import type { EventOf } from '../protocol/events.js';
import { MEASURES, type ScoreRow } from '../protocol/score.js';

/** What the revealed scores of several validators say together: one seat, one vote. */

/** Enough reveals that no absent validator could have outvoted them. */
export function isEnough(revealed: number, seats: number): boolean {
  return 2 * revealed >= seats + 1;
}

/**
 * One row per update that more than half of the validators scored, in order of shard; each number is the lower median of theirs. Whoever
 * says what a repetition ended in is outvoted unless more than half of the validators on the job's engine say the same.
 *
 * @param revealed  scores by validator; the order changes nothing
 * @param engine    that repeats; null: nothing is
 */
export function consensus(
  revealed: ReadonlyMap<Pubkey, Pick<EventOf<'scores'>, 'content'>>,
  engine: string | null,
): readonly ScoreRow[] {
  const sheets = [...revealed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { content }]) => content);
  const bySubmission = new Map<string, ScoreRow[]>();
  for (const { scores } of sheets)
    for (const row of scores) bySubmission.set(row.submission, [...(bySubmission.get(row.submission) ?? []), row]);
  const checkers = sheets.filter((sheet) => sheet.engine === engine);
  return [...bySubmission.values()]
    .filter((rows) => 2 * rows.length > sheets.length)
    .map((rows): ScoreRow => {
      const { submission, trainer, shard } = rows[0]!;
      const numbers = Object.fromEntries(MEASURES.map((field) => [field, lowerMedian(rows.map((row) => row[field]))]));
      const repeated = checkers.flatMap(
        ({ scores }) => scores.find((row) => row.submission === submission)?.spot ?? [],
      );
      return {
        ...{ submission, trainer, shard },
        ...(numbers as Record<(typeof MEASURES)[number], number>),
        spot: agreed(repeated, checkers.length),
      };
    })
    .sort((a, b) => a.shard - b.shard);
}

/** What more than half of `voters` say; null: nothing. */
function agreed(votes: readonly NonNullable<ScoreRow['spot']>[], voters: number): ScoreRow['spot'] {
  const same = (vote: NonNullable<ScoreRow['spot']>) =>
    votes.filter(({ segment, hash }) => segment === vote.segment && hash === vote.hash).length;
  return votes.find((vote) => 2 * same(vote) > voters) ?? null;
}
