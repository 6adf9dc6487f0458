import { availableParallelism, totalmem } from 'node:os';
import { NmktError } from '../errors.js';
import type { EngineId, Rung } from '../learning/types.js';
import { rungOf } from '../market/auction.js';
import type { Engine } from '../ports.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import { jobEngine } from '../roles/job-engine.js';
import { trialBytes } from '../roles/throughput.js';
import { workerTurns, type WorkerKind } from '../roles/worker-turns.js';
import type { Context } from './command.js';
import { optionalInteger } from './customer-ports.js';
import { trainingBytes, type Bounds } from './trainer-bounds.js';

/** No training gets less, unless --max-bytes is less: before V8 collects garbage, small arrays may lie in as much. */
const LEAST_BYTES = 2 ** 28;
/** How far a training may pass its estimate where others run beside it. */
const SLACK = 2;

export interface TrainerEngines {
  /** Of the best engine that loads, or the best among those a job accepts. @throws NmktError `engine-unavailable` */
  idFor(accepted?: readonly Rung[]): Promise<EngineId>;
  /** One of the job's own, to be closed with the job; its calls wait for their turn. @throws NmktError `engine-unavailable` */
  forJob(job: EventOf<'job'>, snapshot: Snapshot): Promise<Engine>;
  /** As `forJob`, of a job of another kind. @param estimate  bytes of a training */
  forAny(
    job: { readonly id: string; readonly content: { readonly acceptedEngines: readonly Rung[] } },
    estimate: number,
  ): Promise<Engine>;
}

/** How many trainings run at a time: unless it is said, as many as there are processors and memory for. */
export function readParallel(
  options: Readonly<Record<string, unknown>>,
  { maxBytes }: Pick<Bounds, 'maxBytes'>,
  threads: number,
): number {
  const flag = optionalInteger(options['parallel'], '--parallel', 1, 256);
  const byProcessors = Math.floor(availableParallelism() / threads);
  const byMemory = Math.floor(Math.min(maxBytes, totalmem() / 2) / LEAST_BYTES);
  return flag ?? Math.max(1, Math.min(byProcessors, byMemory));
}

/**
 * What a training may take of `maxBytes`: an equal share, more if its estimate asks for more, all of it at most.
 *
 * @param estimate  bytes
 */
export function shareOf(maxBytes: number, parallel: number, estimate: number): number {
  return Math.min(maxBytes, Math.max(LEAST_BYTES, Math.floor(maxBytes / parallel), SLACK * estimate));
}

/** A worker for each job; of `parallel` at a time, within the memory of the bounds. */
export function trainerEngines(
  { deps, progress }: Pick<Context, 'deps' | 'progress'>,
  { maxBytes, maxMinutes }: Bounds,
  { parallel, threads }: { readonly parallel: number; readonly threads: number },
): TrainerEngines {
  const start = (bytes: number, accepted?: readonly Rung[]): Promise<Engine> =>
    deps.engine({ limits: { maxBytes: bytes, maxMinutes }, threads, ...(accepted && { accepted }) });
  const open = async ({ id, bytes }: WorkerKind): Promise<Engine> => {
    const engine = await start(bytes, [rungOf(id)]);
    if (engine.id === id) return engine;
    await engine.close();
    throw otherEngine(id, engine.id);
  };
  const turns = workerTurns({ most: parallel, maxBytes }, open);
  const share = shareOf(maxBytes, parallel, 0);
  // What shows that an engine loads here serves the first job.
  const best = start(share).then((engine) => {
    turns.spare(engine, share);
    return engine.id;
  });
  best.catch(() => undefined);
  const others = new Map<string, Promise<EngineId>>();

  const idAmong = async (accepted: readonly Rung[]): Promise<EngineId> => {
    const engine = await start(share, accepted);
    await engine.close();
    return engine.id;
  };
  const idFor = async (accepted?: readonly Rung[]): Promise<EngineId> => {
    const id = await best;
    if (accepted === undefined || accepted.includes(rungOf(id))) return id;
    const other = others.get(accepted.join()) ?? idAmong(accepted);
    others.set(accepted.join(), other);
    return other;
  };

  const forAny = async (
    { id: job, content }: { readonly id: string; readonly content: { readonly acceptedEngines: readonly Rung[] } },
    estimate: number,
  ): Promise<Engine> => {
    const id = await idFor(content.acceptedEngines);
    const told = `job ${job.slice(0, 12)}…: waits for its turn: ${parallel} trainings at a time, in ${maxBytes} bytes`;
    return jobEngine(turns, { id, bytes: shareOf(maxBytes, parallel, estimate) }, () => progress.note(told));
  };
  return {
    idFor,
    forJob: (job, snapshot) => forAny(job, Math.max(trainingBytes(job.content, snapshot), trialBytes(job.content))),
    forAny,
  };
}

function otherEngine(expected: EngineId, got: EngineId): NmktError {
  return new NmktError('engine-unavailable', 'the engine of this machine is another one since this command began', {
    expected,
    got,
    remedy: 'run the same command again',
  });
}
