import { util } from '@tensorflow/tfjs-core';
import { addressOf } from './backend.js';
import { elseStock, type Kernel } from './kernel.js';
import type { Module } from './module.js';

/** In the order of the numbers in asm/unary.ts. */
const FUNCTIONS = ['Exp', 'Log', 'Tanh', 'Sigmoid'] as const;

/** Of one value, in multiplications of matrices. */
const WORK = 80;

/** Their own bits on every machine: tfjs takes them from XNNPACK, which has one set per kind of processor. */
export function unaryKernels(module: Module): readonly Kernel[] {
  return [
    ...FUNCTIONS.map((name, kind) =>
      elseStock<'x', object>(name, 'x', ({ inputs: { x }, backend }) => {
        const out = backend.makeOutput(x.shape, 'float32');
        const [from, to] = [addressOf(backend, x), addressOf(backend, out)];
        const size = util.sizeFromShape(x.shape);
        module.all(
          'unary',
          module
            .pieces(size, 4, WORK * size)
            .map(({ first, count }) => [from + 4 * first, count, kind, to + 4 * first]),
        );
        return out;
      }),
    ),
  ];
}
