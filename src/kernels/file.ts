import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * kernels.wasm: beside this file, or in dist when this one runs from TypeScript.
 *
 * @throws Error when it was not built
 */
export function readKernels(): Uint8Array {
  for (const place of ['./kernels.wasm', '../../dist/kernels/kernels.wasm']) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(path)) return readFileSync(path);
  }
  throw new Error('kernels.wasm is missing: npm run build');
}
