import { describe, expect, it } from 'vitest';
import { hex, sha256 } from '../../src/hash.js';
import { initialParams } from '../../src/learning/params.js';
import { initialisationSeed } from '../../src/learning/seeds.js';
import { stateHash } from '../../src/learning/train-state.js';
import type { DenseSpec, HyperParameters, ParamSet, TrainState } from '../../src/learning/types.js';
import { tinyExamples } from '../support/market-world.js';
import { initialWeights } from '../support/second/numbers.js';
import * as second from '../support/second/training.js';
import { stubEngine } from '../support/stub-engine.js';
import { wasmEngine } from '../support/wasm-engine.js';

/** Training of logreg written a second time, from docs/protocol.md. */

const seed = sha256('twice');
const model: DenseSpec = { model: 'logreg', task: 'classification', inputs: 24, outputs: 3, hidden: [] };
const examples = tinyExamples(22);
const rows = {
  labels: [...examples.labels],
  inputs: Array.from({ length: 22 }, (_, row) => [...examples.features.slice(24 * row, 24 * (row + 1))]),
};
type How = 'adam' | 'sgd' | 'sgd near its base';
const hyperOf = (how: How) => ({ optimizer: how === 'adam' ? how : 'sgd', batch: 4, epochs: 5 }) as const;
const MU = 0.5;
const RATE = 0.05;

async function firstStates(engine: Awaited<ReturnType<typeof wasmEngine>>, how: How) {
  const near = how === 'sgd near its base' && { proximal: MU };
  const hyper: HyperParameters = { ...hyperOf(how), learningRate: RATE, ...near };
  const weights = initialParams(model, initialisationSeed(seed));
  const states: TrainState[] = [];
  const onState = (state: TrainState): void => void states.push(state);
  const end = await engine.train(
    { model, weights, examples, hyper, seed, stateEvery: 7 },
    undefined,
    undefined,
    onState,
  );
  return { states, end: end.weights };
}

function secondStates(how: How) {
  const near = how === 'sgd near its base' && { proximal: `${MU}` };
  const hyper = { ...hyperOf(how), learningRate: `${RATE}`, ...near };
  const base = initialWeights(hex(seed), model);
  const steps = second.stepsOf(hyper, 22);
  const all: second.TrainState[] = [second.firstState(base, hyper)];
  // Each from the one before: nothing else goes from step to step.
  for (let step = 7; step < steps + 7; step += 7)
    all.push(second.train(hyper, seed, rows, base, all.at(-1)!, Math.min(step, steps)));
  return { states: all.slice(1, -1), end: all.at(-1)!.tensors };
}

describe('training written a second time', () => {
  it.each(['sgd', 'sgd near its base'] as const)(
    'ends in the bits of the engine of the tests, segment by segment: %s',
    async (how) => {
      const [{ states }, again] = [await firstStates(stubEngine(), how), secondStates(how)];
      expect(again.states.map(({ step }) => step)).toEqual([7, 14, 21, 28]);
      expect(again.states.map(second.stateHash)).toEqual(states.map(stateHash));
    },
  );

  it.each(['sgd', 'adam', 'sgd near its base'] as const)(
    'comes near the WebAssembly engine with %s: float32 sums differ',
    async (optimizer) => {
      const [first, again] = [await firstStates(await wasmEngine(), optimizer), secondStates(optimizer)];
      expect(first.states).toHaveLength(4);
      const pairs: [ParamSet, second.TrainState['tensors']][] = [
        ...first.states.map(({ tensors }, i) => [tensors, again.states[i]!.tensors] as [ParamSet, typeof again.end]),
        [first.end, again.end.slice(0, 2)],
      ];
      for (const [engine, own] of pairs)
        for (const [t, { name, values }] of own.entries()) {
          expect(engine[t]!.name).toBe(name);
          for (const [i, value] of values.entries()) expect(Math.abs(engine[t]!.data[i]! - value)).toBeLessThan(2e-6);
        }
    },
  );
});
