import { expect, it } from 'vitest';
import { measureThroughput } from '../../src/roles/throughput.js';
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
