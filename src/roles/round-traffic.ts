import type { EventId, Pubkey } from '../hash.js';
import { publicFailure } from '../market/acceptance.js';
import { drawnSegmentOf } from '../market/spot-rules.js';
import type { JobState, PayoutState, RoundState } from '../market/state.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import type { SealedUpdate } from '../protocol/submission.js';
import type { Signer } from '../ports.js';
import { chunkLoad, NOTHING, sum, type Load } from './event-sizes.js';
import { openSealedUpdate, publicEvidence } from './measure.js';
import type { Side, Traffic } from './planned-traffic.js';

/** What the rounds of a job took so far, as its events tell: each event and chunk once, on one relay, grants not counted. */

export interface ActualTraffic extends Traffic {
  /** Of the customer's payments; null: unknown. */
  readonly feesMsat: bigint | null;
}

/** What only the home of a side knows. */
export interface OwnKnowledge {
  /** Where updates and states lie that travelled in chunks, by reveal. */
  readonly sealed: ReadonlyMap<EventId, SealedUpdate>;
  /** Fees of a payment; null: this home did not make it. */
  readonly feesMsat: (payout: PayoutState) => bigint | null;
}

export const PUBLIC_KNOWLEDGE: OwnKnowledge = { sealed: new Map(), feesMsat: () => null };

/** Null: unknown. */
type MaybeLoad = Load | null;
const all = (...loads: readonly MaybeLoad[]): MaybeLoad =>
  loads.every((load) => load !== null) ? sum(...loads) : null;

/**
 * Of every round that was opened, in order; null for a trainer's rounds without a seat.
 *
 * @param sizeOf  bytes of an event as JSON
 */
export function roundTraffic(
  state: JobState,
  side: Side,
  sizeOf: (id: EventId) => number,
  own: OwnKnowledge = PUBLIC_KNOWLEDGE,
): (ActualTraffic | null)[] {
  const events = eventsByRound(state);
  return state.rounds.map((round) => {
    const { assigned, payouts, validators } = round;
    if (side.role === 'trainer' && !assigned.some(({ trainer }) => trainer === side.pubkey)) return null;
    const people = new Set([
      state.job!.author,
      ...assigned.map(({ trainer }) => trainer),
      ...validators.map(({ validator }) => validator),
    ]);
    const me = side.role === 'trainer' ? side.pubkey : state.job!.author;
    const words = (isOwn: boolean): Load =>
      sum(
        ...(events.get(round.round) ?? [])
          .filter(({ author }) => people.has(author) && (author === me) === isOwn)
          .map(({ id }) => ({ events: 1, bytes: sizeOf(id) })),
      );
    const blobs = side.role === 'trainer' ? trainerBlobs(state, round, me, own) : customerBlobs(state, round, own);
    const [up, down] = [all(words(true), blobs.up), all(words(false), blobs.down)];
    const both = all(up, down);
    const paid = payouts.filter(({ receipt, payee }) => receipt !== null && (side.role === 'customer' || payee === me));
    const end = round.close ?? round.voided;
    return {
      bytesUp: up?.bytes ?? null,
      bytesDown: down?.bytes ?? null,
      events: both?.events ?? null,
      seconds: end === null ? null : end.createdAt - round.open.createdAt,
      msat: paid.reduce((msat, { amountMsat }) => msat + amountMsat, 0n),
      feesMsat: side.role === 'customer' ? sumOrNull(paid.map(own.feesMsat)) : null,
    };
  });
}

const sumOrNull = (numbers: readonly (bigint | null)[]): bigint | null =>
  numbers.reduce<bigint | null>((sum, one) => (sum === null || one === null ? null : sum + one), 0n);

/** Of people whose chains can be followed. */
function eventsByRound({ chains, rounds }: JobState): ReadonlyMap<number, readonly JobEvent[]> {
  const roundOf = new Map(
    rounds.flatMap(({ round, payouts }) => payouts.map(({ payout }) => [payout, round] as const)),
  );
  const found = new Map<number, JobEvent[]>();
  for (const event of [...chains.values()].flatMap((chain) => chain.events)) {
    const { content } = event;
    const round = 'round' in content ? content.round : 'payout' in content ? roundOf.get(content.payout) : undefined;
    if (round === undefined) continue;
    const list = found.get(round) ?? [];
    found.set(round, list);
    list.push(event);
  }
  return found;
}

