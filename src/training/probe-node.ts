import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { compiledFile, scrubbedEnvironment } from './worker-thread.js';

const PROBE_TIMEOUT_MS = 60_000;

let verdict: Promise<string | null> | undefined;

/** Does @tensorflow/tfjs-node load and train here? Asked once per process. @returns null, or why not */
export function probeNode(): Promise<string | null> {
  verdict ??= isInstalled() ? probeInChild() : Promise.resolve('@tensorflow/tfjs-node is not installed');
  return verdict;
}

function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('@tensorflow/tfjs-node');
    return true;
  } catch {
    return false;
  }
}

function probeInChild(): Promise<string | null> {
  const child = fork(compiledFile('probe'), {
    env: scrubbedEnvironment(),
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    timeout: PROBE_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  return new Promise((resolve) => {
    child.once('message', (reason) => resolve(reason as string | null));
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(`the native library ended the probe with ${signal ?? `status ${code}`}`),
    );
  });
}
