import { beforeAll, describe, test } from 'vitest';
import { interruptEverywhere, undisturbedHash } from './kills.js';

let wanted: string;
beforeAll(async () => {
  wanted = await undisturbedHash();
});

describe('stopped with Ctrl-C at any entry of its journals or file of its home, the same command goes on', () => {
  test('of a customer', () => interruptEverywhere('customer', wanted, 40), 300_000);
  test('of a trainer', () => interruptEverywhere('trainer', wanted, 12), 300_000);
});
