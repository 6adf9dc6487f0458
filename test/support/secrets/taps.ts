import childProcess, { type ChildProcess } from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { afterAll, afterEach } from 'vitest';
import { WebSocket } from 'ws';
import { endTest, flushOutputs, keepGiven, keepOutput, RUN_VARIABLE } from './outputs.js';
import { watchProcess } from './processes.js';

/**
 * For every test file: whatever processes it starts are listened to, whatever it sends over a WebSocket, as relay or as
 * client, is kept. A test that is written tomorrow needs to do nothing for it.
 */

interface Listener {
  onStart(child: ChildProcess, label: string, env: NodeJS.ProcessEnv | undefined): void;
  onFrame(text: string): void;
}

/** Files may share a process: what is patched once speaks to the listener of the one that runs. */
const patched = globalThis as { nmktTestListener?: Listener };

function patch(): void {
  const { spawn } = childProcess;
  childProcess.spawn = ((...call: Parameters<typeof spawn>) => {
    const child = spawn(...call);
    const [program, args, options] = call;
    const label = [program, ...(Array.isArray(args) ? args : [])].join(' ');
    patched.nmktTestListener!.onStart(child, label, options?.env);
    return child;
  }) as typeof spawn;
  syncBuiltinESMExports();

  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its socket below
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (this: WebSocket, ...call: Parameters<typeof send>): void {
    const [data] = call;
    if (typeof data === 'string') patched.nmktTestListener!.onFrame(data);
    send.apply(this, call);
  } as typeof send;
}

if (process.env[RUN_VARIABLE] !== undefined) {
  if (patched.nmktTestListener === undefined) patch();
  patched.nmktTestListener = {
    onStart(child, label, env) {
      keepGiven(env);
      watchProcess(child, label);
    },
    onFrame: (text) => keepOutput('frames', `${text}\n`),
  };
}

afterEach(endTest);
afterAll(() => {
  endTest();
  flushOutputs();
});
