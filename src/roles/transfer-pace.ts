import { describeSeconds } from './pace.js';

/** Bytes of plaintext in a chunk. */
const CHUNK_MB = 0.048;

/**
 * Where a transfer stands, in a line: speed and time left since this run began.
 *
 * @param nowMs  of the caller's clock
 */
export function transferPace(what: string, nowMs: () => number): (done: number, total: number) => string {
  const startMs = nowMs();
  return (done, total) => {
    const elapsedSec = Math.max(1, nowMs() - startMs) / 1000;
    const rate = done / elapsedSec;
    const left = done === 0 ? '' : `, ${describeSeconds(Math.round((total - done) / rate))} left`;
    return `${what} ${done} of ${total} chunks, ${(rate * CHUNK_MB).toPrecision(2)} MB/s${left}`;
  };
}
