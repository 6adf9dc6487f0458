import type { Parameter } from './architecture.js';
import type { Layer, Pair, SequentialSpec } from './types.js';

/** What each layer of a `sequential` model makes of the shape below it, and takes for that. */

type Shape = readonly number[];
type Window = Extract<Layer, { padding: unknown }>;

/** Doubles count exactly far beyond it. */
const MAX_NUMBERS = 2 ** 40;

/** @returns the shape of an example and that after each layer, or what is wrong: nothing is made of the sizes but products */
export function sequentialShapes({ shape, inputs, outputs, stack }: SequentialSpec): readonly Shape[] | string {
  if (volume(shape) !== inputs) return `a shape of ${inputs} inputs`;
  const shapes: Shape[] = [shape];
  for (const layer of stack) {
    const next = after(layer, shapes.at(-1)!);
    if (typeof next === 'string') return next;
    if (!(volume(next) <= MAX_NUMBERS)) return `at most ${MAX_NUMBERS} numbers after a layer`;
    shapes.push(next);
  }
  const last = shapes.at(-1)!;
  return last.length === 1 && last[0] === outputs ? shapes : `layers that end in ${outputs} outputs`;
}

function after(layer: Layer, shape: Shape): Shape | string {
  switch (layer.kind) {
    case 'relu':
      return shape;
    case 'flatten':
      return [volume(shape)];
    case 'dense':
      return shape.length === 1 ? [layer.units] : 'a flat input of a dense layer';
    case 'conv':
      return windowed(layer, layer.kernel, shape, layer.filters);
    case 'max-pool':
    case 'average-pool':
      return windowed(layer, layer.size, shape, shape[2]!);
  }
}

function windowed({ strides, padding }: Window, window: Pair, shape: Shape, channels: number): Shape | string {
  if (shape.length !== 3) return 'images [height, width, channels] below a convolution or pooling';
  const sizes = [0, 1].map((axis) => {
    const [size, stride] = [shape[axis]!, strides[axis]!];
    return padding === 'same' ? Math.ceil(size / stride) : Math.floor((size - window[axis]!) / stride) + 1;
  });
  return Math.min(...sizes) < 1 ? 'windows that fit the image' : [...sizes, channels];
}

/** `layer_I/bias` [out] and `layer_I/kernel` [in, out] or [high, wide, in, out] of layer I, from 0. */
export function sequentialTensors(
  spec: SequentialSpec,
  glorot: (inputs: number, outputs: number) => Parameter['start'],
): readonly Parameter[] {
  const shapes = checkedShapes(spec);
  return spec.stack.flatMap((layer, i) => {
    if (layer.kind !== 'dense' && layer.kind !== 'conv') return [];
    const below = shapes[i]!.at(-1)!;
    const [window, out]: readonly [Shape, number] =
      layer.kind === 'conv' ? [layer.kernel, layer.filters] : [[], layer.units];
    const places = volume(window);
    const kernel = {
      name: `layer_${i}/kernel`,
      shape: [...window, below, out],
      start: glorot(places * below, places * out),
    };
    return layer.bias ? [{ name: `layer_${i}/bias`, shape: [out], start: 'zeros' as const }, kernel] : [kernel];
  });
}

/** Sums, relu, pooling; and a convolution unfolds its windows block by block, in memory of its own. */
export function sequentialCost(spec: SequentialSpec): { readonly activations: number; readonly flops: number } {
  const shapes = checkedShapes(spec);
  let activations = spec.inputs;
  let flops = 0;
  spec.stack.forEach((layer, i) => {
    const [below, here] = [shapes[i]!, volume(shapes[i + 1]!)];
    activations += { flatten: 0, relu: 1, dense: 2, conv: 3, 'max-pool': 2, 'average-pool': 2 }[layer.kind] * here;
    if (layer.kind === 'dense') flops += 2 * below[0]! * here;
    if (layer.kind === 'conv') flops += 2 * here * volume(layer.kernel) * below[2]!;
  });
  return { activations, flops };
}

/** Its own fields in a fixed order. */
export function plainLayer(layer: Layer): Layer {
  switch (layer.kind) {
    case 'relu':
    case 'flatten':
      return { kind: layer.kind };
    case 'dense':
      return { kind: layer.kind, units: layer.units, bias: layer.bias };
    case 'conv': {
      const { kind, filters, kernel, strides, padding, bias } = layer;
      return { kind, filters, kernel, strides, padding, bias };
    }
    case 'max-pool':
    case 'average-pool': {
      const { kind, size, strides, padding } = layer;
      return { kind, size, strides, padding };
    }
  }
}

/** `conv 8 5x5, relu, max-pool 2x2, flatten, dense 10` */
export function describeStack(stack: readonly Layer[]): string {
  const parts = stack.map((layer): readonly (string | number)[] => {
    if (layer.kind === 'dense') return [layer.kind, layer.units];
    if (layer.kind === 'conv') return [layer.kind, layer.filters, layer.kernel.join('x')];
    return 'size' in layer ? [layer.kind, layer.size.join('x')] : [layer.kind];
  });
  return parts.map((words) => words.join(' ')).join(', ');
}

function checkedShapes(spec: SequentialSpec): readonly Shape[] {
  const shapes = sequentialShapes(spec);
  if (typeof shapes === 'string') throw new RangeError(`the model was not checked: it lacks ${shapes}`);
  return shapes;
}

const volume = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);
