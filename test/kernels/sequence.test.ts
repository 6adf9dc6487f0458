import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { attention, selfAttention } from '../../src/kernels/attention.js';
import { gelu } from '../../src/kernels/gelu.js';
import { lstm } from '../../src/kernels/lstm.js';
import { layerNorm } from '../../src/kernels/norm.js';
import { logSoftmax } from '../../src/kernels/softmax.js';
import { draw, forCases, startBackends, type Draw, type Values } from './cases.js';

beforeAll(startBackends);
afterEach(async () => {
  await tf.setBackend('wasm');
});

type Made = (inputs: tf.Tensor[]) => tf.Tensor;
/** What a case compares: the value, then the gradient by each input of its product with drawn numbers. */
interface Case {
  readonly inputs: readonly Values[];
  readonly make: Made;
  /** Errors are measured against the largest magnitude of each tensor times this; 1e-5 where nothing else is said. */
  readonly within?: number;
}

async function run(backend: string, { inputs, make }: Case, by: Values): Promise<Float32Array[]> {
  await tf.setBackend(backend);
  const tensors = inputs.map(({ data, shape }) => tf.tensor(data, [...shape]));
  const { value, grads } = tf.valueAndGrads((...all: tf.Tensor[]) => {
    const made = make(all);
    return tf.sum<tf.Scalar>(tf.mul(made, tf.tensor(by.data, made.shape)));
  })(tensors);
  const made = tf.tidy(() => make(tensors));
  const all = [made, value, ...grads].map((tensor) => tensor.dataSync<'float32'>().slice());
  tf.dispose([...tensors, made, value, ...grads]);
  return all;
}

/** Draws cases, and compares ours with the composition on the cpu backend. */
async function compare(count: number, draw: (from: Draw, seed: number) => Case & { readonly size: number }) {
  const cases: { readonly one: Case; readonly by: Values; readonly seed: number }[] = [];
  forCases(count, (from, seed) => {
    const one = draw(from, seed);
    cases.push({ one, by: from.floats([one.size]), seed });
    return undefined;
  });
  const before = tf.memory().numTensors;
  const got: Float32Array[][] = [];
  for (const { one, by } of cases) got.push(await run('wasm', one, by));
  const wanted: Float32Array[][] = [];
  for (const { one, by } of cases) wanted.push(await run('cpu', one, by));
  await tf.setBackend('wasm');
  expect(tf.memory().numTensors).toBe(before);
  for (const [i, { one, seed }] of cases.entries())
    for (const [j, values] of wanted[i]!.entries()) {
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0);
      const bound = (one.within ?? 1e-5) * (j === 1 ? largest + 10 : largest) + 1e-6; // of the sum: its terms cancel
      const flaw = values.findIndex((value, k) => {
        const ours = got[i]![j]![k]!;
        return !(Math.abs(ours - value) <= bound || Object.is(ours, value));
      });
      if (flaw >= 0 || got[i]![j]!.length !== values.length)
        throw new Error(
          `case ${seed}, tensor ${j}: [${flaw}] is ${got[i]![j]![flaw]!}, not ${values[flaw]!} (within ${bound})`,
        );
    }
}
const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

