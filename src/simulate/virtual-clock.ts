import type { Clock } from '../ports.js';

export interface VirtualClock extends Clock {
  /** Moves time by hand; whoever waits no longer than that goes on. */
  advance(ms: number): void;
  /** Time stands still until the promise settles: it waits for real work, say of a thread. */
  hold<T>(work: Promise<T>): Promise<T>;
}

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/**
 * Time passes only when everybody waits: once no promise is left to run, it jumps to the earliest deadline. A timeout
 * of 15 minutes takes a millisecond. Right for parts whose work is all in microtasks, which run before the next turn of
 * the event loop; what does real I/O has to hold the clock.
 *
 * @param limitSec  after so much virtual time a wait rejects: something waits for what never comes
 */
export function virtualClock(startSec = 1_800_000_000, limitSec = 400 * 86_400): VirtualClock {
  const startMs = startSec * 1000;
  let nowMs = startMs;
  let isTurning = false;
  let held = 0;
  const sleepers = new Set<Sleeper>();

  const wakeDue = (): void => {
    const due = [...sleepers].filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs);
    for (const sleeper of due) sleeper.wake();
  };
  const turn = (): void => {
    if (isTurning || held > 0 || sleepers.size === 0) return;
    isTurning = true;
    setImmediate(() => {
      isTurning = false;
      if (held > 0 || sleepers.size === 0) return;
      nowMs = Math.max(nowMs, Math.min(...[...sleepers].map(({ dueMs }) => dueMs)));
      wakeDue();
      turn();
    });
  };

  return {
    nowSec: () => Math.floor(nowMs / 1000),
    nowMs: () => nowMs,
    wait(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted === true) return resolve();
        if (nowMs - startMs > limitSec * 1000)
          return reject(new Error(`still waiting after ${limitSec} s of virtual time`));
        const wake = (): void => {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        const sleeper = { dueMs: nowMs + Math.max(0, ms), wake };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', wake, { once: true });
        turn();
      });
    },
    advance(ms) {
      nowMs += ms;
      wakeDue();
    },
    async hold(work) {
      held += 1;
      try {
        return await work;
      } finally {
        held -= 1;
        turn();
      }
    },
  };
}
