import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import type { ImageHeader } from './image-header.js';

/** Bytes of a JPEG decoder per pixel, all components padded to whole blocks; and what the smallest image takes. */
const JPEG_BYTES_PER_PIXEL = 64;
const JPEG_LEAST_MIB = 4;

/**
 * Pixels of a whole file, row by row. Alpha is left out; 16 bits become 8; colour becomes grey by ITU-R 601 luma, in the integers that Pillow
 * uses; grey becomes colour by three equal channels.
 *
 * @param header  of these bytes
 * @returns       [height, width, channels]
 * @throws        RangeError in words that follow a file's name
 */
export function decodeImage(bytes: Uint8Array, header: ImageHeader, channels: 1 | 3): Uint8Array {
  const { height, width } = header;
  const rgba = decoded(bytes, header);
  if (rgba.width !== width || rgba.height !== height || rgba.data.length !== 4 * width * height)
    throw new RangeError('is damaged: its header declares another size');
  const out = new Uint8Array(height * width * channels);
  for (let pixel = 0; pixel < height * width; pixel++) {
    const [r, g, b] = [rgba.data[4 * pixel]!, rgba.data[4 * pixel + 1]!, rgba.data[4 * pixel + 2]!];
    if (channels === 1) out[pixel] = header.channels === 1 ? r : (19_595 * r + 38_470 * g + 7_471 * b + 32_768) >> 16;
    else out.set([r, g, b], 3 * pixel);
  }
  return out;
}

function decoded(
  bytes: Uint8Array,
  { kind, height, width }: ImageHeader,
): { width: number; height: number; data: Uint8Array } {
  const pixels = height * width;
  try {
    if (kind === 'png') return PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return jpeg.decode(bytes, {
      useTArray: true,
      formatAsRGBA: true,
      tolerantDecoding: false,
      maxResolutionInMP: (pixels + 1) / 1e6,
      maxMemoryUsageInMB: JPEG_LEAST_MIB + (JPEG_BYTES_PER_PIXEL * pixels) / 2 ** 20,
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`is damaged: ${why.slice(0, 200)}`, { cause });
  }
}
