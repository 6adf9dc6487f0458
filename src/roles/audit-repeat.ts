import type { Bytes, Sha256 } from '../hash.js';
import { drawnSegmentOf, committedEnd, isProvenFraud } from '../market/spot-rules.js';
import type { JobState, RoundState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { ScoreRow } from '../protocol/score.js';
import type { Engine } from '../ports.js';
import type { Finding } from './audit-format.js';
import type { OpenedRound } from './audit-with-keys.js';
import type { CustomerData } from './customer-data.js';
import { endOf, endUnopened, repeatSegment } from './spot-check.js';

/** Segments that the customer repeated, repeated again by an auditor: who accuses falsely, or looks away, is named. */

export interface RepeatPorts {
  readonly state: JobState;
  readonly engine: Engine;
  readonly data: CustomerData;
  /** The job's. */
  readonly seed: Bytes;
  readonly signal?: AbortSignal;
  /** After each segment. */
  onRepeated?(): void;
  /** One of an update that was not bought, whose start cannot be told. */
  onClosed?(): void;
}

/** The scores that a verdict comes from. */
export function sheetsOf({ scores, listedScoreReveals }: RoundState): readonly EventOf<'scores'>[] {
  return scores === null ? [...listedScoreReveals.values()] : [scores];
}

/** Why an engine of this id repeats nothing of the job; null when it does. Of a job without spot checks it is null as well. */
export function whyNotRepeated({ job, rounds }: JobState, engine: Engine['id']): string | null {
  const { spot } = job!.content;
  const measured = rounds.flatMap((round) => sheetsOf(round).map(({ content }) => content.engine));
  if (spot === null || measured.length === 0) return null;
  const other = measured.find((id) => id !== spot.engine);
  if (measured.every((id) => id !== spot.engine))
    return `the customer measured on ${other}, the job names ${spot.engine}: it repeated nothing either`;
  return engine === spot.engine ? null : `this is ${engine}, only ${spot.engine} ends in the same bits`;
}

/** Why not all of them, where some were `onClosed`. */
export const WHY_CLOSED = 'an update that was not bought stays closed, and what its drawn segment starts from';

/** Only on the engine that the job names: `whyNotRepeated` said so before. */
export async function repeatAgain(round: RoundState, opened: OpenedRound, ports: RepeatPorts): Promise<Finding | null> {
  const { rows, by } = round.verdict!;
  for (const row of rows) {
    const reveal = round.listedReveals.get(row.shard);
    if (row.spot === null || reveal === undefined) continue;
    const end = await endAgain(round, opened, reveal, row.spot, ports);
    if (end === null) {
      ports.onClosed?.();
      continue;
    }
    ports.onRepeated?.();
    if (end === row.spot.hash) continue;
    const { segment, hash } = row.spot;
    const isFalse = isProvenFraud(reveal, row) && end === committedEnd(reveal.content, segment);
    return {
      event: by,
      rule: 'spot-check',
      detail: isFalse
        ? `it accuses ${row.trainer} falsely: segment ${segment} ends in ${end}, as committed, published was ${hash}`
        : `segment ${segment} of ${row.trainer} ends in ${end}, published was ${hash}`,
    };
  }
  return null;
}

/**
 * The drawn segment goes on from the state that the trainer committed to, which opens unless the update was not bought. Any other
 * was found by repeating the whole training, so it is repeated from the base.
 */
async function endAgain(
  round: RoundState,
  { base, drawn }: OpenedRound,
  { author, content }: EventOf<'reveal'>,
  { segment }: NonNullable<ScoreRow['spot']>,
  { state, engine, data, seed, signal }: RepeatPorts,
): Promise<Sha256 | null> {
  const { shard, checkpoints } = content;
  const examples = await data.shard(shard);
  const training = { terms: state.job!.content, base, examples, seed, round: round.round, shard, trainer: author };
  const due = drawnSegmentOf(state, round, { trainer: author, shard }, checkpoints.length);
  if (segment !== due) return endOf(engine, training, segment, signal);
  const opened = drawn.get(shard);
  return opened === undefined
    ? endUnopened(engine, training, content, segment, signal)
    : repeatSegment(engine, training, segment, opened.before, signal);
}
