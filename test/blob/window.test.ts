import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BOUNDS, Window } from '../../src/blob/window.js';

const QUICK = 20;

describe('the window of an upload', () => {
  test('starts at 64 and doubles with every window that goes through, up to 256', () => {
    const window = new Window();
    expect(window.size).toBe(64);
    for (let i = 0; i < 64; i++) window.onStored(QUICK);
    expect(window.size).toBe(128);
    for (let i = 0; i < 1_000; i++) window.onStored(QUICK);
    expect(window.size).toBe(256);
  });

  test('halves on trouble, once for all that was in flight, then grows by one for every window', () => {
    const window = new Window();
    window.onTrouble(63);
    expect(window.size).toBe(32);
    for (let i = 0; i < 63; i++) window.onTrouble(62 - i); // sent before the size changed
    expect(window.size).toBe(32);
    for (let i = 0; i < 31; i++) window.onStored(QUICK);
    expect(window.size).toBe(32);
    window.onStored(QUICK);
    expect(window.size).toBe(33);
    window.onTrouble(0);
    window.onTrouble(0);
    window.onTrouble(0);
    expect(window.size).toBe(BOUNDS.min);
  });

  test('does not grow while answers take a second: that is a queue', () => {
    const window = new Window();
    for (let i = 0; i < 500; i++) window.onStored(1_000);
    expect(window.size).toBe(64);
  });

  test('stays within its bounds, whatever happens', () => {
    const step = fc.record({ isTrouble: fc.boolean(), inFlight: fc.nat(256), tookMs: fc.nat(2_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const window = new Window();
        for (const { isTrouble, inFlight, tookMs } of steps) {
          if (isTrouble) window.onTrouble(inFlight);
          else window.onStored(tookMs);
          expect(window.size).toBeGreaterThanOrEqual(8);
          expect(window.size).toBeLessThanOrEqual(256);
        }
      }),
      { numRuns: 50 },
    );
  });
});
