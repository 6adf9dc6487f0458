import type { EngineId } from '../learning/types.js';
import type { Engine } from '../ports.js';

/** What all workers of a process may take together. */
export interface WorkerBounds {
  /** Workers at a time. */
  readonly most: number;
  /** Sum over the workers. */
  readonly maxBytes: number;
}

/** What a worker is made of: a worker fits every job that asks for an equal one. */
export interface WorkerKind {
  readonly id: EngineId;
  /** It may take so much, and no other may count on it. */
  readonly bytes: number;
}

/** A worker that is open for one job, at work or idle. */
export interface HeldWorker extends WorkerKind {
  readonly engine: Promise<Engine>;
}

interface Held extends HeldWorker {
  state: 'busy' | 'idle' | 'closing';
}

interface Waiter extends WorkerKind {
  /** The one its job kept from the last turn. */
  readonly kept: HeldWorker | undefined;
  readonly onWait: (() => void) | undefined;
  isTold: boolean;
  readonly admit: (worker: HeldWorker) => void;
}

export interface WorkerTurns {
  /**
   * Waits for a turn, in the order of asking: nobody is overtaken, so a large job is not starved by small ones.
   *
   * @param kept    the worker of an earlier turn; it is given up where somebody needed its place meanwhile
   * @param onWait  told once if others are at work in its place
   * @throws the reason of the signal's abort while it waits
   */
  take(
    kind: WorkerKind,
    options: { readonly kept?: HeldWorker; readonly onWait?: () => void; readonly signal: AbortSignal },
  ): Promise<HeldWorker>;
  /** The turn is over; the worker stays open until somebody needs its place. */
  rest(worker: HeldWorker): void;
  /** Ends a worker, and with it the memory it holds; of one that is gone, nothing. */
  end(worker: HeldWorker): Promise<void>;
  /** Opens one for whoever comes first. */
  spare(engine: Engine, bytes: number): void;
}

/** One worker per job, and never more of them, or more memory for them, than the bounds say. */
export function workerTurns(bounds: WorkerBounds, open: (kind: WorkerKind) => Promise<Engine>): WorkerTurns {
  const held = new Set<Held>();
  const spares = new Set<Held>();
  const waiting: Waiter[] = [];

  const fits = ({ bytes }: WorkerKind): boolean =>
    held.size < bounds.most && [...held].reduce((sum, worker) => sum + worker.bytes, bytes) <= bounds.maxBytes;

  function add(kind: WorkerKind, engine: Promise<Engine>, state: Held['state']): Held {
    const worker: Held = { ...kind, engine, state };
    held.add(worker);
    return worker;
  }

  /** The one it kept, a spare one of its kind, or a new one; undefined while others are in its place. */
  function placeFor({ kept, id, bytes }: Waiter): Held | undefined {
    const own = [...held].find((worker) => worker === kept && worker.state === 'idle');
    const spare = [...spares].find((worker) => worker.state === 'idle' && worker.id === id && worker.bytes === bytes);
    const found = own ?? spare;
    if (found === undefined) return fits({ id, bytes }) ? add({ id, bytes }, open({ id, bytes }), 'busy') : undefined;
    found.state = 'busy';
    spares.delete(found);
    return found;
  }

  function admit(): void {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const worker = placeFor(next);
      if (worker === undefined) return makeRoom();
      waiting.shift();
      next.admit(worker);
    }
  }

  /** Ends the worker that was idle for longest; its end admits who waits. */
  function makeRoom(): void {
    const states = [...held];
    if (states.some(({ state }) => state === 'closing')) return;
    const idle = states.find(({ state }) => state === 'idle');
    if (idle !== undefined) return void end(idle);
    for (const waiter of waiting) {
      if (!waiter.isTold) waiter.onWait?.();
      waiter.isTold = true;
    }
  }

  async function end(given: HeldWorker): Promise<void> {
    const worker = given as Held;
    if (!held.has(worker) || worker.state === 'closing') return;
    worker.state = 'closing';
    spares.delete(worker);
    await worker.engine.then((engine) => engine.close()).catch(() => undefined);
    held.delete(worker);
    admit();
  }

  return {
    async take(kind, { kept, onWait, signal }) {
      signal.throwIfAborted();
      return new Promise((resolve, reject) => {
        const onAbort = (): void => {
          waiting.splice(waiting.indexOf(waiter), 1);
          reject(signal.reason as Error);
          admit();
        };
        const waiter: Waiter = {
          ...{ ...kind, kept, onWait, isTold: false },
          admit(worker) {
            signal.removeEventListener('abort', onAbort);
            resolve(worker);
          },
        };
        signal.addEventListener('abort', onAbort, { once: true });
        waiting.push(waiter);
        admit();
      });
    },
    rest(given) {
      const worker = given as Held;
      if (worker.state !== 'busy') return;
      worker.state = 'idle';
      // Last in the set: the others were idle for longer.
      held.delete(worker);
      held.add(worker);
      admit();
    },
    end,
    spare(engine, bytes) {
      spares.add(add({ id: engine.id, bytes }, Promise.resolve(engine), 'idle'));
    },
  };
}
