import { util } from '@tensorflow/tfjs-core';
import { addressOf } from './backend.js';
import { elseStock, type Kernel } from './kernel.js';
import type { Module } from './module.js';

/** In the order of the numbers in asm/unary.ts. */
const FUNCTIONS = ['Exp', 'Log', 'Tanh', 'Sigmoid'] as const;

/** Their own bits on every machine: tfjs takes them from XNNPACK, which has one set per kind of processor. */
export function unaryKernels(module: Module): readonly Kernel[] {
  return [
    ...FUNCTIONS.map((name, kind) =>
      elseStock<'x', object>(name, 'x', ({ inputs: { x }, backend }) => {
        const out = backend.makeOutput(x.shape, 'float32');
        module.run.unary(addressOf(backend, x), util.sizeFromShape(x.shape), kind, addressOf(backend, out));
        return out;
      }),
    ),
    elseStock<'logits', { readonly dim: number }>('Softmax', 'logits', ({ inputs: { logits }, backend }) => {
      const out = backend.makeOutput(logits.shape, 'float32');
      const width = logits.shape.at(-1)!; // tfjs allows the last dimension alone
      const rows = util.sizeFromShape(logits.shape.slice(0, -1));
      module.run.softmax(addressOf(backend, logits), rows, width, addressOf(backend, out));
      return out;
    }),
  ];
}
