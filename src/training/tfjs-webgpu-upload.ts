/** What is used of the backend of tfjs-backend-webgpu 4.22, the one version that is loaded; GPUBuffer is opaque here. */
export interface WebgpuBackend {
  readonly queue: {
    writeBuffer(to: object, at: number, from: ArrayBufferLike, first: number, bytes: number): void;
  };
  readonly bufferManager: { acquireBuffer(bytes: number, usage: number): object };
  readonly tensorMap: { get(dataId: object): TensorData };
  uploadToGPU(dataId: object): void;
}
interface TensorData {
  readonly dtype: string;
  /** Until they are on the GPU; null of what was computed there. */
  values: ArrayLike<number> | null | undefined;
  /** The buffer on the GPU. */
  resource?: object | null;
}

/** A quarter of the ring in which Dawn keeps what is written for the next submission; larger values get a buffer of their own there too. */
const MOST_BYTES = 1 << 20;
/** STORAGE, COPY_SRC and COPY_DST of WebGPU, as the stock function asks for: buffers of both come from one pool. */
const USAGE = 0x80 | 0x04 | 0x08;

/**
 * The stock function makes a buffer of the processor's memory for each tensor it sends, ends the pass, and destroys the buffer at
 * the next submission: each scalar of a formula costs an allocation by the driver. On an NVIDIA H100 that was seven tenths of a step
 * of a small gpt. From here on small tensors are written through the queue, which has memory for that. The values are the same.
 *
 * Written at once, before commands that are recorded and not submitted: right because the backend takes no buffer back into its
 * pool while such commands use it.
 */
export function uploadThroughQueue(backend: WebgpuBackend): void {
  const stock = backend.uploadToGPU.bind(backend);
  backend.uploadToGPU = (dataId) => {
    const data = backend.tensorMap.get(dataId);
    const { values, resource, dtype } = data;
    const isNew = (resource ?? null) === null && values !== null && values !== undefined;
    if (!isNew || values.length === 0 || 4 * values.length > MOST_BYTES) return stock(dataId);
    // Every type has 4 bytes there; bool is an integer.
    const copy = dtype === 'float32' ? Float32Array.from(values) : Int32Array.from(values);
    const buffer = backend.bufferManager.acquireBuffer(copy.byteLength, USAGE);
    backend.queue.writeBuffer(buffer, 0, copy.buffer, 0, copy.byteLength);
    data.resource = buffer;
    data.values = null;
  };
}
