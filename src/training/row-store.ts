import { createHash } from 'node:crypto';
import type { Sha256 } from '../hash.js';
import { examplesHeader, rowBytes } from '../learning/examples.js';
import type { Examples } from '../learning/types.js';
import type { RowSource } from './row-source.js';

/** Files that may go at any time but not while they are open. */
export interface Scratch {
  /** Made when it is missing. */
  edit(name: string): Promise<ScratchFile>;
  remove(name: string): Promise<void>;
}

export interface ScratchFile {
  /** Fewer bytes at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  write(bytes: Uint8Array, position: number): Promise<void>;
  close(): Promise<void>;
}

const BLOCK_BYTES = 1_048_576;

/** Of the data, what a split and a request follow from: 4 bytes per row each, whatever a row holds. */
export interface RowFacts {
  readonly labels: Examples['labels'];
  readonly owners?: Int32Array;
  /** Of the canonical file of all examples, as if it had been made. */
  readonly sha256: Sha256;
}

/** Rows that are read and written together: about a megabyte, at least one. */
export function rowsPerBlock(rowSize: number): number {
  return Math.max(1, Math.floor(BLOCK_BYTES / rowSize));
}

/**
 * Reads all rows, and writes their features one after the other.
 *
 * @param file    absent: the features are not kept
 * @param onRows  told after each block how many have been read
 * @throws NmktError `disk-full`, and what reading throws
 */
export async function storeRows(
  { schema, rows, hasOwners, encoded }: RowSource,
  file: ScratchFile | undefined,
  onRows: (rows: number) => void = () => undefined,
): Promise<RowFacts> {
  const size = rowBytes(schema);
  const block = new Uint8Array(rowsPerBlock(size) * size);
  const hash = createHash('sha256').update(examplesHeader(schema, rows));
  const labels = schema.task === 'regression' ? new Float32Array(rows) : new Int32Array(rows);
  const owners = hasOwners ? new Int32Array(rows) : undefined;
  let [row, filled, written] = [0, 0, 0];
  const flush = async (): Promise<void> => {
    const full = block.subarray(0, filled);
    hash.update(full);
    await file?.write(full, written);
    written += filled;
    filled = 0;
    onRows(row);
  };
  for await (const { features, label, owner } of encoded()) {
    block.set(new Uint8Array(features.buffer, features.byteOffset, size), filled);
    filled += size;
    labels[row] = label;
    if (owners !== undefined) owners[row] = owner!;
    row += 1;
    if (filled === block.length) await flush();
  }
  await flush();
  const sha256 = hash.update(new Uint8Array(labels.buffer)).digest('hex') as Sha256;
  return { labels, sha256, ...(owners && { owners }) };
}
