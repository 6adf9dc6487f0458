import { NmktError } from '../errors.js';
import type { WorkerReply, WorkerRequest } from './worker-messages.js';
import type { Hear, TrainingThread } from './worker-thread.js';
import { parcel } from './worker-transfer.js';

/** Requests to one training thread, one at a time in the order they came; a thread that was lost, or in which one failed, is replaced by the next request. */
export interface ThreadQueue {
  ask<K extends WorkerRequest['kind']>(
    request: WorkerRequest & { readonly kind: K },
    options?: AskOptions,
  ): Promise<ReplyTo[K]>;
  /** What runs or waits is rejected with `interrupted`. */
  close(): Promise<void>;
}
export interface AskOptions extends Hear {
  /** Ends the thread, and with it the memory it holds. */
  readonly signal?: AbortSignal | undefined;
}

type Result<K extends WorkerReply['kind']> = Extract<WorkerReply, { kind: K; result: unknown }>['result'];
interface ReplyTo {
  train: Result<'trained'>;
  evaluate: Result<'evaluated'>;
  predict: Result<'predicted'>;
}

export function queueOn(
  first: TrainingThread,
  restart: () => Promise<TrainingThread>,
  maxMinutes: number,
): ThreadQueue {
  const closing = new AbortController();
  let thread = first;
  let last: Promise<unknown> = Promise.resolve();

  async function run(request: WorkerRequest, { signal, ...hear }: AskOptions): Promise<WorkerReply> {
    const stop = signal === undefined ? closing.signal : AbortSignal.any([closing.signal, signal]);
    if (stop.aborted) throw interrupted();
    if (!thread.isAlive()) thread = await restart().catch(notRestarted);
    const running = thread;
    let reason: NmktError | undefined;
    const end = (why: NmktError): void => {
      reason ??= why;
      void running.stop();
    };
    const onAbort = (): void => end(interrupted());
    const timer = setTimeout(() => end(outOfTime(maxMinutes)), Math.min(maxMinutes * 60_000, 2 ** 31 - 1));
    stop.addEventListener('abort', onAbort);
    try {
      if (stop.aborted) throw interrupted();
      const { message, transfer } = parcel(request);
      const reply = await running.ask(message, transfer, hear);
      // What it held is known to nobody any more, and the memory of WebAssembly never shrinks.
      if (reply.kind === 'failed') await running.stop();
      return reply;
    } catch (error) {
      throw reason ?? error;
    } finally {
      clearTimeout(timer);
      stop.removeEventListener('abort', onAbort);
    }
  }

  return {
    async ask(request, options = {}) {
      const turn = last.then(() => run(request, options));
      last = turn.catch(() => undefined);
      const reply = await turn;
      if (reply.kind === 'failed') throw failure(reply.error);
      return (reply as { readonly result: unknown }).result as ReplyTo[typeof request.kind];
    },
    async close() {
      closing.abort();
      await last;
      await thread.stop();
    },
  };
}

function failure(error: Extract<WorkerReply, { kind: 'failed' }>['error']): NmktError {
  const {
    code = 'training-failed',
    message,
    remedy = 'try a smaller batch or model, or another engine',
    ...detail
  } = error;
  return new NmktError(code, message, { remedy, ...detail });
}

function notRestarted(cause: unknown): never {
  throw new NmktError('training-failed', 'the training thread was lost and does not start again', {
    remedy: 'run the same command again; free some memory if it happens again',
    expected: 'a new training thread',
    got: cause instanceof Error ? cause.message : String(cause),
    cause,
  });
}

function interrupted(): NmktError {
  return new NmktError('interrupted', 'training was stopped', { remedy: 'run the same command to go on' });
}

function outOfTime(maxMinutes: number): NmktError {
  return new NmktError('training-failed', 'the call took longer than the limit', {
    remedy: 'raise the limit of minutes, or leave the job to faster machines',
    expected: `at most ${maxMinutes} minutes`,
    got: 'no answer by then',
  });
}
