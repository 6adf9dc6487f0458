import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { keepOutput, RUN_VARIABLE } from './outputs.js';

let started = 0;

/** Keeps what it prints, and what /proc shows of it and of the processes below it. Nothing is taken from the test. */
export function watchProcess(child: ChildProcess, label: string): void {
  if (process.env[RUN_VARIABLE] === undefined) return;
  const words = label.replace(/^.*?nmkt\.js/, 'nmkt').replace(/[^a-z0-9-]+/gi, '_');
  const name = `${++started}-${words.slice(0, 40)}`;
  let last = 0;
  const look = (): void => {
    if (performance.now() - last < 100 || child.pid === undefined) return;
    last = performance.now();
    keepOutput(`${name}.processes`, processesBelow(child.pid));
  };
  child.once('spawn', look);
  for (const [stream, ending] of [
    [child.stdout, 'stdout'],
    [child.stderr, 'stderr'],
  ] as const) {
    if (stream === null) continue;
    tap(stream, (chunk) => {
      keepOutput(`${name}.${ending}`, chunk);
      look();
    });
  }
}

/** Before the chunk is queued, so that a stream that nobody reads yet stays paused. */
function tap(stream: Readable, take: (chunk: Uint8Array) => void): void {
  const push = stream.push.bind(stream);
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk instanceof Uint8Array) take(chunk);
    return push(chunk, encoding);
  };
}

/** Command line of the process, command line and environment of every process below it. Empty where there is no /proc. */
function processesBelow(pid: number): string {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'latin1').replaceAll('\0', '\n');
    } catch {
      return ''; // ended meanwhile
    }
  };
  const all = process.platform === 'linux' ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
  const parents = new Map(all.map((one) => [one, /\) \S (\d+)/.exec(read(`/proc/${one}/stat`))?.[1]]));
  const isBelow = (one: string | undefined): boolean =>
    one !== undefined && one !== '0' && (one === `${pid}` || isBelow(parents.get(one)));
  return all
    .filter(isBelow)
    .map((one) => read(`/proc/${one}/cmdline`) + (one === `${pid}` ? '' : read(`/proc/${one}/environ`)))
    .join('\n');
}
