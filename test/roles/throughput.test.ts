import { expect, it } from 'vitest';
import { measureThroughput } from '../../src/roles/throughput.js';
import type { Engine, TrainRequest } from '../../src/ports.js';
import { createEngine } from '../../src/training/engine.js';

it('a bid tells a measured speed, and a larger model is slower', async () => {
  const engine = await createEngine({ want: 'wasm', accepted: ['wasm'] });
  const hyper = { optimizer: 'adam', learningRate: 0.001, batch: 32, epochs: 1 } as const;
  const model = (hidden: number) =>
    ({ model: 'mlp', task: 'classification', inputs: 784, outputs: 10, hidden: [hidden] }) as const;
  const small = await measureThroughput(engine, { model: model(32), hyper });
  const large = await measureThroughput(engine, { model: model(512), hyper });
  await engine.close();
  expect(large).toBeGreaterThan(0);
  expect(small).toBeGreaterThan(large);
});

it('a trial of a job with a hostile batch is small all the same, and its rows fill whole batches', async () => {
  const asked: TrainRequest[] = [];
  const engine = {
    train: async (request: TrainRequest) => {
      asked.push(request);
      return { wallMs: 1 };
    },
  } as unknown as Engine;
  const hyper = { optimizer: 'adam', learningRate: 0.001, batch: 65_536, epochs: 1 } as const;
  const wide = { model: 'logreg', task: 'classification', inputs: 1_000_000, outputs: 2, hidden: [] } as const;
  const deep = { ...wide, model: 'mlp', inputs: 2, hidden: [1_000_000] } as const;
  for (const model of [wide, deep]) await measureThroughput(engine, { model, hyper });
  expect(asked.map(({ examples, hyper: { batch } }) => [examples.rows, batch])).toEqual(Array(4).fill([33, 33]));
});
