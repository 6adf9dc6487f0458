import { sha256Hex, type Bytes, type Sha256 } from '../hash.js';
import { architecture } from './architecture.js';
import { badFile } from './safetensors-header.js';
import { checkShapes, encodeParams, firstNonFinite, type NamedShape } from './safetensors.js';
import { prng } from './prng.js';
import type { ModelSpec, ParamSet } from './types.js';

/** In order of names. */
export function parameterShapes(spec: ModelSpec): NamedShape[] {
  return architecture(spec).map(({ name, shape }) => ({ name, shape }));
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function parameterCount(spec: ModelSpec): number {
  return parameterShapes(spec).reduce((sum, { shape }) => sum + elements(shape), 0);
}

/**
 * Names, shapes, sizes and finiteness.
 *
 * @throws NmktError `shape-mismatch` naming the first tensor that differs, `bad-blob` for NaN or infinity
 */
export function checkParams(params: ParamSet, spec: ModelSpec): void {
  checkShapes(params, parameterShapes(spec));
  checkFinite(params);
}

/** Sizes and finiteness. @throws NmktError `bad-blob` */
export function checkFinite(params: ParamSet): void {
  for (const { name, shape, data } of params) {
    if (data.length !== elements(shape))
      throw badFile(`tensor ${name} does not have the size of its shape`, {
        expected: `${elements(shape)} elements`,
        got: `${data.length}`,
      });
    const at = firstNonFinite(data);
    if (at >= 0)
      throw badFile(`tensor ${name} holds a number that is not finite`, {
        expected: 'finite float32',
        got: `${data[at]!} at index ${at}`,
      });
  }
}

/** Each tensor that is not constant draws from its own stream `init/NAME`, so the bytes are equal on every machine and engine. */
export function initialParams(spec: ModelSpec, seed: Bytes): ParamSet {
  return architecture(spec).map(({ name, shape, start }) => {
    const data = new Float32Array(elements(shape));
    if (start === 'ones') data.fill(1);
    else if (start !== 'zeros') {
      const stream = prng(seed, `init/${name}`);
      for (let i = 0; i < data.length; i++) data[i] = (2 * stream.float() - 1) * start.limit;
    }
    return { name, shape, data };
  });
}

/** SHA-256 of the canonical safetensors bytes. */
export function paramsHash(params: ParamSet): Sha256 {
  return sha256Hex(encodeParams(params));
}

/** Inner product over all tensors in order, in float64. */
function dot(a: ParamSet, b: ParamSet): number {
  checkShapes(a, b);
  let sum = 0;
  a.forEach(({ data }, t) => {
    const other = b[t]!.data;
    for (let i = 0; i < data.length; i++) sum += data[i]! * other[i]!;
  });
  return sum;
}

export function l2Norm(params: ParamSet): number {
  return Math.sqrt(dot(params, params));
}

/** a - b, rounded to float32. @throws NmktError `shape-mismatch` */
export function difference(a: ParamSet, b: ParamSet): ParamSet {
  checkShapes(a, b);
  return a.map(({ name, shape, data }, t) => ({ name, shape, data: data.map((x, i) => x - b[t]!.data[i]!) }));
}

/** In [-1, 1] up to rounding; 0 when either is all zeros. @throws NmktError `shape-mismatch` */
export function cosine(a: ParamSet, b: ParamSet): number {
  const norms = l2Norm(a) * l2Norm(b);
  return norms === 0 ? 0 : dot(a, b) / norms;
}

/** Largest absolute value; 0 for no parameters. */
export function maxAbs(params: ParamSet): number {
  let max = 0;
  for (const { data } of params) for (const x of data) max = Math.max(max, Math.abs(x));
  return max;
}
