import { cpus } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { hex, type EventId } from '../src/hash.js';
import { foldJob } from '../src/market/fold.js';
import { paidMsat } from '../src/market/state.js';
import type { NostrEvent } from '../src/ports.js';
import { parseJobEvent, type JobEvent } from '../src/protocol/events.js';
import { eventHash, hasValidSignature, signHash } from '../src/schnorr.js';
import { jobDump, type DumpSize, type Sign } from '../src/market/attacks/job-dump.js';
import type { BenchResult, BenchTarget } from './run.js';

/** Seats of a job: award, scores and close name all of them in one event of 64 kB. */
const SEATS = 64;
const VALIDATORS = 5;
/** Events of one job with so many rounds, about. */
const SIZES = [10_000, 100_000, 1_000_000];
const TRAINERS = 1_000;
const ROUNDS = 100;
const TARGET_SEC = 20;

/** Signed jobs of growing size through signature check, parser and fold with its settlements; then many jobs of the largest market. */
export async function bench(): Promise<BenchResult> {
  console.error(
    `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} processors, Node.js ${process.version}, ${today()}`,
  );
  const sizes = process.argv.includes('--full') ? SIZES : SIZES.slice(0, -1);
  const rows = sizes.map((events) => {
    const rounds = Math.round(events / (5 * SEATS + 6 + VALIDATORS));
    return row(`1 job, ${rounds} rounds`, [{ name: 'one', trainers: SEATS, rounds, validators: VALIDATORS }]);
  });
  const jobs = Math.ceil(TRAINERS / SEATS);
  const whole = Array.from({ length: jobs }, (_, i) => {
    const trainers = Math.min(SEATS, TRAINERS - i * SEATS);
    return { name: `job ${i}`, trainers, rounds: ROUNDS, validators: VALIDATORS };
  });
  const market = row(`${jobs} jobs of at most ${SEATS} seats, ${ROUNDS} rounds, ${TRAINERS} trainers`, whole);
  return { rows: [...rows, market].map(shown), targets: targetsOf(rows, market) };
}

type Row = ReturnType<typeof row>;

/** Processor times in ms; memory is what state and parsed events of the jobs hold, in MiB, though one job at a time is in memory. */
function row(what: string, jobs: readonly DumpSize[]) {
  const sum = { what, jobs: jobs.length, events: 0, checkMs: 0, checked: 0, parseMs: 0, foldMs: 0, heapMiB: 0 };
  const sign = signing(SIGNED);
  for (const size of jobs) {
    const before = heapMiB();
    const { parsed, ...read } = readDump(size, sign, sum.checked < SIGNED);
    const start = cpuMs();
    const state = foldJob(parsed[0]!.id, parsed);
    sum.foldMs += cpuMs() - start;
    sum.heapMiB += heapMiB() - before;
    const paid = 21_000n * BigInt(size.trainers) * BigInt(size.rounds);
    if (state.phase !== 'finished' || paidMsat(state) !== paid) throw new Error(`${what}: ${state.firstBad?.detail}`);
    sum.events += parsed.length;
    sum.parseMs += read.parseMs;
    sum.checkMs += read.checkMs;
    sum.checked += read.checked;
  }
  return sum;
}

/** The first events of a row are signed and checked; the others carry their true id alone: checking is linear by itself, and slow. */
const SIGNED = 10_000;
const BATCH = 1_000;

function readDump(size: DumpSize, sign: Sign, isSigned: boolean) {
  const parsed: JobEvent[] = [];
  let [parseMs, checkMs, checked] = [0, 0, 0];
  let batch: NostrEvent[] = [];
  const read = () => {
    const start = cpuMs();
    if (isSigned && checked < SIGNED) {
      if (!batch.every(hasValidSignature)) throw new Error('a signature is bad');
      checkMs += cpuMs() - start;
      checked += batch.length;
    }
    const from = cpuMs();
    for (const event of batch) parsed.push(parseJobEvent(event));
    parseMs += cpuMs() - from;
    batch = [];
  };
  for (const event of jobDump(size, sign)) if (batch.push(event) === BATCH) read();
  read();
  return { parsed, parseMs, checkMs, checked };
}

function signing(count: number): Sign {
  let left = count;
  return (template, secret, pubkey) => {
    const hash = eventHash({ ...template, pubkey });
    return {
      ...template,
      pubkey,
      id: hex(hash) as EventId,
      sig: left-- > 0 ? signHash(hash, secret) : '0'.repeat(128),
    };
  };
}

/** Of this process: a busy machine makes it wait, and that is nobody's cost. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const perEvent = (ms: number, events: number) => (events === 0 ? 0 : (1000 * ms) / events);

function shown({ what, jobs, events, checkMs, checked, parseMs, foldMs, heapMiB }: Row) {
  return {
    ...{ what, events },
    signatureUs: perEvent(checkMs, checked),
    parseUs: perEvent(parseMs, events),
    foldUs: perEvent(foldMs, events),
    foldSec: foldMs / 1000,
    heapKiBPerEvent: jobs === 1 ? (1024 * heapMiB) / events : '',
  };
}

function targetsOf(rows: readonly Row[], market: Row): BenchTarget[] {
  const [small, large] = [rows[0]!, rows.at(-1)!];
  const times = perEvent(large.foldMs, large.events) / perEvent(small.foldMs, small.events);
  const memory = large.heapMiB / large.events / (small.heapMiB / small.events);
  const foldSec = market.foldMs / 1000;
  return [
    target(
      `fold and settle ${market.events} events`,
      `below ${TARGET_SEC} s`,
      `${foldSec.toFixed(1)} s`,
      foldSec < TARGET_SEC,
    ),
    target(
      `fold, time per event from ${small.events} to ${large.events}`,
      'at most 2x',
      `${times.toFixed(2)}x`,
      times <= 2,
    ),
    target('fold, memory per event, the same', 'at most 1.25x', `${memory.toFixed(2)}x`, memory <= 1.25),
  ];
}

const target = (name: string, wanted: string, got: string, ok: boolean): BenchTarget => ({
  name,
  target: wanted,
  got,
  ok,
});

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;

function heapMiB(): number {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

const today = () => new Date().toISOString().slice(0, 10);
