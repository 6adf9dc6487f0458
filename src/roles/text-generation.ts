import { NmktError } from '../errors.js';
import { readsTokens } from '../learning/model-cost.js';
import { prng } from '../learning/prng.js';
import { sampleIndex } from '../learning/sampling.js';
import type { ModelSpec, ParamSet } from '../learning/types.js';
import { utf8 } from '../hash.js';
import type { Engine } from '../ports.js';

/** A text that a model goes on with, token by token. */

export interface Draw {
  /** Of new tokens, at most. */
  readonly length: number;
  /** See `sampleIndex`. */
  readonly temperature: number;
  readonly seed: number;
}

/**
 * Each token is drawn from what the model expects after the last `inputs` tokens so far. Equal arguments give equal tokens on an
 * engine that repeats.
 *
 * @param prompt  at least one token of the vocabulary; a model that reads a fixed number of tokens (a dense one) needs that many
 * @throws NmktError `bad-usage` for a prompt that is too short
 */
export async function* generateTokens(
  engine: Engine,
  model: { readonly spec: ModelSpec; readonly weights: ParamSet },
  prompt: ArrayLike<number>,
  { length, temperature, seed }: Draw,
): AsyncGenerator<number> {
  const { inputs } = model.spec;
  const least = readsShorter(model.spec) ? 1 : inputs;
  if (prompt.length < least)
    throw new NmktError('bad-usage', 'the prompt is too short for the model', {
      expected: least === 1 ? 'at least one token' : `at least ${least} tokens: the model reads no fewer`,
      got: `${prompt.length}`,
      remedy: 'give a longer --prompt',
    });
  const random = prng(utf8(`${seed}`), 'nmkt/1/generate');
  let window = Array.from(prompt).slice(-inputs);
  for (let i = 0; i < length; i++) {
    const { spec, weights } = shortened(model.spec, model.weights, window.length);
    const probabilities = await engine.predict(spec, weights, Float32Array.from(window), 1);
    const token = sampleIndex(probabilities, temperature, random.float());
    yield token;
    window = [...window, token].slice(-inputs);
  }
}

/** Models that answer at each place answer there for the tokens up to it, whatever follows. */
function readsShorter(spec: ModelSpec): boolean {
  return readsTokens(spec);
}

/** The same model for fewer tokens: what it says of them is the same, to rounding. */
function shortened(
  spec: ModelSpec,
  weights: ParamSet,
  inputs: number,
): { readonly spec: ModelSpec; readonly weights: ParamSet } {
  if (inputs === spec.inputs) return { spec, weights };
  return {
    spec: { ...spec, inputs },
    weights: weights.map((tensor) => {
      if (tensor.name !== 'positions') return tensor;
      const [, width] = tensor.shape as [number, number];
      return { ...tensor, shape: [inputs, width], data: tensor.data.slice(0, inputs * width) };
    }),
  };
}
