import type { Bytes } from '../../hash.js';
import { decodeParams, encodeParams, type NamedShape } from '../safetensors.js';
import type { ParamSet } from '../types.js';

/** How an update travels. `f32`: the trained model itself; the others: what was learned (trained - base), in fewer bits. */
export const CODECS = ['f32'] as const;

/** As the job fixes it. */
export interface Codec {
  readonly name: (typeof CODECS)[number];
}

export interface EncodedUpdate {
  /** Canonical: one byte string per value. */
  readonly bytes: Bytes;
  /** What was left out and is to be sent next time (error feedback), shapes of the model; null where the codec keeps nothing. */
  readonly residual: ParamSet | null;
}

/**
 * @param base      the model that was trained from
 * @param trained   what training made of it
 * @param residual  as the last accepted update of the same trainer and shard left it; null: zeros
 * @param seed      32 bytes, of this trainer, shard and round: stochastic rounding draws from it
 */
export function encodeUpdate(
  codec: Codec,
  _base: ParamSet,
  trained: ParamSet,
  _residual: ParamSet | null,
  _seed: Bytes,
): EncodedUpdate {
  switch (codec.name) {
    case 'f32':
      return { bytes: encodeParams(trained), residual: null };
  }
}

/**
 * The model that an update stands for: base + what was sent, each value rounded once to float32.
 *
 * @throws NmktError `bad-blob` for what `encodeUpdate` does not write, `shape-mismatch`, `too-large`; before anything of the size is made
 */
export function decodeUpdate(codec: Codec, base: ParamSet, bytes: Bytes): ParamSet {
  switch (codec.name) {
    case 'f32':
      return decodeParams(bytes, base);
  }
}

/** The most bytes that an update of these tensors takes: what may be fetched. */
export function maxUpdateBytes(codec: Codec, shapes: readonly NamedShape[]): number {
  switch (codec.name) {
    case 'f32': {
      const count = shapes.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
      const names = shapes.reduce((sum, { name }) => sum + name.length, 0);
      return count * 4 + names + shapes.length * 160 + 64;
    }
  }
}
