import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, onTestFinished } from 'vitest';
import { keepGiven } from './secrets/outputs.js';
import { inspectFolder } from './secrets/run.js';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the run's own empty folder. */
  readonly cwd?: string;
  readonly stdin?: string;
}
export interface RunResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const binary = resolve('bin/nmkt.js');

/** An empty folder that goes when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nmkt-test-'));
  onTestFinished(() => remove(folder));
  return folder;
}

/** One for all tests of a file, made before the first of them starts. */
export function folderOfFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nmkt-test-'));
  afterAll(() => remove(folder));
  return folder;
}

/** Looks for secrets in places that are not theirs, then removes it. */
export function remove(folder: string): void {
  inspectFolder(folder);
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** The person's own settings stay out: an empty HOME, no NMKT_* and no NO_COLOR but those given. */
export function isolatedEnv(home: string, extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: home, TMPDIR: tmpdir(), LANG: 'C.UTF-8', ...extra };
}

/** Starts the real binary; ended with the test if it still runs then. */
export function startNmkt(args: readonly string[], options: RunOptions = {}): ChildProcess {
  keepGiven({}, options.stdin);
  const folder = options.cwd ?? temporaryFolder();
  const child = spawn(process.execPath, [binary, ...args], {
    cwd: folder,
    env: isolatedEnv(options.env?.['HOME'] ?? folder, options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  onTestFinished(() => void (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')));
  // A process that ends without reading its stdin is no failure of the test.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  return child;
}

/** Runs it to its end. */
export async function runNmkt(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return finished(startNmkt(args, options));
}

export async function finished(child: ChildProcess): Promise<RunResult> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (status, signal) => done({ status, signal, stdout, stderr }));
  });
}

/** The first stdout line as JSON that satisfies `wanted`; fails when the process ends without one. */
export async function waitForEvent(
  child: ChildProcess,
  wanted: (event: Record<string, unknown>) => boolean,
): Promise<Record<string, unknown>> {
  let rest = '';
  return new Promise((done, fail) => {
    child.once('close', (status) => fail(new Error(`nmkt ended with ${status} before the event`)));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const event = JSON.parse(line) as Record<string, unknown>;
        if (wanted(event)) done(event);
      }
    });
  });
}
