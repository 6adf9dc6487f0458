import { z } from 'zod';
import { base64, eventId, int, sha256Hex } from './scalars.js';

/** A sealed blob of at most 24,000 packed bytes: nonce, ciphertext and tag, base64. */
export const inlineBlob = base64(34_000);

/**
 * Where a blob lies and what its bytes must be. `sha256` and `size` are of the canonical uncompressed bytes, `packed` of the
 * compressed ones, `root` is the Merkle root over chunk leaves (the leaf itself when inline), `commit` the public key commitment,
 * `ids` the index chunks (the chunk itself when there is one, none when inline).
 */
export const blobPointer = z.object({
  sha256: sha256Hex,
  size: int(0, 2 ** 40),
  packed: int(0, 2 ** 40),
  chunks: int(0, 2 ** 24),
  root: sha256Hex,
  commit: sha256Hex,
  ids: z.array(eventId).max(400),
});
export type Pointer = z.output<typeof blobPointer>;
