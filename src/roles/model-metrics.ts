import {
  areaUnderCurve,
  bits,
  meanAbsoluteError,
  perplexity,
  rootMeanSquaredError,
  topAccuracy,
} from '../learning/metrics.js';
import { targetValue } from '../learning/schema.js';
import type { DataSchema, Examples, ModelSpec, ParamSet } from '../learning/types.js';
import type { Engine } from '../ports.js';

/** Those that fit the data; loss and accuracy (null for regression) always. */
export interface ModelMetrics {
  readonly loss: number;
  readonly accuracy: number | null;
  /** Of more than ten classes: the label is among the five likeliest. */
  readonly top5?: number;
  /** Of two classes, the second counting as found; null where the rows are all of one. */
  readonly auc?: number | null;
  /** In the units of the target column. */
  readonly mae?: number;
  readonly rmse?: number;
  /** Per token of a text. */
  readonly perplexity?: number;
  readonly bitsPerCharacter?: number;
  readonly bitsPerByte?: number;
}

const MANY_CLASSES = 10;

export async function measureModel(
  engine: Engine,
  { spec, weights }: { readonly spec: ModelSpec; readonly weights: ParamSet },
  schema: DataSchema,
  examples: Examples,
): Promise<ModelMetrics> {
  const { loss, accuracy } = await engine.evaluate(spec, weights, examples);
  const base = { loss, accuracy: accuracy ?? null };
  if (schema.text !== undefined) {
    const name = schema.text.tokenizer === 'byte' ? 'bitsPerByte' : 'bitsPerCharacter';
    return { ...base, perplexity: perplexity(loss), [name]: bits(loss) };
  }
  if (spec.task === 'classification' && spec.outputs > 2 && spec.outputs <= MANY_CLASSES) return base;
  const { features, rows, scale, labels } = examples;
  const outputs = await engine.predict(spec, weights, features, rows, scale); // [rows, outputs]
  if (spec.task === 'regression') {
    const inUnits = (numbers: ArrayLike<number>) => Float64Array.from(numbers, (one) => targetValue(schema, one));
    const [values, wanted] = [inUnits(outputs), inUnits(labels)];
    return { ...base, mae: meanAbsoluteError(values, wanted), rmse: rootMeanSquaredError(values, wanted) };
  }
  if (spec.outputs > 2) return { ...base, top5: topAccuracy(outputs, labels, spec.outputs, 5) };
  const second = Float64Array.from({ length: rows }, (_, row) => outputs[2 * row + 1]!);
  return { ...base, auc: areaUnderCurve(second, labels) };
}

/** The ones beside loss and accuracy, for a line: `auc 0.93`. */
export function describeMetrics(metrics: ModelMetrics): readonly string[] {
  return Object.entries(metrics)
    .filter(([name, value]) => !['loss', 'accuracy'].includes(name) && value !== null)
    .map(([name, value]) => `${name} ${Number((value as number).toPrecision(6))}`);
}