describe('values and gradients are those of the composition on the cpu backend', () => {
  test('softmax and logSoftmax', async () => {
    await compare(150, (from) => {
      const shape = [...from.pick([[], [0], [1], [3], [2, 4]]), from.int(1, 40)];
      const make = from.pick<Made>([([x]) => tf.softmax(x!), ([x]) => logSoftmax(x!)]);
      return { inputs: [from.floats(shape)], make, size: product(shape) };
    });
  });

  test('layerNorm', async () => {
    await compare(150, (from) => {
      const width = from.int(1, 40);
      const shape = [...from.pick([[], [0], [1], [5], [2, 3]]), width];
      const inputs = [from.floats(shape), from.floats([width]), from.floats([width])];
      const make: Made = ([x, gamma, beta]) => layerNorm(x!, gamma as tf.Tensor1D, beta as tf.Tensor1D, 1e-3);
      return { inputs, make, size: product(shape), within: 5e-5 }; // float32 means on the cpu backend
    });
  });

  test('gelu, both forms', async () => {
    await compare(120, (from) => {
      const shape = [from.int(0, 30)];
      const { data } = from.floats(shape);
      const inputs = [{ shape, data: data.map((value) => value * from.pick([1, 3, 10])) }];
      const form = from.pick(['tanh', 'erf'] as const);
      return { inputs, make: ([x]) => gelu(x!, form), size: product(shape) };
    });
  });

  test('gelu of sums with a bias, both forms', async () => {
    await compare(80, (from) => {
      const shape = [...from.pick([[], [0], [1], [5], [2, 3]]), from.int(0, 30)];
      const form = from.pick(['tanh', 'erf'] as const);
      const inputs = [from.floats(shape), from.floats(shape.slice(-1))];
      return { inputs, make: ([x, bias]) => gelu(x!, form, bias as tf.Tensor1D), size: product(shape) };
    });
  });

  test('selfAttention, causal and not', async () => {
    await compare(80, (from) => {
      const [texts, heads, t, d] = [from.int(1, 3), from.int(1, 3), from.int(0, 13), from.int(1, 9)];
      const causal = from.pick([true, false]);
      const inputs = [from.floats([texts * t, 3 * heads * d])];
      const make: Made = ([x]) => selfAttention(x as tf.Tensor2D, { texts, heads }, { causal });
      return { inputs, make, size: texts * t * heads * d };
    });
  });

  test('attention, causal and not', async () => {
    await compare(100, (from) => {
      const [batch, heads, t, d] = [from.int(0, 2), from.int(1, 3), from.int(0, 13), from.int(1, 9)];
      const causal = from.pick([true, false]);
      const s = causal ? t : from.int(1, 13);
      const e = from.int(1, 9);
      const inputs = [
        from.floats([batch, heads, t, d]),
        from.floats([batch, heads, s, d]),
        from.floats([batch, heads, s, e]),
      ];
      const make: Made = (all) => attention(...(all as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D]), { causal });
      return { inputs, make, size: batch * heads * t * e };
    });
  });

  test('lstm, of any activation of the gates, with and without bias and initial state', async () => {
    await compare(80, (from) => {
      const [batch, time, width, units] = [from.int(0, 5), from.int(1, 6), from.int(1, 5), from.int(1, 9)];
      const [hasBias, hasInitial] = [from.int(0, 1) === 1, from.int(0, 1) === 1];
      const recurrentActivation = from.pick(['sigmoid', 'hardSigmoid'] as const);
      const inputs = [
        from.floats([batch, time, width]),
        from.floats([width, 4 * units]),
        from.floats([units, 4 * units]),
        ...(hasBias ? [from.floats([4 * units])] : []),
        ...(hasInitial ? [from.floats([batch, units]), from.floats([batch, units])] : []),
      ];
      const make: Made = ([x, kernel, recurrentKernel, ...rest]) => {
        const bias = hasBias ? (rest[0] as tf.Tensor1D) : undefined;
        const initial = hasInitial ? (rest.slice(-2) as [tf.Tensor2D, tf.Tensor2D]) : undefined;
        const { h, c } = lstm(x as tf.Tensor3D, {
          kernel: kernel as tf.Tensor2D,
          recurrentKernel: recurrentKernel as tf.Tensor2D,
          recurrentActivation,
          ...(bias ? { bias } : {}),
          ...(initial ? { initial } : {}),
        });
        return tf.concat([h, c], 2);
      };
      return { inputs, make, size: 2 * batch * time * units };
    });
  });
});

type All = readonly tf.Tensor[];
const as4 = (all: All): [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] => all as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
const lstmOf =
  (recurrentActivation: 'sigmoid' | 'hardSigmoid'): Made =>
  ([x, kernel, recurrentKernel]) => {
    const cell = { kernel: kernel as tf.Tensor2D, recurrentKernel: recurrentKernel as tf.Tensor2D };
    const { h, c } = lstm(x as tf.Tensor3D, { ...cell, recurrentActivation });
    return tf.concat([h, c], 2);
  };
