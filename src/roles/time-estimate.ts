import { modelCost, type ModelCost, type ModelKind } from '../learning/model-cost.js';
import type { HyperParameters, ModelSpec } from '../learning/types.js';
import type { Engine } from '../ports.js';
import { measureThroughput } from './throughput.js';

/** How long a model would train, from small models of its kind: the model itself is never built. */

const CLASSES = { task: 'classification' } as const;
const TYPICAL: Readonly<Record<ModelKind, ModelSpec>> = {
  dense: { model: 'mlp', ...CLASSES, inputs: 784, outputs: 10, hidden: [256] },
  images: {
    ...{ model: 'cnn', ...CLASSES, inputs: 784, outputs: 10 },
    ...{ shape: [28, 28, 1], filters: [6, 16], hidden: [120, 84] },
  },
  text: { model: 'gpt', ...CLASSES, inputs: 64, outputs: 64, layers: 3, heads: 3, width: 48 },
};
/** All but no work: what a step costs before it computes. */
const TINY: ModelSpec = { model: 'logreg', ...CLASSES, inputs: 1, outputs: 2, hidden: [] };

/** @returns seconds for 1,000 examples: products at the speed of a typical model of the kind, and what each step costs besides */
export async function estimateSeconds(
  engine: Engine,
  kind: ModelKind,
  { flops }: Pick<ModelCost, 'flops'>,
  batch: number,
): Promise<number> {
  const hyper: HyperParameters = { optimizer: 'adam', learningRate: 0.001, batch: 32, epochs: 1 };
  const secondsPer = async (model: ModelSpec) => 1 / Math.max(1, await measureThroughput(engine, { model, hyper }));
  const perStep = (await secondsPer(TINY)) * hyper.batch;
  const typical = await secondsPer(TYPICAL[kind]);
  const perFlop = Math.max(0, typical - perStep / hyper.batch) / modelCost(TYPICAL[kind]).flops;
  return 1000 * (perStep / batch + flops * perFlop);
}
