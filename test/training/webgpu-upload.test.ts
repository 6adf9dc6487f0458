import { expect, it } from 'vitest';
import { uploadThroughQueue, type WebgpuBackend } from '../../src/training/tfjs-webgpu-upload.js';

type Data = ReturnType<WebgpuBackend['tensorMap']['get']>;

/** The parts of the backend that are used, with buffers that can be read. */
function fakeBackend() {
  const tensors = new Map<object, Data>();
  const stock: object[] = [];
  const usages: number[] = [];
  const backend: WebgpuBackend = {
    queue: {
      writeBuffer(to, at, from, first, bytes) {
        (to as Uint8Array).set(new Uint8Array(from, first, bytes), at);
      },
    },
    bufferManager: {
      acquireBuffer(bytes, usage) {
        usages.push(usage);
        return new Uint8Array(bytes);
      },
    },
    tensorMap: { get: (dataId) => tensors.get(dataId)! },
    uploadToGPU: (dataId) => void stock.push(dataId),
  };
  uploadThroughQueue(backend);
  const upload = (data: Data): { readonly data: Data; readonly isStock: boolean } => {
    const dataId = {};
    tensors.set(dataId, data);
    backend.uploadToGPU(dataId);
    return { data, isStock: stock.includes(dataId) };
  };
  return { upload, usages };
}

it('writes small tensors through the queue, in the types that shaders read', () => {
  const { upload, usages } = fakeBackend();
  const floats = upload({ dtype: 'float32', values: Float32Array.of(0.5, NaN, -0), resource: null });
  expect(floats.isStock).toBe(false);
  expect(new Float32Array((floats.data.resource as Uint8Array).buffer)).toEqual(Float32Array.of(0.5, NaN, -0));
  expect(floats.data.values).toBeNull();
  for (const [dtype, values] of [
    ['int32', Int32Array.of(-1, 1 << 30)],
    ['bool', Uint8Array.of(1, 0)],
    ['int32', [3, 4]],
  ] as const) {
    const { data, isStock } = upload({ dtype, values });
    expect(isStock).toBe(false);
    expect([...new Int32Array((data.resource as Uint8Array).buffer)]).toEqual([...values]);
  }
  expect(new Set(usages)).toEqual(new Set([0x8c])); // STORAGE | COPY_SRC | COPY_DST
});

it('leaves a part of a larger array what it was', () => {
  const { upload } = fakeBackend();
  const { data } = upload({ dtype: 'float32', values: Float32Array.of(1, 2, 3, 4).subarray(1, 3) });
  expect(new Float32Array((data.resource as Uint8Array).buffer)).toEqual(Float32Array.of(2, 3));
});

it('leaves the rest to the stock function', () => {
  const { upload, usages } = fakeBackend();
  const many = (1 << 18) + 1;
  const there = new Uint8Array(4);
  expect(upload({ dtype: 'float32', values: new Float32Array(many), resource: null }).isStock).toBe(true);
  expect(upload({ dtype: 'float32', values: new Float32Array(0) }).isStock).toBe(true);
  expect(upload({ dtype: 'float32', values: null }).isStock).toBe(true); // room for a result
  expect(upload({ dtype: 'float32', values: Float32Array.of(1), resource: there }).data.resource).toBe(there);
  expect(usages).toEqual([]);
  expect(upload({ dtype: 'float32', values: new Float32Array(many - 1) }).isStock).toBe(false);
});
