import { exp, tanh } from './math.js';
import type { GptSpec, ParamSet } from './types.js';

/**
 * A text model that reads one token after the other, on plain arrays in float64: what blocks made of earlier tokens, their keys and
 * values, is kept, so a token costs one place instead of all. Its bits are the same on every machine.
 */

/** As in training. */
const EPSILON = 1e-5;
const ROOT_2_BY_PI = Math.sqrt(2 / Math.PI);

interface Norm {
  readonly gain: Float32Array;
  readonly bias: Float32Array;
}
interface Linear {
  /** [in, out] */
  readonly kernel: Float32Array;
  readonly bias: Float32Array;
}
interface Block {
  readonly norms: readonly [Norm, Norm];
  readonly attend: Linear;
  readonly gather: Linear;
  readonly up: Linear;
  readonly down: Linear;
  /** [context, width] each, filled up to the last token. */
  readonly keys: Float64Array;
  readonly values: Float64Array;
}

/**
 * @returns  takes the next token of a text and answers the probabilities of what follows [vocabulary], at most `spec.inputs` times.
 *           They are those of the whole model to rounding
 */
export function decodeGpt(spec: GptSpec, weights: ParamSet): (token: number) => Float64Array {
  const { inputs, layers, width } = spec;
  const all = new Map(weights.map(({ name, data }) => [name, data]));
  const find = (name: string): Float32Array => all.get(name)!;
  const norm = (name: string): Norm => ({ gain: find(`${name}/gain`), bias: find(`${name}/bias`) });
  const linear = (name: string): Linear => ({ kernel: find(`${name}/kernel`), bias: find(`${name}/bias`) });
  const blocks = Array.from({ length: layers }, (_, layer): Block => {
    const name = `block_${layer}`;
    return {
      norms: [norm(`${name}/norm_0`), norm(`${name}/norm_1`)],
      ...{ attend: linear(`${name}/attend`), gather: linear(`${name}/gather`) },
      ...{ up: linear(`${name}/up`), down: linear(`${name}/down`) },
      ...{ keys: new Float64Array(inputs * width), values: new Float64Array(inputs * width) },
    };
  });
  const [tokens, positions, last] = [find('tokens'), find('positions'), norm('norm')];
  let place = 0;
  return (token) => {
    const stream = Float64Array.from(
      { length: width },
      (_, i) => tokens[token * width + i]! + positions[place * width + i]!,
    );
    for (const block of blocks) {
      add(stream, applied(block.gather, attended(spec, block, normed(block.norms[0], stream), place)));
      const wide = applied(block.up, normed(block.norms[1], stream)).map(gelu); // [4 width]
      add(stream, applied(block.down, wide));
    }
    place += 1;
    return softmax(products(tokens, normed(last, stream), spec.outputs));
  };
}

/** Of the token at `place`, whose key and value it keeps. [width] -> [width] */
function attended(
  { heads, width }: GptSpec,
  { attend, keys, values }: Block,
  x: Float64Array,
  place: number,
): Float64Array {
  const all = applied(attend, x); // query, key, value: [3 width]
  keys.set(all.subarray(width, 2 * width), place * width);
  values.set(all.subarray(2 * width), place * width);
  const size = width / heads;
  const out = new Float64Array(width);
  for (let from = 0; from < width; from += size) {
    const scores = Float64Array.from({ length: place + 1 }, (_, at) => {
      let sum = 0;
      for (let i = from; i < from + size; i++) sum += all[i]! * keys[at * width + i]!;
      return sum / Math.sqrt(size);
    });
    for (const [at, share] of softmax(scores).entries())
      for (let i = from; i < from + size; i++) out[i]! += share * values[at * width + i]!;
  }
  return out;
}

function normed({ gain, bias }: Norm, x: Float64Array): Float64Array {
  const mean = total(x) / x.length;
  const centred = x.map((value) => value - mean);
  const scale = 1 / Math.sqrt(total(centred.map((value) => value * value)) / x.length + EPSILON);
  return centred.map((value, i) => value * scale * gain[i]! + bias[i]!);
}

/** x kernel + bias. Four rows of the kernel at a time, as they lie in memory: sums are written a quarter as often, in half the time. */
function applied({ kernel, bias }: Linear, x: Float64Array): Float64Array {
  const out = Float64Array.from(bias);
  const width = out.length;
  const fours = x.length & ~3;
  for (let i = 0; i < fours; i += 4) {
    const at = i * width;
    const [a, b, c, d] = [x[i]!, x[i + 1]!, x[i + 2]!, x[i + 3]!];
    for (let j = at; j < at + width; j++)
      out[j - at]! += a * kernel[j]! + b * kernel[j + width]! + c * kernel[j + 2 * width]! + d * kernel[j + 3 * width]!;
  }
  for (let i = fours; i < x.length; i++)
    for (let j = 0, at = i * width; j < width; j++, at++) out[j]! += x[i]! * kernel[at]!;
  return out;
}

/** Of x with each of the rows. */
function products(rows: Float32Array, x: Float64Array, count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, row) => {
    let sum = 0;
    for (let i = 0, at = row * x.length; i < x.length; i++, at++) sum += x[i]! * rows[at]!;
    return sum;
  });
}

function softmax(x: Float64Array): Float64Array {
  const peak = x.reduce((most, value) => Math.max(most, value), -Infinity);
  const powers = x.map((value) => exp(value - peak));
  const sum = total(powers);
  return powers.map((power) => power / sum);
}

/** By tanh, as in training. */
function gelu(x: number): number {
  return 0.5 * x * (1 + tanh(ROOT_2_BY_PI * (x + 0.044715 * x * x * x)));
}

function add(to: Float64Array, x: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += x[i]!;
}

function total(x: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]!;
  return sum;
}
