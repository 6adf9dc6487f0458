import { describe, expect, it } from 'vitest';
import { foldJob } from '../../src/market/fold.js';
import { sharedReading } from '../../src/simulate/shared-reading.js';
import { createWorld } from '../support/market-world.js';

describe('shared reading', () => {
  it('gives books with equal sets of events the same state, in any order, and the state of a fold of their own', async () => {
    const world = await createWorld({ name: 'shared-reading', rounds: 1 });
    await world.run();
    const events = (await world.read()).all();
    const reading = sharedReading();
    const parsed = events.map((one) => reading.parse(one));
    expect(events.map((one) => reading.parse(one)).every((one, index) => one === parsed[index])).toBe(true);

    const state = reading.fold(world.jobId, parsed);
    expect(state).toEqual(foldJob(world.jobId, parsed));
    expect(reading.fold(world.jobId, [...parsed].reverse())).toBe(state);
    // Each set with one event less is another one.
    for (const without of parsed) {
      const rest = parsed.filter((one) => one !== without);
      expect(reading.fold(world.jobId, rest)).toEqual(foldJob(world.jobId, rest));
    }
  });
});
