import { setMaxListeners } from 'node:events';
import { NmktError } from '../errors.js';

/** @throws NmktError `interrupted` when `signal` has aborted */
export function requireRunning(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw interrupted();
}

/** Waits for `work`, but no longer than until `signal` aborts; then the outcome of `work` is ignored. */
export function orInterrupted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(interrupted());
    if (signal.aborted) stop();
    // A window of transfers waits on one signal: that is no leak.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', stop, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function interrupted(): NmktError {
  return new NmktError('interrupted', 'the transfer was stopped', {
    remedy: 'run the same command again: what is stored is not sent twice',
  });
}
