import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { afterAll, afterEach } from 'vitest';
import { WebSocket } from 'ws';
import { endTest, flushOutputs, keepGiven, keepOutput, RUN_VARIABLE } from './outputs.js';
import { watchProcess } from './processes.js';

/**
 * For every test file: whatever processes it starts are listened to, whatever it sends over a WebSocket, as relay or as
 * client, is kept. A test that is written tomorrow needs to do nothing for it.
 */
if (process.env[RUN_VARIABLE] !== undefined) {
  const { spawn } = childProcess;
  childProcess.spawn = ((...call: Parameters<typeof spawn>) => {
    const child = spawn(...call);
    const [program, args, options] = call;
    keepGiven(options?.env);
    watchProcess(child, [program, ...(Array.isArray(args) ? args : [])].join(' '));
    return child;
  }) as typeof spawn;
  syncBuiltinESMExports();

  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its socket below
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (this: WebSocket, ...call: Parameters<typeof send>): void {
    const [data] = call;
    if (typeof data === 'string') keepOutput('frames', `${data}\n`);
    send.apply(this, call);
  } as typeof send;
}

afterEach(endTest);
afterAll(() => {
  endTest();
  flushOutputs();
});
