import { NmktError } from '../errors.js';
import type { Bytes, Sha256 } from '../hash.js';
import { decodeDifference, encodeDifference } from '../learning/codec/difference.js';
import { parameterShapes, paramsHash } from '../learning/params.js';
import { decodeParams, encodeParams } from '../learning/safetensors.js';
import type { ModelSpec, ParamSet } from '../learning/types.js';
import { pack } from '../blob/pack.js';
import { baseChain } from '../market/base-chain.js';
import type { JobState, RoundState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import type { Relays } from '../ports.js';
import { withChunkFile, type ChunkFiles } from './home-files.js';
import { baseLabel, fetchCanonical, type PublishedBlob } from './round-blobs.js';

/** The model that a round starts from, as it travels: whole, or as its difference to the one that the round before started from. */

type Open = EventOf<'open'>['content'];
type Announced = Pick<Open, 'base' | 'inline' | 'difference'>;

/**
 * What is published of a model, or of a state in its training: the difference to a model where that is smaller than all of it packed.
 *
 * @param before  null: whole in any case
 */
export function smallest(
  tensors: ParamSet,
  before: ParamSet | null,
): { readonly bytes: Bytes; readonly isWhole: boolean } {
  const whole = encodeParams(tensors);
  const difference = before === null ? null : encodeDifference(before, tensors);
  const isWhole = difference === null || difference.length >= pack(whole).length;
  return { bytes: isWhole ? whole : difference, isWhole };
}

/** What the open event says of it: hash and size of the model, and where what was published lies. */
export function announce(model: ParamSet, { pointer, inline }: PublishedBlob, to: Sha256 | null): Announced {
  const said = inline === undefined ? {} : { inline };
  if (to === null) return { base: pointer, ...said };
  const base = { ...pointer, sha256: paramsHash(model), size: encodeParams(model).length };
  const { sha256, size } = pointer;
  return { base, ...said, difference: { coding: 'ordered-words', to, sha256, size } };
}

export interface BaseSource {
  readonly relays: Relays;
  /** What opens the blob of a round. @throws NmktError when it is not at hand */
  readonly keyOf: (round: number) => Bytes;
  /** A model that need not be fetched; undefined: not at hand. */
  known(hash: Sha256): Promise<ParamSet | undefined>;
  /** Keeps what was fetched for the next run. */
  readonly chunks?: ChunkFiles;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The model that a round starts from, out of its blob. A difference is followed back to a model that is known, or to the last whole one.
 *
 * @throws NmktError `bad-blob`, `hash-mismatch`, `shape-mismatch`, `too-large`, `wrong-key` for what does not lead to that model
 */
export async function fetchBase(from: BaseSource, { jobId, job, rounds }: JobState, round: number): Promise<ParamSet> {
  const spec = job!.content.model;
  const chain = baseChain(rounds.slice(0, round + 1));
  let at = chain.length - 1;
  let model: ParamSet | undefined;
  for (; at > 0; at--) {
    model = await from.known(chain[at - 1]!.open.content.base.sha256);
    if (model !== undefined) break;
  }
  for (const step of chain.slice(at)) model = await fetchStep(from, baseLabel(jobId, step.round), step, spec, model);
  return model!;
}

async function fetchStep(
  { relays, keyOf, chunks, signal }: BaseSource,
  label: string,
  { round, open }: RoundState,
  spec: ModelSpec,
  before: ParamSet | undefined,
): Promise<ParamSet> {
  const { base, inline, difference } = open.content;
  const shapes = parameterShapes(spec);
  const pointer = difference === undefined ? base : { ...base, sha256: difference.sha256, size: difference.size };
  const place = { pointer, inline, key: keyOf(round), label };
  const bytes = await (chunks === undefined
    ? fetchCanonical(relays, place, shapes, signal)
    : withChunkFile(chunks, 'base', pointer, (file) => fetchCanonical(relays, place, shapes, signal, file)));
  if (difference === undefined) return decodeParams(bytes, shapes);
  const model = decodeDifference(before!, bytes);
  requireModel(model, base);
  return model;
}

/** What a difference leads to is what the event says, or it counts for nothing. */
function requireModel(model: ParamSet, { sha256, size }: Open['base']): void {
  const got = { hash: paramsHash(model), size: encodeParams(model).length };
  if (got.hash === sha256 && got.size === size) return;
  throw new NmktError('hash-mismatch', 'a difference does not lead to the model that was announced', {
    expected: `${size} bytes of sha256 ${sha256}`,
    got: `${got.size} bytes of ${got.hash}`,
    remedy: 'nothing here mends it: its customer published something else',
  });
}
