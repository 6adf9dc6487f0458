import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ERRORS, NmktError, type ErrorCode } from '../errors.js';

/** The demo's participants as separate processes of this same program, none of which outlives it. */

/** What one printed on stdout: events of a stream command, or the one document of another. */
export type Line = Readonly<Record<string, unknown>>;

export interface Ended {
  /** Null when a signal ended it. */
  readonly status: number | null;
  /** The last line on stdout. */
  readonly document: Line | undefined;
  /** Why it failed; absent for status 0 and 7. */
  readonly error: NmktError | undefined;
}

export interface Participant {
  readonly name: string;
  /** Never rejects. */
  readonly ended: Promise<Ended>;
  /** Asks it to stop, then insists. */
  stop(): Promise<void>;
}

export interface Processes {
  /** `nmkt ...args --json`, its stderr in FOLDER/NAME.log. @throws NmktError `interrupted` after `stopAll` */
  start(name: string, args: readonly string[], onLine?: (line: Line) => void): Participant;
  /** Runs it to its end. @throws NmktError the child's own error, with its code and remedy */
  run(name: string, args: readonly string[]): Promise<Ended>;
  /** Ends whatever still runs, and lets nothing start any more; resolves when all have ended. */
  stopAll(): Promise<void>;
}

const BINARY = fileURLToPath(new URL('../../bin/nmkt.js', import.meta.url));
const LEASH = new URL('../../dist/demo/leash.js', import.meta.url).href;
const GRACE_MS = 3_000;

/** @param folder  becomes the children's working directory, so that no ./nmkt.json of the user reaches them */
export function createProcesses(folder: string, env: NodeJS.ProcessEnv): Processes {
  const running = new Set<Participant>();
  let isStopped = false;

  const start: Processes['start'] = (name, args, onLine) => {
    if (isStopped)
      throw new NmktError('interrupted', `${name} is not started: the demo was stopped`, {
        remedy: 'run the same command again',
      });
    const log = join(folder, `${name.replaceAll(' ', '-')}.log`);
    const fd = openSync(log, 'a', 0o600);
    const child = spawn(process.execPath, ['--import', LEASH, BINARY, ...args, '--json'], {
      cwd: folder,
      env: participantEnv(env),
      stdio: ['pipe', 'pipe', fd],
    });
    closeSync(fd);
    child.stdin?.on('error', () => undefined);
    const participant = follow(name, child, log, onLine);
    running.add(participant);
    void participant.ended.then(() => running.delete(participant));
    return participant;
  };
  return {
    start,
    async run(name, args) {
      const end = await start(name, args).ended;
      if (end.error !== undefined) throw end.error;
      return end;
    },
    async stopAll() {
      isStopped = true;
      await Promise.all([...running].map((participant) => participant.stop()));
    },
  };
}

function follow(
  name: string,
  child: ChildProcess,
  log: string,
  onLine: ((line: Line) => void) | undefined,
): Participant {
  let document: Line | undefined;
  let failure: Line | undefined;
  let isOver = false;
  const lines = createInterface({ input: child.stdout! });
  lines.on('line', (text) => {
    const line = parseLine(text);
    if (line === undefined) return;
    if (typeof line['error'] === 'object' && line['error'] !== null) failure = line['error'] as Line;
    document = line;
    onLine?.(line);
  });
  const ended = new Promise<Ended>((resolve) => {
    const finish = async (status: number | null, cause?: unknown): Promise<void> => {
      isOver = true;
      const isFine = status === 0 || status === 7;
      const error = isFine ? undefined : participantError(name, failure, { status, log: await tail(log), cause });
      resolve({ status, document, error });
    };
    child.once('error', (cause) => void finish(null, cause));
    child.once('close', (status) => void finish(status));
  });
  return {
    name,
    ended,
    async stop() {
      if (!isOver) child.kill('SIGTERM');
      const insist = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await ended;
      clearTimeout(insist);
    },
  };
}

function parseLine(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}

/** The child's error under its own code, so that the demo ends with its status. */
function participantError(
  name: string,
  failure: Line | undefined,
  { status, log, cause }: { readonly status: number | null; readonly log: string; readonly cause: unknown },
): NmktError {
  const text = (key: string): string | undefined => {
    const value = failure?.[key];
    return typeof value === 'string' ? value : undefined;
  };
  const code = text('code');
  const [expected, got] = [text('expected'), text('got') ?? (failure === undefined ? log : undefined)];
  return new NmktError(
    code !== undefined && code in ERRORS ? (code as ErrorCode) : 'internal-error',
    `${name}: ${text('message') ?? (status === null ? 'it was killed' : `it ended with status ${status}`)}`,
    {
      remedy: text('remedy') ?? 'run the demo again with --keep: it keeps a log of each process',
      ...(expected === undefined ? {} : { expected }),
      ...(got === undefined ? {} : { got }),
      cause,
    },
  );
}

/** The last words on its stderr. */
async function tail(log: string): Promise<string> {
  const text = await readFile(log, 'utf8').catch(() => '');
  return text.trim().split('\n').slice(-4).join('; ').slice(-500);
}

/** The person's own key, wallet, relays and network stay out of the demo; only the choice of engine goes in. */
function participantEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith('NMKT_') || ['NMKT_ENGINE', 'NMKT_DEBUG'].includes(name)),
  );
}
