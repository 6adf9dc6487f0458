import { sha256, type Bytes, type Sha256 } from '../hash.js';
import { paramsHash } from '../learning/params.js';
import { stepCount } from '../learning/train-state.js';
import type { ParamSet } from '../learning/types.js';
import type { Clock, Engine, TrainRequest, TrainResult } from '../ports.js';
import {
  boosted,
  innerProduct,
  labelsFlipped,
  littleIsEnough,
  moved,
  noise,
  noisyCopy,
  signFlipped,
  type Attack,
} from './attacks.js';

/** The honest updates of the round that is open: what attackers of the strongest kind know. */
export interface Blackboard {
  post(base: ParamSet, update: ParamSet): void;
  /** In the order they came. */
  read(base: ParamSet): readonly ParamSet[];
}

export function createBlackboard(): Blackboard {
  let round: Sha256 | null = null;
  let updates: ParamSet[] = [];
  return {
    post(base, update) {
      const hash = paramsHash(base);
      if (hash !== round) [round, updates] = [hash, []];
      updates.push(update);
    },
    read: (base) => (paramsHash(base) === round ? updates : []),
  };
}

export interface TrainerEngineTools {
  readonly engine: Engine;
  readonly clock: Clock;
  /** Null: nobody reads it. */
  readonly board: Blackboard | null;
  /** 32 bytes, of this trainer. */
  readonly seed: Bytes;
}

/** Honest trainings take no virtual time: they are all on the board when this is over. */
const LISTEN_MS = 1_000;

/** A bid's throughput is measured on a training of its own; here it would be wall time, and differ between runs. */
const isTrial = ({ seed }: TrainRequest): boolean => seed.every((byte) => byte === 0);
/** Of a segment, when the trainer is accused: everybody does that with the real engine. */
const isRepetition = ({ from, toStep }: TrainRequest): boolean => from !== undefined || toStep !== undefined;
const nothingDone = ({ weights, hyper, examples }: TrainRequest): TrainResult => ({
  ...{ weights, lossFirst: 0, lossLast: 0, wallMs: 0 },
  steps: stepCount(hyper, examples.rows),
});

/** The engine of an honest trainer, or of one that attacks: all that makes it differ, so that the market's code is the same. */
export function trainerEngine(attack: Attack | null, tools: TrainerEngineTools): Engine {
  const { engine, board } = tools;
  const train = attack === null ? honestly(tools) : attacking(attack, tools);
  return {
    ...engine,
    async train(request, ...rest) {
      if (isTrial(request)) return nothingDone(request);
      if (isRepetition(request)) return engine.train(request, ...rest);
      const result = await train(request, ...rest);
      if (attack === null) board?.post(request.weights, result.weights);
      return result;
    },
  };
}

const honestly =
  ({ engine }: TrainerEngineTools): Engine['train'] =>
  (...call) =>
    engine.train(...call);

function attacking(attack: Attack, { engine, clock, board, seed }: TrainerEngineTools): Engine['train'] {
  let first: { readonly base: ParamSet; readonly update: ParamSet } | null = null;
  /** Trains honestly, then sends something else; the states on the way stay those of the training. */
  const after =
    (change: (base: ParamSet, update: ParamSet, own: Bytes) => ParamSet): Engine['train'] =>
    async (request, ...rest) => {
      const result = await engine.train(request, ...rest);
      return { ...result, weights: change(request.weights, result.weights, sha256(seed, request.seed)) };
    };
  /** Looks at the honest updates, without training. */
  const spying =
    (change: (base: ParamSet, honest: readonly ParamSet[], own: Bytes) => ParamSet): Engine['train'] =>
    async (request, _onProgress, signal) => {
      await clock.wait(LISTEN_MS, signal);
      const honest = board!.read(request.weights);
      const weights =
        honest.length === 0 ? request.weights : change(request.weights, honest, sha256(seed, request.seed));
      return { ...nothingDone(request), weights };
    };
  switch (attack) {
    case 'signflip':
      return after(signFlipped);
    case 'scale':
      return after(boosted);
    case 'noise':
      return after(noise);
    case 'zero':
      return async (request) => nothingDone(request);
    case 'copy-noise':
      return spying((base, honest, own) => noisyCopy(base, honest[own[0]! % honest.length]!, own));
    case 'replay':
      return async (request, ...rest) => {
        if (first !== null)
          return { ...nothingDone(request), weights: moved(request.weights, first.base, first.update) };
        const result = await engine.train(request, ...rest);
        first = { base: request.weights, update: result.weights };
        return result;
      };
    case 'label-flip':
      return (request, ...rest) =>
        engine.train({ ...request, examples: labelsFlipped(request.model, request.examples) }, ...rest);
    case 'one-step':
      return ({ hyper: { epochs: _, ...hyper }, ...request }, ...rest) =>
        engine.train({ ...request, hyper: { ...hyper, localSteps: 1 } }, ...rest);
    case 'alie':
      return spying((_base, honest) => littleIsEnough(honest));
    case 'ipm':
      return spying(innerProduct);
  }
}

export const readsBoard = (attack: Attack): boolean => ['copy-noise', 'alie', 'ipm'].includes(attack);
