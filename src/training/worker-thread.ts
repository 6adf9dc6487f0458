import { NmktError } from '../errors.js';
import type { EngineId, TrainState } from '../learning/types.js';
import { startCarrier } from './worker-carrier.js';
import type { WorkerReply, WorkerRequest, WorkerStart } from './worker-messages.js';

const START_TIMEOUT_MS = 60_000;

type Answer = Exclude<WorkerReply, { kind: 'ready' | 'unfit' | 'progress' | 'state' }>;

/** A running training, in a thread or a process (see worker-carrier). One request at a time; it does not keep the process alive between requests. */
export interface TrainingThread {
  readonly id: EngineId;
  readonly coldMs: number;
  /** False after a crash, an abort or `stop`. */
  isAlive(): boolean;
  /** @throws NmktError `training-failed` when the thread dies, or as the training itself threw */
  ask(request: WorkerRequest, transfer: readonly ArrayBuffer[], hear: Hear): Promise<Answer>;
  stop(): Promise<void>;
}
/** What a training says before its answer. */
export interface Hear {
  readonly onProgress?: ((done: number, total: number, loss: number) => void) | undefined;
  readonly onState?: ((state: TrainState) => void) | undefined;
}

/** Loads the rung and waits for its first tiny training. @throws Error with the reason why the rung is unfit */
export async function startThread(start: WorkerStart): Promise<TrainingThread> {
  const worker = startCarrier(start);
  let alive = true;
  let waiting: ((reply: WorkerReply | Error) => void) | undefined;
  worker.onReply((reply) => waiting?.(reply));
  worker.onEnd((why) => {
    alive = false;
    waiting?.(why);
  });

  async function stop(): Promise<void> {
    alive = false;
    await worker.end();
  }

  /** The first reply that `onReply` does not swallow; holds the process meanwhile. */
  async function receive(isAnswer: (reply: WorkerReply) => boolean): Promise<WorkerReply> {
    worker.hold();
    try {
      return await new Promise<WorkerReply>((resolve, reject) => {
        waiting = (reply) => {
          if (reply instanceof Error) reject(reply);
          else if (isAnswer(reply)) resolve(reply);
        };
      });
    } finally {
      waiting = undefined;
      worker.release();
    }
  }

  const timer = setTimeout(() => void worker.end(), START_TIMEOUT_MS);
  const first = await receive(() => true).finally(() => clearTimeout(timer));
  if (first.kind !== 'ready') {
    await stop();
    throw new Error(first.kind === 'unfit' ? first.reason : `the training thread said ${first.kind} first`);
  }

  async function ask(request: WorkerRequest, transfer: readonly ArrayBuffer[], hear: Hear): Promise<Answer> {
    worker.post(request, transfer);
    const reply = await receive((message) => {
      if (message.kind === 'progress') hear.onProgress?.(message.done, message.total, message.loss);
      else if (message.kind === 'state') hear.onState?.(message.state);
      else return true;
      return false;
    }).catch((cause: unknown) => {
      throw crashed(cause);
    });
    return reply as Answer;
  }

  return { id: first.id, coldMs: first.coldMs, isAlive: () => alive, ask, stop };
}

function crashed(cause: unknown): NmktError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NmktError('training-failed', `the training thread crashed: ${reason}`, {
    remedy: 'try a smaller batch or model, or another engine',
    expected: 'an answer',
    got: reason,
    cause,
  });
}
