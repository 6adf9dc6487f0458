import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchResult } from './run.js';

/**
 * One customer and many trainers on one embedded relay: three processes, real events over real sockets, each trainer with its own key and
 * connection, the stub engine, rail none. Each 25 of them read the job's events together. What is measured is the customer's process. `--full`: 500 trainers,
 * else 100; NMKT_BENCH_SEATS: another number.
 */
const ROUNDS = 2;

export async function bench(): Promise<BenchResult> {
  const asked = process.env['NMKT_BENCH_SEATS'];
  const seats = asked !== undefined ? Number(asked) : process.argv.includes('--full') ? 500 : 100;
  const dir = await mkdtemp(join(tmpdir(), 'nmkt-crowd-'));
  const children: ChildProcess[] = [];
  const start = (script: string, ...args: string[]): ChildProcess => {
    const child = fork(new URL(`./crowd/${script}.ts`, import.meta.url), args, {
      execArgv: [
        '--import',
        'tsx',
        ...(process.env['PROF'] && script === 'customer' ? ['--cpu-prof', '--cpu-prof-dir=/tmp/prof'] : []),
      ],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    children.push(child);
    return child;
  };
  try {
    const relay = start('relay', dir);
    const { url } = await told<{ url: string }>(relay);
    const trainers = start('trainers', url, String(seats));
    await told(trainers);
    const customer = start('customer', url, String(seats), String(ROUNDS));
    trainers.send(await told<object>(customer));
    const measured = await told<Measured>(customer);
    const { done, failed } = await told<{ done: number; failed?: string }>(trainers);
    if (failed !== undefined) console.error(`a trainer failed: ${failed}`);
    return report(seats, measured, done);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  }
}

interface Measured {
  readonly accepted: readonly number[];
  readonly closes: readonly number[];
  readonly seconds: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly rssMb: number;
  readonly events: number;
}

/** The next message of a process. @throws Error when it ends before */
async function told<T>(child: ChildProcess): Promise<T> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`a process of the bench ended with status ${String(code)}`);
  });
  const [message] = (await Promise.race([once(child, 'message'), ended])) as [T];
  ended.catch(() => undefined);
  return message;
}

function report(seats: number, measured: Measured, done: number): BenchResult {
  const { accepted, closes, seconds, p99Ms, maxMs, rssMb, events } = measured;
  const slowest = Math.max(...closes);
  const rows = [
    { what: 'seats, rounds', got: `${seats}, ${accepted.length}` },
    { what: 'accepted in each round', got: accepted.join(', ') },
    { what: 'trainers that saw the job to its end', got: String(done) },
    { what: 'events of the job', got: String(events) },
    { what: 'the whole job, s', got: seconds.toFixed(1) },
    { what: 'close after the last reveal, s', got: closes.map((one) => one.toFixed(1)).join(', ') },
    { what: "customer's loop delay, p99 and most, ms", got: `${p99Ms.toFixed(0)}, ${maxMs.toFixed(0)}` },
    { what: "customer's memory, MB", got: rssMb.toFixed(0) },
    {
      what: 'machine',
      got: `${cpus()[0]?.model ?? ''}, ${cpus().length} processors, load ${loadavg()[0]!.toFixed(1)}, Node ${process.version}`,
    },
  ];
  const target = (name: string, limit: string, got: string, ok: boolean) => ({
    name: `crowd of ${seats}: ${name}`,
    target: limit,
    got,
    ok,
  });
  return {
    rows,
    targets: [
      target('close after the last reveal', '<= 30 s', `${slowest.toFixed(1)} s`, slowest <= 30),
      target('loop delay, p99', '<= 100 ms', `${p99Ms.toFixed(0)} ms`, p99Ms <= 100),
      target('memory', '< 500 MB', `${rssMb.toFixed(0)} MB`, rssMb < 500),
    ],
  };
}
