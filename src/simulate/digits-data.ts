import { sha256 } from '../hash.js';
import { subset } from '../learning/examples.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { digits, DIGITS_SCHEMA } from '../training/digits.js';

/** The digits of `nmkt demo`: 4,400 to train and to choose by, 600 for set B. */
const TRAIN_ROWS = 4_400;
const TEST_ROWS = 600;
const SIDE = 28;
/** Pixels of a side that become one. */
const BLOCK = 4;

export interface BundledData {
  readonly schema: DataSchema;
  readonly examples: Examples;
  readonly test: Examples;
}

/** @param isSmall  7 x 7 pixels instead of 28 x 28: for an engine in plain JavaScript */
export function bundledDigits(isSmall: boolean): BundledData {
  const all = digits(TRAIN_ROWS + TEST_ROWS, sha256('nmkt/demo/digits'));
  const rows = Uint32Array.from({ length: all.rows }, (_, row) => row);
  const side = isSmall ? SIDE / BLOCK : SIDE;
  const images = isSmall ? pooled(all) : all;
  return {
    schema: { ...DIGITS_SCHEMA, shape: [side, side], inputs: side * side },
    examples: subset(images, rows.subarray(0, TRAIN_ROWS)),
    test: subset(images, rows.subarray(TRAIN_ROWS)),
  };
}

/** Mean of each 4 x 4 block, rounded. [rows, 28, 28] -> [rows, 7, 7] */
function pooled(images: Examples): Examples {
  const side = SIDE / BLOCK;
  const features = new Uint8Array(images.rows * side * side);
  for (let row = 0; row < images.rows; row++)
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        let sum = 0;
        for (let at = 0; at < BLOCK * BLOCK; at++) {
          const [line, column] = [y * BLOCK + Math.floor(at / BLOCK), x * BLOCK + (at % BLOCK)];
          sum += images.features[(row * SIDE + line) * SIDE + column]!;
        }
        features[(row * side + y) * side + x] = Math.round(sum / (BLOCK * BLOCK));
      }
  return { ...images, inputs: side * side, features };
}
