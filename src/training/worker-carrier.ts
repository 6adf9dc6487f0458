import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { NmktError } from '../errors.js';
import type { Rung } from '../learning/types.js';
import type { WorkerReply, WorkerRequest, WorkerStart } from './worker-messages.js';

/** Where the training code runs, and how it is spoken to. */
export interface Carrier {
  post(request: WorkerRequest, transfer: readonly ArrayBuffer[]): void;
  onReply(hear: (reply: WorkerReply) => void): void;
  /** It failed or ended; `why` in words. */
  onEnd(hear: (why: Error) => void): void;
  /** Does it keep this process alive? */
  hold(): void;
  release(): void;
  end(): Promise<void>;
}

/** JavaScript heap of the training; tensors and datasets lie outside of it. */
const MAX_HEAP_MB = 1024;

/**
 * The native rungs get a process of their own, which a driver may crash without harm to relays and payments; WebAssembly
 * and JavaScript cannot do that, and a thread takes arrays without copying.
 */
export function startCarrier(start: WorkerStart): Carrier {
  return isNative(start.rung) ? inProcess(start) : inThread(start);
}

export function isNative(rung: Rung): boolean {
  return rung === 'node' || rung === 'webgpu';
}

function inThread(start: WorkerStart): Carrier {
  // With `stdout` and `stderr` set nothing the thread prints reaches ours. They stay unread: reading holds the process.
  const worker = new Worker(compiledFile('worker'), {
    workerData: start,
    env: scrubbedEnvironment(),
    execArgv: [],
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  return {
    post: (request, transfer) => worker.postMessage(request, transfer),
    onReply: (hear) => void worker.on('message', hear),
    onEnd(hear) {
      worker.on('error', hear);
      worker.on('exit', () => hear(new Error('the training thread ended')));
    },
    hold: () => worker.ref(),
    release: () => worker.unref(),
    end: async () => void (await worker.terminate()),
  };
}

function inProcess(start: WorkerStart): Carrier {
  const child = fork(compiledFile('worker'), [JSON.stringify(start)], {
    env: scrubbedEnvironment(),
    execArgv: [`--max-old-space-size=${MAX_HEAP_MB}`],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return {
    post: (request) => void child.send(request, () => undefined),
    onReply: (hear) => void child.on('message', (message) => hear(message as unknown as WorkerReply)),
    onEnd(hear) {
      child.on('error', hear);
      child.on('exit', (code, signal) => hear(new Error(`the training process ended with ${ending(code, signal)}`)));
    },
    hold() {
      child.ref();
      child.channel?.ref();
    },
    release() {
      child.unref();
      child.channel?.unref();
    },
    async end() {
      child.kill('SIGKILL');
      child.ref();
      await gone;
    },
  };
}

export function ending(code: number | null, signal: string | null): string {
  return signal ?? `status ${code}`;
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
  const kept = ['PATH', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'SystemRoot', 'TEMP', 'TMPDIR', ...GPU_NAMES];
  const entries = kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...Object.fromEntries(entries), TF_CPP_MIN_LOG_LEVEL: '2' } as NodeJS.ProcessEnv;
}

/** By which Vulkan and CUDA are told which driver or device to take. */
const GPU_NAMES = ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES', 'CUDA_VISIBLE_DEVICES', 'HOME', 'XDG_RUNTIME_DIR'];
