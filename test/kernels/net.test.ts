import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { INEXACT_ON_CPU, takeInexactKernels, watchInexact } from '../../src/kernels/inexact.js';
import { installNet } from '../../src/kernels/net.js';
import { draw, startBackends, type Draw } from './cases.js';
import { SAFE, watchMath } from './watch-math.js';

beforeAll(startBackends);
afterEach(async () => {
  await tf.setBackend('wasm');
});

type Run = (from: Draw) => tf.Tensor | tf.Tensor[];
const kernel = (name: string, inputs: object, attrs: object = {}): tf.Tensor[] =>
  [tf.engine().runKernel(name, inputs as tf.NamedTensorMap, attrs as tf.NamedAttrMap)].flat();
const floats = (from: Draw, shape: number[], wild = false): tf.Tensor =>
  tf.tensor(from.floats(shape, wild).data, shape);
const complex = (from: Draw, shape: number[], wild = false): tf.Tensor =>
  tf.complex(floats(from, shape, wild), floats(from, shape, wild));
const sizes = (from: Draw): number[] => [from.int(1, 3), from.int(1, 9)];
const ints = (values: number[]): tf.Tensor => tf.tensor1d(values, 'int32');

/** One of each kernel that only the net has, or that is wrong without it, and what complex numbers go through. */
const runs: Readonly<Record<string, Run>> = {
  Complex: (from) => complex(from, sizes(from), true),
  Real: (from) => tf.real(complex(from, sizes(from), true)),
  Imag: (from) => tf.imag(complex(from, sizes(from), true)),
  ComplexAbs: (from) => tf.abs(complex(from, sizes(from), true)),
  FFT: (from) => tf.fft(complex(from, sizes(from))),
  IFFT: (from) => tf.ifft(complex(from, sizes(from))),
  'FFT of real values and back': (from) => {
    const n = from.pick([2, 4, 6, 8]);
    return tf.irfft(tf.rfft(floats(from, [2, n]), n));
  },
  Einsum: (from) => {
    const [i, j, k, b] = [from.int(1, 5), from.int(1, 5), from.int(1, 5), from.int(1, 3)];
    return from.pick<Run>([
      () => tf.einsum('ij,jk->ik', floats(from, [i, j]), floats(from, [j, k])),
      () => tf.einsum('bij,bjk->bik', floats(from, [b, i, j]), floats(from, [b, j, k])),
      () => tf.einsum('ij->ji', floats(from, [i, j])),
      () => tf.einsum('ij,j->', floats(from, [i, j]), floats(from, [j])),
    ])(from);
  },
  RaggedRange: (from) => {
    const starts = ints([from.int(0, 3), from.int(0, 3)]);
    return kernel('RaggedRange', { starts, limits: ints([from.int(3, 9), from.int(0, 3)]), deltas: ints([1, 2]) });
  },
  RaggedGather: (from) => {
    const paramsDenseValues = floats(from, [6]);
    const inputs = { paramsNestedSplits: [ints([0, 2, 5, 6])], paramsDenseValues, indices: ints([2, from.int(0, 2)]) };
    return kernel('RaggedGather', inputs, { outputRaggedRank: 1 });
  },
  RaggedTensorToTensor: (from) =>
    kernel(
      'RaggedTensorToTensor',
      {
        shape: ints([3, 4]),
        values: floats(from, [5]),
        defaultValue: tf.scalar(1.5),
        rowPartitionTensors: [ints([0, 2, 2, 5])],
      },
      { rowPartitionTypes: ['ROW_SPLITS'] },
    ),
  Conv3DBackpropInputV2: (from) =>
    kernel(
      'Conv3DBackpropInputV2',
      { dy: floats(from, [1, 3, 4, 5, 3]), filter: floats(from, [2, 2, 2, 2, 3]) },
      { ...{ strides: [1, 1, 1], pad: 'same' }, inputShape: [1, 3, 4, 5, 2] },
    ),
  StaticRegexReplace: (from) =>
    tf.string.staticRegexReplace(tf.tensor1d(['aXb', `X${from.int(0, 9)}X`, 'ü']), 'X', '--', true),
  'sums and products of complex numbers': (from) => {
    const shape = sizes(from);
    const [a, b] = [complex(from, shape), complex(from, shape)];
    return [tf.add(a, b), tf.sub(a, b), tf.mul(a, b), tf.mul(a, floats(from, shape)), tf.concat([a, b], 1)];
  },
  'complex numbers in other shapes': (from) => {
    // Each from numbers of its own: a reshape on cpu changes the shape of what it was made from.
    const x = (): tf.Tensor => complex(from, [2, 3, 4]);
    return [tf.reshape(x(), [4, 6]), tf.clone(x()), tf.transpose(x()), tf.zerosLike(x()), tf.cast(x(), 'complex64')];
  },
};

