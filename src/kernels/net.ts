import '@tensorflow/tfjs-backend-cpu'; // registers its kernels and the backend, which starts when it is needed
import * as tf from '@tensorflow/tfjs-core';
import type { WasmBackend } from './backend.js';
import { noteUse } from './inexact.js';

/** What the current backend lacks, computed by tfjs-backend-cpu on copies of the values: right and slow. */

/** Inputs come by name, a few kernels take lists of them besides or instead; those that are optional may be missing. */
type Infos = tf.TensorInfo | readonly Infos[] | { readonly [name: string]: Infos } | null | undefined;

const installed = new WeakSet<object>();

/** Wrong in tfjs-backend-wasm 4.22: the gradient of a convolution in three dimensions by its input reads beside dy. */
const WRONG = 'Conv3DBackpropInputV2';

/**
 * Puts a net under the current backend, which must be tfjs-backend-wasm, after `installKernels`: kernels that are not there,
 * and one that is wrong, run on cpu, and so does every kernel that is handed complex64, which wasm does not know. A second call changes nothing.
 */
export function installNet(): void {
  if (tf.getBackend() !== 'wasm') throw new Error(`the current backend is ${tf.getBackend()}, not wasm`);
  const backend = tf.backend() as WasmBackend;
  if (installed.has(backend)) return;
  readComplex(backend);
  tf.unregisterKernel(WRONG, 'wasm');
  const own = tf.getKernelsForBackend('wasm');
  const present = new Set(own.map(({ kernelName }) => kernelName));
  for (const { kernelName } of tf.getKernelsForBackend('cpu'))
    if (!present.has(kernelName))
      tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc: throughCpu(kernelName) });
  for (const config of own) {
    tf.unregisterKernel(config.kernelName, 'wasm');
    tf.registerKernel({ ...config, kernelFunc: unlessComplex(config) });
  }
  installed.add(backend);
}

/** The cpu kernel on copies of the inputs; what it answers is copied back, and nothing stays on cpu. */
function throughCpu(kernelName: string): tf.KernelFunc {
  const { kernelFunc } = tf.getKernel(kernelName, 'cpu');
  return ({ inputs, attrs, backend }) => {
    const cpu = tf.findBackend('cpu');
    const held: tf.TensorInfo[] = [];
    const hold = (info: tf.TensorInfo): tf.TensorInfo => (held.push(info), info);
    let outs: Values[] = [];
    let isMany = false;
    try {
      noteUse(kernelName);
      // Some cpu kernels answer tensors instead of plain descriptions: those end with the tidy.
      tf.tidy(() => {
        const copies = mapInfos(inputs, (info) => hold(copyToCpu(cpu, backend as WasmBackend, info)));
        const found = kernelFunc({ inputs: copies as tf.NamedTensorInfoMap, attrs: attrs!, backend: cpu });
        isMany = Array.isArray(found);
        outs = [found].flat().map((info) => valuesOf(cpu, hold(info)));
      });
    } finally {
      for (const { dataId } of held) cpu.disposeData(dataId);
    }
    const made = writeAll(backend as WasmBackend, outs);
    return isMany ? made : made[0]!;
  };
}

interface Values extends Pick<tf.TensorInfo, 'shape' | 'dtype'> {
  readonly data: tf.backend_util.BackendValues;
}

function valuesOf(cpu: tf.KernelBackend, { dataId, shape, dtype }: tf.TensorInfo): Values {
  const data = cpu.readSync(dataId);
  // wasm takes the bytes as they are, and not every cpu kernel keeps whole numbers in an Int32Array.
  return { shape, dtype, data: dtype === 'string' ? data : tf.util.toTypedArray(data, dtype) };
}

function writeAll(backend: WasmBackend, outs: readonly Values[]): tf.TensorInfo[] {
  const made: tf.TensorInfo[] = [];
  try {
    for (const { shape, dtype, data } of outs) made.push({ dataId: backend.write(data, shape, dtype), shape, dtype });
  } catch (error) {
    for (const { dataId } of made) backend.disposeData(dataId);
    throw error;
  }
  return made;
}

/** cpu keeps the two parts of complex numbers apart, wasm side by side. */
function copyToCpu(cpu: tf.KernelBackend, from: WasmBackend, { dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo {
  const data = from.readSync(dataId);
  if (dtype !== 'complex64') return { dataId: cpu.write(data, shape, dtype), shape, dtype };
  const parts = tf.backend_util.splitRealAndImagArrays(data as Float32Array);
  const part = (values: Float32Array): tf.TensorInfo => ({
    dataId: cpu.write(values, shape, 'float32'),
    shape,
    dtype: 'float32',
  });
  const inputs = { real: part(parts.real), imag: part(parts.imag) };
  const whole = tf.getKernel('Complex', 'cpu').kernelFunc({ inputs, attrs: {}, backend: cpu }) as tf.TensorInfo;
  for (const one of [inputs.real, inputs.imag]) cpu.disposeData(one.dataId);
  return whole;
}

function mapInfos(inputs: Infos, map: (info: tf.TensorInfo) => tf.TensorInfo): Infos {
  if (inputs === null || typeof inputs !== 'object') return inputs;
  if ('dataId' in inputs) return map(inputs as tf.TensorInfo);
  if (Array.isArray(inputs)) return (inputs as readonly Infos[]).map((one) => mapInfos(one, map));
  return Object.fromEntries(Object.entries(inputs).map(([name, one]) => [name, mapInfos(one, map)]));
}

function unlessComplex({ kernelName, kernelFunc }: tf.KernelConfig): tf.KernelFunc {
  const onCpu = tf.getKernel(kernelName, 'cpu') && throughCpu(kernelName);
  return (call) => {
    if (!isComplex(call.inputs) && call.attrs?.['dtype'] !== 'complex64') return kernelFunc(call);
    if (onCpu === undefined) throw new Error(`${kernelName} takes no complex64`);
    return onCpu(call);
  };
}

function isComplex(inputs: tf.NamedTensorInfoMap): boolean {
  for (const name in inputs) if (inputs[name]?.dtype === 'complex64') return true;
  return false;
}

/** tfjs-backend-wasm has the place for complex numbers (8 bytes each) but does not read them. */
function readComplex(backend: WasmBackend): void {
  const read = backend.readSync.bind(backend);
  backend.readSync = (dataId, ...range: number[]) => {
    const { dtype, shape, memoryOffset } = backend.dataIdMap.get(dataId);
    if (dtype !== 'complex64') return (read as (dataId: object, ...range: number[]) => Float32Array)(dataId, ...range);
    const end = memoryOffset + 8 * tf.util.sizeFromShape([...shape]);
    return new Float32Array(backend.wasm.HEAPU8.slice(memoryOffset, end).buffer);
  };
}
