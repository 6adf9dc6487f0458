import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { brotliCompressSync, brotliDecompressSync, constants, createBrotliDecompress } from 'node:zlib';
import { isNmktError, NmktError } from '../errors.js';
import type { Bytes, Sha256 } from '../hash.js';

/** From here on speed counts more than the last percent of size. */
const LARGE_BYTES = 4 * 1024 * 1024;
const OUTPUT_BLOCK_BYTES = 1024 * 1024;

/**
 * Brotli (RFC 7932), quality 4, or 1 from 4 MiB on. The whole input goes in as one write, so the output depends on
 * the bytes alone; it may still differ between releases of brotli, which is why hashes are taken of the unpacked bytes.
 */
export function pack(plain: Bytes): Bytes {
  const quality = plain.length < LARGE_BYTES ? 4 : 1;
  return brotliCompressSync(plain, {
    params: { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length },
  });
}

/**
 * Never produces more than the declared `size`, whatever the stream says (decompression bombs).
 *
 * @param size  declared bytes of the result
 * @throws NmktError `too-large` when `size` is above `maxBytes`, before anything is allocated; `bad-blob` when the
 *         stream is damaged, longer or shorter than declared, or followed by other bytes
 */
export function unpack(packed: Bytes, size: number, maxBytes: number): Bytes {
  requireWithin(size, maxBytes);
  let result: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    result = brotliDecompressSync(packed, {
      maxOutputLength: Math.max(size, 1),
      chunkSize: Math.min(Math.max(size, 64), OUTPUT_BLOCK_BYTES),
      info: true,
    } as object) as unknown as typeof result;
  } catch (cause) {
    throw badStream(size, 'a damaged or longer stream', cause);
  }
  if (result.buffer.length !== size) throw badStream(size, `${result.buffer.length} bytes`);
  if (result.engine.bytesWritten !== packed.length) throw badStream(size, 'more bytes after the end of the stream');
  return result.buffer;
}

/**
 * The same of a stream in parts, which need not be in memory together.
 *
 * @param packed  bytes of all parts
 * @throws        NmktError as unpack; what `parts` throws
 */
export async function unpackParts(
  parts: AsyncIterable<Bytes>,
  packed: number,
  size: number,
  maxBytes: number,
): Promise<{ readonly bytes: Bytes; readonly sha256: Sha256 }> {
  requireWithin(size, maxBytes);
  const bytes = new Uint8Array(size);
  const hash = createHash('sha256');
  const stream = createBrotliDecompress({ chunkSize: Math.min(Math.max(size, 64), OUTPUT_BLOCK_BYTES) });
  let length = 0;
  let unread: { readonly error: unknown } | undefined;
  const told = async function* (): AsyncGenerator<Bytes> {
    try {
      yield* parts;
    } catch (error) {
      unread = { error };
      throw error;
    }
  };
  try {
    await pipeline(told(), stream, async (blocks: AsyncIterable<Buffer>) => {
      for await (const block of blocks) {
        if (length + block.length > size) throw badStream(size, 'a longer stream');
        bytes.set(block, length);
        hash.update(block);
        length += block.length;
      }
    });
  } catch (cause) {
    if (unread !== undefined) throw unread.error; // no fault of the stream
    throw isNmktError(cause) ? cause : badStream(size, 'a damaged stream', cause);
  }
  if (length !== size) throw badStream(size, `${length} bytes`);
  if (stream.bytesWritten !== packed) throw badStream(size, 'more bytes after the end of the stream');
  return { bytes, sha256: hash.digest('hex') as Sha256 };
}

/** @throws NmktError `too-large` */
export function requireWithin(size: number, maxBytes: number): void {
  if (size <= maxBytes) return;
  throw new NmktError('too-large', `a blob declares ${size} bytes, more than is accepted here`, {
    remedy: 'raise the limit with --max-bytes if you expect this much',
    expected: `at most ${maxBytes} bytes`,
    got: `${size} bytes`,
  });
}

function badStream(size: number, got: string, cause?: unknown): NmktError {
  return new NmktError('bad-blob', 'a blob does not unpack to its declared size', {
    remedy: 'ask the sender to publish it again',
    expected: `a brotli stream of ${size} bytes`,
    got,
    cause,
  });
}
