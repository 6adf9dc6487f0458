import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { constants, gunzip, gunzipSync } from 'node:zlib';
import { NmktError } from '../errors.js';

/**
 * IDX, the format of MNIST (http://yann.lecun.com/exdb/mnist/): two zero bytes, a type, a rank, the sizes as u32be, then
 * the values in row-major order. Plain or gzip; unsigned bytes only.
 */
export interface Idx {
  /** [examples, ...shape of one] */
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

const TYPE_U8 = 0x08;
const MAX_RANK = 4;
/** Enough compressed bytes for the head of any gzip file with a name and a comment. */
const HEAD_BYTES = 4_096;

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function badIdx(path: string, why: string, expected: string, got: string, cause?: unknown): NmktError {
  return new NmktError('bad-dataset', `${path} ${why}`, {
    remedy: 'download the file again or check its format',
    expected,
    got,
    cause,
  });
}

function tooLarge(path: string, what: string, maxBytes: number, got: number): NmktError {
  return new NmktError('too-large', `${path} ${what}`, {
    remedy: 'raise --max-bytes if you trust the file',
    expected: `at most ${maxBytes} bytes`,
    got: `${got}`,
  });
}

/** The first bytes, uncompressed; as much as a cut-off gzip stream gives. */
function head(path: string, file: Uint8Array): Uint8Array {
  if (!isGzip(file)) return file.subarray(0, HEAD_BYTES);
  try {
    return gunzipSync(file.subarray(0, HEAD_BYTES), { finishFlush: constants.Z_SYNC_FLUSH });
  } catch (cause) {
    throw badIdx(path, 'is not readable gzip', 'gzip', (cause as Error).message, cause);
  }
}

/** Does this file, given its first bytes, start like an IDX file (or like gzip, of which IDX is the only kind read here)? */
export function looksLikeIdx(start: Uint8Array): boolean {
  return (
    isGzip(start) ||
    (start.length >= 4 && start[0] === 0 && start[1] === 0 && start[2]! >= TYPE_U8 && start[2]! <= 0x0e)
  );
}

function readShape(path: string, bytes: Uint8Array): number[] {
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0)
    throw badIdx(
      path,
      'is no IDX file',
      'magic 00 00 08 RANK',
      Buffer.from(bytes.subarray(0, 4)).toString('hex') || 'nothing',
    );
  const [type, rank] = [bytes[2]!, bytes[3]!];
  if (type !== TYPE_U8)
    throw badIdx(
      path,
      'holds values of another type than bytes',
      'type 08 (unsigned byte)',
      type.toString(16).padStart(2, '0'),
    );
  if (rank < 1 || rank > MAX_RANK) throw badIdx(path, 'has an unusable rank', `1 to ${MAX_RANK}`, `${rank}`);
  if (bytes.length < 4 + 4 * rank)
    throw badIdx(path, 'ends inside its header', `${4 + 4 * rank} bytes`, `${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
}

async function inflate(path: string, file: Uint8Array, declared: number): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(file, { maxOutputLength: declared });
  } catch (cause) {
    const isLonger = (cause as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE';
    throw badIdx(
      path,
      isLonger ? 'is longer than its header declares' : 'is damaged',
      `gzip of ${declared} bytes`,
      (cause as Error).message,
      cause,
    );
  }
}

/**
 * Declared sizes are checked against the limit and the real length before anything of their size is allocated.
 *
 * @throws NmktError `bad-dataset` for a wrong magic, type, rank or length, damaged gzip; `too-large` above maxBytes
 */
export async function readIdx(path: string, maxBytes: number): Promise<Idx> {
  const { size } = await stat(path);
  if (size > maxBytes) throw tooLarge(path, 'is above the size limit', maxBytes, size);
  const file = new Uint8Array(await readFile(path));
  const shape = readShape(path, head(path, file));
  const start = 4 + 4 * shape.length;
  const declared = shape.reduce((product, length) => product * length, 1) + start;
  if (declared > maxBytes) throw tooLarge(path, 'declares a size above the limit', maxBytes, declared);
  const bytes = isGzip(file) ? await inflate(path, file, declared) : file;
  if (bytes.length !== declared)
    throw badIdx(
      path,
      'does not have the length its header declares',
      `${declared} bytes for [${shape.join(', ')}]`,
      `${bytes.length}`,
    );
  return { shape, data: new Uint8Array(bytes.subarray(start)) };
}
