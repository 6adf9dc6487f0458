import { readDifference } from './differences.js';
import { expand, fromHex, hex, hmac, sha256, u64, type ScoreRow, type Shape } from './wire.js';

/** Randomness, models, averages and losses, by docs/protocol.md; of models only logreg. */

/** Words of the stream of a seed and a label. */
export class Stream {
  readonly #key: Buffer;
  #words: number[] = [];
  #block = 0n;

  constructor(seed: Uint8Array, label: string) {
    this.#key = hmac(seed, label);
  }

  word(): number {
    if (this.#words.length === 0) {
      const block = sha256(this.#key, u64(this.#block++));
      this.#words = Array.from({ length: 8 }, (_, i) => block.readUInt32BE(4 * i));
    }
    return this.#words.shift()!;
  }

  float(): number {
    const high = this.word() >>> 5;
    return (high * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53;
  }

  below(n: number): number {
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const word = this.word();
      if (word < limit) return word % n;
    }
  }

  shuffle(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}

export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}
type Dtype = 'F32' | 'I32' | 'U8';

/** By name. */
export function readSafetensors(file: Buffer): Map<string, Tensor & { readonly dtype: string }> {
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<
    string,
    { dtype: Dtype; shape: number[]; data_offsets: [number, number] }
  >;
  const read = {
    F32: (at: number) => file.readFloatLE(at),
    I32: (at: number) => file.readInt32LE(at),
    U8: (at: number) => file.readUInt8(at),
  };
  return new Map(
    Object.entries(header).map(([name, { dtype, shape, data_offsets: offsets }]) => {
      const [from, to] = offsets;
      const width = dtype === 'U8' ? 1 : 4;
      const at = (i: number) => read[dtype](start + from + width * i);
      return [name, { name, dtype, shape, values: Array.from({ length: (to - from) / width }, (_, i) => at(i)) }];
    }),
  );
}

/** In the order of their names. */
export function writeSafetensors(tensors: readonly Tensor[]): Buffer {
  let at = 0;
  const entries = tensors.map(({ name, shape, values }) => {
    const from = at;
    at += 4 * values.length;
    return `"${name}":{"dtype":"F32","shape":[${shape.join(',')}],"data_offsets":[${from},${at}]}`;
  });
  const bare = `{${entries.join(',')}}`;
  const header = Buffer.from(bare.padEnd(Math.ceil(bare.length / 8) * 8, ' '));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = Buffer.alloc(at);
  tensors.flatMap(({ values }) => values).forEach((value, i) => data.writeFloatLE(value, 4 * i));
  return Buffer.concat([length, header, data]);
}

/** Bias and kernel of the one layer. */
export type Weights = readonly [bias: Tensor, kernel: Tensor];
export const hashOf = (weights: Weights): string => hex(sha256(writeSafetensors(weights)));

/** @throws Error when the file is not a model of that shape */
export function readWeights(file: Buffer, { model, inputs, outputs }: Shape): Weights {
  if (model !== 'logreg') throw new Error(`${model}: only logreg is worked out a second time`);
  const tensors = readSafetensors(file);
  const [bias, kernel] = [tensors.get('dense_0/bias'), tensors.get('dense_0/kernel')];
  const isRight = bias?.shape.join() === `${outputs}` && kernel?.shape.join() === `${inputs},${outputs}`;
  if (!isRight || tensors.size !== 2 || !writeSafetensors([bias, kernel]).equals(file)) throw new Error('other shapes');
  if (![...bias.values, ...kernel.values].every(Number.isFinite)) throw new Error('not finite');
  return [bias, kernel];
}

/** @throws Error when the file does not hold exactly such tensors as `like`, in the one spelling */
export function readState(file: Buffer, like: readonly Tensor[]): readonly Tensor[] {
  const found = readSafetensors(file);
  const tensors = like.map(({ name, shape }) => {
    const tensor = found.get(name);
    if (tensor?.shape.join() !== shape.join() || !tensor.values.every(Number.isFinite)) throw new Error('other shapes');
    return tensor;
  });
  if (found.size !== like.length || !writeSafetensors(tensors).equals(file)) throw new Error('another spelling');
  return tensors;
}

/** Glorot uniform. */
export function initialWeights(seed: string, { inputs, outputs }: Shape): Weights {
  const stream = new Stream(expand(fromHex(seed), 'nmkt/1/init'), 'init/dense_0/kernel');
  const bound = Math.sqrt(6 / (inputs + outputs));
  const kernel = Array.from({ length: inputs * outputs }, () => Math.fround((2 * stream.float() - 1) * bound));
  return [
    { name: 'dense_0/bias', shape: [outputs], values: new Array<number>(outputs).fill(0) },
    { name: 'dense_0/kernel', shape: [inputs, outputs], values: kernel },
  ];
}

/** FedAvg in the order given: sums in float64 with integer weights, one division, one rounding. */
export function meanOf(updates: readonly { readonly examples: number; readonly weights: Weights }[]): Weights {
  const total = updates.reduce((sum, { examples }) => sum + examples, 0);
  const mean = (layer: 0 | 1): Tensor => {
    const { name, shape, values } = updates[0]!.weights[layer];
    return {
      ...{ name, shape },
      values: values.map((_, i) => {
        let sum = 0;
        for (const { examples, weights } of updates) sum += examples * weights[layer].values[i]!;
        return Math.fround(sum / total);
      }),
    };
  };
  return [mean(0), mean(1)];
}

/** FLTrust: changes of the length of the root's, weighted by the cosine to it; the base where none points its way. */
export function trustedMean(base: Weights, updates: readonly { readonly weights: Weights }[], root: Weights): Weights {
  const changeOf = (weights: Weights) =>
    weights.flatMap(({ values }, layer) => values.map((value, i) => Math.fround(value - base[layer]!.values[i]!)));
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const own = changeOf(root);
  const size = Math.sqrt(dot(own, own));
  const weighed = updates.map(({ weights }) => {
    const change = changeOf(weights);
    const length = Math.sqrt(dot(change, change));
    const trust = length * size === 0 ? 0 : Math.max(0, dot(change, own) / (length * size));
    return { weights, trust, factor: trust === 0 ? 0 : (trust * size) / length };
  });
  const total = weighed.reduce((sum, { trust }) => sum + trust, 0);
  if (total === 0) return base;
  const moved = (layer: 0 | 1): Tensor => ({
    ...base[layer],
    values: base[layer].values.map((start, i) => {
      let sum = 0;
      for (const { weights, factor } of weighed) sum += factor * (weights[layer].values[i]! - start);
      return Math.fround(start + sum / total);
    }),
  });
  return [moved(0), moved(1)];
}

export interface Rows {
  readonly inputs: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

/** @param scale  what a byte is divided by */
export function readRows(file: Buffer, scale: number): Rows {
  const tensors = readSafetensors(file);
  const [features, labels] = [tensors.get('features')!, tensors.get('labels')!];
  const width = features.values.length / labels.values.length;
  const divisor = features.dtype === 'U8' ? scale : 1;
  return {
    labels: labels.values,
    inputs: labels.values.map((_, row) =>
      features.values.slice(row * width, (row + 1) * width).map((value) => Math.fround(value / divisor)),
    ),
  };
}
export const joined = (parts: readonly Rows[]): Rows => ({
  inputs: parts.flatMap(({ inputs }) => inputs),
  labels: parts.flatMap(({ labels }) => labels),
});

/** The examples that a score is measured on. */
export function sampled(rows: Rows, chain: string, label: string): Rows {
  const stream = new Stream(expand(fromHex(chain), 'nmkt/1/scoring'), label);
  const indices = stream
    .shuffle(rows.labels.length)
    .slice(0, 2_000)
    .sort((a, b) => a - b);
  return { inputs: indices.map((i) => rows.inputs[i]!), labels: indices.map((i) => rows.labels[i]!) };
}

export interface Measured {
  readonly losses: readonly number[];
  readonly lossPpm: number;
  readonly accuracyPpm: number;
}

/** Softmax cross-entropy, of float32 outputs. */
export function measure([bias, kernel]: Weights, { inputs, labels }: Rows): Measured {
  const width = bias.values.length;
  let hits = 0;
  const losses = inputs.map((row, at) => {
    const outputs = bias.values.map((start, out) => {
      let sum = start;
      row.forEach((value, i) => (sum += value * kernel.values[i * width + out]!));
      return Math.fround(sum);
    });
    const top = Math.max(...outputs);
    const label = labels[at]!;
    if (outputs.indexOf(top) === label) hits++;
    return Math.log(outputs.reduce((sum, value) => sum + Math.exp(value - top), 0)) - (outputs[label]! - top);
  });
  const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
  const lossPpm = Number.isFinite(loss) ? Math.min(999_000_000, Math.max(0, Math.round(loss * 1e6))) : 999_000_000;
  return { losses, lossPpm, accuracyPpm: Math.round((hits / labels.length) * 1e6) };
}

const LIMIT = 10n ** 12n;
const clamped = (value: bigint): bigint => (value > LIMIT ? LIMIT : value < -LIMIT ? -LIMIT : value);

/** floor((before - after) * 10^6 / before). */
function drop(before: number, after: number): bigint {
  if (before === 0) return after === 0 ? 0n : -LIMIT;
  const [top, under] = [(BigInt(before) - BigInt(after)) * 1_000_000n, BigInt(before)];
  const floor = top / under - (top % under < 0n ? 1n : 0n);
  return clamped(floor);
}

export function work(row: ScoreRow): { readonly dPpm: number; readonly ePpm: number } {
  const own = drop(row.ownBeforePpm, row.ownAfterPpm);
  return { dPpm: Number(own), ePpm: Number(clamped(own - drop(row.otherBeforePpm, row.otherAfterPpm))) };
}

/** Is it more than noise, and on the own shard? */
export function showsWork({ dPpm, ePpm, ownSePpm, otherSePpm }: ScoreRow): boolean {
  if (dPpm < -5_000) return false;
  if (ePpm > 0) return true;
  const [e, own, other] = [BigInt(ePpm), BigInt(ownSePpm), BigInt(otherSePpm)];
  return e * e < 4n * (own * own + other * other) && dPpm > Math.max(5_000, 2 * ownSePpm);
}

/** Does it come near a share of the middle one of the round, of an even number the lower of two? Of E near half of that share. */
export function keepsUp(row: ScoreRow, rows: readonly ScoreRow[], sharePpm: number): boolean {
  const middle = (field: 'dPpm' | 'ePpm') => rows.map((one) => one[field]).sort((a, b) => b - a)[rows.length >> 1]!;
  const lacks = (field: 'dPpm' | 'ePpm', share: number): bigint => {
    if (rows.length < 3 || middle(field) <= 5_000) return 0n;
    const asked = (BigInt(middle(field)) * BigInt(share)) / 1_000_000n;
    return asked > BigInt(row[field]) ? asked - BigInt(row[field]) : 0n;
  };
  const [own, other] = [BigInt(row.ownSePpm), BigInt(row.otherSePpm)];
  return lacks('dPpm', sharePpm) <= own && lacks('ePpm', sharePpm >> 1) ** 2n <= own * own + other * other;
}

/** Of the drop, paired by example, rounded up. */
export function standardErrorPpm(before: readonly number[], after: readonly number[]): number {
  const n = before.length;
  const differences = before.map((value, i) => value - after[i]!);
  const mean = differences.reduce((sum, value) => sum + value, 0) / n;
  const level = before.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2 || !(level > 0)) return Number(LIMIT);
  const variance = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return Math.min(Number(LIMIT), Math.ceil((Math.sqrt(variance / n) / level) * 1e6));
}

/** SHA-256("nmkt/1/..." || ...) of s_R down to s_0. */
export function chainStart(secret: string, rounds: number): Buffer {
  let link = fromHex(secret);
  for (let left = rounds; left > 0; left--) link = sha256('nmkt/1/chain', link);
  return link;
}
export const chainCommitment = (secret: string, rounds: number): string => hex(sha256(chainStart(secret, rounds)));

const scratch = new DataView(new ArrayBuffer(4));
function wordOf(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}
function valueOf(word: number): number {
  scratch.setUint32(0, word);
  return scratch.getFloat32(0);
}

/** Tensors like these, of which those of the model come as the difference to it. @throws Error when the bytes are none */
export function differing(model: Weights, file: Uint8Array, like: readonly Tensor[]): readonly Tensor[] {
  const parts = like.map(
    ({ name, values }) => model.find((one) => one.name === name)?.values.map(wordOf) ?? values.length,
  );
  const words = readDifference(parts, file);
  return like.map((tensor, i) => ({ ...tensor, values: words[i]!.map(valueOf) }));
}

export function weightsFrom(model: Weights, file: Uint8Array): Weights {
  const [bias, kernel] = differing(model, file, model);
  return [bias!, kernel!];
}
