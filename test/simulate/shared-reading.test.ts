import { describe, expect, it } from 'vitest';
import { foldJob } from '../../src/market/fold.js';
import { sharedReading } from '../../src/simulate/shared-reading.js';
import { createWorld } from '../support/market-world.js';

describe('shared reading', () => {
  it('gives books with equal sets of events the same state, in any order, and the state of a fold of their own', async () => {
    const world = await createWorld({ name: 'shared-reading', rounds: 1 });
    await world.run();
    const events = (await world.read()).all();
    const { parse, fold } = sharedReading();
    const parsed = events.map(parse);
    expect(events.map(parse).every((one, index) => one === parsed[index])).toBe(true);

    const state = fold(world.jobId, parsed);
    expect(state).toEqual(foldJob(world.jobId, parsed));
    expect(fold(world.jobId, [...parsed].reverse())).toBe(state);
    // Each set with one event less is another one.
    for (const without of parsed) {
      const rest = parsed.filter((one) => one !== without);
      expect(fold(world.jobId, rest)).toEqual(foldJob(world.jobId, rest));
    }
  });
});
