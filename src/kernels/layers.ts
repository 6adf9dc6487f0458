import '@tensorflow/tfjs-layers'; // registers its classes
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import { hasKernel } from './kernel.js';
import { lstm, type LstmOptions } from './lstm.js';

/** What is used of the LSTM of tfjs-layers 4.22. */
interface LstmLayer {
  readonly cell: Cell;
  readonly returnSequences: boolean;
  readonly returnState: boolean;
  readonly goBackwards: boolean;
  readonly stateful: boolean;
  readonly states: Tensor[] | null[];
  resetStates(states: Tensor[], training: boolean): void;
}
interface Cell {
  readonly units: number;
  readonly activation: Named;
  readonly recurrentActivation: Named;
  readonly dropout: number;
  readonly recurrentDropout: number;
  readonly kernel: Weight;
  readonly recurrentKernel: Weight;
  readonly bias: Weight | null;
}
interface Named {
  getClassName(): string;
}
interface Weight {
  read(): Tensor;
}
interface Arguments {
  readonly mask?: Tensor | null;
  readonly training?: boolean | null;
  readonly initialState?: Tensor[] | null;
}
type Call = (this: LstmLayer, inputs: Tensor | Tensor[], args?: Arguments | null) => Tensor | Tensor[];

let undo: (() => void) | undefined;

/**
 * From here on the LSTM layers of tfjs-layers, those inside of `bidirectional` and of models that exist too, take one
 * kernel per sequence, with the same results but for rounding. What the kernel does not know stays as it was: masks,
 * dropout while training, other activations, other cells, other backends.
 *
 * @returns  what puts the code of tfjs-layers back; a second call changes nothing
 */
export function useFusedLayers(): () => void {
  if (undo) return undo;
  const layer = prototypeOf('LSTM') as { call: Call };
  const cells = prototypeOf('LSTMCell');
  const stock = layer.call;
  layer.call = function (inputs, args) {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    const isOurs = Object.getPrototypeOf(this.cell) === cells && canFuse(this.cell, x, args ?? {});
    return isOurs ? tf.tidy(() => run(this, x as Tensor3D, args ?? {})) : stock.call(this, inputs, args);
  };
  return (undo = () => {
    layer.call = stock;
    undo = undefined;
  });
}

function prototypeOf(className: string): object {
  const [found] = tf.serialization.SerializationMap.getMap().classNameMap[className]!;
  return (found as unknown as { prototype: object }).prototype;
}

const GATES: Readonly<Record<string, LstmOptions['recurrentActivation']>> = {
  sigmoid: 'sigmoid',
  hardSigmoid: 'hardSigmoid',
};

function canFuse(cell: Cell, x: Tensor, { mask, training, initialState }: Arguments): boolean {
  return (
    hasKernel('Lstm') &&
    !Object.hasOwn(cell, 'call') &&
    cell.activation.getClassName() === 'tanh' &&
    GATES[cell.recurrentActivation.getClassName()] !== undefined &&
    (!training || (cell.dropout === 0 && cell.recurrentDropout === 0)) &&
    (mask === null || mask === undefined) &&
    [x, ...(initialState ?? [])].every(({ dtype }) => dtype === 'float32') &&
    x.rank === 3 &&
    x.shape[1]! > 0
  );
}

function run(layer: LstmLayer, x: Tensor3D, { training, initialState }: Arguments): Tensor | Tensor[] {
  const { cell } = layer;
  const before = initialState ?? (layer.stateful ? (layer.states as Tensor[]) : undefined);
  const options = {
    kernel: cell.kernel.read() as Tensor2D,
    recurrentKernel: cell.recurrentKernel.read() as Tensor2D,
    recurrentActivation: GATES[cell.recurrentActivation.getClassName()]!,
    ...(cell.bias === null ? {} : { bias: cell.bias.read() as Tensor1D }),
    ...(before === undefined ? {} : { initial: before as [Tensor2D, Tensor2D] }),
  };
  const { h, c } = lstm(layer.goBackwards ? tf.reverse(x, 1) : x, options);
  const [batch, time, units] = h.shape;
  const lastOf = (all: Tensor3D): Tensor => tf.reshape(tf.slice(all, [0, time - 1, 0], [-1, 1, -1]), [batch, units]);
  const states = [lastOf(h), lastOf(c)];
  if (layer.stateful) layer.resetStates(states, training ?? false);
  const output = layer.returnSequences ? h : states[0]!;
  return layer.returnState ? [output, ...states] : output;
}
