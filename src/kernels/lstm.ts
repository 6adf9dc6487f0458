import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D, Tensor3D, TensorInfo } from '@tensorflow/tfjs-core';
import { addressesOf, addressOf, type WasmBackend } from './backend.js';
import { assertFloats, hasKernel, kernel, runKernel, type Kernel } from './kernel.js';
import type { Module } from './module.js';

interface Gates {
  readonly hard: boolean;
}
export interface LstmOptions {
  /** [units, 4 units]. Gates stand in the order of Keras: input, forget, candidate, output. */
  readonly recurrentKernel: Tensor2D;
  /** [in, 4 units] */
  readonly kernel: Tensor2D;
  /** [4 units] */
  readonly bias?: Tensor1D;
  /** [batch, units] each; default zeros. */
  readonly initial?: readonly [h: Tensor2D, c: Tensor2D];
  /** Of the gates; default `sigmoid`. `hardSigmoid` is 0.2 x + 0.5 between 0 and 1, the default of tfjs-layers. */
  readonly recurrentActivation?: 'sigmoid' | 'hardSigmoid';
}

/** Of the activations of one gate, in multiplications of matrices. */
const PER_UNIT = 80;

/** A whole sequence in one kernel, in pieces of some rows of the batch, which have nothing in common. */
export function lstmKernels(module: Module): readonly Kernel[] {
  const work = module.run.gemmScratch();
  return [
    kernel<'sums' | 'recurrent' | 'h0' | 'c0', Gates>('Lstm', ({ inputs, backend, attrs: { hard } }) => {
      const { sums, recurrent, h0, c0 } = inputs;
      assertFloats('Lstm', [sums, recurrent, h0, c0]);
      const [batch, time, units] = sizes(sums);
      const [h, c] = [0, 1].map(() => backend.makeOutput([batch, time, units], 'float32')) as [TensorInfo, TensorInfo];
      const gates = backend.makeOutput(sums.shape, 'float32');
      const [sumsAt, recurrentAt, gatesAt] = addressesOf(backend, [sums, recurrent, gates]);
      backend.wasm.HEAPU8.copyWithin(gatesAt, sumsAt, sumsAt + 16 * batch * time * units);
      const [h0At, c0At, hAt, cAt] = addressesOf(backend, [h0, c0, h, c]);
      const calls = module.pieces(batch, 1, 4 * batch * time * units * (units + PER_UNIT)).map(({ first, count }) => {
        const state = 4 * first * units;
        const places = [gatesAt + 4 * time * state, recurrentAt, h0At + state, c0At + state];
        return [count, time, units, Number(hard), ...places, hAt + time * state, cAt + time * state, 0];
      });
      module.all('lstm', calls, work);
      return [h, c, gates];
    }),
    kernel<'dh' | 'dc' | 'recurrent' | 'h0' | 'c0' | 'h' | 'c' | 'gates', Gates>(
      'LstmGrad',
      ({ inputs, backend, attrs: { hard } }) => {
        const { dh, dc, recurrent, h0, c0, h, c, gates } = inputs;
        assertFloats('LstmGrad', Object.values(inputs));
        const [batch, time, units] = sizes(gates);
        const outs = [gates, recurrent, h0, c0].map(({ shape }) => backend.makeOutput(shape, 'float32')) as Four;
        const [dzAt, dRecurrentAt, dh0At, dc0At] = addressesOf(backend, outs);
        const [dhAt, dcAt, recurrentAt, c0At, cAt, gatesAt] = addressesOf(backend, [dh, dc, recurrent, c0, c, gates]);
        const calls = module.pieces(batch, 1, 4 * batch * time * units * (units + PER_UNIT)).map(({ first, count }) => {
          const state = 4 * first * units;
          const all = time * state;
          const places = [gatesAt + 4 * all, recurrentAt, c0At + state, cAt + all, dhAt + all, dcAt + all];
          return [count, time, units, Number(hard), ...places, dh0At + state, dc0At + state, dzAt + 4 * all, 0];
        });
        module.all('lstmGradient', calls, work);
        const earlier = hBefore(backend, h0, h); // [batch, time, units]
        const earlierAt = addressOf(backend, earlier);
        const [columns, rows] = [4 * units, batch * time];
        const byUnits = module.pieces(units, 4, 4 * rows * units * units).map(({ first, count }) => {
          const a = [earlierAt + 4 * first, 1, units, 0] as const;
          return [
            1,
            count,
            columns,
            rows,
            ...a,
            dzAt,
            columns,
            1,
            0,
            dRecurrentAt + 4 * first * columns,
            columns,
            0,
            0,
          ];
        });
        module.all('products', byUnits as unknown as Parameters<Module['run']['products']>[], work);
        backend.disposeData(earlier.dataId);
        return outs;
      },
    ),
  ];
}
type Four = [TensorInfo, TensorInfo, TensorInfo, TensorInfo];