const functions: readonly { readonly name: string; readonly shapes: readonly number[][]; readonly make: Made }[] = [
  { name: 'softmax', shapes: [[3, 5]], make: ([x]) => tf.softmax(x!) },
  { name: 'logSoftmax', shapes: [[3, 5]], make: ([x]) => logSoftmax(x!) },
  { name: 'gelu by tanh', shapes: [[9]], make: ([x]) => gelu(x!) },
  { name: 'gelu by erf', shapes: [[9]], make: ([x]) => gelu(x!, 'erf') },
  { name: 'gelu with a bias', shapes: [[3, 5], [5]], make: ([x, bias]) => gelu(x!, 'tanh', bias as tf.Tensor1D) },
  { name: 'selfAttention', shapes: [[6, 12]], make: ([x]) => selfAttention(x as tf.Tensor2D, { texts: 2, heads: 2 }) },
  {
    name: 'layerNorm',
    shapes: [[3, 5], [5], [5]],
    make: ([x, gamma, beta]) => layerNorm(x!, gamma as tf.Tensor1D, beta as tf.Tensor1D),
  },
  ...[false, true].map((causal) => ({
    name: `attention, ${causal ? 'causal' : 'of all'}`,
    shapes: [
      [1, 2, 3, 2],
      [1, 2, 3, 2],
      [1, 2, 3, 4],
    ],
    make: (all: All) => attention(...as4(all), { causal }),
  })),
  ...(['sigmoid', 'hardSigmoid'] as const).map((gates) => ({
    name: `lstm by ${gates}`,
    shapes: [
      [2, 3, 2],
      [2, 12],
      [3, 12],
    ],
    make: lstmOf(gates),
  })),
];

describe.each(functions)('$name', ({ shapes, make }) => {
  test('has the slopes that its values have', () => {
    const { floats, int } = draw(7);
    const inputs = shapes.map((shape) => floats(shape));
    const tensors = inputs.map(({ data, shape }) =>
      tf.tensor(
        data.map((value) => value / 4),
        [...shape],
      ),
    );
    const by = floats(make(tensors).shape);
    const loss = (all: tf.Tensor[]): tf.Scalar => tf.sum(tf.mul(make(all), tf.tensor(by.data, [...by.shape])));
    const slopes = tf.grads((...all: tf.Tensor[]) => loss(all))(tensors);
    const STEP = 1e-2;
    for (let i = 0; i < 12; i++) {
      const which = int(0, shapes.length - 1);
      const at = int(0, tensors[which]!.size - 1);
      const [above, below] = [STEP, -STEP].map((step) => {
        const data = tensors[which]!.dataSync<'float32'>().slice();
        data[at]! += step;
        const moved = tensors.map((one, j) => (j === which ? tf.tensor(data, one.shape) : one));
        return loss(moved).dataSync()[0]!;
      }) as [number, number];
      const slope = slopes[which]!.dataSync()[at]!;
      expect(Math.abs((above - below) / (2 * STEP) - slope)).toBeLessThan(0.01 * Math.max(1, Math.abs(slope)));
    }
  });
});

/** Not causal attention: there the composition sees what is hidden, where that is not finite. */
const comparable = functions.filter(({ name }) => name !== 'attention, causal');

describe.each(comparable)('$name', ({ shapes, make }) => {
  test('has NaN and infinities where the composition on the cpu backend has them', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const inputs = shapes.map((shape, i) => draw(seed * 10 + i).floats(shape, true));
      const values: Float32Array[] = [];
      for (const backend of ['wasm', 'cpu']) {
        await tf.setBackend(backend);
        values.push(make(inputs.map(({ data, shape }) => tf.tensor(data, [...shape]))).dataSync<'float32'>());
      }
      await tf.setBackend('wasm');
      const [ours, wanted] = values as [Float32Array, Float32Array];
      const kind = (value: number): number => (Number.isFinite(value) ? 0 : value);
      expect([...ours].map(kind), `case ${seed}`).toEqual([...wanted].map(kind));
      const flaw = ours.findIndex(
        (v, i) => Number.isFinite(v) && !(Math.abs(v - wanted[i]!) <= 1e-4 * Math.abs(wanted[i]!) + 1e-5),
      );
      expect(flaw, `case ${seed}: ${ours[flaw]!} not ${wanted[flaw]!}`).toBe(-1);
    }
  });
});

