import type { Examples, ParamSet } from '../learning/types.js';
import type { WorkerRequest } from './worker-messages.js';

/** A message whose arrays nobody else holds, and their buffers. */
export interface Parcel {
  readonly message: WorkerRequest;
  readonly transfer: readonly ArrayBuffer[];
}

/**
 * Copies every array once and lists the copies for transfer. Posting the caller's own arrays would either take them away
 * or clone the whole buffer behind a small view.
 */
export function parcel(message: WorkerRequest): Parcel {
  const transfer: ArrayBuffer[] = [];
  const own = <T extends Uint8Array | Float32Array | Int32Array>(view: T): T => {
    const copy = copyOf(view) as T;
    transfer.push(copy.buffer as ArrayBuffer);
    return copy;
  };
  const weights = (params: ParamSet): ParamSet => params.map((tensor) => ({ ...tensor, data: own(tensor.data) }));
  const examples = (given: Examples): Examples => ({
    ...given,
    features: own(given.features),
    labels: own(given.labels),
  });
  switch (message.kind) {
    case 'train': {
      const { request } = message;
      const { from } = request;
      const sent = {
        weights: weights(request.weights),
        examples: examples(request.examples),
        seed: own(request.seed),
        ...(from && { from: { ...from, tensors: weights(from.tensors) } }),
      };
      return { message: { kind: 'train', request: { ...request, ...sent } }, transfer };
    }
    case 'evaluate':
      return {
        message: { ...message, weights: weights(message.weights), examples: examples(message.examples) },
        transfer,
      };
    case 'predict':
      return { message: { ...message, weights: weights(message.weights), features: own(message.features) }, transfer };
  }
}

/** Plain arrays also for a Buffer, whose own `slice` shares memory. */
function copyOf(view: Uint8Array | Float32Array | Int32Array): Uint8Array | Float32Array | Int32Array {
  if (view instanceof Float32Array) return new Float32Array(view);
  return view instanceof Int32Array ? new Int32Array(view) : new Uint8Array(view);
}
