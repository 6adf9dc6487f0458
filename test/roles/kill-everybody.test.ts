import { describe, test } from 'vitest';
import { killAlways, undisturbedHash } from './kills.js';

describe('customer and trainers that die again and again finish the job, step by step', () => {
  // A model is kept before the event that names it is signed: with fewer writes a start would not get beyond that.
  test('at every third durable write, which is lost', async () => killAlways(2, false, await undisturbedHash()));
  test('at every second durable write, which is on disk', async () => killAlways(1, true, await undisturbedHash()));
});
