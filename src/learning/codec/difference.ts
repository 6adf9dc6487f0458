import type { Bytes } from '../../hash.js';
import { checkShapes, type NamedShape } from '../safetensors.js';
import type { ParamSet } from '../types.js';
import { rangeDecoder, rangeEncoder } from './range-coder.js';
import { aloneOdds, readAlone, readStep, stepOdds, wordsOf, writeAlone, writeStep } from './words.js';

/**
 * Tensors as their difference to a model, to the bit: float32 words in the order of their values, one subtracted from the other. Neighbouring
 * models share signs, exponents and the high bits of most words, so differences are short; how long each one is goes through an adaptive
 * range coder, by the exponent of the word it starts from, and the bits behind its first one go as they are. Tensors of a state that the
 * model does not have go alone: signs and exponents through the coder, the rest as it is. One byte string for each model and tensors.
 */

/** @param tensors  finite, in order of names; those with names of the model have its shapes. @throws NmktError `shape-mismatch` */
export function encodeDifference(model: ParamSet, tensors: ParamSet): Bytes {
  const before = byName(model);
  checkShapes(
    tensors.filter(({ name }) => before.has(name)),
    model,
  );
  const encoder = rangeEncoder();
  const steps = stepOdds();
  for (const { name, data } of tensors) {
    const from = before.get(name);
    const to = wordsOf(data);
    if (from !== undefined) to.forEach((word, i) => writeStep(encoder, steps, from[i]!, word));
    else {
      const odds = aloneOdds();
      to.forEach((word) => writeAlone(encoder, odds, word));
    }
  }
  return encoder.finish();
}

/**
 * Makes nothing but tensors of these shapes, whatever the bytes say.
 *
 * @param shapes  in order of names, those of the model among them; default: those of the model
 * @throws NmktError `bad-blob` for bytes that `encodeDifference` does not write, or that lead beyond the finite numbers
 */
export function decodeDifference(model: ParamSet, bytes: Bytes, shapes: readonly NamedShape[] = model): ParamSet {
  const before = byName(model);
  const decoder = rangeDecoder(bytes);
  const steps = stepOdds();
  const tensors = shapes.map(({ name, shape }) => {
    const from = before.get(name);
    const odds = aloneOdds();
    const to = new Uint32Array(from?.length ?? shape.reduce((count, size) => count * size, 1));
    for (let i = 0; i < to.length; i++)
      to[i] = from === undefined ? readAlone(decoder, odds) : readStep(decoder, steps, from[i]!);
    return { name, shape, data: new Float32Array(to.buffer) };
  });
  decoder.finish();
  return tensors;
}

function byName(model: ParamSet): ReadonlyMap<string, Uint32Array> {
  return new Map(model.map(({ name, data }) => [name, wordsOf(data)]));
}
