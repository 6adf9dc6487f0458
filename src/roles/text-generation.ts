import { NmktError } from '../errors.js';
import { decodeGpt } from '../learning/gpt-decode.js';
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
 * engine that repeats. Until its context is full a `gpt` keeps what it made of earlier tokens; after that every token has another
 * place than before, so nothing that was kept is of use, and the engine reads them all.
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
  const cached = decoder(model, prompt, length);
  for (let i = 0; i < length; i++) {
    const probabilities =
      cached !== undefined && prompt.length + i <= inputs
        ? await afterTurn(() => cached(window))
        : await predicted(engine, model, window);
    const token = sampleIndex(probabilities, temperature, random.float());
    yield token;
    window = [...window, token].slice(-inputs);
  }
}

/** Of a text in wasm a whole context costs about as much as this many tokens one after the other do here. */
const WHOLE = 8;

/** What takes a text of which it knows the beginning; undefined where nothing can be kept, or too little to be worth reading a long prompt. */
function decoder(
  { spec, weights }: { readonly spec: ModelSpec; readonly weights: ParamSet },
  prompt: ArrayLike<number>,
  length: number,
): ((text: readonly number[]) => Float64Array) | undefined {
  if (spec.model !== 'gpt' || WHOLE * Math.min(length, spec.inputs - prompt.length + 1) < prompt.length)
    return undefined;
  const next = decodeGpt(spec, weights);
  let read = 0;
  return (text) => {
    let found: Float64Array = new Float64Array();
    for (; read < text.length; read++) found = next(text[read]!);
    return found;
  };
}

/** So that Ctrl-C is heard between tokens. */
async function afterTurn<T>(work: () => T): Promise<T> {
  await new Promise((resolve) => setImmediate(resolve));
  return work();
}

function predicted(
  engine: Engine,
  model: { readonly spec: ModelSpec; readonly weights: ParamSet },
  window: readonly number[],
): Promise<Float32Array> {
  const { spec, weights } = shortened(model.spec, model.weights, window.length);
  return engine.predict(spec, weights, Float32Array.from(window), 1);
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
