import type { Engine } from '../../src/ports.js';
import { checkEvaluate, checkPredict, checkTrain, DEFAULT_LIMITS } from '../../src/training/engine-request.js';
import { evaluate, predict, train } from '../../src/training/model-train.js';
import { loadRung } from '../../src/training/tfjs-rungs.js';

let loaded: Promise<Engine> | undefined;

/** The real WebAssembly rung in this thread, as the training worker runs it: it waits for nothing, so a virtual clock may. */
export function wasmEngine(): Promise<Engine> {
  return (loaded ??= loadRung('wasm').then((id) => ({
    id,
    async train(request, onProgress, signal, onState) {
      checkTrain(request, DEFAULT_LIMITS);
      signal?.throwIfAborted();
      const onStep = (done: number, total: number, loss: number) => onProgress?.(done, total, loss);
      return train(request, onStep, (state) => onState?.(state));
    },
    async evaluate(model, weights, examples) {
      checkEvaluate(model, weights, examples, DEFAULT_LIMITS);
      return evaluate(model, weights, examples);
    },
    async predict(model, weights, features, rows, scale = 1) {
      checkPredict(model, weights, features, rows, DEFAULT_LIMITS);
      return predict(model, weights, features, rows, scale);
    },
    close: async () => undefined,
  })));
}
