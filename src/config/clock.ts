import type { Clock } from '../ports.js';

export const systemClock: Clock = {
  nowSec: () => Math.floor(Date.now() / 1000),
  nowMs: () => Date.now(),
  wait: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', finish);
        resolve();
      };
      // Node fires at once for delays above 2^31 - 1 ms; 24 days are long enough to look at the clock again.
      const timer = setTimeout(finish, Math.min(Math.max(0, ms), 2 ** 31 - 1));
      signal?.addEventListener('abort', finish, { once: true });
    }),
};
