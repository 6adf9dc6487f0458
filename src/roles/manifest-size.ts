import { CHUNK_BYTES } from '../blob/chunk.js';
import { NmktError } from '../errors.js';
import type { DataSchema } from '../learning/types.js';
import { MAX_CONTENT } from '../protocol/envelope.js';

/** Salt, locator, part and the names of the fields. */
const FRAME_CHARS = 400;
const HEADER_BYTES = 1_024;

/**
 * A snapshot names every shard and column in one event; said before anything is sealed and sent.
 *
 * @param examples  in each shard
 * @throws NmktError `bad-dataset`
 */
export function requireSmallManifest(name: string, schema: DataSchema, examples: readonly number[]): void {
  const rowBytes = schema.inputs * (schema.dtype === 'U8' ? 1 : 4) + 8 * schema.outputs;
  const rows = examples.map((count) => {
    const size = HEADER_BYTES + count * rowBytes;
    const chunks = Math.ceil(size / CHUNK_BYTES);
    return JSON.stringify({ examples: count, size, chunks, commit: '0'.repeat(64) }).length + 1;
  });
  const head = JSON.stringify(name).length + JSON.stringify(schema).length + FRAME_CHARS;
  const chars = rows.reduce((sum, row) => sum + row, head);
  if (chars <= MAX_CONTENT) return;
  throw new NmktError('bad-dataset', 'the description of the dataset does not fit into one event', {
    expected: `at most ${MAX_CONTENT} characters for columns, classes and shards`,
    got: `about ${head} for columns and classes, ${chars - head} for ${examples.length} shards`,
    remedy: 'cut it into fewer shards (--shards), or leave columns or rare categories out (--drop)',
  });
}
