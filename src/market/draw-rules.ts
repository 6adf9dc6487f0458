import type { Sha256 } from '../hash.js';
import { isChainElement } from '../learning/seeds.js';
import type { EventOf } from '../protocol/events.js';
import type { RejectionRule } from '../protocol/round.js';
import type { ScoreRow } from '../protocol/score.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import { committedEnd, drawnSegment, drawsBySeat, isProvenFraud } from './spot-rules.js';
import { drawnNonces } from './nonce-rules.js';
import { drawnSeats } from './seat-draw.js';

/** The customer's events of a spot check: the draw, what was repeated, the proof that follows from it. */

export function applyDraw(draft: Draft, round: DraftRound, event: EventOf<'draw'>): Broken | null {
  const { spot, chainCommitment } = draft.job.content;
  if (spot === null) return broken('draw', 'the job has no spot checks');
  if (event.content.round !== round.round) return broken('draw', `round ${round.round} is open`);
  if (round.commitList === null || event.content.list !== round.commitList.id || round.draw !== null)
    return broken('draw', 'a draw follows the list of commitments, once');
  if (!isChainElement(event.content.s, round.round, chainCommitment))
    return broken('draw', `s is not element ${round.round} of the chain that the job committed to`);
  const nonces = drawnNonces(draft, round, event);
  if (nonces !== null && 'rule' in nonces) return nonces;
  round.draw = event;
  round.drawNonces = nonces;
  round.drawn = drawnSeats(draft, round, event, nonces);
  return null;
}

/**
 * Who was drawn was repeated, by the engine that the job names; a repetition of another segment counts only as a proof.
 *
 * @param proven  seats with an accepted update in a round before
 */
export function checkSpot(
  draft: Draft,
  round: DraftRound,
  { content }: EventOf<'scores'>,
  row: ScoreRow,
  proven: ReadonlySet<string>,
): Broken | null {
  const terms = draft.job.content.spot;
  if (terms === null || content.engine !== terms.engine)
    return row.spot === null
      ? null
      : broken('scores', `${row.trainer} was repeated on another engine than the job names`);
  const reveal = round.listedReveals.get(row.shard);
  if (reveal === undefined || round.draw === null || round.drawNonces === null) return null;
  const { checkpoints } = reveal.content;
  const isBySeat = drawsBySeat(draft.job.content);
  const of = { job: draft.jobId, terms, isBySeat, draw: round.draw, nonces: round.drawNonces, proven };
  const due = drawnSegment(of, row, checkpoints.length + 1);
  if (row.spot !== null && row.spot.segment > checkpoints.length)
    return broken('scores', `${row.trainer} has no segment ${row.spot.segment}`);
  if (due === null || (row.spot !== null && (row.spot.segment === due || isProvenFraud(reveal, row)))) return null;
  return broken('scores', `segment ${due} of ${row.trainer} was drawn and is not repeated`);
}

export function applyFraud(draft: Draft, round: DraftRound, event: EventOf<'fraud'>): Broken | null {
  const { content } = event;
  const row = round.verdict?.rows.find(({ trainer, shard }) => trainer === content.trainer && shard === content.shard);
  const reveal = round.listedReveals.get(content.shard);
  if (content.round !== round.round || row === undefined || content.scores !== round.verdict?.by)
    return broken('fraud', 'it cites no scores of the open round');
  if (draft.frauds.has(content.trainer)) return broken('fraud', `${content.trainer} is a proven fraud already`);
  if (reveal === undefined)
    return draft.missing.has(row.submission) ? keepFraud(draft, event) : broken('fraud', 'no reveal');
  if (!isProvenFraud(reveal, row)) return broken('fraud', `the scores do not prove it of ${content.trainer}`);
  const expected = [
    reveal.id,
    row.shard,
    row.spot!.segment,
    committedEnd(reveal.content, row.spot!.segment),
    row.spot!.hash,
  ];
  const said = [content.submission, content.shard, content.segment, content.committed, content.repeated];
  if (expected.join(' ') !== said.join(' ')) return broken('fraud', 'it says another thing than reveal and scores');
  const { ends, segment, repeated } = content;
  if (ends !== undefined && !isFirstDifference(reveal.content, ends, segment, repeated))
    return broken('fraud', `segment ${segment} is not where the training that was repeated leaves the committed one`);
  return keepFraud(draft, event);
}

/** Both sides agree on where the segment starts, the base or a checkpoint, and not on where it ends. */
function isFirstDifference(
  committed: EventOf<'reveal'>['content'],
  ends: readonly Sha256[],
  segment: number,
  repeated: Sha256,
): boolean {
  const isAgreed = segment === 0 || ends[segment - 1] === committedEnd(committed, segment - 1);
  return ends.length <= committed.checkpoints.length + 1 && ends[segment] === repeated && isAgreed;
}

function keepFraud(draft: Draft, event: EventOf<'fraud'>): null {
  draft.frauds.set(event.content.trainer, event);
  return null;
}

/** A `spot-check` whose state did not open, or was not the committed one: like a blob that does not open, the customer's signed finding. */
export function isStateFinding(round: Pick<DraftRound, 'verdict'>, shard: number): boolean {
  return !round.verdict!.rows.some((row) => row.shard === shard);
}

/** Was it rejected by a repetition that the scores publish? */
export function isRepeated(
  round: Pick<DraftRound, 'verdict'>,
  { shard, rule }: { readonly shard: number; readonly rule: RejectionRule },
): boolean {
  return rule === 'spot-check' && !isStateFinding(round, shard);
}
