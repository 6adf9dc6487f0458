import type { Round, Walked } from './rules.js';
import { takeNonces } from './validators.js';
import { fields, fromHex, hex, must, sha256, u32, type RawEvent, type ScoreRow, type Scores } from './wire.js';

/** "Spot checks" of docs/protocol.md, as far as signed events show them. */

/** The draw opens element `round` of the chain whose start the job names. */
export function takeDraw(walked: Walked, round: Round, event: RawEvent): void {
  const { terms } = walked;
  const { list, s } = fields(event);
  must(terms.spot != null && round.commitList?.id === list && round.draw === null, event.id, 'no draw is due');
  must(opensChain(s, round.round, terms.chainCommitment), event.id, 'another element of the chain');
  round.nonces.push(...takeNonces(walked, round, event));
  round.draw = event;
}

export function opensChain(s: string, round: number, commitment: string): boolean {
  let link = fromHex(s);
  for (let left = round; left > 0; left--) link = sha256('nmkt/1/chain', link);
  return hex(sha256(link)) === commitment;
}

/** Segment to repeat; null: this one is spared. */
export function drawn({ job, terms, rounds }: Walked, { draw, round, nonces }: Round, reveal: RawEvent): number | null {
  const { list, s } = fields(draw!);
  const place = [fromHex(job.id), u32(round), fromHex(list), fromHex(s), ...nonces.map(fromHex)];
  const seed = sha256('nmkt/1/draw', 'spot', ...place);
  const { shard, checkpoints } = fields(reveal);
  const seat = (terms.shardsPerTrainer ?? 1) > 1 ? [u32(shard)] : [];
  const words = sha256(seed, sha256(fromHex(reveal.pubkey), ...seat));
  const isKnown = rounds
    .filter((earlier) => earlier.round < round && earlier.close !== null)
    .some(({ close }) => fields(close!).accepted.some((row) => row.trainer === reveal.pubkey && row.shard === shard));
  const isSpared = BigInt(words.readUInt32BE(0)) * 1_000_000n >= BigInt(terms.spot!.ratePpm) << 32n;
  if (isKnown && isSpared) return null;
  return Number((BigInt(words.readUInt32BE(4)) * BigInt(checkpoints!.length + 1)) >> 32n);
}

export function takeSpot(walked: Walked, round: Round, event: RawEvent, row: ScoreRow): void {
  const { spot: terms } = walked.terms;
  const spot = row.spot ?? null;
  if (terms == null || fields<Scores>(event).engine !== terms.engine) {
    must(spot === null, event.id, 'repeated, but not on the engine of the job');
    return;
  }
  const reveal = round.reveals.get(row.shard)!;
  must(spot === null || endOf(reveal, spot.segment) !== undefined, event.id, 'no such segment');
  const due = drawn(walked, round, reveal);
  const isDone = due === null || spot?.segment === due || (spot !== null && isForged(reveal, row));
  must(isDone, event.id, 'the drawn segment is not repeated');
}

/** What the trainer committed to as the end of a segment. */
export function endOf(reveal: RawEvent, segment: number): string | undefined {
  const { checkpoints, updateHash } = fields(reveal);
  return [...checkpoints!, updateHash][segment];
}

export function isForged(reveal: RawEvent, { spot }: ScoreRow): boolean {
  return spot != null && endOf(reveal, spot.segment) !== spot.hash;
}

/** The proof against a trainer: its row of the scores and its reveal, said again. */
export function takeFraud(round: Round, event: RawEvent): void {
  const { trainer, submission, shard, segment, committed, repeated, scores, round: index } = fields(event);
  must(round.verdict?.by === scores && round.round === index, event.id, 'other scores');
  const row = round.verdict.rows.find((one) => one.trainer === trainer && one.shard === shard);
  const reveal = round.reveals.get(shard);
  must(row !== undefined && reveal?.id === submission, event.id, 'another submission');
  must(isForged(reveal, row) && row.spot!.segment === segment, event.id, 'the scores do not prove it');
  must(row.spot!.hash === repeated && endOf(reveal, segment) === committed, event.id, 'other states');
  const { ends } = fields(event);
  if (ends === undefined) return;
  must(ends.length <= fields(reveal).checkpoints!.length + 1 && ends[segment] === repeated, event.id, 'other ends');
  must(segment === 0 || ends[segment - 1] === endOf(reveal, segment - 1), event.id, 'its start is disputed, too');
}
