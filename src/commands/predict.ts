import { NmktError } from '../errors.js';
import { OWN_LIMITS } from '../learning/own-limits.js';
import { targetValue } from '../learning/schema.js';
import { classNames } from '../learning/tokens.js';
import type { DataSchema, Examples } from '../learning/types.js';
import type { Engine } from '../ports.js';
import { describeMetrics, measureModel } from '../roles/model-metrics.js';
import { readWithSchema } from '../training/dataset.js';
import { readModelFiles, type StoredModel } from '../training/model-files.js';
import type { CommandModule, Context } from './command.js';
import { optionalInteger } from './customer-ports.js';
import { schemaOf } from './stored-schema.js';

/** Rows per call of the engine: output begins early, and the weights travel to its thread seldom. */
const BLOCK_ROWS = 8_192;

export const command: CommandModule = {
  configure(program) {
    program
      .argument('<dir>', 'folder that collect-model wrote')
      .argument('<file>', 'a file like the data of the job, an image or a folder of images; the label may be missing')
      .option('--labels <file>', 'IDX: the label file, if not the sibling of the usual name')
      .option('--max-bytes <n>', 'largest file, and largest size a file declares (default 1073741824)')
      .option('--limit <n>', 'the first n rows only')
      .addHelpText(
        'before',
        '$ nmkt predict model new-rows.csv\n$ nmkt predict model t10k-images-idx3-ubyte --limit 10 --json\n',
      )
      .addHelpText(
        'after',
        `
With --json one object per row:
  row            number of the row, from 0, without the header
  prediction     name of the class (text), the value in the units of the target column (number), or the names of labels (list; multilabel)
  probabilities  {class or label: probability}; null for regression
  engine         what computed it: its id
If the file has labels, accuracy, loss and what else fits the data (top5, auc, exactMatch, mae, rmse, perplexity) over these rows go to stderr.`,
      );
  },

  async run([dir, file], options, context) {
    const limit = optionalInteger(options['limit'], '--limit', 1, Number.MAX_SAFE_INTEGER);
    const labels = options['labels'] as string | undefined;
    const maxBytes = optionalInteger(options['maxBytes'], '--max-bytes', 1, 2 ** 40);
    const model = await readModelFiles(dir!);
    const schema = schemaOf(model, dir!);
    const read = await readWithSchema(file!, schema, {
      labelsOptional: true,
      ...(labels !== undefined && { labels }),
      ...(maxBytes !== undefined && { maxBytes }),
    });
    const examples = firstRows(read.examples, limit);
    const engine = await context.deps.engine({ limits: OWN_LIMITS });
    context.progress.update(`predicting on ${engine.id}`);
    await predictRows(engine, model, schema, examples, context);
    if (read.isLabelled) context.progress.note(await measured(engine, model, schema, examples));
    return {};
  },
};

function firstRows(examples: Examples, limit: number | undefined): Examples {
  if (limit === undefined || limit >= examples.rows) return examples;
  const { inputs, features, labels } = examples;
  return { ...examples, rows: limit, features: features.slice(0, limit * inputs), labels: labels.slice(0, limit) };
}

async function predictRows(
  engine: Engine,
  { spec, weights }: StoredModel,
  schema: DataSchema,
  { rows, inputs, features, scale }: Examples,
  context: Context,
): Promise<void> {
  const show = rowsOf(schema, rows);
  for (let from = 0; from < rows && !context.signal.aborted; from += BLOCK_ROWS) {
    const count = Math.min(BLOCK_ROWS, rows - from);
    const block = features.subarray(from * inputs, (from + count) * inputs);
    const outputs = await engine.predict(spec, weights, block, count, scale);
    for (let i = 0; i < count; i++) {
      const { event, text } = show(from + i, outputs.subarray(i * spec.outputs, (i + 1) * spec.outputs));
      context.emit({ ...event, engine: engine.id }, text);
    }
    context.progress.update(`predicted ${from + count} of ${rows} rows`);
  }
  if (context.signal.aborted)
    throw new NmktError('interrupted', 'stopped before the last row', {
      expected: `${rows} rows`,
      got: 'a signal',
      remedy: 'run the same command again',
    });
}

type ShowRow = (
  row: number,
  outputs: Float32Array,
) => { readonly event: Record<string, unknown>; readonly text: string };

function rowsOf(schema: DataSchema, rows: number): ShowRow {
  if (schema.task === 'regression') return valueRow(schema, rows);
  return schema.task === 'multilabel' ? labelsRow(schema.classes ?? [], rows) : classRow(classNames(schema), rows);
}

/** A label is said where its probability is above one half, as when accuracy is measured. */
function labelsRow(names: readonly string[], rows: number): ShowRow {
  return (row, outputs) => {
    const prediction = names.filter((_, i) => outputs[i]! > 0.5);
    const probabilities = Object.fromEntries(names.map((name, i) => [name, digits(outputs[i]!, 6)]));
    return {
      event: { row, prediction, probabilities },
      text: `${rowNumber(row, rows)}  ${prediction.join(', ') || '-'}`,
    };
  };
}

function classRow(classes: readonly string[], rows: number): ShowRow {
  const width = Math.max(...classes.map((name) => shown(name).length));
  return (row, outputs) => {
    const best = indexOfLargest(outputs);
    const prediction = classes[best]!;
    const probabilities = Object.fromEntries(classes.map((name, index) => [name, digits(outputs[index]!, 6)]));
    return {
      event: { row, prediction, probabilities },
      text: `${rowNumber(row, rows)}  ${shown(prediction).padEnd(width)}  ${outputs[best]!.toFixed(4)}`,
    };
  };
}

/** A line break or a space that is predicted, so that one sees it. */
function shown(name: string): string {
  return /^\S+( \S+)*$/.test(name) ? name : JSON.stringify(name);
}

function valueRow(schema: DataSchema, rows: number): ShowRow {
  return (row, outputs) => {
    const prediction = digits(targetValue(schema, outputs[0]!), 7);
    return { event: { row, prediction, probabilities: null }, text: `${rowNumber(row, rows)}  ${prediction}` };
  };
}

/** Ties go to the first class, as they do when accuracy is measured. */
function indexOfLargest(values: Float32Array): number {
  return values.reduce((best, value, index) => (value > values[best]! ? index : best), 0);
}

/** float32 holds some seven significant digits, the last of them noise. */
function digits(value: number, significant: number): number {
  return Number(value.toPrecision(significant));
}

function rowNumber(row: number, rows: number): string {
  return String(row).padStart(String(rows - 1).length);
}

async function measured(engine: Engine, model: StoredModel, schema: DataSchema, examples: Examples): Promise<string> {
  const metrics = await measureModel(engine, model, schema, examples);
  const { accuracy, loss } = metrics;
  const more = describeMetrics(metrics).map((one) => `, ${one}`);
  const on = `on ${examples.rows} labelled rows, by ${engine.id}`;
  if (accuracy !== null) return `accuracy ${digits(accuracy, 6)}, loss ${digits(loss, 6)}${more.join('')} ${on}`;
  const name = schema.target?.name ?? 'the target';
  return `loss ${digits(loss, 6)}${more.join('')} ${on}: loss is the squared error of ${name} in units of its variance`;
}
