import {
  areaUnderCurve,
  bits,
  exactMatches,
  meanAbsoluteError,
  perplexity,
  rootMeanSquaredError,
  topAccuracy,
} from '../learning/metrics.js';
import { readsTokens } from '../learning/model-cost.js';
import { targetValue } from '../learning/schema.js';
import { charactersPerToken } from '../learning/tokens.js';
import type { DataSchema, Examples, ModelSpec, ParamSet, TextCode } from '../learning/types.js';
import type { Engine } from '../ports.js';

/** Those that fit the data; loss and accuracy (null for regression) always. */
export interface ModelMetrics extends MoreMetrics {
  readonly loss: number;
  readonly accuracy: number | null;
}

export interface MoreMetrics {
  /** Of more than ten classes: the label is among the five likeliest. */
  readonly top5?: number;
  /** Of two classes, the second counting as found; null where the rows are all of one. */
  readonly auc?: number | null;
  /** Of several labels: rows with all of them right, where `accuracy` is the share of labels. */
  readonly exactMatch?: number;
  /** In the units of the target column. */
  readonly mae?: number;
  readonly rmse?: number;
  /** Per token of a text. */
  readonly perplexity?: number;
  readonly bitsPerCharacter?: number;
  readonly bitsPerByte?: number;
}

/** What further metrics are measured with; neither engine nor examples are asked for where the loss is enough, or there are none. */
export interface Measuring {
  readonly engine: () => Promise<Pick<Engine, 'predict'>>;
  readonly examples: () => Promise<Examples>;
  /** On those examples. */
  readonly loss: number;
}

interface Model {
  readonly spec: ModelSpec;
  readonly weights: ParamSet;
}

const MANY_CLASSES = 10;

export async function measureModel(
  engine: Engine,
  model: Model,
  schema: DataSchema,
  examples: Examples,
): Promise<ModelMetrics> {
  const { loss, accuracy } = await engine.evaluate(model.spec, model.weights, examples);
  const measuring = { engine: async () => engine, examples: async () => examples, loss };
  return { loss, accuracy: accuracy ?? null, ...(await moreMetrics(measuring, model, schema)) };
}

/** Those that follow from the loss, in nats per token; of other data than text none. */
export function metricsOfLoss({ text }: DataSchema, loss: number): MoreMetrics {
  if (text === undefined) return {};
  const ofText = { perplexity: perplexity(loss) };
  if (text.tokenizer === 'byte') return { ...ofText, bitsPerByte: bits(loss) };
  return text.tokenizer === 'char' ? { ...ofText, bitsPerCharacter: bits(loss) } : ofText;
}

export async function moreMetrics(
  { engine, examples, loss }: Measuring,
  { spec, weights }: Model,
  schema: DataSchema,
): Promise<MoreMetrics> {
  if (schema.text !== undefined) {
    const ofLoss = metricsOfLoss(schema, loss);
    if (schema.text.tokenizer !== 'bpe') return ofLoss;
    return { ...ofLoss, bitsPerCharacter: bits(loss) * tokensPerCharacter(spec, schema.text, await examples()) };
  }
  if (spec.task === 'classification' && spec.outputs > 2 && spec.outputs <= MANY_CLASSES) return {};
  const { features, rows, scale, labels } = await examples();
  const outputs = await (await engine()).predict(spec, weights, features, rows, scale); // [rows, outputs]
  if (spec.task === 'regression') {
    const inUnits = (numbers: ArrayLike<number>) => Float64Array.from(numbers, (one) => targetValue(schema, one));
    const [values, wanted] = [inUnits(outputs), inUnits(labels)];
    return { mae: meanAbsoluteError(values, wanted), rmse: rootMeanSquaredError(values, wanted) };
  }
  if (spec.task === 'multilabel') return { exactMatch: exactMatches(outputs, labels, spec.outputs) };
  if (spec.outputs > 2) return { top5: topAccuracy(outputs, labels, spec.outputs, 5) };
  const second = Float64Array.from({ length: rows }, (_, row) => outputs[2 * row + 1]!);
  return { auc: areaUnderCurve(second, labels) };
}

/** Of the tokens that the loss is the mean of: those after the first of an example where the model answers at each, and the label. */
function tokensPerCharacter(spec: ModelSpec, text: TextCode, { rows, inputs, features, labels }: Examples): number {
  const counts = charactersPerToken(text);
  let characters = 0;
  for (const label of labels) characters += counts[label]!;
  if (!readsTokens(spec)) return rows / characters;
  for (let i = 0; i < rows * inputs; i++) if (i % inputs !== 0) characters += counts[features[i]!]!;
  return (rows * inputs) / characters;
}

/** The ones beside loss and accuracy, for a line: `auc 0.93`. */
export function describeMetrics(metrics: MoreMetrics): readonly string[] {
  return Object.entries(metrics)
    .filter(([name, value]) => !['loss', 'accuracy'].includes(name) && value !== null)
    .map(([name, value]) => `${name} ${Number((value as number).toPrecision(6))}`);
}
