import { join } from 'node:path';
import { subset } from '../../src/learning/examples.js';
import type { DataSchema, Examples } from '../../src/learning/types.js';
import { readDataset } from '../../src/training/dataset.js';
import { DIGITS_SCHEMA, digits } from '../../src/training/digits.js';

/** MNIST where it is at hand, else the digits that `nmkt demo` draws. */
export async function someDigits(rows: number): Promise<{ readonly schema: DataSchema; readonly examples: Examples }> {
  const dir = process.env['NMKT_TEST_DATA'];
  if (dir === undefined) return { schema: DIGITS_SCHEMA, examples: digits(rows, new Uint8Array(32).fill(5)) };
  const { schema, examples } = await readDataset(join(dir, 'mnist10k', 'train-images-idx3-ubyte.gz'), {});
  const first = Uint32Array.from({ length: rows }, (_, row) => row);
  return { schema, examples: subset(examples, first) };
}
