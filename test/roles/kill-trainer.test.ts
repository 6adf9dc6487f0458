import { beforeAll, describe, test } from 'vitest';
import { killEverywhere, undisturbedHash } from './kills.js';

let wanted: string;
beforeAll(async () => {
  wanted = await undisturbedHash();
});

describe('a trainer killed at any durable write and started again ends the job as if nothing had happened', () => {
  test('when what it was writing is lost', () => killEverywhere('trainer', false, wanted, 10), 120_000);
  test(
    'when what it was writing is on disk, and published by nobody yet',
    () => killEverywhere('trainer', true, wanted, 10),
    120_000,
  );
});
