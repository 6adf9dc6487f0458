import { callBytes, modelCost, readsTokens } from '../learning/model-cost.js';
import { initialParams } from '../learning/params.js';
import type { Examples } from '../learning/types.js';
import type { JobTerms } from '../protocol/job.js';
import type { Engine } from '../ports.js';

/** Multiply-adds a trial may take: well below a second on one core with WebAssembly. */
const TRIAL_BUDGET = 600_000_000;
/** A job may name any batch: of a trial it leaves no more numbers than this behind, inputs included. */
const TRIAL_ACTIVATIONS = 2 ** 25;

type Trial = Pick<JobTerms, 'model' | 'hyper'>;

function trialSize({ model, hyper }: Trial): { readonly rows: number; readonly batch: number } {
  const { activations, flops } = modelCost(model);
  const most = Math.max(1, Math.floor(TRIAL_ACTIVATIONS / Math.max(model.inputs, activations)));
  const batch = Math.min(hyper.batch, most);
  const fitting = Math.min(2_048, Math.floor(TRIAL_BUDGET / (1.5 * flops)));
  return { rows: Math.min(most, Math.max(batch, fitting)), batch };
}

/** Memory of a trial, as the engine estimates it. */
export function trialBytes(terms: Trial): number {
  const { rows, batch } = trialSize(terms);
  return callBytes(terms.model, { batch, rows, dataBytes: rows * (terms.model.inputs + 4) });
}

/**
 * Examples per second that this engine trains of a job's model, measured on made-up bytes: what a bid tells the customer.
 * @returns an integer >= 0; 0 when the clock of the engine shows no time
 */
export async function measureThroughput(engine: Engine, { model, hyper }: Trial): Promise<number> {
  const { rows, batch } = trialSize({ model, hyper });
  const seed = new Uint8Array(32);
  // Of a text the numbers are tokens: within any vocabulary.
  const [values, scale] = readsTokens(model) ? [Math.min(256, model.outputs), 1] : [256, 255];
  const features = new Uint8Array(rows * model.inputs).map((_, index) => (index * 97) % values);
  const labels =
    model.task !== 'regression'
      ? Int32Array.from({ length: rows }, (_, row) => row % model.outputs)
      : Float32Array.from({ length: rows }, (_, row) => (row % 7) / 7);
  const examples: Examples = { rows, inputs: model.inputs, features, scale, labels };
  const { epochs: _, localSteps: __, ...step } = hyper;
  const request = {
    model,
    weights: initialParams(model, seed),
    examples,
    hyper: { ...step, batch, epochs: 1 },
    seed,
  };
  // Once to warm up: compilers optimise what they have seen.
  await engine.train(request);
  const { wallMs } = await engine.train(request);
  return wallMs > 0 ? Math.min(1_000_000_000, Math.round((rows * 1000) / wallMs)) : 0;
}
