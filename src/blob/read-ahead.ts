import type { Bytes } from '../hash.js';
import { CHUNK_BYTES } from './chunk.js';

type Read = (position: number, length: number) => Bytes | Promise<Bytes>;

/** A trip to the disk costs as much as sealing a chunk: one for many, made while those before are sealed. */
const BLOCK_BYTES = 20 * CHUNK_BYTES;
/** Relays that keep step share them; two that do not have two each. */
const KEPT_BLOCKS = 4;

/**
 * @param size  bytes there are
 * @returns     the bytes of the chunk that begins at `position`, a view of a block; throws what `read` throws, and a later
 *              call tries again
 */
export function withReadAhead(read: Read, size: number): (position: number) => Promise<Bytes> {
  /** By number, the one used last at the end. */
  const blocks = new Map<number, Promise<Bytes>>();
  const load = (number: number): Promise<Bytes> => {
    const at = number * BLOCK_BYTES;
    const block = Promise.resolve(read(at, Math.min(BLOCK_BYTES, size - at)));
    block.catch(() => blocks.delete(number)); // thrown to whoever waits for it
    return block;
  };
  const use = (number: number): Promise<Bytes> => {
    const block = blocks.get(number) ?? load(number);
    blocks.delete(number);
    blocks.set(number, block);
    if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value!);
    return block;
  };
  return async (position) => {
    const number = Math.floor(position / BLOCK_BYTES);
    const within = position - number * BLOCK_BYTES;
    const block = await use(number);
    const next = number + 1;
    if (within >= BLOCK_BYTES / 2 && next * BLOCK_BYTES < size && !blocks.has(next)) void use(next);
    return block.subarray(within, within + CHUNK_BYTES);
  };
}
