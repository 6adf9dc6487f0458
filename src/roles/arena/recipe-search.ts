import { isNmktError } from '../../errors.js';
import type { Bytes } from '../../hash.js';
import { subset } from '../../learning/examples.js';
import { initialParams } from '../../learning/params.js';
import { stratifiedSplit } from '../../learning/partition.js';
import { initialisationSeed } from '../../learning/seeds.js';
import { stepCount } from '../../learning/train-state.js';
import type { Examples, ParamSet, TrainState } from '../../learning/types.js';
import type { Engine } from '../../ports.js';
import type { Candidate } from './recipe.js';

/** The best of some recipes within a time, by what they lose on examples that no training sees. */

export interface SearchPorts {
  readonly engine: Engine;
  readonly examples: Examples;
  /** 32 bytes: equal seed, recipes, examples and engine give equal models, where the time suffices. */
  readonly seed: Bytes;
  /** Of the clock; the search ends at the first step after it. */
  readonly untilMs: number;
  readonly nowMs: () => number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (text: string) => void;
}

export interface Found {
  readonly candidate: Candidate;
  readonly weights: ParamSet;
  /** Mean loss and accuracy on the held-out part. */
  readonly loss: number;
  readonly accuracy: number | null;
  /** Of `total`: a model that the time did not let finish has fewer. */
  readonly steps: number;
  readonly total: number;
}

/** What is kept back of the examples. */
const HELD_OUT = 0.1;

/** A training that goes on where it stands. */
interface Run extends Found {
  readonly state: TrainState | null;
}

/**
 * Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943): all train a part of their steps, the better half goes on to twice
 * as many, and so on; the last one trains to its end. A training that diverges drops out.
 *
 * @param candidates  one or more
 * @returns           the best that it has when it ends; undefined: all diverged, or the time was over before any began
 */
export async function searchRecipes(candidates: readonly Candidate[], ports: SearchPorts): Promise<Found | undefined> {
  const { examples, seed } = ports;
  const strata = examples.labels instanceof Int32Array ? examples.labels : examples.rows;
  const [heldOut, rest] = stratifiedSplit(strata, [HELD_OUT], seed) as [Uint32Array, Uint32Array];
  const data = { train: subset(examples, rest), test: subset(examples, heldOut) };
  const rungs = Math.ceil(Math.log2(candidates.length));
  let alive: readonly { readonly candidate: Candidate; readonly run: Run | null }[] = candidates.map((candidate) => ({
    ...{ candidate, run: null },
  }));
  let best: Run | undefined;
  for (let rung = 0; rung <= rungs && alive.length > 0; rung++) {
    const share = 2 ** (rung - rungs);
    const ran: Run[] = [];
    for (const { candidate, run } of alive) {
      if (ports.nowMs() >= ports.untilMs) return better([...ran, best]);
      const next = await trainTo(candidate, run, share, data, ports);
      if (next !== null) ran.push(next);
    }
    ran.sort((a, b) => a.loss - b.loss);
    best = ran[0] ?? best;
    const kept = rung === rungs ? 0 : Math.ceil(ran.length / 2);
    alive = ran.slice(0, kept).map((run) => ({ candidate: run.candidate, run }));
  }
  return better([best]);
}

function better(runs: readonly (Run | undefined)[]): Found | undefined {
  const known = runs.filter((run) => run !== undefined).sort((a, b) => a.loss - b.loss);
  if (known[0] === undefined) return undefined;
  const { candidate, weights, loss, accuracy, steps, total } = known[0];
  return { candidate, weights, loss, accuracy, steps, total };
}

/** @returns null where it diverges */
async function trainTo(
  candidate: Candidate,
  run: Run | null,
  share: number,
  { train, test }: { readonly train: Examples; readonly test: Examples },
  { engine, seed, signal, onProgress }: SearchPorts,
): Promise<Run | null> {
  const { spec, hyper, recipe } = candidate;
  const total = stepCount(hyper, train.rows);
  const toStep = Math.max(1, Math.ceil(total * share));
  const kept: { state: TrainState | null } = { state: null };
  try {
    const { weights } = await engine.train(
      {
        ...{ model: spec, hyper, examples: train, seed, weights: initialParams(spec, initialisationSeed(seed)) },
        ...(toStep < total && { toStep }),
        ...(run?.state != null && { from: run.state }),
      },
      undefined,
      signal,
      (state) => (kept.state = state),
    );
    const { loss, accuracy = null } = await engine.evaluate(spec, weights, test);
    if (!Number.isFinite(loss)) return null;
    onProgress?.(
      `${recipe.model}, learning rate ${recipe.learningRate}: loss ${loss.toFixed(4)} after ${toStep} of ${total} steps`,
    );
    return { candidate, weights, loss, accuracy, steps: toStep, total, state: kept.state };
  } catch (error) {
    if (isNmktError(error, 'diverged')) return null;
    throw error;
  }
}