test('selfAttention makes the bits of attention on what is transposed, gradients too', () => {
  const [texts, heads, t, d] = [3, 4, 21, 16];
  const from = draw(11);
  const [x, by] = [3, 1].map((sides) => {
    const { data, shape } = from.floats([texts * t, sides * heads * d]);
    return tf.tensor2d(data as Float32Array, shape as [number, number]);
  }) as [tf.Tensor2D, tf.Tensor2D];
  const turned = (all: tf.Tensor): tf.Tensor => {
    const sides = tf.split(all, 3, 1).map((side) => tf.transpose(tf.reshape(side, [texts, t, heads, d]), [0, 2, 1, 3]));
    return tf.reshape(tf.transpose(attention(...as4(sides), { causal: true }), [0, 2, 1, 3]), by.shape);
  };
  const inPlace = (all: tf.Tensor): tf.Tensor => selfAttention(all as tf.Tensor2D, { texts, heads }, { causal: true });
  const [ours, wanted] = [inPlace, turned].map((make) => [make(x), tf.grad(make)(x, by)].map((y) => [...y.dataSync()]));
  expect(ours).toEqual(wanted);
});

test('gelu is the same inside of a gradient and outside, and off by two units in the last place at most', () => {
  const data = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 100);
  const x = tf.tensor1d(data);
  const outside = gelu(x).dataSync();
  const { value } = tf.valueAndGrad((y) => tf.sum<tf.Scalar>(gelu(y)))(x);
  expect(value.dataSync()[0]).toBe(tf.sum(gelu(x)).dataSync()[0]);
  for (const [i, one] of data.entries()) {
    const exact = one / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (one + 0.044715 * one ** 3)));
    expect(Math.abs(outside[i]! - exact)).toBeLessThanOrEqual(2.4e-7 * Math.max(Math.abs(exact), 0.5));
  }
});

test('a hidden place has no part in causal attention, whatever stands there', () => {
  const from = draw(3);
  const [q, k, v] = [0, 1, 2].map(() => from.floats([1, 1, 4, 3])) as [Values, Values, Values];
  const tensors = (): All => [q, k, v].map(({ data, shape }) => tf.tensor(data, [...shape]));
  const before = attention(...as4(tensors()), { causal: true }).dataSync();
  k.data.fill(1e15, 9);
  const after = attention(...as4(tensors()), { causal: true }).dataSync();
  expect([...after.slice(0, 9)]).toEqual([...before.slice(0, 9)]);
});

test('softmax and relu have gradients of gradients, as they have in tfjs', async () => {
  const { data } = draw(5).floats([12]);
  const twice = async (backend: string, f: (x: tf.Tensor) => tf.Tensor): Promise<number[]> => {
    await tf.setBackend(backend);
    const once = tf.grad((x) => tf.sum(tf.square(f(x))));
    return [
      ...tf
        .grad((x) => tf.sum(tf.square(once(x))))(tf.tensor2d(data, [3, 4]))
        .dataSync(),
    ];
  };
  for (const f of [(x: tf.Tensor) => tf.softmax(x), (x: tf.Tensor) => tf.relu(x)]) {
    const wanted = await twice('cpu', f);
    for (const [i, value] of (await twice('wasm', f)).entries()) expect(value).toBeCloseTo(wanted[i]!, 4);
  }
  const of = tf.grad((x) => tf.sum(tf.square(tf.grad((y) => tf.sum(tf.square(logSoftmax(y))))(x))));
  const theirs = tf.grad((x) => tf.sum(tf.square(tf.grad((y) => tf.sum(tf.square(tf.logSoftmax(y))))(x))));
  const [ours, wanted] = [of, theirs].map((g) => g(tf.tensor2d(data, [3, 4])).dataSync());
  for (const [i, value] of ours!.entries()) expect(value / wanted![i]!).toBeCloseTo(1, 3);
});

