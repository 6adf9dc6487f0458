import type { Bytes } from '../../hash.js';
import { badFile } from '../safetensors-header.js';

/** Four bytes in front of every encoded update but `f32`: "NU", a version, and which codec wrote it. */
const [N, U, VERSION] = [0x4e, 0x55, 1];
export const FRAME_BYTES = 4;
const IDS = { f16: 1, int8: 2, int4: 3, topk: 4 } as const;
type Framed = keyof typeof IDS;

export function framed(name: Framed, bodyBytes: number): { readonly bytes: Bytes; readonly body: Bytes } {
  const bytes = new Uint8Array(FRAME_BYTES + bodyBytes);
  bytes.set([N, U, VERSION, IDS[name]]);
  return { bytes, body: bytes.subarray(FRAME_BYTES) };
}

/** What stands behind the frame. @throws NmktError `bad-blob` for another frame */
export function bodyOf(name: Framed, bytes: Bytes): Bytes {
  const wanted = [N, U, VERSION, IDS[name]];
  if (wanted.some((byte, i) => bytes[i] !== byte))
    throw badFile(`the update is not of codec ${name}`, {
      expected: hexOf(wanted),
      got: hexOf([...bytes.subarray(0, FRAME_BYTES)]),
    });
  return bytes.subarray(FRAME_BYTES);
}

/** @throws NmktError `bad-blob` */
export function checkLength(body: Bytes, expected: number): void {
  if (body.length !== expected)
    throw badFile('the update has another length than its codec gives it', {
      expected: `${FRAME_BYTES + expected} bytes`,
      got: `${FRAME_BYTES + body.length}`,
    });
}

const hexOf = (bytes: readonly number[]): string => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');

export function viewOf(bytes: Bytes): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
