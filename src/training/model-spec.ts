import { NmktError } from '../errors.js';
import type { ModelSpec } from '../learning/types.js';

/** Largest width of a layer and largest number of hidden layers: a bound before any multiplication. */
const MAX_WIDTH = 1 << 24;
const MAX_HIDDEN_LAYERS = 64;

/** @throws NmktError `bad-job` when a width is not a positive integer or the parts contradict each other */
export function checkSpec(spec: ModelSpec): void {
  const bad = (expected: string, got: unknown): never => {
    throw new NmktError('bad-job', 'the model is not usable', {
      remedy: 'correct the model in the job',
      expected,
      got: Array.isArray(got) ? `a list of ${got.length}` : typeof got === 'object' ? 'an object' : `${got as string}`,
    });
  };
  if (spec.model !== 'logreg' && spec.model !== 'mlp') bad('model logreg or mlp', spec.model);
  if (spec.task !== 'classification' && spec.task !== 'regression') bad('classification or regression', spec.task);
  if (!Array.isArray(spec.hidden) || spec.hidden.length > MAX_HIDDEN_LAYERS)
    bad(`a list of at most ${MAX_HIDDEN_LAYERS} hidden widths`, spec.hidden);
  for (const width of [spec.inputs, spec.outputs, ...spec.hidden])
    if (!Number.isInteger(width) || width < 1 || width > MAX_WIDTH) bad(`widths from 1 to ${MAX_WIDTH}`, width);
  if (spec.model === 'logreg' && spec.hidden.length > 0) bad('no hidden layers for logreg', spec.hidden);
  if (spec.model === 'mlp' && spec.hidden.length === 0) bad('at least one hidden width for mlp', spec.hidden);
  if (spec.task === 'classification' && spec.outputs < 2) bad('at least 2 classes', spec.outputs);
  if (spec.task === 'regression' && spec.outputs !== 1) bad('1 output for regression', spec.outputs);
}

/** Widths from the inputs to the outputs: one more than there are layers. */
export function layerWidths(spec: ModelSpec): readonly number[] {
  return [spec.inputs, ...spec.hidden, spec.outputs];
}
