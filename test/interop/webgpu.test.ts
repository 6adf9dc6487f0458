import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/**
 * The webgpu rung on Dawn, the WebGPU of Chromium (npm `webgpu`), with the packages in the folder NMKT_ENGINE_DIR; without
 * it those beside nmkt, if any. On a machine without a GPU, Vulkan of the processor does for correctness: NMKT_SOFTWARE_GPU=1.
 */
it('trains on a GPU what wasm trains, within the tolerance', { timeout: 300_000 }, (context) => {
  const { NMKT_ENGINE_DIR: folder, NMKT_SOFTWARE_GPU: software } = process.env;
  const script = fileURLToPath(new URL('./webgpu-run.mjs', import.meta.url));
  const words = [script, ...(folder ? [folder] : []), ...(software ? ['--software'] : [])];
  const { status, stdout } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 290_000 });
  console.log(stdout);
  const skip = /^SKIP .*$/m.exec(stdout)?.[0];
  if (skip !== undefined) return context.skip(skip);
  expect(stdout).toMatch(/^PASSED$/m);
  expect(status).toBe(0);
});
