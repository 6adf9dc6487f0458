import { describe, expect, it } from 'vitest';
import { leastWork } from '../../src/roles/least-work.js';

const hyper = { optimizer: 'adam', learningRate: 0.001, batch: 10, epochs: 1 } as const;
const shards = (...examples: number[]) => examples.map((count) => ({ examples: count }));

describe('the work that a job asks for', () => {
  it('is half of what the others do, from three shards on', () => {
    expect(leastWork({}, hyper, shards(100, 90, 80))).toEqual({ leastWorkPpm: 500_000 });
    expect(leastWork({}, hyper, shards(100, 90))).toEqual({});
  });

  it('is nothing where the shortest training is below an eighth of the middle one', () => {
    // 3, 24 and 30 steps; then 3, 25 and 30.
    expect(leastWork({}, hyper, shards(300, 240, 30))).toEqual({ leastWorkPpm: 500_000 });
    expect(leastWork({}, hyper, shards(300, 241, 30))).toEqual({});
    const { epochs: _, ...rest } = hyper;
    expect(leastWork({}, { ...rest, localSteps: 20 }, shards(300, 241, 30))).toEqual({ leastWorkPpm: 500_000 });
  });

  it('is nothing where a shard has fewer than 30 examples', () => {
    expect(leastWork({}, hyper, shards(40, 35, 30))).toEqual({ leastWorkPpm: 500_000 });
    expect(leastWork({}, hyper, shards(40, 35, 29))).toEqual({});
  });

  it('is what the job file says', () => {
    expect(leastWork({ leastWork: 0.25 }, hyper, shards(300, 81, 10))).toEqual({ leastWorkPpm: 250_000 });
    expect(leastWork({ leastWork: 0 }, hyper, shards(100, 90, 80))).toEqual({});
  });
});
