import { NmktError } from '../../errors.js';
import type { Bytes } from '../../hash.js';
import { decodeParams, encodeParams, type NamedShape } from '../safetensors.js';
import type { ParamSet } from '../types.js';
import { blockBytes, blockChange, encodeBlocks, INT4, INT8 } from './blocks.js';
import { changed, changeOf, checkRange, flat, lengthOf, shaped } from './flat.js';
import { FRAME_BYTES } from './frame.js';
import { encodeHalf, halfBytes, halfChange } from './half.js';
import { encodeTopK, mostTopKBytes, topKChange, type TopK } from './topk.js';

/** How an update travels. `f32`: the trained model itself; the others: what was learned (trained - base), in fewer bits. */
export const CODECS = ['f32', 'f16', 'int8', 'int4', 'topk'] as const;

/** As the job fixes it. */
export type Codec =
  | { readonly name: 'f32' | 'f16' | 'int8' | 'int4' }
  | ({
      readonly name: 'topk';
      /** How much of what was left out is sent later, in [0, 1]. */
      readonly feedback: number;
    } & TopK);

/** What people ask for by name. `sparseloco`: chunks, codes and decay of arXiv:2508.15706, at the upper end of its 1 to 3 %. */
export const CODEC_PRESETS = {
  f32: { name: 'f32' },
  f16: { name: 'f16' },
  int8: { name: 'int8' },
  int4: { name: 'int4' },
  topk: { name: 'topk', chunk: 4096, keep: 123, bits: 4, feedback: 1 },
  sparseloco: { name: 'topk', chunk: 4096, keep: 128, bits: 2, feedback: 0.95 },
} as const satisfies Readonly<Record<string, Codec>>;

export interface EncodedUpdate {
  /** Canonical: one byte string per value. */
  readonly bytes: Bytes;
  /** What was left out and is to be sent next time (error feedback), shapes of the model; null where the codec keeps nothing. */
  readonly residual: ParamSet | null;
}

/** Does the codec send later what it left out (error feedback)? */
export function keepsResidual({ name }: Codec): boolean {
  return name === 'topk';
}

/**
 * @param base      the model that was trained from
 * @param trained   what training made of it
 * @param residual  as the last accepted update of the same trainer and shard left it; null: zeros
 * @param seed      32 bytes, of this trainer, shard and round: stochastic rounding draws from it
 */
export function encodeUpdate(
  codec: Codec,
  base: ParamSet,
  trained: ParamSet,
  residual: ParamSet | null,
  seed: Bytes,
): EncodedUpdate {
  switch (codec.name) {
    case 'f32':
      return { bytes: encodeParams(trained), residual: null };
    case 'f16':
      return { bytes: encodeHalf(changeOf(base, trained)), residual: null };
    case 'int8':
    case 'int4':
      return {
        bytes: encodeBlocks(codec.name === 'int8' ? INT8 : INT4, changeOf(base, trained), seed),
        residual: null,
      };
    case 'topk': {
      const due = withResidual(changeOf(base, trained), residual, codec.feedback);
      const { bytes, sent } = encodeTopK(codec, due);
      return {
        bytes,
        residual: shaped(
          base,
          due.map((value, i) => value - sent[i]!),
        ),
      };
    }
  }
}

/** change + feedback * residual, rounded once to float32. */
function withResidual(change: Float32Array, residual: ParamSet | null, feedback: number): Float32Array {
  if (residual === null) return change;
  const left = flat(residual);
  const due = change.map((value, i) => value + feedback * left[i]!);
  checkRange(due);
  return due;
}

/**
 * The model that an update stands for: base + what was sent, each value rounded once to float32.
 *
 * @throws NmktError `bad-blob` for what `encodeUpdate` does not write, `shape-mismatch`, `too-large`; before anything of the size is made
 */
export function decodeUpdate(codec: Codec, base: ParamSet, bytes: Bytes): ParamSet {
  const most = maxUpdateBytes(codec, base);
  if (bytes.length > most)
    throw new NmktError('too-large', `an update is above what codec ${codec.name} can make of the model`, {
      remedy: 'ask its trainer for an update of this job and round',
      expected: `at most ${most} bytes`,
      got: `${bytes.length}`,
    });
  const count = lengthOf(base);
  switch (codec.name) {
    case 'f32':
      return decodeParams(bytes, base);
    case 'f16':
      return changed(base, halfChange(bytes, count));
    case 'int8':
    case 'int4':
      return changed(base, blockChange(codec.name === 'int8' ? INT8 : INT4, bytes, count));
    case 'topk':
      return changed(base, topKChange(codec, bytes, count));
  }
}

/** The most bytes that an update of these tensors takes: what may be fetched. */
export function maxUpdateBytes(codec: Codec, shapes: readonly NamedShape[]): number {
  const count = lengthOf(shapes);
  switch (codec.name) {
    case 'f32': {
      const names = shapes.reduce((sum, { name }) => sum + name.length, 0);
      return count * 4 + names + shapes.length * 160 + 64;
    }
    case 'f16':
      return FRAME_BYTES + halfBytes(count);
    case 'int8':
    case 'int4':
      return FRAME_BYTES + blockBytes(codec.name === 'int8' ? INT8 : INT4, count);
    case 'topk':
      return mostTopKBytes(codec, count);
  }
}
