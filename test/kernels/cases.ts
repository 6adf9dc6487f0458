import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { afterAll } from 'vitest';
import { readKernels } from '../../src/kernels/file.js';
import { installKernels } from '../../src/kernels/install.js';
import { installNet } from '../../src/kernels/net.js';

/** Runs one kernel on our backend and on tfjs-backend-cpu, the oracle, without the rest of tfjs between. */

export async function startBackends(): Promise<void> {
  await tf.setBackend('cpu');
  if (!(await tf.setBackend('wasm'))) throw new Error('the wasm backend did not start');
  await installKernels(readKernels());
  installNet();
}

export interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}
export type Inputs = Readonly<Record<string, Values>>;

export function compute(backendName: 'cpu' | 'wasm', kernelName: string, inputs: Inputs, attrs: object = {}): Values {
  return computeAll(backendName, kernelName, inputs, attrs)[0]!;
}

/** Of a kernel with several outputs. */
export function computeAll(
  backendName: 'cpu' | 'wasm',
  kernelName: string,
  inputs: Inputs,
  attrs: object = {},
): Values[] {
  const backend = tf.engine().findBackend(backendName);
  const infos: Record<string, tf.TensorInfo> = {};
  for (const [name, { shape, data }] of Object.entries(inputs)) {
    const dtype = data instanceof Int32Array ? 'int32' : 'float32';
    infos[name] = { dataId: backend.write(data.slice(), [...shape], dtype), shape: [...shape], dtype };
  }
  const places = Object.keys(inputs).every((name, i) => name === `${i}`) ? Object.values(infos) : infos;
  const kernel = tf.getKernel(kernelName, backendName);
  const out = kernel.kernelFunc({
    inputs: places as unknown as tf.NamedTensorInfoMap,
    backend,
    attrs: attrs as tf.NamedAttrMap,
  });
  const outs = Array.isArray(out) ? out : [out];
  const values = outs.map(({ dataId, shape }) => ({
    shape,
    data: Float32Array.from(backend.readSync(dataId) as Float32Array),
  }));
  for (const { dataId } of [...Object.values(infos), ...outs]) backend.disposeData(dataId);
  return values;
}

/** A reproducible stream of numbers in [0, 1): mulberry32. */
export function stream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Draw {
  /** An integer in [low, high]. */
  readonly int: (low: number, high: number) => number;
  readonly pick: <T>(choices: readonly T[]) => T;
  /**
   * Mostly in [-2, 2]; `wild` mixes in NaN, infinities, zeros of both signs, denormals, and large and tiny numbers: that
   * share of all, by default a twentieth.
   */
  readonly floats: (shape: readonly number[], wild?: boolean | number) => Values;
}

export function draw(seed: number): Draw {
  const next = stream(seed);
  const int = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  const pick = <T>(choices: readonly T[]): T => choices[int(0, choices.length - 1)]!;
  return {
    int,
    pick,
    floats(shape, wild = false) {
      const share = wild === true ? 0.05 : Number(wild);
      const data = Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, () =>
        share > 0 && next() < share ? pick(WILD) : next() * 4 - 2,
      );
      return { shape, data };
    },
  };
}

const WILD = [NaN, Infinity, -Infinity, 0, -0, 1e-40, -3e-42, 1.4e-45, 1e15, -1e15, 1e-30, -1e-30];

/**
 * The first place where `got` is no answer for `wanted`, or undefined. Equal: both NaN, the same infinity, or no farther
 * apart than 1e-5 of `magnitude` (default: the wanted value itself; for sums the sum of the magnitudes of their terms,
 * because where terms cancel no float32 sum is exact, and cpu adds in float64).
 */
export function difference(got: Values, wanted: Values, magnitude: Values = wanted, floor = 1e-43): string | undefined {
  if (got.shape.join() !== wanted.shape.join()) return `shape ${got.shape.join()}, not ${wanted.shape.join()}`;
  for (const [i, value] of wanted.data.entries()) {
    const ours = got.data[i]!;
    if (Object.is(ours, value) || (Number.isNaN(ours) && Number.isNaN(value)) || ours === value) continue;
    const bound = 1e-5 * Math.abs(magnitude.data[i]!) + floor;
    if (!(Math.abs(ours - value) <= bound) || !Number.isFinite(value))
      return `[${i}] of ${got.shape.join('x')}: ${ours}, not ${value} (within ${bound})`;
  }
  return undefined;
}

export function absolute({ shape, data }: Values): Values {
  return { shape, data: data.map(Math.abs) };
}

/** Runs `check` on `count` cases; fails with the seed and the words of the first that is wrong. */
let made = 0;
// `NMKT_COUNT_CASES=1 npx vitest run test/kernels` says how many cases each file draws.
if (process.env['NMKT_COUNT_CASES']) afterAll(() => console.log(`${made} generated cases`));

export function forCases(count: number, check: (draw: Draw, seed: number) => string | undefined): void {
  made += count;
  for (let seed = 1; seed <= count; seed++) {
    const flaw = check(draw(seed), seed);
    if (flaw !== undefined) throw new Error(`case ${seed}: ${flaw}`);
  }
}
