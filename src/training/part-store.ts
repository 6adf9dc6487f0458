import type { Bytes } from '../hash.js';
import { examplesHeader, rowBytes, type StoredExamples } from '../learning/examples.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { rowsPerBlock, type ScratchFile } from './row-store.js';
import { labelsOf } from './split.js';

/**
 * Rows on disk, sorted by the part that they belong to: one sequential reading of all, then one of each part. In a part's region rows
 * come in the order of the data; which place in the part each has is kept in memory, 4 bytes per row.
 */

/** Rows of many parts wait together to be written. */
const WAITING_BYTES = 33_554_432;

export interface SortedRows {
  readonly file: ScratchFile;
  /** Rows before each part's region. */
  readonly starts: readonly number[];
  /** The place in its part of each row of the file. */
  readonly places: Uint32Array;
}

function startsOf(parts: readonly Uint32Array[]): { readonly starts: number[]; readonly rows: number } {
  const starts: number[] = [];
  let rows = 0;
  for (const part of parts) {
    starts.push(rows);
    rows += part.length;
  }
  return { starts, rows };
}

/** Writes rows where the last one of their part ended, as many at once as memory allows. */
function regionWriter(file: ScratchFile, starts: readonly number[], size: number) {
  const most = Math.floor(WAITING_BYTES / (starts.length * size));
  const ends = starts.slice();
  const waiting = starts.map(() => ({ bytes: new Uint8Array(0), rows: 0 }));
  const flush = async (part: number): Promise<void> => {
    const own = waiting[part]!;
    await file.write(own.bytes.subarray(0, own.rows * size), (ends[part]! - own.rows) * size);
    own.rows = 0;
  };
  return {
    /** @returns the row's number in the file */
    async add(part: number, row: Bytes): Promise<number> {
      const at = ends[part]!++;
      if (most === 0) {
        await file.write(row, at * size);
        return at;
      }
      const own = waiting[part]!;
      if (own.bytes.length === 0) own.bytes = new Uint8Array(most * size);
      own.bytes.set(row, own.rows * size);
      own.rows += 1;
      if (own.rows === most) await flush(part);
      return at;
    },
    async end(): Promise<void> {
      for (const part of waiting.keys()) await flush(part);
    },
  };
}

/**
 * @param from   features of all rows, as storeRows wrote them
 * @param parts  at most 65,536
 * @param size   bytes per row
 */
export async function sortByPart(
  from: ScratchFile,
  to: ScratchFile,
  parts: readonly Uint32Array[],
  size: number,
): Promise<SortedRows> {
  const { starts, rows } = startsOf(parts);
  const partOf = new Uint16Array(rows);
  const placeOf = new Uint32Array(rows);
  parts.forEach((own, part) => own.forEach((row, place) => ((partOf[row] = part), (placeOf[row] = place))));
  const places = new Uint32Array(rows);
  const writer = regionWriter(to, starts, size);
  const perBlock = rowsPerBlock(size);
  for (let first = 0; first < rows; first += perBlock) {
    const count = Math.min(perBlock, rows - first);
    const block = await from.read(first * size, count * size);
    for (let i = 0; i < count; i++) {
      const at = await writer.add(partOf[first + i]!, block.subarray(i * size, (i + 1) * size));
      places[at] = placeOf[first + i]!;
    }
  }
  await writer.end();
  return { file: to, starts, places };
}

/** The canonical file of one part. */
async function partFile(
  { file, starts, places }: SortedRows,
  part: number,
  labels: Examples['labels'],
  schema: DataSchema,
): Promise<Bytes> {
  const [size, start, rows] = [rowBytes(schema), starts[part]!, labels.length];
  const header = examplesHeader(schema, rows);
  const out = new Uint8Array(header.length + rows * (size + 4));
  out.set(header);
  const perBlock = rowsPerBlock(size);
  for (let first = 0; first < rows; first += perBlock) {
    const count = Math.min(perBlock, rows - first);
    const block = await file.read((start + first) * size, count * size);
    for (let i = 0; i < count; i++)
      out.set(block.subarray(i * size, (i + 1) * size), header.length + places[start + first + i]! * size);
  }
  out.set(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength), header.length + rows * size);
  return out;
}

/**
 * @param sort    as sortByPart: asked once, when a part is wanted
 * @param labels  of all rows
 * @param parts   numbers of rows, each row in exactly one of them
 */
export function storedParts(
  sort: () => Promise<SortedRows>,
  labels: Examples['labels'],
  schema: DataSchema,
  parts: readonly Uint32Array[],
): StoredExamples[] {
  let sorted: Promise<SortedRows> | undefined;
  return parts.map((own, part) => {
    const ownLabels = labelsOf(labels, own);
    const file = async () => partFile(await (sorted ??= sort()), part, ownLabels, schema);
    return { rows: own.length, labels: ownLabels, file };
  });
}
