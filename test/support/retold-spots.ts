import { sealBlob } from '../../src/blob/blob.js';
import { labelContext, uploadSecret } from '../../src/blob/keys.js';
import { sha256, type EventId, type Pubkey } from '../../src/hash.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import { trainingSeed } from '../../src/learning/seeds.js';
import type { TrainState } from '../../src/learning/types.js';
import { seatName } from '../../src/market/residuals.js';
import { committedEnd, drawnSegment, drawsBySeat, isProvenFraud } from '../../src/market/spot-rules.js';
import type { NostrEvent } from '../../src/ports.js';
import type { EventOf } from '../../src/protocol/events.js';
import { parseJobEvent } from '../../src/protocol/events.js';
import type { ScoreRow } from '../../src/protocol/score.js';
import type { SealedUpdate } from '../../src/protocol/submission.js';
import { fetchBase } from '../../src/roles/base-model.js';
import { stateLabel } from '../../src/roles/round-blobs.js';
import type { World } from './market-world.js';

/** A list told again draws other segments: the liar repeats those, and shows the states before them. */

/** Of honest trainings by round and trainer: what they went through. */
export type States = ReadonlyMap<string, readonly TrainState[]>;
const nameOf = (round: number, trainer: Pubkey): string => `${round}/${trainer}`;

/** Trains every revealed update once more. */
export async function statesOf(world: World): Promise<States> {
  const { model, hyper, spot } = world.terms;
  const found = new Map<string, TrainState[]>();
  if (spot === null) return found;
  const { rounds: keys, seed } = await world.allKeys();
  const source = {
    ...{ relays: world.network.relays(), keyOf: (round: number) => keys[round]!.key },
    known: () => Promise.resolve(undefined),
  };
  const state = (await world.read()).state();
  for (const { round, assigned } of state.rounds) {
    const weights = await fetchBase(source, state, round);
    for (const { trainer, shard } of assigned) {
      const request = { model, hyper, weights, examples: world.split.shards[shard]!, stateEvery: spot.everySteps };
      const states: TrainState[] = [];
      const own = trainingSeed(seed, round, shard, trainer);
      await world.engine.train({ ...request, seed: own }, undefined, undefined, (state) => states.push(state));
      found.set(nameOf(round, trainer), states);
    }
  }
  return found;
}

/**
 * The rows with what the new draw asks for; a row that names a fraud stays.
 *
 * @param chain  of the customer, up to these scores
 * @param byId   everything told again
 */
export function movedRows(
  world: World,
  content: string,
  chain: readonly NostrEvent[],
  byId: (id: EventId) => NostrEvent | undefined,
): string {
  const scores = JSON.parse(content) as { readonly round: number; readonly engine: string; scores: ScoreRow[] };
  const { spot: terms } = world.terms;
  const events = chain.map((event) => parseJobEvent(event));
  const draw = events.find(
    ({ type, content }) => type === 'draw' && (content as { round: number }).round === scores.round,
  );
  if (terms === null || draw === undefined || scores.engine !== terms.engine) return content;
  const closes = events.filter(({ type }) => type === 'close') as EventOf<'close'>[];
  const proven = new Set(closes.flatMap(({ content: { accepted } }) => accepted.map(seatName)));
  const rows = scores.scores.map((row) => {
    const raw = byId(row.submission);
    if (raw === undefined) return row;
    const reveal = parseJobEvent(raw) as EventOf<'reveal'>;
    if (isProvenFraud(reveal, row)) return row;
    const of = {
      job: world.jobId,
      terms,
      isBySeat: drawsBySeat(world.terms),
      draw: draw as EventOf<'draw'>,
      nonces: [],
      proven,
    };
    const segment = drawnSegment(of, row, reveal.content.checkpoints.length + 1);
    return { ...row, spot: segment === null ? null : { segment, hash: committedEnd(reveal.content, segment)! } };
  });
  return JSON.stringify({ ...scores, scores: rows });
}

export interface ShownState {
  readonly state: SealedUpdate['state'];
  readonly events: readonly NostrEvent[];
}

/** The state before the segment of a row, sealed like the trainer seals it. */
export function shownState(world: World, states: States, round: number, row: ScoreRow): ShownState {
  const { segment } = row.spot!;
  if (segment === 0) return { state: null, events: [] };
  const { tensors } = states.get(nameOf(round, row.trainer))![segment - 1]!;
  const key = sha256('retold state', row.submission);
  const sealed = sealBlob(encodeParams(tensors), {
    ...{ key, uploadSecret: uploadSecret(key), part: 0, inline: 'never' },
    context: labelContext(stateLabel(world.jobId, round, row.shard, row.trainer)),
    ...{ baseTimeSec: world.terms.deadline, expirationSec: world.terms.deadline + 86_400 },
  });
  return { state: { key, pointer: { ...sealed.pointer, ids: [...sealed.pointer.ids] } }, events: sealed.events };
}