/** Values, shapes and types of what it makes; nothing stays. */
function outcome(run: Run, seed: number): object[] {
  let found: object[] = [];
  tf.tidy(() => {
    found = [run(draw(seed))].flat().map((tensor) => ({
      ...{ shape: tensor.shape, dtype: tensor.dtype },
      data: tensor.dtype === 'string' ? tensor.dataSync<'string'>() : [...tensor.dataSync()],
    }));
  });
  return found;
}

describe('kernels that tfjs-backend-wasm lacks', () => {
  test('are all there', () => {
    const names = new Set(tf.getKernelsForBackend('wasm').map(({ kernelName }) => kernelName));
    const missing = tf.getKernelsForBackend('cpu').filter(({ kernelName }) => !names.has(kernelName));
    expect(missing.map(({ kernelName }) => kernelName)).toEqual([]);
  });

  test.each(Object.entries(runs))('%s: what the cpu backend answers, bit by bit', async (_, run) => {
    const seeds = Array.from({ length: 100 }, (_, i) => i + 1);
    const ours = seeds.map((seed) => outcome(run, seed));
    await tf.setBackend('cpu');
    expect(ours).toEqual(seeds.map((seed) => outcome(run, seed)));
  });

  test.each(Object.entries(runs))('%s: nothing stays behind on either backend', (_, run) => {
    outcome(run, 1);
    const ids = (): number[] => ['wasm', 'cpu'].map((name) => tf.findBackend(name).numDataIds());
    const before = { ...tf.memory(), ids: ids() };
    for (let seed = 1; seed <= 20; seed++) outcome(run, seed);
    expect({ ...tf.memory(), ids: ids() }).toEqual(before);
  });

  test.each(Object.entries(runs))(
    '%s: is reported exactly when it called an inexact function of Math',
    async (_, run) => {
      const seeds = [1, 2, 3, 4, 5, 6];
      const { result, inexact } = await watchInexact(() =>
        watchMath(() => seeds.forEach((seed) => outcome(run, seed))),
      );
      expect(inexact.length > 0).toBe(result.length > 0);
      expect(takeInexactKernels()).toEqual([]);
    },
  );

  test('whose values do not exist say why, and leave nothing behind', () => {
    const image = tf.zeros([2, 2, 3], 'int32');
    const before = [tf.memory().numTensors, tf.findBackend('cpu').numDataIds()];
    expect(() => kernel('Draw', { image }, { canvas: { getContext: () => null } })).toThrow(/context/);
    expect([tf.memory().numTensors, tf.findBackend('cpu').numDataIds()]).toEqual(before);
  });

  test('refuse complex64 where cpu does, and what cpu does not have', () => {
    const x = complex(draw(1), [2, 3]);
    expect(() => tf.exp(x)).toThrow(/Exp does not support complex64/);
    expect(() => tf.matMul(x as tf.Tensor2D, tf.transpose(x))).toThrow(/complex64/);
    expect(() => kernel('LogicalXor', { a: x, b: x })).toThrow('LogicalXor takes no complex64');
  });

  test('stay as they are at a second call', () => {
    const before = tf.getKernel('FFT', 'wasm');
    installNet();
    expect(tf.getKernel('FFT', 'wasm')).toBe(before);
  });
});

describe('the list of inexact kernels', () => {
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-cpu');
  const folder = resolve(dirname(entry), 'kernels');
  const source = (path: string): string => readFileSync(path, 'utf8').replace(/\/\*[^]*?\*\/|\/\/.*$/gm, '');
  const isInexact = (text: string): boolean =>
    [...text.matchAll(/\bMath\.([a-z]\w*)/g)].some(([, name]) => !SAFE.includes(name!)) ||
    [...text.matchAll(/\bbackend_util\.(\w+)/g)].some(([, name]) => {
      const used: unknown = Reflect.get(tf.backend_util, name!);
      return typeof used === 'function' && isInexact(String(used));
    });
  /** The file and all that it imports from its own package. */
  const withImports = (path: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(path)) return seen;
    seen.add(path);
    for (const [, name] of source(path).matchAll(/from '(\.[^']+)'/g))
      withImports(`${resolve(dirname(path), name!)}.js`, seen);
    return seen;
  };

  test('names every kernel of tfjs-backend-cpu whose source calls such a function of Math, and no other', () => {
    const files = new Map(
      readdirSync(folder)
        .filter((file) => file.endsWith('.js') && !file.endsWith('_test.js'))
        .flatMap((file) => {
          const path = resolve(folder, file);
          const constants = [...source(path).matchAll(/kernelName: (\w+)/g)].map(([, constant]) => constant!);
          return constants.map((constant) => [Reflect.get(tf, constant) as string, path] as const);
        }),
    );
    const names = tf.getKernelsForBackend('cpu').map(({ kernelName }) => kernelName);
    expect(names.filter((name) => !files.has(name))).toEqual([]);
    const found = names.filter((name) => [...withImports(files.get(name)!)].some((path) => isInexact(source(path))));
    expect(found.sort()).toEqual([...INEXACT_ON_CPU].sort());
  });
});
