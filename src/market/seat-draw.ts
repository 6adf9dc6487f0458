import { fromHex, sha256, u32be, type Bytes, type EventId, type Pubkey } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import type { Draft, DraftRound } from './draft.js';
import type { RoundState } from './state.js';
import { drawSeats } from './stake-draw.js';
import { asksStake, countedStakes } from './stake-terms.js';

/** Who scores a round of a job whose validators stake. */

/**
 * SHA-256("nmkt/1/draw" || "seat" || job || u32 round || list || s || nonces): nobody knows it before the nonces open.
 *
 * @param nonces  of validators, in order of their keys
 */
export function seatSeed(job: EventId, { content }: EventOf<'draw'>, nonces: readonly Bytes[]): Bytes {
  const { round, list, s } = content;
  return sha256('nmkt/1/draw', 'seat', fromHex(job), u32be(round), fromHex(list), s, ...nonces);
}

/**
 * The seats of a round, each drawn linearly in what stake counts among those that opened a nonce, one to a key; null: all of them score, or
 * nobody can tell.
 */
export function drawnSeats(
  draft: Pick<Draft, 'jobId' | 'job' | 'stakes' | 'lacksStakes'>,
  { nonces }: Pick<DraftRound, 'nonces'>,
  draw: EventOf<'draw'>,
  opened: readonly Bytes[] | null,
): ReadonlySet<Pubkey> | null {
  const terms = draft.job.content;
  if (!asksStake(terms, 'validator') || opened === null || draft.lacksStakes) return null;
  const named = new Set(draw.content.nonces);
  const present = new Set([...nonces].filter(([, { id }]) => named.has(id)).map(([validator]) => validator));
  const counted = countedStakes(terms, draft.stakes, 'validator');
  const stakes = new Map([...counted].filter(([validator]) => present.has(validator)));
  return new Set(drawSeats(seatSeed(draft.jobId, draw, opened), stakes, terms.validators!.count));
}

/** It opened its nonce, and the draw gave the seats of the round to others: it owes no scores. */
export function isPassedOver(
  { drawn, draw, nonces }: Pick<RoundState, 'drawn' | 'draw' | 'nonces'>,
  validator: Pubkey,
) {
  if (drawn === null || drawn.has(validator)) return false;
  const nonce = nonces.get(validator);
  return nonce !== undefined && draw?.content.nonces?.includes(nonce.id) === true;
}
