import { matmulSpeed } from './matmul-speed.js';
import { loadRung } from './tfjs-rungs.js';
import { smoke } from './tfjs-smoke.js';
import { releaseWebgpu } from './tfjs-webgpu.js';
import type { Verdict } from './verdict.js';
import type { WorkerStart } from './worker-messages.js';

/**
 * A process of its own that loads a native rung and trains a tiny net: a crash of the native library ends this process and
 * not the trainer. Then the time of large products, against those of wasm. Sends the verdict.
 */
async function probe({ rung, ...place }: Omit<WorkerStart, 'maxBytes'>): Promise<Verdict> {
  try {
    await loadRung(rung, place);
    await smoke();
    const gigaflops = await matmulSpeed();
    releaseWebgpu();
    await loadRung('wasm');
    return { flaw: null, gigaflops, wasmGigaflops: await matmulSpeed() };
  } catch (error) {
    return { flaw: (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!.trim() };
  }
}

const verdict = await probe(JSON.parse(process.argv[2]!) as Omit<WorkerStart, 'maxBytes'>);
// The end of a GPU's threads is nothing to wait for.
process.send!(verdict, undefined, {}, () => process.exit());
