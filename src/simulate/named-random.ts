import { sha256, u32be } from '../hash.js';
import type { RandomBytes } from '../ports.js';

/** SHA-256 in counter mode: the same bytes for the same name. */
export function namedRandom(name: string): RandomBytes {
  let counter = 0;
  return (length) => {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) out.set(sha256(name, u32be(counter++)).subarray(0, length - at), at);
    return out;
  };
}
