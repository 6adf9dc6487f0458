import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, type TestContext } from 'vitest';

/**
 * The native rungs: what each trains is compared with wasm. `npm run build` first.
 * - webgpu: Dawn, the WebGPU of Chromium (npm `webgpu`), with the packages in the folder NMKT_ENGINE_DIR; without it those beside
 *   nmkt, if any. On a machine without a GPU, Vulkan of the processor does for correctness: NMKT_SOFTWARE_GPU=1.
 * - node: TensorFlow 2.9.1, put together by build-tfjs-node.sh in NMKT_TFJS_NODE_DIR or a folder of the system's temporary ones,
 *   which stays there for the next run.
 */
it('trains on a GPU what wasm trains, within the tolerance', { timeout: 300_000 }, (context) => {
  const { NMKT_ENGINE_DIR: folder, NMKT_SOFTWARE_GPU: software } = process.env;
  compare(context, ['webgpu', ...(folder ? [folder] : []), ...(software ? ['--software'] : [])]);
});

it('trains with TensorFlow what wasm trains, within the tolerance', { timeout: 900_000 }, (context) => {
  const folder = process.env.NMKT_TFJS_NODE_DIR ?? join(tmpdir(), 'nmkt-tfjs-node-4.22.0');
  const made = run('bash', [fileURLToPath(new URL('./build-tfjs-node.sh', import.meta.url)), folder]);
  if (made.status === 77) return context.skip(made.stdout.trim());
  expect(made, made.stderr).toMatchObject({ status: 0 });
  compare(context, ['node', folder]);
});

function compare(context: TestContext, words: readonly string[]): void {
  const { status, stdout } = run(process.execPath, [
    fileURLToPath(new URL('./engine-run.mjs', import.meta.url)),
    ...words,
  ]);
  console.log(stdout);
  const skip = /^SKIP .*$/m.exec(stdout)?.[0];
  if (skip !== undefined) return context.skip(skip);
  expect(stdout).toMatch(/^PASSED$/m);
  expect(status).toBe(0);
}

function run(command: string, words: readonly string[]) {
  return spawnSync(command, words, { encoding: 'utf8', timeout: 850_000 });
}
