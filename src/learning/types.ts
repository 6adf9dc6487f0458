import type { Branded } from '../hash.js';

/** `float32` only; names unique; canonical order is by UTF-8 bytes of the name. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
/** Sorted by name. */
export type ParamSet = readonly Tensor[];

/** rung / module hash / tfjs version / CPU class, e.g. `wasm/3f2a9c10/4.22.0/x64`. Equal ids promise equal bytes (wasm, cpu). */
export type EngineId = Branded<string, 'EngineId'>;
export type Rung = 'node' | 'wasm' | 'cpu';

export type Task = 'classification' | 'regression';

/** `logreg`: one dense layer. `mlp`: dense + relu for each hidden width, then dense. */
export interface ModelSpec {
  readonly model: 'logreg' | 'mlp';
  readonly task: Task;
  /** Features per example after flattening, >= 1. */
  readonly inputs: number;
  /** Classes (>= 2) for classification, 1 for regression. */
  readonly outputs: number;
  /** Widths of hidden layers; empty for logreg. */
  readonly hidden: readonly number[];
}

export interface HyperParameters {
  readonly optimizer: 'adam' | 'sgd';
  readonly learningRate: number;
  readonly batch: number;
  /** Exactly one of the two is set. */
  readonly epochs?: number;
  readonly localSteps?: number;
}

/**
 * Examples in memory. Features row-major [rows, inputs]: Uint8Array (value / `scale` is the input) or Float32Array (scale 1).
 * Labels: Int32Array of class indices (classification) or Float32Array (regression).
 */
export interface Examples {
  readonly rows: number;
  readonly inputs: number;
  readonly features: Uint8Array | Float32Array;
  readonly scale: number;
  readonly labels: Int32Array | Float32Array;
}
