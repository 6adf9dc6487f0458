import { parentPort, workerData } from 'node:worker_threads';
import { NmktError } from '../errors.js';
import { watchInexact } from '../kernels/inexact.js';
import type { ParamSet } from '../learning/types.js';
import { evaluate, predict, train, type OnStep } from './model-train.js';
import { loadRung } from './tfjs-rungs.js';
import { smoke } from './tfjs-smoke.js';
import { memoryGuard, processBytes, threadBytes } from './worker-memory.js';
import type { PlainError, WorkerReply, WorkerRequest, WorkerStart } from './worker-messages.js';

/** The training thread, or process: loads its rung, proves it with a tiny training, then answers one request after the other. */

const PROGRESS_EVERY_MS = 200;
let checkMemory = (): void => undefined;

/** In a process there is nothing to transfer: messages are copied. */
function say(reply: WorkerReply, transfer: readonly ArrayBuffer[] = []): void {
  if (parentPort === null) process.send!(reply);
  else parentPort.postMessage(reply, transfer);
}

function listen(hear: (request: WorkerRequest) => void): void {
  if (parentPort !== null) return void parentPort.on('message', hear);
  process.on('message', (message) => hear(message as WorkerRequest));
  // Whoever asked is gone.
  process.on('disconnect', () => process.exit());
}

async function answer(request: WorkerRequest): Promise<void> {
  switch (request.kind) {
    case 'train': {
      const start = performance.now();
      const { result, inexact } = await watchInexact(() =>
        train(request.request, throttled(), (state) => say({ kind: 'state', state }, buffersOf(state.tensors))),
      );
      const wallMs = Math.round(performance.now() - start);
      const whole = { ...result, wallMs, ...(inexact.length > 0 && { inexact }) };
      return say({ kind: 'trained', result: whole }, buffersOf(result.weights));
    }
    case 'evaluate':
      return say({ kind: 'evaluated', result: await evaluate(request.model, request.weights, request.examples) });
    case 'predict': {
      const result = await predict(request.model, request.weights, request.features, request.rows, request.scale);
      return say({ kind: 'predicted', result }, [result.buffer as ArrayBuffer]);
    }
  }
}

function buffersOf(params: ParamSet): ArrayBuffer[] {
  return params.map((tensor) => tensor.data.buffer as ArrayBuffer);
}

/** About five reports a second, and always the last; and as often a look at the memory. */
function throttled(): OnStep {
  let last = performance.now();
  return (done, total, loss) => {
    const now = performance.now();
    if (now - last < PROGRESS_EVERY_MS && done < total) return undefined;
    last = now;
    checkMemory();
    say({ kind: 'progress', done, total, loss });
    // A process sees the end of its parent, and sends, only between turns of its event loop.
    return parentPort === null ? new Promise((resolve) => setImmediate(resolve)) : undefined;
  };
}

function plain(error: unknown): PlainError {
  if (!(error instanceof NmktError)) return { message: error instanceof Error ? error.message : String(error) };
  const { code, message, remedy, expected, got } = error;
  return { code, message, remedy, ...(expected !== undefined && { expected }), ...(got !== undefined && { got }) };
}

/** What tfjs and emscripten print (banners, whole source lines on an error) would pile up unread on the other side. */
function mute(): void {
  process.stdout.write = () => true;
  process.stderr.write = () => true;
}

async function start({ rung, maxBytes, ...place }: WorkerStart): Promise<void> {
  mute();
  const began = performance.now();
  try {
    const id = await loadRung(rung, place);
    await smoke();
    checkMemory = memoryGuard(parentPort === null ? processBytes : threadBytes, maxBytes);
    // One request at a time: the other side waits for the answer before it sends the next.
    listen((request) => {
      void answer(request).catch((error: unknown) => say({ kind: 'failed', error: plain(error) }));
    });
    say({ kind: 'ready', id, coldMs: performance.now() - began });
  } catch (error) {
    say({ kind: 'unfit', reason: plain(error).message });
  }
}

await start((parentPort === null ? JSON.parse(process.argv[2]!) : workerData) as WorkerStart);
