/** What a PNG or JPEG file says of itself, before a pixel of it is decoded. */

export interface ImageHeader {
  readonly kind: 'png' | 'jpeg';
  readonly height: number;
  readonly width: number;
  /** 1: every pixel is grey. An alpha channel does not count. */
  readonly channels: 1 | 3;
}

const PNG = '89504e470d0a1a0a';
/** Deflate makes at most 1,032 bytes of one; a block of 64 pixels takes a bit of JPEG at least. */
const PNG_RATIO = 1_032;
const JPEG_PIXELS_PER_BYTE = 512;
/** Each scan of a progressive file goes over the whole image; files in use have ten or so. */
const MAX_SCANS = 64;

const hex = (bytes: Uint8Array, from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString('hex');

export function looksLikeImage(start: Uint8Array): boolean {
  return hex(start, 0, 8) === PNG || hex(start, 0, 3) === 'ffd8ff';
}

/** @throws RangeError in words that follow a file's name, for what is no such file, of a kind that is not read, or larger than it can be */
export function imageHeader(bytes: Uint8Array): ImageHeader {
  if (hex(bytes, 0, 8) === PNG) return pngHeader(bytes);
  if (hex(bytes, 0, 2) === 'ffd8') return jpegHeader(bytes);
  throw new RangeError('is neither PNG nor JPEG');
}

/** https://www.w3.org/TR/png-3/#5Chunk-layout */
function pngHeader(bytes: Uint8Array): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33 || hex(bytes, 8, 16) !== '0000000d49484452') throw new RangeError('has no header');
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth, color, interlace] = [bytes[24]!, bytes[25]!, bytes[28]!];
  if (interlace !== 0) throw new RangeError('is interlaced, which is not read');
  const samples = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[color];
  if (samples === undefined || ![1, 2, 4, 8, 16].includes(depth)) throw new RangeError('is of an unknown kind of PNG');
  // Another header further on would count for the decoder.
  for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at))
    if (at > 8 && hex(bytes, at + 4, at + 8) === '49484452') throw new RangeError('has two headers');
  checkSize(width, height);
  if (height * (1 + (width * samples * depth) / 8) > PNG_RATIO * bytes.length)
    throw new RangeError(`declares ${height} x ${width} pixels, more than it can hold`);
  return { kind: 'png', height, width, channels: color === 0 || color === 4 ? 1 : 3 };
}

/** https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.1.1 and B.2.2 */
function jpegHeader(bytes: Uint8Array): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let scans = 0;
  for (let at = bytes.indexOf(0xff); at >= 0; at = bytes.indexOf(0xff, at + 1)) if (bytes[at + 1] === 0xda) scans += 1;
  if (scans > MAX_SCANS) throw new RangeError(`has ${scans} scans, above ${MAX_SCANS}`);
  for (let at = 2; at + 10 <= bytes.length; at += 2 + view.getUint16(at + 2)) {
    const [mark, kind] = [bytes[at]!, bytes[at + 1]!];
    if (mark !== 0xff) break;
    const isFrame = kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind);
    if (!isFrame) continue;
    if (kind > 0xc2) throw new RangeError('is of a kind of JPEG that is not read');
    const [height, width, parts] = [view.getUint16(at + 5), view.getUint16(at + 7), bytes[at + 9]!];
    if (parts !== 1 && parts !== 3) throw new RangeError(`has ${parts} colour components, not 1 or 3`);
    checkSize(width, height);
    if (width * height > JPEG_PIXELS_PER_BYTE * bytes.length)
      throw new RangeError(`declares ${height} x ${width} pixels, more than it can hold`);
    return { kind: 'jpeg', height, width, channels: parts };
  }
  throw new RangeError('has no header');
}

function checkSize(width: number, height: number): void {
  if (width < 1 || height < 1) throw new RangeError(`declares ${height} x ${width} pixels`);
}
