/**
 * Kernels of tfjs-backend-cpu 4.22 that compute with functions of Math whose bits differ between engines: two releases of
 * V8, or V8 on two kinds of processor, need not agree on what they answer. A test compares the list with their sources.
 */
export const INEXACT_ON_CPU: ReadonlySet<string> = new Set([
  'Acos',
  'Acosh',
  'Asin',
  'Asinh',
  'Atan',
  'Atan2',
  'Atanh',
  'ComplexAbs',
  'Cos',
  'Cosh',
  'Elu',
  'Erf',
  'Exp',
  'Expm1',
  'FFT',
  'FusedConv2D',
  'FusedDepthwiseConv2D',
  'IFFT',
  'LRN',
  'LRNGrad',
  'Log',
  'Log1p',
  'Multinomial',
  'Pow',
  'RotateWithOffset',
  'Selu',
  'Sigmoid',
  'Sin',
  'Sinh',
  'Softmax',
  'Softplus',
  'Tan',
  'Tanh',
  'TopK',
  '_FusedMatMul',
]);

const used = new Set<string>();

export function noteUse(kernelName: string): void {
  if (INEXACT_ON_CPU.has(kernelName)) used.add(kernelName);
}

/**
 * What `work` answers, and the inexact kernels that this thread used meanwhile: none means the same bits on every machine
 * of the same kind.
 */
export async function watchInexact<T>(
  work: () => T | Promise<T>,
): Promise<{ readonly result: T; readonly inexact: readonly string[] }> {
  takeInexactKernels();
  const result = await work();
  return { result, inexact: takeInexactKernels() };
}

/** Which of them computed something in this thread since the last call, sorted. */
export function takeInexactKernels(): readonly string[] {
  const names = [...used].sort();
  used.clear();
  return names;
}
