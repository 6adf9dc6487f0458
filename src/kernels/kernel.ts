import * as tf from '@tensorflow/tfjs-core';
import type { KernelFunc, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import type { WasmBackend } from './backend.js';

/** A kernel to be registered for the backend `wasm`. */
export interface Kernel {
  readonly kernelName: string;
  readonly kernelFunc: KernelFunc;
}

/** What tfjs hands a kernel, as this kernel knows it. */
export interface Call<Inputs extends PropertyKey, Attributes> {
  readonly inputs: Record<Inputs, TensorInfo>;
  readonly backend: WasmBackend;
  readonly attrs: Attributes;
}

export function kernel<Inputs extends PropertyKey, Attributes>(
  kernelName: string,
  compute: (call: Call<Inputs, Attributes>) => TensorInfo | TensorInfo[],
): Kernel {
  return { kernelName, kernelFunc: compute as unknown as KernelFunc };
}

/** Ours where `compute` takes the call and answers it; the stock kernel, which must be there now, elsewhere. */
export function orStock<Inputs extends PropertyKey, Attributes>(
  kernelName: string,
  compute: (call: Call<Inputs, Attributes>) => TensorInfo | TensorInfo[] | undefined,
): Kernel {
  const stock = tf.getKernel(kernelName, 'wasm').kernelFunc as unknown as (
    call: Call<Inputs, Attributes>,
  ) => TensorInfo;
  return kernel<Inputs, Attributes>(kernelName, (call) => compute(call) ?? stock(call));
}

/** The same for kernels of one input that we have for float32 alone. */
export function elseStock<Input extends string, Attributes>(
  kernelName: string,
  input: Input,
  compute: (call: Call<Input, Attributes>) => TensorInfo | undefined,
): Kernel {
  return orStock<Input, Attributes>(kernelName, (call) =>
    call.inputs[input].dtype === 'float32' ? compute(call) : undefined,
  );
}

/** @throws Error when a tensor does not hold float32, which is all that our kernels compute with */
export function assertFloats(kernelName: string, tensors: readonly TensorInfo[]): void {
  const other = tensors.find(({ dtype }) => dtype !== 'float32');
  if (other) throw new Error(`${kernelName} takes float32 on wasm, not ${other.dtype}: cast it first`);
}

/** Whether the current backend has this kernel of ours: what we fuse is a composition of stock operations elsewhere. */
export function hasKernel(kernelName: string): boolean {
  return tf.getBackend() === 'wasm' && tf.getKernel(kernelName, 'wasm') !== undefined;
}

export function runKernel<Result extends Tensor | Tensor[] = Tensor>(
  kernelName: string,
  inputs: Readonly<Record<string, Tensor>>,
  attributes: Readonly<Record<string, number | boolean>> = {},
): Result {
  return tf.engine().runKernel<Result>(kernelName, { ...inputs }, { ...attributes });
}

/**
 * Gradient kernels that have no gradient of their own: whoever asks for a second derivative is told which function it is, and where
 * it can be had, instead of the name of a kernel.
 */
export function refuseSecondDerivatives(functions: Readonly<Record<string, string>>): void {
  for (const [kernelName, name] of Object.entries(functions))
    tf.registerGradient({
      kernelName,
      gradFunc: () => {
        throw new Error(
          `${name} of our kernels has a first derivative, no second one: as a composition of operations, after tf.setBackend('cpu'), it has both`,
        );
      },
    });
}
