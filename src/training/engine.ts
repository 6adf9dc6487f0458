import { NmktError } from '../errors.js';
import type { EngineId, Examples, ModelSpec, ParamSet, Rung } from '../learning/types.js';
import type { Engine } from '../ports.js';
import { checkEvaluate, checkPredict, checkTrain, DEFAULT_LIMITS, type EngineLimits } from './engine-request.js';
import { queueOn } from './engine-queue.js';
import { installCommand, isInstalled, OPTIONAL_PACKAGES } from './optional-packages.js';
import type { EnginePlace } from './tfjs-rungs.js';
import { judgeRung, type Verdict, type VerdictOptions } from './verdict.js';
import { isNative } from './worker-carrier.js';
import { startThread, type TrainingThread } from './worker-thread.js';

export type { EngineLimits } from './engine-request.js';

/** Fastest first. `node` and `webgpu` only promise results within a tolerance, `wasm` and `cpu` equal bytes for equal ids. */
export const LADDER: readonly Rung[] = ['node', 'webgpu', 'wasm', 'cpu'];

export interface EngineOptions extends EnginePlace {
  /** A single rung, or the first of the ladder that loads (default). */
  readonly want?: 'auto' | Rung;
  /** Rungs that the job accepts; default all. */
  readonly accepted?: readonly Rung[];
  /** Default: 25 million parameters, 2 GiB, 60 minutes. */
  readonly limits?: Partial<EngineLimits>;
  /** Default 60 seconds. */
  readonly probeTimeoutMs?: number;
}

/** `reason` is empty when the rung is fit; `id` is there when it is. */
export interface RungReport {
  readonly rung: Rung;
  readonly ok: boolean;
  readonly reason: string;
  readonly id?: EngineId;
  /** What to type to have a rung that is not installed. */
  readonly install?: string;
  /** Fit, but slower than wasm: only taken when it is asked for by name. */
  readonly isSlow?: boolean;
  /** From the start of the thread's code to the end of its first tiny training. */
  readonly coldMs?: number;
  readonly examplesPerSec?: number;
}

/** An engine also takes the scale of byte features in `predict` (default 1: the bytes are the inputs). */
export interface TrainingEngine extends Engine {
  predict(
    model: ModelSpec,
    weights: ParamSet,
    features: Examples['features'],
    rows: number,
    scale?: number,
  ): Promise<Float32Array>;
}

/**
 * The first rung that the job accepts, that is wanted, and that trains correctly here; in a thread of its own.
 *
 * @throws NmktError `engine-unavailable` with the reason for each rung
 */
export async function createEngine(options: EngineOptions = {}): Promise<TrainingEngine> {
  const { want = 'auto', accepted = LADDER } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const reasons: string[] = [];
  for (const rung of LADDER) {
    if (want !== 'auto' && want !== rung) continue;
    if (!accepted.includes(rung)) {
      reasons.push(`${rung}: the job does not accept it`);
      continue;
    }
    try {
      const verdict = await fitness(rung, options);
      if (verdict.flaw !== null) throw new Error(verdict.flaw);
      if (want === 'auto' && isSlow(verdict)) throw new Error(slowness(verdict));
      return await startEngine(rung, options, limits);
    } catch (error) {
      reasons.push(`${rung}: ${firstLine(error)}`);
    }
  }
  throw new NmktError('engine-unavailable', 'no training engine loads here', {
    remedy: 'choose a job that accepts wasm, or repair the engine: npm rebuild @tensorflow/tfjs-node',
    expected: `one of ${accepted.join(', ')}${want === 'auto' ? '' : `, and ${want} was asked for`}`,
    got: reasons.join('; '),
  });
}

/**
 * Tries every rung, fastest first, anew whatever earlier probes said, and stops each again.
 *
 * @param measure  asked for the speed of each that is fit
 */
export async function describeEngines(
  measure?: (engine: Engine) => Promise<number>,
  options: EnginePlace & { readonly probeTimeoutMs?: number } = {},
): Promise<readonly RungReport[]> {
  const reports: RungReport[] = [];
  for (const rung of LADDER) {
    try {
      const verdict = await fitness(rung, { ...options, isFresh: true });
      if (verdict.flaw !== null) throw new Error(verdict.flaw);
      const thread = await startThread({ rung, maxBytes: DEFAULT_LIMITS.maxBytes, ...placeOf(options) });
      try {
        const examplesPerSec = await measure?.(engineOn(rung, thread, options, DEFAULT_LIMITS));
        const speed = examplesPerSec === undefined ? {} : { examplesPerSec };
        const slow = isSlow(verdict) ? { reason: slowness(verdict), isSlow: true } : { reason: '' };
        reports.push({ rung, ok: true, ...slow, id: thread.id, coldMs: thread.coldMs, ...speed });
      } finally {
        await thread.stop();
      }
    } catch (error) {
      reports.push({ rung, ok: false, reason: firstLine(error), ...remedyFor(rung, options) });
    }
  }
  return reports;
}

/** The rungs without native code are proved by their own start. */
async function fitness(rung: Rung, options: VerdictOptions): Promise<Verdict> {
  return isNative(rung) ? judgeRung(rung, options) : { flaw: null };
}

function isSlow({ gigaflops, wasmGigaflops }: Verdict): boolean {
  return gigaflops !== undefined && wasmGigaflops !== undefined && gigaflops < wasmGigaflops;
}

function slowness({ gigaflops, wasmGigaflops }: Verdict): string {
  return `slower than wasm here: ${gigaflops!.toFixed(0)} against ${wasmGigaflops!.toFixed(0)} GFLOP/s`;
}

function remedyFor(rung: Rung, { folder }: EnginePlace): { readonly install?: string } {
  const isThere = OPTIONAL_PACKAGES[rung] === undefined || folder === undefined || isInstalled(rung, folder);
  return isThere ? {} : { install: installCommand(rung, folder) };
}

function placeOf({ folder, isSoftwareFine, threads }: EnginePlace): EnginePlace {
  return { folder, isSoftwareFine, threads };
}

async function startEngine(rung: Rung, place: EnginePlace, limits: EngineLimits): Promise<TrainingEngine> {
  const { maxBytes } = limits;
  return engineOn(rung, await startThread({ rung, maxBytes, ...placeOf(place) }), place, limits);
}

function engineOn(rung: Rung, thread: TrainingThread, place: EnginePlace, limits: EngineLimits): TrainingEngine {
  const queue = queueOn(
    thread,
    () => startThread({ rung, maxBytes: limits.maxBytes, ...placeOf(place) }),
    limits.maxMinutes,
  );
  return {
    id: thread.id,
    async train(request, onProgress, signal, onState) {
      checkTrain(request, limits);
      return queue.ask({ kind: 'train', request }, { onProgress, signal, onState });
    },
    async evaluate(model, weights, examples) {
      checkEvaluate(model, weights, examples, limits);
      return queue.ask({ kind: 'evaluate', model, weights, examples });
    },
    async predict(model, weights, features, rows, scale = 1) {
      checkPredict(model, weights, features, rows, limits);
      return queue.ask({ kind: 'predict', model, weights, features, rows, scale });
    },
    close: () => queue.close(),
  };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!.trim();
}
