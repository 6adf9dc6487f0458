import { beforeAll, describe, test } from 'vitest';
import { killEverywhere, undisturbedHash } from './kills.js';

let wanted: string;
beforeAll(async () => {
  wanted = await undisturbedHash();
});

describe('a customer killed at any durable write and started again ends the job as if nothing had happened', () => {
  test('when what it was writing is lost', () => killEverywhere('customer', false, wanted, 30), 120_000);
  test(
    'when what it was writing is on disk, and published by nobody yet',
    () => killEverywhere('customer', true, wanted, 30),
    120_000,
  );
});
