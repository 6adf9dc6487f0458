import { Writable } from 'node:stream';
import { outputFor, runLine } from '../../src/cli.js';

export interface LineResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LineOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The reader of stdout has left: every write fails. */
  readonly isClosed?: boolean;
}

/** One command line in this process, from argv to status: the real cli over streams that keep what they get. Not a terminal. */
export async function line(argv: readonly string[], { cwd, env, isClosed }: LineOptions): Promise<LineResult> {
  const before = { env: process.env, cwd: process.cwd() };
  process.env = { PATH: before.env['PATH'], HOME: cwd, ...env };
  process.chdir(cwd);
  const stdout = keeping(isClosed);
  const stderr = keeping();
  try {
    const output = outputFor(argv, { stdin: {}, stdout: stdout.stream, stderr: stderr.stream });
    const status = await runLine(argv, output);
    await output.drained();
    return { status, stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    process.chdir(before.cwd);
    process.env = before.env;
  }
}

function keeping(isClosed = false): { stream: Writable; text(): string } {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!isClosed) text += chunk.toString('utf8');
      done(isClosed ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : null);
    },
  });
  return { stream, text: () => text };
}
