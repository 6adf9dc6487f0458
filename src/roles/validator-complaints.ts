import { differs, FIELDS, isExactEngine, rowIn, valueOf } from '../market/contradictions.js';
import type { EventOf } from '../protocol/events.js';
import type { Measured, ScoreRow } from '../protocol/score.js';

/** What a validator holds against another one's scores. */

/** The first value in which they differ, in order of (shard, field), though one engine measured both to the bit; null: none. */
export function differingField(
  mine: EventOf<'scores'>,
  theirs: EventOf<'scores'>,
): { readonly row: ScoreRow; readonly field: Measured } | null {
  if (mine.id === theirs.id || mine.content.engine !== theirs.content.engine) return null;
  if (!isExactEngine(mine.content.engine)) return null;
  for (const row of [...mine.content.scores].sort((a, b) => a.shard - b.shard)) {
    const other = rowIn(theirs, row.submission);
    const field = FIELDS.find((one) => differs(valueOf(row, one), valueOf(other, one), one));
    if (field !== undefined) return { row, field };
  }
  return null;
}
