import { open, stat } from 'node:fs/promises';
import { NmktError } from '../errors.js';
import { isIdxName } from './dataset-idx.js';
import { isImageName } from './dataset-images.js';
import { looksLikeSafetensors } from './dataset-safetensors.js';
import { isTextName } from './dataset-text.js';
import { listFolder } from './folder.js';
import { looksLikeIdx } from './idx.js';
import { looksLikeImage } from './image-header.js';

/** Which format a path is of, by what it holds, and by its name where that does not say. */

export type TableFormat = 'csv' | 'jsonl' | 'parquet';
export type Format = TableFormat | 'text' | 'texts' | 'idx' | 'idx-folder' | 'image' | 'images' | 'safetensors';

/** Starts of formats that are common and not read here, for a message better than "ragged". */
const OTHER_FORMATS: readonly (readonly [string, string])[] = [
  ['504b0304', 'ZIP or NPZ'],
  ['89484446', 'HDF5'],
  ['934e554d5059', 'NPY'],
];
const PARQUET = '50415231';

async function firstBytes(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/**
 * @param isText  the caller knows that it is text
 * @throws NmktError `bad-dataset`, `too-large` for a file above the limit
 */
export async function formatOf(path: string, maxBytes: number, isText: boolean): Promise<Format> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new NmktError('bad-dataset', `${path} cannot be read`, {
      remedy: 'check the path',
      expected: 'a data file or a folder of them',
      got: (cause as { code?: string }).code ?? 'an error',
      cause,
    });
  });
  if (found.isDirectory()) return folderFormat(path);
  if (!found.isFile())
    throw new NmktError('bad-dataset', `${path} is no file`, {
      remedy: 'save the data to a file: it is read twice',
      expected: 'a regular file',
      got: 'a pipe or device',
    });
  if (found.size > maxBytes)
    throw new NmktError('too-large', `${path} is above the size limit`, {
      remedy: 'raise --max-bytes',
      expected: `at most ${maxBytes} bytes`,
      got: `${found.size}`,
    });
  const start = await firstBytes(path);
  if (looksLikeIdx(start)) return 'idx';
  if (looksLikeImage(start)) return 'image';
  if (looksLikeSafetensors(start)) return 'safetensors';
  const magic = Buffer.from(start).toString('hex');
  if (magic.startsWith(PARQUET)) return 'parquet';
  const other = OTHER_FORMATS.find(([prefix]) => magic.startsWith(prefix));
  if (other !== undefined || start.includes(0))
    throw new NmktError('bad-dataset', `${path} is of a format that is not read`, {
      remedy: 'convert it to CSV',
      expected: 'CSV, TSV, JSON lines, Parquet, IDX, safetensors or text',
      got: other?.[1] ?? 'binary data',
    });
  if (isText) return 'text';
  return looksLikeJsonl(path, start) ? 'jsonl' : 'csv';
}

/** By its name, or because it begins with an object: no CSV of names does. */
function looksLikeJsonl(path: string, start: Uint8Array): boolean {
  return /\.(jsonl|ndjson|json)$/i.test(path) || /^(\u{feff})?\s*\{\s*"/u.test(new TextDecoder().decode(start));
}

async function folderFormat(path: string): Promise<Format> {
  const { folders, files } = await listFolder(path);
  if (files.some(isIdxName)) return 'idx-folder';
  if (folders.length > 0 || files.some(isImageName)) return 'images';
  if (files.some(isTextName)) return 'texts';
  throw new NmktError('bad-dataset', `${path} holds no dataset of a known kind`, {
    remedy: 'name the file itself',
    expected: 'train-images-idx3-ubyte (.gz), a folder of PNG or JPEG files per class, or .txt files',
    got: files.slice(0, 20).join(', ') || 'an empty folder',
  });
}
