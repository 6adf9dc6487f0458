import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { findPackages } from './optional-packages.js';
import { uploadThroughQueue, type WebgpuBackend } from './tfjs-webgpu-upload.js';

/** The parts of WebGPU that are asked for here. */
interface Gpu {
  requestAdapter(options?: object): Promise<Adapter | null>;
}
interface Adapter {
  readonly info?: {
    readonly vendor?: string;
    readonly architecture?: string;
    readonly device?: string;
    readonly description?: string;
    readonly isFallbackAdapter?: boolean;
  };
  readonly isFallbackAdapter?: boolean;
}
interface WebgpuPackage {
  readonly create: (flags: readonly string[]) => Gpu;
  readonly globals: object;
}

/**
 * The WebGPU backend on the packages of the user. tfjs has its engine and its kernels on globalThis, so that the copy of
 * tfjs-core beside the packages shares ours.
 *
 * @param isSoftwareFine  lets an adapter through that computes on the processor: right for trying the code, never fast
 * @returns what names the computing part: versions and the adapter
 * @throws  Error that says what is missing
 */
export async function loadWebgpu(folder: string | undefined, isSoftwareFine: boolean): Promise<string[]> {
  const [dawn, backend] = findPackages('webgpu', folder);
  const { create, globals } = (await import(pathToFileURL(dawn!.path).href)) as WebgpuPackage;
  Object.assign(globalThis, globals);
  const gpu = create([]);
  // Node.js 20 has no navigator; later ones have one that takes no plain assignment.
  const world = globalThis as { navigator?: object };
  if (world.navigator === undefined) Object.defineProperty(world, 'navigator', { value: {}, configurable: true });
  Object.defineProperty(world.navigator, 'gpu', { value: gpu, configurable: true });
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw new Error('there is no GPU that WebGPU can use (no adapter)');
  const { info } = adapter;
  const named = info?.description || info?.device || info?.architecture || info?.vendor || 'an adapter without a name';
  if (!isSoftwareFine && (info?.isFallbackAdapter ?? adapter.isFallbackAdapter) === true)
    throw new Error(`the only adapter computes on the processor: ${named}`);
  createRequire(import.meta.url)(backend!.path);
  if (!(await tf.setBackend('webgpu'))) throw new Error(`the webgpu backend did not start on ${named}`);
  await tf.ready();
  uploadThroughQueue(tf.backend() as unknown as WebgpuBackend);
  return [`webgpu ${dawn!.version}`, `tfjs-backend-webgpu ${backend!.version}`, `${info?.vendor} ${named}`];
}

/** The process cannot end by itself while anything holds the GPU. */
export function releaseWebgpu(): void {
  const { navigator } = globalThis as { navigator?: { gpu?: unknown } };
  if (navigator !== undefined) delete navigator.gpu;
}
