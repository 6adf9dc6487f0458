import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../src/hash.js';
import { subset } from '../../src/learning/examples.js';
import { initialParams, parameterShapes } from '../../src/learning/params.js';
import { iid } from '../../src/learning/partition.js';
import type { Examples, HyperParameters, ModelSpec } from '../../src/learning/types.js';
import { readDigits } from './data.js';

/** What two programs are to train alike: a folder with case.json, the first model and the bytes of shards and test. */
export interface Case {
  readonly spec: ModelSpec;
  readonly hyper: HyperParameters;
  readonly shards: number;
  /** At most. */
  readonly rounds: number;
  /** That ends it. */
  readonly accuracy: number;
  /** Names everything that is random; the first model and the shards are the same in both programs, the order of examples is not. */
  readonly seed: string;
}

/** What a program tells of its run; seconds since 1970, since each is a process of its own. */
export interface Told {
  /** Engines or clients are ready. */
  readonly beganSec: number;
  readonly rounds: readonly { readonly round: number; readonly accuracy: number; readonly atSec: number }[];
  /** Processor time since then of all that trains, combines and measures. */
  readonly cpuSec: number;
  readonly versions: string;
}

const TRAINERS = 4;
const digits = { task: 'classification', inputs: 784, outputs: 10 } as const;
const both = { shards: TRAINERS, rounds: 20, accuracy: 0.95 };

/** The cnn with its rate of runs.ts, and a hidden layer of 128. */
export const CASES: Readonly<Record<string, Omit<Case, 'seed'>>> = {
  '784-128-10': {
    ...both,
    spec: { ...digits, model: 'mlp', hidden: [128] },
    hyper: { optimizer: 'adam', learningRate: 0.001, batch: 32, epochs: 2 },
  },
  cnn: {
    ...both,
    spec: { ...digits, model: 'cnn', shape: [28, 28, 1], filters: [6, 16], hidden: [120, 84] },
    hyper: { optimizer: 'adam', learningRate: 0.002, batch: 32, epochs: 2 },
  },
};

export async function writeCase(folder: string, of: Case): Promise<void> {
  const { train, test } = await readDigits();
  const seed = sha256(of.seed);
  const start = initialParams(of.spec, seed);
  const tensors = parameterShapes(of.spec).map(({ name, shape }) => [name, shape]);
  writeFileSync(join(folder, 'case.json'), JSON.stringify({ ...of, tensors, scale: train.scale }));
  writeFileSync(join(folder, 'start.params'), Buffer.concat(start.map(({ data }) => bytesOf(data))));
  const write = (name: string, { features, labels }: Examples): void => {
    writeFileSync(join(folder, `${name}.features`), bytesOf(features));
    writeFileSync(join(folder, `${name}.labels`), bytesOf(labels));
  };
  iid(train.rows, of.shards, seed).forEach((rows, shard) =>
    write(`shard${shard}`, subset(train, Uint32Array.from(rows))),
  );
  write('test', test);
}

export function readCase(folder: string): { readonly of: Case; readonly shards: Examples[]; readonly test: Examples } {
  const of = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as Case & Pick<Examples, 'scale'>;
  const examples = (name: string): Examples => {
    const features = new Uint8Array(readFileSync(join(folder, `${name}.features`)));
    const labels = new Int32Array(new Uint8Array(readFileSync(join(folder, `${name}.labels`))).buffer);
    return { rows: labels.length, inputs: of.spec.inputs, features, scale: of.scale, labels };
  };
  return { of, shards: Array.from({ length: of.shards }, (_, i) => examples(`shard${i}`)), test: examples('test') };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
