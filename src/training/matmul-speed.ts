import * as tf from '@tensorflow/tfjs-core';

const SIZES = { small: 256, large: 1024 };
/** A backend that takes longer for a small product is not asked for large ones. */
const SLOW_MS = 20;
const BUDGET_MS = 200;

/** Products of square matrices on the current backend for a fifth of a second, the first one not counted. @returns GFLOP/s */
export async function matmulSpeed(): Promise<number> {
  const small = await timeProducts(SIZES.small, SLOW_MS);
  const size = small.ms / small.count > SLOW_MS ? SIZES.small : SIZES.large;
  const { ms, count } = await timeProducts(size, BUDGET_MS);
  return (2 * size ** 3 * count) / ms / 1e6;
}

async function timeProducts(size: number, budgetMs: number): Promise<{ readonly ms: number; readonly count: number }> {
  const a = tf.randomUniform<tf.Rank.R2>([size, size], -1, 1, 'float32', 1);
  const multiply = async (): Promise<void> => {
    // The sum is read, so that the product is there when the clock is looked at.
    const sum = tf.tidy(() => tf.sum(tf.matMul(a, a)));
    await sum.data();
    sum.dispose();
  };
  await multiply();
  const start = performance.now();
  let ms = 0;
  let count = 0;
  for (; ms < budgetMs; ms = performance.now() - start, count++) await multiply();
  a.dispose();
  return { ms, count };
}
