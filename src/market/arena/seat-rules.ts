import { fromHex, sha256, u32be, type Bytes, type EventId, type Pubkey } from '../../hash.js';
import { isChainElement } from '../../learning/seeds.js';
import type { EventOf, JobEvent } from '../../protocol/events.js';
import { broken, type Broken } from '../draft.js';
import { drawSeats } from '../stake-draw.js';
import { MISSES_TO_LOSE } from '../validator-seats.js';
import { stakesAsked } from './list-rules.js';
import { pendingAliases } from './scored.js';
import { currentStage, drawsOf, seatsIn, withStage, type ArenaStage, type ArenaState } from './state.js';
import { atHand, isStop, type Step } from '../spine.js';

/** Who scores what. */

/** Of a stage: a submission that has no score after them has no rank. */
export const MAX_DRAWS = 3;

/** Fixes the aliases before any nonce opens, and who may be drawn. */
export function applyAliasRoot(state: ArenaState, event: EventOf<'alias-root'>): Step<ArenaState> {
  const { stage: number, list, count, validators: ids } = event.content;
  const stage = currentStage(state);
  if (stage === undefined || stage.stage !== number || stage.root !== null || list !== stage.list.id)
    return broken('alias-root', `it answers no list of stage ${number}`);
  if (count !== stage.submissions.size)
    return broken('alias-root', `${stage.submissions.size} trainers are listed, got ${count} aliases`);
  const found = atHand(state, ids);
  if (isStop(found)) return found;
  const stakes = stakesAsked(state, 'validator');
  const validators = new Map<Pubkey, EventOf<'register'>>();
  let last = '';
  for (const one of found) {
    if (one.type !== 'register' || one.author === state.job.author || stage.submissions.has(one.author))
      return broken('alias-root', `${one.id} is no registration of somebody who may score`);
    if (stakes !== null && !stakes.has(one.author)) return broken('alias-root', `${one.author} has not the stake`);
    if (one.author <= last) return broken('alias-root', 'its validators are not in the order of their keys');
    last = one.author;
    validators.set(one.author, one);
  }
  const validatorStakes = new Map([...validators.keys()].map((key) => [key, stakes?.get(key) ?? 1n]));
  return withStage(state, { root: event, validators, validatorStakes });
}

/**
 * SHA-256("nmkt/1/draw" || "arena" || job || u32 round || alias root || s || nonces): nobody knows it before the nonces open, and neither the
 * aliases nor who may be drawn can follow from it.
 *
 * @param nonces  in order of their authors' keys
 */
export function arenaSeed(job: EventId, { content }: EventOf<'draw'>, nonces: readonly Bytes[]): Bytes {
  return sha256(
    'nmkt/1/draw',
    'arena',
    fromHex(job),
    u32be(content.round),
    fromHex(content.list),
    content.s,
    ...nonces,
  );
}

/** m seats of each alias, by SHA-256("nmkt/1/arena-seat" || seed || u32 alias). */
export function arenaSeats(
  seed: Bytes,
  aliases: readonly number[],
  stakes: ReadonlyMap<Pubkey, bigint>,
  seats: number,
): ReadonlyMap<Pubkey, readonly number[]> {
  const found = new Map<Pubkey, number[]>();
  for (const alias of aliases)
    for (const key of drawSeats(sha256('nmkt/1/arena-seat', seed, u32be(alias)), stakes, seats))
      found.set(key, [...(found.get(key) ?? []), alias]);
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The aliases that have no score yet are drawn for. */
export function applyArenaDraw(state: ArenaState, event: EventOf<'draw'>): Step<ArenaState> {
  const { round, list, s, nonces: ids = [] } = event.content;
  const { chainCommitment } = state.job.content;
  const stage = currentStage(state);
  if (stage?.root?.id !== list || stage.table !== null) return broken('draw', 'it answers no alias root');
  if (stage.rounds.some(({ revealList }) => revealList === null))
    return broken('draw', 'the draw before is not scored');
  const m = seatsIn(state, stage);
  const pending = pendingAliases(stage, m);
  if (pending.length === 0 || stage.rounds.length >= MAX_DRAWS) return broken('draw', 'nothing is to be drawn');
  if (round !== drawsOf(state)) return broken('draw', `expected round ${drawsOf(state)}, got ${round}`);
  if (!isChainElement(s, round, chainCommitment))
    return broken('draw', `s is not element ${round} of the chain that the job committed to: no seat follows from it`);
  const found = atHand(state, ids);
  if (isStop(found)) return found;
  const isNonce = nonceFor(stage, round);
  const left = soundOf(state, isNonce).find(({ id }) => state.seenScoring.has(id) && !ids.includes(id));
  if (left !== undefined) return broken('omission', `${left.id} was seen and is left out`);
  const nonces = new Map<Pubkey, Bytes>();
  for (const one of found) {
    if (!isNonce(one))
      return broken('draw', `${one.id} is no nonce that a validator of the root committed to: no seat follows from it`);
    if (one.author <= ([...nonces.keys()].at(-1) ?? ''))
      return broken('draw', 'its nonces are not in the order of their keys');
    nonces.set(one.author, one.content.nonce);
  }
  const stakes = new Map(
    [...stage.validatorStakes].filter(([key]) => nonces.has(key) && (state.missed.get(key) ?? 0) < MISSES_TO_LOSE),
  );
  const seats = arenaSeats(arenaSeed(state.jobId, event, [...nonces.values()]), pending, stakes, m);
  const next = { draw: event, seats, commitList: null, commits: new Map(), revealList: null, reveals: new Map() };
  return withStage(state, { rounds: [...stage.rounds, next] });
}

/** Does it open the author's chain for that draw? */
export function nonceFor({ root, validators }: Pick<ArenaStage, 'root' | 'validators'>, round: number) {
  return (event: JobEvent): event is EventOf<'nonce'> =>
    event.type === 'nonce' &&
    event.content.round === round &&
    event.content.list === root?.id &&
    validators.has(event.author) &&
    isChainElement(event.content.nonce, round, validators.get(event.author)!.content.nonceCommitment);
}

/** Of each author the first one in its chain, in order of their keys. */
export function soundOf<E extends JobEvent>(
  { sound }: ArenaState,
  fits: (event: JobEvent) => event is E,
): readonly E[] {
  return [...sound].flatMap(([, events]) => events.find(fits) ?? []);
}

/**
 * A listed event is its author's first that counts, as far as its chain can be followed.
 *
 * @param why  which rule an event breaks that does not fit
 */
export function firstOnly<E extends JobEvent>(
  state: ArenaState,
  ids: readonly EventId[],
  fits: (event: JobEvent) => event is E,
  why?: (event: JobEvent) => Broken | null,
): Step<ReadonlyMap<Pubkey, E>> {
  const first = soundOf(state, fits);
  const omitted = first.find(({ id }) => state.seenScoring.has(id) && !ids.includes(id));
  if (omitted !== undefined) return broken('omission', `${omitted.id} was seen and is left out`);
  const found = atHand(state, ids);
  if (isStop(found)) return found;
  const counted = new Map<Pubkey, E>();
  for (const one of found) {
    if (!fits(one)) return why?.(one) ?? broken('list', `${one.id} does not count here`);
    const known = first.find(({ author }) => author === one.author);
    if (counted.has(one.author) || (known !== undefined && known.id !== one.id))
      return broken('list', `${one.id} is not the first of its author`);
    counted.set(one.author, one);
  }
  return new Map([...counted].sort(([a], [b]) => (a < b ? -1 : 1)));
}