function sizes({ shape }: TensorInfo): [number, number, number] {
  return [shape[0]!, shape[1]!, shape[2]! / 4];
}

/** The states that each step started from. */
function hBefore(backend: WasmBackend, h0: TensorInfo, h: TensorInfo): TensorInfo {
  const out = backend.makeOutput(h.shape, 'float32');
  const [first, others, to] = addressesOf(backend, [h0, h, out]);
  const [batch, time, units] = h.shape as [number, number, number];
  const row = 4 * units;
  for (let i = 0; i < batch; i++) {
    const at = i * time * row;
    backend.wasm.HEAPU8.copyWithin(to + at, first + i * row, first + (i + 1) * row);
    backend.wasm.HEAPU8.copyWithin(to + at + row, others + at, others + at + (time - 1) * row);
  }
  return out;
}

/** The kernel has a gradient of its own name, which no other backend ever runs. */
export function registerLstmGradient(): void {
  tf.registerGradient({
    kernelName: 'Lstm',
    // The sums for the tape alone: outputs that are kept have no way back to x there, and a second derivative would leave them out.
    inputsToSave: ['sums', 'recurrent', 'h0', 'c0'],
    outputsToSave: [true, true, true],
    gradFunc(dys, [sums, recurrent, h0, c0, h, c, gates], attrs) {
      const [dh, dc] = dys as Tensor[];
      const states = { recurrent: recurrent!, h0: h0!, c0: c0!, h: h!, c: c!, gates: gates! };
      const inputs = { dh: dh!, dc: dc!, sums: sums!, ...states };
      const hard = (attrs as unknown as Gates).hard;
      const [dz, dRecurrent, dh0, dc0] = runKernel<Tensor[]>('LstmGrad', inputs, { hard });
      return { sums: () => dz!, recurrent: () => dRecurrent!, h0: () => dh0!, c0: () => dc0! };
    },
  });
}

/**
 * A long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate) over [batch, time, in], with gradients
 * by everything it is given. Activations of candidate and output are tanh. time is 1 or more.
 *
 * @returns  h and c after every step, [batch, time, units]
 */
export function lstm(x: Tensor3D, options: LstmOptions): { readonly h: Tensor3D; readonly c: Tensor3D } {
  const { recurrentKernel, kernel: weights, bias, recurrentActivation = 'sigmoid' } = options;
  const [batch, time, width] = x.shape;
  const units = recurrentKernel.shape[0];
  tf.util.assert(
    time > 0 && recurrentKernel.shape[1] === 4 * units && weights.shape[0] === width && weights.shape[1] === 4 * units,
    () =>
      `an LSTM over [${x.shape.join()}] cannot take a kernel [${weights.shape.join()}] and [${recurrentKernel.shape.join()}]`,
  );
  const [h, c] = tf.tidy(() => {
    const products = tf.matMul(tf.reshape(x, [batch * time, width]), weights);
    const all = bias === undefined ? products : tf.add<Tensor>(products, bias);
    const sums = tf.reshape<tf.Rank.R3>(all, [batch, time, 4 * units]);
    const [h0, c0] = options.initial ?? [tf.zeros<tf.Rank.R2>([batch, units]), tf.zeros<tf.Rank.R2>([batch, units])];
    const hard = recurrentActivation === 'hardSigmoid';
    if (!hasKernel('Lstm')) return composed(sums, recurrentKernel, h0, c0, hard);
    return runKernel<Tensor3D[]>('Lstm', { sums, recurrent: recurrentKernel, h0, c0 }, { hard }).slice(0, 2);
  });
  return { h: h!, c: c! };
}

function composed(sums: Tensor3D, recurrent: Tensor2D, h0: Tensor2D, c0: Tensor2D, hard: boolean): Tensor3D[] {
  const gate = (x: Tensor2D): Tensor2D =>
    hard ? tf.clipByValue(tf.add<Tensor2D>(tf.mul(x, 0.2), 0.5), 0, 1) : tf.sigmoid(x);
  let [h, c] = [h0, c0];
  const [hs, cs]: [Tensor2D[], Tensor2D[]] = [[], []];
  for (let t = 0; t < sums.shape[1]; t++) {
    const step = tf.squeeze<Tensor2D>(tf.slice(sums, [0, t, 0], [-1, 1, -1]), [1]);
    const [i, f, g, o] = tf.split<Tensor2D>(tf.add<Tensor2D>(step, tf.matMul(h, recurrent)), 4, 1);
    c = tf.add(tf.mul(gate(f!), c), tf.mul(gate(i!), tf.tanh(g!)));
    h = tf.mul(gate(o!), tf.tanh(c));
    hs.push(h);
    cs.push(c);
  }
  return [tf.stack(hs, 1) as Tensor3D, tf.stack(cs, 1) as Tensor3D];
}