describe.each(functions.filter(({ name }) => !name.toLowerCase().includes('softmax')))(
  '$name',
  ({ name, shapes, make }) => {
    /** By each input alone: the slope of the sum of squares of a slope, which is a number only where nothing is left out. */
    const twice = (which: number, loss = (y: tf.Tensor): tf.Tensor => tf.square(y)): tf.Tensor => {
      const tensors = shapes.map((shape, i) => tf.tensor(draw(i + 1).floats(shape).data, shape));
      const of = (x: tf.Tensor): tf.Tensor => make(tensors.map((one, i) => (i === which ? x : one)));
      const once = tf.grad((x: tf.Tensor) => tf.add(tf.sum(loss(of(x))), tf.sum(tf.square(x))));
      return tf.grad((x: tf.Tensor) => tf.sum(tf.square(once(x))))(tensors[which]!);
    };

    test('says that it has no second derivative, by any input; the composition has', async () => {
      for (const which of shapes.keys()) {
        const told = `${name.split(/[, ]/)[0]!} of our kernels has a first derivative, no second one: as a composition`;
        expect(() => tf.tidy(() => twice(which))).toThrow(told);
      }
      if (name === 'lstm by hardSigmoid') return; // tf.clipByValue has no second derivative
      await tf.setBackend('cpu');
      for (const which of shapes.keys())
        expect(tf.tidy(() => [...twice(which).dataSync()].every(Number.isFinite))).toBe(true);
      await tf.setBackend('wasm');
    });

    test('leaves nothing out where the gradient that comes back does not depend on the input', async () => {
      const found = [...shapes.keys()].map((which) => {
        try {
          return tf.tidy(() => [...twice(which, (y) => y).dataSync()]);
        } catch (error) {
          expect(String(error)).toContain('has a first derivative, no second one');
          return undefined; // refused
        }
      });
      await tf.setBackend('cpu');
      for (const [which, ours] of found.entries()) {
        if (ours === undefined) continue;
        const wanted = tf.tidy(() => [...twice(which, (y) => y).dataSync()]);
        for (const [i, value] of wanted.entries()) expect(ours[i], `input ${which}`).toBeCloseTo(value, 2);
      }
      await tf.setBackend('wasm');
    });
  },
);

test('leak nothing over three hundred steps of training', () => {
  const { floats } = draw(9);
  const tensor = (shape: number[]): tf.Tensor => tf.tensor(floats(shape).data, shape);
  const x = tensor([2, 5, 8]) as tf.Tensor3D;
  const [gamma, beta] = [tf.variable(tensor([8])), tf.variable(tensor([8]))] as tf.Variable<tf.Rank.R1>[];
  const [kernel, recurrentKernel] = [
    tf.variable(tensor([8, 32])),
    tf.variable(tensor([8, 32])),
  ] as tf.Variable<tf.Rank.R2>[];
  const optimizer = tf.train.adam(0.01);
  const step = (): void => {
    optimizer.minimize(() => {
      const { h } = lstm(layerNorm(x, gamma!, beta!), { kernel: kernel!, recurrentKernel: recurrentKernel! });
      const heads = tf.reshape<tf.Rank.R4>(gelu(h), [2, 5, 2, 4]);
      return tf.neg(tf.mean<tf.Scalar>(logSoftmax(attention(heads, heads, heads))));
    });
  };
  const seen = (): object => ({
    ...tf.memory(),
    heap: (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length,
  });
  for (let i = 0; i < 5; i++) step();
  const before = seen();
  for (let i = 0; i < 300; i++) step();
  expect(seen()).toEqual(before);
});
