import { describe, expect, it } from 'vitest';
import { quotePrice, quoteText, type PricePolicy } from '../../src/roles/price-policy.js';
import { createWorld } from '../support/market-world.js';

/** 64 x 10 and 10: 650 numbers, 1,300 operations forwards, 3,900 a step per example. */
const terms = {
  model: { model: 'logreg', task: 'classification', inputs: 64, outputs: 10, hidden: [] },
  hyper: { optimizer: 'sgd', learningRate: 0.1, batch: 10, epochs: 2 },
} as const;
const policy = (change: Partial<PricePolicy> = {}): PricePolicy => ({
  ...{ priceMsat: 300_000n, gflopMsat: null, percentPerJob: 0 },
  ...change,
});
const quote = (change: Partial<PricePolicy>, jobs = 0, rows = 1_000) => quotePrice(policy(change), terms, rows, jobs);

describe('what a trainer asks', () => {
  it('is its price, whatever the work', () => {
    expect(quote({}, 7)).toMatchObject({ policy: 'fixed', priceMsat: 300_000n, examples: 2_000, gflop: 0.0078 });
    expect(quote({ priceMsat: 1n }).priceMsat).toBe(1n);
  });

  it('follows the work where that is worth more, in whole sats', () => {
    // 0.0078 GFLOP at 100,000 sat: 780 sat; at 10 sat the least counts.
    expect(quote({ gflopMsat: 100_000_000 })).toMatchObject({ policy: 'gflop', priceMsat: 780_000n });
    expect(quote({ gflopMsat: 10_000 })).toMatchObject({ priceMsat: 300_000n });
    expect(quote({ gflopMsat: 100_000_000 }, 0, 2_000).priceMsat).toBe(1_560_000n);
    expect(quote({ priceMsat: 0n, gflopMsat: 1 }).priceMsat).toBe(1_000n);
  });

  it('rises with the jobs that it holds', () => {
    expect(quote({ percentPerJob: 25 }, 0)).toMatchObject({ policy: 'queue', priceMsat: 300_000n });
    expect(quote({ percentPerJob: 25 }, 2).priceMsat).toBe(450_000n);
    expect(quote({ percentPerJob: 0.5, gflopMsat: 100_000_000 }, 1)).toMatchObject({
      ...{ policy: 'gflop-queue', priceMsat: 784_000n }, // 783.9
    });
  });

  it('is said in a line', () => {
    expect(quoteText(quote({ gflopMsat: 100_000_000, percentPerJob: 10 }, 1))).toBe(
      'asks 858 sat per round: 0.0078 GFLOP at 100000 sat, at least 300 sat, 1 job held at 10 % each',
    );
  });
});

it('a trainer bids what its policy quotes, and says how it came about', async () => {
  const world = await createWorld({ name: 'quoted', trainers: 1, rounds: 1, priceSats: 500 });
  const asked = policy({ priceMsat: 1_000n, gflopMsat: 10_000_000_000 });
  const { state } = await world.run({
    trainers: {
      0: {
        adapt: (env) => ({
          ...{ ...env, terms: { ...env.terms, maxExposureMsat: world.terms.maxPriceMsat } },
          quote: () => quotePrice(asked, world.terms, world.snapshot.manifest.shards[0]!.examples, 0),
        }),
      },
    },
  });
  const { priceMsat } = state.award!.content.winners[0]!;
  expect(priceMsat).toBe(quotePrice(asked, world.terms, world.snapshot.manifest.shards[0]!.examples, 0).priceMsat);
  const told = world.trainers[0]!.said.find((line) => line.includes('priced'))!;
  expect(told).toContain(`"priceMsat":"${priceMsat}"`);
  expect(told).toContain('"policy":"gflop"');
});
