import { train } from './model-train.js';

/** Loss before the second step of the training below: computed once with tf.train.adam and automatic gradients. */
const EXPECTED_LOSS = 0.42891;
const TOLERANCE = 1e-3;

/**
 * A tiny real training on the current backend: 2 inputs, 3 hidden, 2 classes, 2 steps of Adam.
 *
 * @throws Error when the loss is not the known one: the backend computes wrongly here
 */
export async function smoke(): Promise<void> {
  const { lossLast } = await train(
    {
      model: { model: 'mlp', task: 'classification', inputs: 2, outputs: 2, hidden: [3] },
      weights: [
        { name: 'dense_0/bias', shape: [3], data: Float32Array.of(0.1, -0.1, 0.2) },
        { name: 'dense_0/kernel', shape: [2, 3], data: Float32Array.of(0.5, -0.4, 0.3, -0.2, 0.6, 0.1) },
        { name: 'dense_1/bias', shape: [2], data: Float32Array.of(0, 0) },
        { name: 'dense_1/kernel', shape: [3, 2], data: Float32Array.of(0.7, -0.3, -0.6, 0.4, 0.2, 0.5) },
      ],
      examples: {
        rows: 4,
        inputs: 2,
        features: Float32Array.of(1, 0, 0, 1, 1, 1, 0.5, -0.5),
        scale: 1,
        labels: Int32Array.of(0, 1, 1, 0),
      },
      hyper: { optimizer: 'adam', learningRate: 0.1, batch: 4, localSteps: 2 },
      seed: new Uint8Array(32),
    },
    () => undefined,
    () => undefined,
  );
  if (!(Math.abs(lossLast - EXPECTED_LOSS) <= TOLERANCE))
    throw new Error(`the first training step gave loss ${lossLast}, not ${EXPECTED_LOSS}`);
}
