import type { Clock } from '../ports.js';

/** Wakes a loop: whoever has news rings, the loop waits for a ring or for its next deadline. Rings while nobody waits count. */
export interface Bell {
  ring(): void;
  /** Resolves after a ring, after `ms`, or when the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export function createBell(clock: Clock): Bell {
  let rung = false;
  let wake: AbortController | null = null;
  return {
    ring() {
      rung = true;
      wake?.abort();
    },
    async wait(ms, signal) {
      if (!rung && !signal.aborted) {
        wake = new AbortController();
        await clock.wait(ms, AbortSignal.any([wake.signal, signal]));
        wake = null;
      }
      rung = false;
    },
  };
}
