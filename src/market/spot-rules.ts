import { fromHex, sha256, sha256Hex, u32be, type Bytes, type EventId, type Pubkey, type Sha256 } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { JobTerms, SpotTerms } from '../protocol/job.js';
import type { ScoreRow } from '../protocol/score.js';
import { seatName, type SeatOf } from './residuals.js';
import type { Assignment, JobState, RoundState } from './state.js';

/** Which updates are repeated in part, and what a repetition proves. */

/** What a draw decides by. */
export interface SpotDraw {
  readonly job: EventId;
  readonly terms: SpotTerms;
  /** Of the job: more than one shard per trainer? Then its seats are drawn apart. */
  readonly isBySeat: boolean;
  readonly draw: EventOf<'draw'>;
  /** Of validators, in order of their keys. */
  readonly nonces: readonly Bytes[];
  /** Seats that had an update accepted in an earlier round of the job. */
  readonly proven: ReadonlySet<string>;
}

export function drawsBySeat({ shardsPerTrainer = 1 }: Pick<JobTerms, 'shardsPerTrainer'>): boolean {
  return shardsPerTrainer > 1;
}

const TWO_32 = 2 ** 32;

/**
 * The drawn segment of a seat's update, counted from 0, or null. Nobody can grind it: the list stands before s and the nonces
 * open, s is fixed by the job, each nonce by a registration, and a key enters by its hash. Without nonces the draw is the customer's
 * word all the same: it knows s from the start.
 *
 * seed = SHA-256("nmkt/1/draw" || "spot" || job || u32 round || list || s || nonces); words = SHA-256(seed || SHA-256(trainer)) as big-endian
 * u32, or by seat SHA-256(seed || SHA-256(trainer || u32 shard)): drawn when word 0 * 10^6 < rate * 2^32, or nothing of the seat was
 * accepted before; segment = word 1 * segments / 2^32, rounded down.
 *
 * @param segments  the length of the committed list of checkpoints plus one
 */
export function drawnSegment(
  { job, terms, isBySeat, draw, nonces, proven }: SpotDraw,
  seat: SeatOf,
  segments: number,
): number | null {
  const [chance, place] = drawnWords(job, draw, nonces, seat.trainer, isBySeat ? seat.shard : null);
  const isDrawn = chance * 1_000_000 < terms.ratePpm * TWO_32;
  if (!isDrawn && proven.has(seatName(seat))) return null;
  return Math.floor((place * segments) / TWO_32);
}

/** The segment of this seat's listed update that is repeated; null: none, or the draw is not at hand. */
export function drawnSegmentOf(
  state: Pick<JobState, 'jobId' | 'job' | 'rounds'>,
  { round, draw, drawNonces }: Pick<RoundState, 'round' | 'draw' | 'drawNonces'>,
  seat: Pick<Assignment, 'trainer' | 'shard'>,
  checkpoints: number,
): number | null {
  const terms = state.job?.content.spot ?? null;
  if (terms === null || draw === null || drawNonces === null) return null;
  const proven = provenBefore(state.rounds, round);
  const isBySeat = drawsBySeat(state.job!.content);
  return drawnSegment({ job: state.jobId, terms, isBySeat, draw, nonces: drawNonces, proven }, seat, checkpoints + 1);
}

/** Seats, spelt by `seatName`, with an accepted update in a round before this one. */
function provenBefore(rounds: readonly Pick<RoundState, 'round' | 'close'>[], before: number): ReadonlySet<string> {
  return new Set(
    rounds.flatMap(({ round, close }) =>
      round < before && close !== null ? close.content.accepted.map(seatName) : [],
    ),
  );
}

type Words = readonly [number, number];
/** By draw and seat: a draw never changes, and every fold looks at the same ones again. */
const known = new WeakMap<EventOf<'draw'>, { readonly job: EventId; readonly words: Map<string, Words> }>();

function drawnWords(
  job: EventId,
  draw: EventOf<'draw'>,
  nonces: readonly Bytes[],
  trainer: Pubkey,
  shard: number | null,
): Words {
  let kept = known.get(draw);
  if (kept?.job !== job) {
    kept = { job, words: new Map() };
    known.set(draw, kept);
  }
  const name = shard === null ? trainer : seatName({ trainer, shard });
  const found = kept.words.get(name);
  if (found !== undefined) return found;
  const { round, list, s } = draw.content;
  const seed = sha256('nmkt/1/draw', 'spot', fromHex(job), u32be(round), fromHex(list), s, ...nonces);
  const block = sha256(seed, sha256(fromHex(trainer), ...(shard === null ? [] : [u32be(shard)])));
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const words: Words = [view.getUint32(0), view.getUint32(4)];
  kept.words.set(name, words);
  return words;
}

/** What the trainer committed to as the end of a segment; undefined when it has no such segment. */
export function committedEnd(
  { checkpoints, updateHash, residual }: EventOf<'reveal'>['content'],
  segment: number,
): Sha256 | undefined {
  return segment === checkpoints.length ? workEnd(updateHash, residual?.after) : checkpoints[segment];
}

/**
 * What the last segment ends in: the hash of the update; with a residual SHA-256("nmkt/1/encoded" || update hash || hash of the
 * residual after it).
 */
export function workEnd(updateHash: Sha256, residualAfter: Sha256 | undefined): Sha256 {
  return residualAfter === undefined
    ? updateHash
    : sha256Hex('nmkt/1/encoded', fromHex(updateHash), fromHex(residualAfter));
}

/** Does the repetition prove that this update was not trained as agreed? */
export function isProvenFraud({ content }: EventOf<'reveal'>, { spot }: Pick<ScoreRow, 'spot'>): boolean {
  return spot !== null && spot.hash !== committedEnd(content, spot.segment);
}
