import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { NmktError } from '../errors.js';
import type { EngineId, Rung, TrainState } from '../learning/types.js';
import type { WorkerReply, WorkerRequest } from './worker-messages.js';

/** JavaScript heap of the thread; tensors and datasets lie outside of it. */
const MAX_HEAP_MB = 1024;
const START_TIMEOUT_MS = 60_000;

type Answer = Exclude<WorkerReply, { kind: 'ready' | 'unfit' | 'progress' | 'state' }>;

/** A running training thread. One request at a time; it does not keep the process alive between requests. */
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

/**
 * The compiled file: beside this one, or in dist when this one runs from TypeScript.
 *
 * @throws NmktError `engine-unavailable` when nmkt was not built
 */
export function compiledFile(name: 'worker' | 'probe'): string {
  for (const place of [`./${name}.js`, `../../dist/training/${name}.js`]) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new NmktError('engine-unavailable', `the compiled ${name}.js is missing`, {
    remedy: 'npm run build',
    expected: `dist/training/${name}.js`,
    got: 'no such file',
  });
}

/** Only what native libraries need to load: no keys, no wallet. */
export function scrubbedEnvironment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'SystemRoot', 'TEMP', 'TMPDIR'];
  const entries = kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...Object.fromEntries(entries), TF_CPP_MIN_LOG_LEVEL: '2' } as NodeJS.ProcessEnv;
}

/** Loads the rung and waits for its first tiny training. @throws Error with the reason why the rung is unfit */
export async function startThread(rung: Rung): Promise<TrainingThread> {
  // With `stdout` and `stderr` set nothing the thread prints reaches ours. They stay unread: reading holds the process.
  const worker = new Worker(compiledFile('worker'), {
    workerData: { rung },
    env: scrubbedEnvironment(),
    execArgv: [],
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  let alive = true;
  let waiting: ((reply: WorkerReply | Error) => void) | undefined;
  worker.on('message', (reply: WorkerReply) => waiting?.(reply));
  worker.on('error', (error) => {
    alive = false;
    waiting?.(error);
  });
  worker.on('exit', () => {
    alive = false;
    waiting?.(new Error('the training thread ended'));
  });

  async function stop(): Promise<void> {
    alive = false;
    await worker.terminate();
  }

  /** The first reply that `onReply` does not swallow; holds the process meanwhile. */
  async function receive(isAnswer: (reply: WorkerReply) => boolean): Promise<WorkerReply> {
    worker.ref();
    try {
      return await new Promise<WorkerReply>((resolve, reject) => {
        waiting = (reply) => {
          if (reply instanceof Error) reject(reply);
          else if (isAnswer(reply)) resolve(reply);
        };
      });
    } finally {
      waiting = undefined;
      worker.unref();
    }
  }

  const timer = setTimeout(() => void worker.terminate(), START_TIMEOUT_MS);
  const first = await receive(() => true).finally(() => clearTimeout(timer));
  if (first.kind !== 'ready') {
    await stop();
    throw new Error(first.kind === 'unfit' ? first.reason : `the training thread said ${first.kind} first`);
  }

  async function ask(request: WorkerRequest, transfer: readonly ArrayBuffer[], hear: Hear): Promise<Answer> {
    worker.postMessage(request, transfer);
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
