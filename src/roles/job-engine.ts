import { NmktError } from '../errors.js';
import type { Engine } from '../ports.js';
import type { HeldWorker, WorkerKind, WorkerTurns } from './worker-turns.js';

/**
 * The engine of one job: a worker of its own, opened when the job first has something for it and closed with the job. What
 * fails in it, or kills it, ends with it; the next call gets a new one.
 *
 * @param onWait  told when a call waits because others are at work
 */
export function jobEngine(turns: WorkerTurns, kind: WorkerKind, onWait: () => void): Engine {
  const closing = new AbortController();
  let kept: HeldWorker | undefined;
  let last: Promise<unknown> = Promise.resolve();

  async function turn<T>(work: (engine: Engine) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const stop = signal === undefined ? closing.signal : AbortSignal.any([closing.signal, signal]);
    const worker = await turns.take(kind, { signal: stop, onWait, ...(kept && { kept }) }).catch((cause: unknown) => {
      throw interrupted(cause);
    });
    kept = worker;
    try {
      const result = await work(await worker.engine);
      turns.rest(worker);
      return result;
    } catch (error) {
      await turns.end(worker);
      throw error;
    }
  }

  function inTurn<T>(work: (engine: Engine) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const result = last.then(() => turn(work, signal));
    last = result.catch(() => undefined);
    return result;
  }

  return {
    id: kind.id,
    train: (request, onProgress, signal, onState) =>
      inTurn((engine) => engine.train(request, onProgress, signal, onState), signal),
    evaluate: (...given) => inTurn((engine) => engine.evaluate(...given)),
    predict: (...given) => inTurn((engine) => engine.predict(...given)),
    async close() {
      closing.abort();
      if (kept !== undefined) await turns.end(kept);
      await last;
    },
  };
}

function interrupted(cause: unknown): NmktError {
  return new NmktError('interrupted', 'stopped before its turn to train', {
    remedy: 'run the same command to go on',
    cause,
  });
}
