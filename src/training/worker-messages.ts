import type { ErrorCode } from '../errors.js';
import type { EngineId, ModelSpec, ParamSet, Rung, TrainState } from '../learning/types.js';
import type { Evaluation, TrainRequest, TrainResult } from '../ports.js';
import type { EnginePlace } from './tfjs-rungs.js';

/** What the two sides of the training thread say to each other. Typed arrays travel by transfer. */

export interface WorkerStart extends EnginePlace {
  readonly rung: Rung;
  /** What a training may take beyond what the rung takes when it is idle. */
  readonly maxBytes: number;
}

export type WorkerRequest =
  | { readonly kind: 'train'; readonly request: TrainRequest }
  | {
      readonly kind: 'evaluate';
      readonly model: ModelSpec;
      readonly weights: ParamSet;
      readonly examples: TrainRequest['examples'];
    }
  | {
      readonly kind: 'predict';
      readonly model: ModelSpec;
      readonly weights: ParamSet;
      readonly features: Uint8Array | Float32Array;
      readonly rows: number;
      readonly scale: number;
    };

export interface PlainError {
  /** Absent: an error that was not foreseen. */
  readonly code?: ErrorCode;
  readonly message: string;
  readonly remedy?: string;
  readonly expected?: string;
  readonly got?: string;
}

export type WorkerReply =
  /** First message; `coldMs` from the start of the thread's own code to the end of the smoke training. */
  | { readonly kind: 'ready'; readonly id: EngineId; readonly coldMs: number }
  | { readonly kind: 'unfit'; readonly reason: string }
  | { readonly kind: 'progress'; readonly done: number; readonly total: number; readonly loss: number }
  | { readonly kind: 'state'; readonly state: TrainState }
  | { readonly kind: 'trained'; readonly result: TrainResult }
  | { readonly kind: 'evaluated'; readonly result: Evaluation }
  | { readonly kind: 'predicted'; readonly result: Float32Array }
  | { readonly kind: 'failed'; readonly error: PlainError };
