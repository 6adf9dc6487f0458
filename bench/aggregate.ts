import { createHash, createHmac } from 'node:crypto';
import { fedAvg } from '../src/learning/aggregate/fedavg.js';
import type { Update } from '../src/learning/aggregate/update.js';
import { initialParams } from '../src/learning/params.js';
import { prng } from '../src/learning/prng.js';
import { decodeParams, encodeParams, type NamedShape } from '../src/learning/safetensors.js';
import type { ModelSpec, ParamSet } from '../src/learning/types.js';

interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}
interface Target {
  readonly name: string;
  readonly target: string;
  readonly got: string;
  readonly ok: boolean;
}

const SPEC: ModelSpec = { model: 'mlp', task: 'classification', inputs: 784, outputs: 10, hidden: [1024] };
const TRAINERS = 8;
const WORDS = 400_000;

/** Best of five, in MB/s of `bytes`. */
function throughput(bytes: number, work: () => unknown): number {
  const timesMs = Array.from({ length: 5 }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return bytes / 1000 / Math.min(...timesMs);
}

/** The obvious way: copies to plain arrays and a fresh array of weighted terms per parameter. */
function naiveMean(updates: readonly Update[]): ParamSet {
  const total = updates.reduce((sum, { examples }) => sum + examples, 0);
  return updates[0]!.params.map(({ name, shape }, t) => {
    const columns = updates.map(({ params, examples }) => Array.from(params[t]!.data, (x) => (examples / total) * x));
    return {
      name,
      shape,
      data: Float32Array.from(columns[0]!, (_, i) => columns.reduce((sum, column) => sum + column[i]!, 0)),
    };
  });
}

/** The words of `prng` with a hash object and an array for each block, as its definition reads. */
function naiveWords(seed: Uint8Array, label: string): () => number {
  const key = createHmac('sha256', seed).update(label).digest();
  let blocks = 0n;
  let block = Buffer.alloc(0);
  let at = 0;
  return () => {
    if (at === block.length) {
      const counter = Buffer.alloc(8);
      counter.writeBigUInt64BE(blocks++);
      block = createHash('sha256').update(key).update(counter).digest();
      at = 0;
    }
    at += 4;
    return block.readUInt32BE(at - 4);
  };
}
/** XOR of so many words. */
function drain(count: number, next: () => number): number {
  let all = 0;
  for (let i = 0; i < count; i++) all ^= next();
  return all;
}

export async function bench(): Promise<{ rows: Row[]; targets: Target[] }> {
  const params = initialParams(SPEC, new Uint8Array(32));
  const updates: Update[] = Array.from({ length: TRAINERS }, (_, i) => ({
    shard: i,
    trainer: `${i}`,
    examples: 1000 + i,
    params,
  }));
  const shapes: NamedShape[] = params.map(({ name, shape }) => ({ name, shape }));
  const file = encodeParams(params);
  const rows = [
    {
      name: `fedAvg of ${TRAINERS} updates`,
      value: throughput(TRAINERS * file.length, () => fedAvg(updates)),
      unit: 'MB/s',
    },
    { name: 'naive weighted mean', value: throughput(TRAINERS * file.length, () => naiveMean(updates)), unit: 'MB/s' },
    { name: 'safetensors encode', value: throughput(file.length, () => encodeParams(params)), unit: 'MB/s' },
    {
      name: 'safetensors decode (canonical)',
      value: throughput(file.length, () => decodeParams(file, shapes)),
      unit: 'MB/s',
    },
  ];
  const seed = new Uint8Array(32);
  const random = prng(seed, 'bench');
  const [ours, naive] = [() => random.uint32(), naiveWords(seed, 'bench')];
  if (drain(WORDS, ours) !== drain(WORDS, naive)) throw new Error('two streams of one seed differ');
  const stream = throughput(4 * WORDS, () => drain(WORDS, ours));
  const plain = throughput(4 * WORDS, () => drain(WORDS, naive));
  rows.push(
    { name: 'seeded stream', value: stream, unit: 'MB/s' },
    { name: 'naive seeded stream', value: plain, unit: 'MB/s' },
  );
  const ratio = rows[0]!.value / rows[1]!.value;
  const slowest = Math.min(rows[2]!.value, rows[3]!.value);
  return {
    rows,
    targets: [
      { name: 'fedAvg against the naive mean', target: '>= 3x', got: `${ratio.toFixed(1)}x`, ok: ratio >= 3 },
      {
        name: 'safetensors, slower direction',
        target: '>= 200 MB/s',
        got: `${slowest.toFixed(0)} MB/s`,
        ok: slowest >= 200,
      },
      {
        name: 'seeded stream against the naive one',
        target: '>= 2x',
        got: `${(stream / plain).toFixed(1)}x`,
        ok: stream >= 2 * plain,
      },
    ],
  };
}
