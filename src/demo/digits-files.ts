import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../hash.js';
import { subset } from '../learning/examples.js';
import { dirichlet } from '../learning/skew.js';
import type { Examples } from '../learning/types.js';
import { digits } from '../training/digits.js';

/** Enough that three trainers together clearly beat one alone, few enough for seconds. */
const TRAIN_ROWS = 4_400;
const TEST_ROWS = 600;
const SIDE = 28;
const ALPHA = 2;

/**
 * Writes the same procedural digits every time, with the names of MNIST, so that they go through the ordinary
 * publish-dataset.
 */
export async function writeDigits(folder: string): Promise<void> {
  const all = digits(TRAIN_ROWS + TEST_ROWS, sha256('nmkt/demo/digits'));
  const rows = Uint32Array.from({ length: all.rows }, (_, row) => row);
  await mkdir(folder, { recursive: true });
  await writeIdx(folder, 'train', subset(all, rows.subarray(0, TRAIN_ROWS)));
  await writeIdx(folder, 't10k', subset(all, rows.subarray(TRAIN_ROWS)));
}

/**
 * The same digits for members of an alliance, each with a part whose classes are unequal (Dirichlet, alpha 2).
 *
 * @returns  the images of each member, and 600 that nobody has
 */
export async function writeMemberDigits(
  folder: string,
  members: number,
): Promise<{ readonly parts: readonly string[]; readonly test: Examples; readonly sizes: readonly number[] }> {
  const all = digits(TRAIN_ROWS + TEST_ROWS, sha256('nmkt/demo/digits'));
  const rows = Uint32Array.from({ length: all.rows }, (_, row) => row);
  const labels = Int32Array.from(all.labels.subarray(0, TRAIN_ROWS));
  const shares = dirichlet(labels, members, ALPHA, sha256('nmkt/demo/members'));
  await mkdir(folder, { recursive: true });
  const parts: string[] = [];
  for (const [member, share] of shares.entries())
    parts.push(await writeIdx(folder, `member-${member + 1}`, subset(all, share)));
  return { parts, test: subset(all, rows.subarray(TRAIN_ROWS)), sizes: shares.map(({ length }) => length) };
}

/** Ten digits that nobody trained or measured on, one of each class. @returns the path of the images */
export async function writeNewDigits(folder: string): Promise<string> {
  return writeIdx(folder, 'new', digits(10, sha256('nmkt/demo/new-digits')));
}

/** Two files in the format of http://yann.lecun.com/exdb/mnist/. @returns the path of the images */
export async function writeIdx(folder: string, stem: string, { rows, features, labels }: Examples): Promise<string> {
  const images = join(folder, `${stem}-images-idx3-ubyte`);
  await writeFile(images, Buffer.concat([idxHeader([rows, SIDE, SIDE]), features as Uint8Array]));
  await writeFile(
    join(folder, `${stem}-labels-idx1-ubyte`),
    Buffer.concat([idxHeader([rows]), Uint8Array.from(labels)]),
  );
  return images;
}

/** Two zero bytes, type 08 (unsigned byte), rank, sizes as u32be. */
function idxHeader(shape: readonly number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt16BE(0x0800 | shape.length, 2);
  shape.forEach((size, axis) => header.writeUInt32BE(size, 4 + 4 * axis));
  return header;
}