interface Blobs {
  readonly up: MaybeLoad;
  readonly down: MaybeLoad;
}

function customerBlobs(state: JobState, round: RoundState, own: OwnKnowledge): Blobs {
  const { open, close, listedReveals } = round;
  const root = close?.content.root;
  const fetched = [...listedReveals.values()].map((reveal) => fetchedOf(state, round, reveal, own));
  return {
    up: sum(chunkLoad(open.content.base), root === undefined ? NOTHING : chunkLoad(root)),
    down: all(...fetched),
  };
}

/** The customer opens what passes the public rules; that it came in full its scores say. */
function fetchedOf(state: JobState, round: RoundState, reveal: EventOf<'reveal'>, own: OwnKnowledge): MaybeLoad {
  if (isInEvent(state, round, reveal)) return NOTHING;
  if (publicFailure(publicEvidence(state.job!, round), reveal.content.shard) !== null) return NOTHING;
  const rows = round.scores?.content.scores ?? round.verdict?.rows ?? [];
  const isScored = rows.some(({ submission }) => submission === reveal.id);
  return isScored ? chunksOf(state, round, reveal, own) : null;
}

function trainerBlobs(state: JobState, round: RoundState, me: Pubkey, own: OwnKnowledge): Blobs {
  const reveals = [...round.reveals.values()].filter(({ author }) => author === me);
  const sent = reveals.map((reveal) =>
    isInEvent(state, round, reveal) ? NOTHING : chunksOf(state, round, reveal, own),
  );
  const base = baseOf(state, round, me);
  // Who commits has read the base; who does not may have.
  return { up: all(...sent), down: base.events === 0 || hasCommitted(round, me) ? base : null };
}

const hasCommitted = ({ commits }: RoundState, me: Pubkey): boolean =>
  [...commits.values()].some(({ author }) => author === me);

/** Where the model is a difference, who did not read the one before follows it back. */
function baseOf({ rounds }: Pick<JobState, 'rounds'>, round: RoundState, me: Pubkey): Load {
  const own = chunkLoad(round.open.content.base);
  const before = rounds[round.round - 1];
  if (round.open.content.difference === undefined || before === undefined || hasCommitted(before, me)) return own;
  return sum(own, baseOf({ rounds }, before, me));
}

const isShown = (state: JobState, round: RoundState, { author, content }: EventOf<'reveal'>): boolean =>
  (drawnSegmentOf(state, round, { trainer: author, shard: content.shard }, content.checkpoints.length) ?? 0) > 0;

/** Update and all: nothing of it lies elsewhere. */
function isInEvent(state: JobState, round: RoundState, reveal: EventOf<'reveal'>): boolean {
  return reveal.content.inline !== undefined && !isShown(state, round, reveal);
}

function chunksOf(state: JobState, round: RoundState, reveal: EventOf<'reveal'>, { sealed }: OwnKnowledge): MaybeLoad {
  const opened = sealed.get(reveal.id);
  if (opened === undefined) return null;
  const { pointer, state: shown } = opened;
  return sum(chunkLoad(pointer), shown !== null && isShown(state, round, reveal) ? chunkLoad(shown.pointer) : NOTHING);
}

/** What `roundTraffic` asks the home for, opened. What does not open with this key stays unknown. */
export async function ownUpdates(state: JobState, side: Side, signer: Signer): Promise<OwnKnowledge['sealed']> {
  const sealed = new Map<EventId, SealedUpdate>();
  for (const round of state.rounds)
    for (const reveal of round.reveals.values()) {
      const isMine = side.role === 'customer' || reveal.author === side.pubkey;
      if (!isMine || isInEvent(state, round, reveal)) continue;
      const peer = side.role === 'customer' ? reveal.author : state.job!.author;
      const opened = await openSealedUpdate(signer, reveal, peer).catch(() => undefined);
      if (opened !== undefined) sealed.set(reveal.id, opened);
    }
  return sealed;
}
