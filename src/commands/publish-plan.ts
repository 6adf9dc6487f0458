import { chanceLevel, classCounts } from '../learning/balance.js';
import { maxShardBytes } from '../learning/examples.js';
import { parseDecimal9 } from '../learning/schema.js';
import type { Column, DataSchema } from '../learning/types.js';
import { table } from '../terminal/table.js';
import type { Labelled } from '../training/split.js';
import type { Outcome } from './command.js';

const CHUNK_BYTES = 48_000;
/** More columns and classes than these are in the JSON only. */
const MAX_SHOWN = 40;
const MAX_HISTOGRAM = 12;

/** Of a split, what it takes to describe it. */
export interface SplitLabels {
  readonly shards: readonly Labelled[];
  readonly a: Labelled;
  readonly b: Labelled;
}

/** What would be published and who could read what. */
export function publishPlan(name: string, schema: DataSchema, split: SplitLabels): Outcome {
  const parts = [
    ...split.shards.map((examples, index) => ({ part: `shard ${index}`, examples })),
    { part: 'A', examples: split.a },
    { part: 'B', examples: split.b },
  ];
  const described = parts.map(({ part, examples }) => ({
    part,
    examples: examples.rows,
    labels: classCounts(examples, schema.outputs, schema.task),
  }));
  // Before compression: an upper bound.
  const maxChunks = parts.reduce(
    (sum, { examples }) => sum + Math.ceil(maxShardBytes(schema, examples.rows) / CHUNK_BYTES) + 1,
    0,
  );
  const visible = {
    everybody: `name, schema (${inSchema(schema)}), counts and sizes of shards`,
    trainers: 'its own shard, the global model of each round',
    customer: 'everything',
    nobodyElse: 'rows, labels, which chunks belong to this dataset',
  };
  const balance = balanceOf(schema, split);
  const isNarrow = schema.outputs <= MAX_HISTOGRAM;
  return {
    value: {
      name,
      schema,
      parts: described,
      balance,
      chance: chanceOf(schema, split),
      maxEvents: maxChunks + 4,
      visible,
    },
    text: [
      table([
        ['part', 'examples', ...(isNarrow ? (schema.classes ?? []) : ['per class'])],
        ...described.map(({ part, examples, labels }) => [
          part,
          examples,
          ...(isNarrow ? (labels ?? []) : [labels?.join(' ') ?? '']),
        ]),
      ]),
      '',
      describeTask(schema),
      ...describeBalance(schema, split),
      ...columnLines(schema.columns ?? []),
      '',
      `at most ${maxChunks + 4} events`,
      `everybody can see: name (${name}), ${visible.everybody.replace('name, ', '')}`,
      `a trainer can see: ${visible.trainers}`,
    ].join('\n'),
  };
}

const TOKENS = { char: 'characters', byte: 'bytes', bpe: 'byte pairs' } as const;

function inSchema({ text }: DataSchema): string {
  if (text === undefined) return 'columns, category values, means, classes';
  return text.tokenizer === 'bpe'
    ? 'tokenizer, words and pieces that the text has often'
    : 'tokenizer, which characters occur';
}

/** The task, which the label decides unless `--task` does, with what it predicts. */
export function describeTask(schema: DataSchema): string {
  const { task, label, classes, target, inputs, outputs } = schema;
  const from = `from ${inputs} ${inputs === 1 ? 'input' : 'inputs'}`;
  if (task === 'regression') {
    const spread =
      target === undefined ? '' : `, mean ${short(target.mean)}, standard deviation ${short(target.stdDev)}`;
    return `regression of ${target?.name ?? 'the target'} ${from}${spread}`;
  }
  if (task === 'multilabel') return `${outputs} labels, yes or no each, ${from}: ${(classes ?? []).join(', ')}`;
  if (schema.text !== undefined)
    return `the next token of ${outputs} after ${inputs}: ${TOKENS[schema.text.tokenizer]} of a text`;
  const names = classes ?? [];
  const shown = names.slice(0, MAX_HISTOGRAM).join(', ');
  return `classification of ${label ?? 'the labels'} ${from} into ${names.length} classes: ${shown}${names.length > MAX_HISTOGRAM ? ', ...' : ''}`;
}

function columnLines(columns: readonly Column[]): string[] {
  if (columns.length === 0) return [];
  const lines = table([
    ['column', 'read as', 'public'],
    ...columns
      .slice(0, MAX_SHOWN)
      .map((column) => [
        column.name,
        column.kind,
        column.kind === 'numeric'
          ? `mean ${short(column.mean)}, standard deviation ${short(column.stdDev)}`
          : column.values.map((value) => (value === '' ? '(missing)' : value.replace(/\s/g, ' '))).join(', '),
      ]),
  ]);
  const more = columns.length - MAX_SHOWN;
  return ['', lines, ...(more > 0 ? [`and ${more} more columns: --json shows all`] : [])];
}

function short(decimal: string): string {
  return String(Number(parseDecimal9(decimal).toPrecision(5)));
}

/** Examples per class of all parts together; null for regression. */
function balanceOf({ outputs, task }: DataSchema, { shards, a, b }: SplitLabels): number[] | null {
  const counts = [...shards, a, b].map((examples) => classCounts(examples, outputs, task));
  return counts[0] == null ? null : counts[0].map((_, label) => counts.reduce((sum, part) => sum + part![label]!, 0));
}

/** Accuracy of guessing; null for regression. */
export function chanceOf(schema: DataSchema, split: SplitLabels): number | null {
  const { shards, a, b } = split;
  const rows = [...shards, a, b].reduce((sum, examples) => sum + examples.rows, 0);
  return chanceLevel(balanceOf(schema, split), schema.task === 'multilabel' ? rows : undefined);
}

const BARS = '▁▂▃▄▅▆▇█';
/** Wider histograms say less than they hide. */
const MAX_BARS = 40;
const MAX_SHARD_LINES = 16;

/** The chance level, and per shard a bar for each class, as high as its share of the largest class of any shard. */
export function describeBalance(schema: DataSchema, split: SplitLabels): string[] {
  const chance = chanceOf(schema, split);
  if (chance === null) {
    const { target } = schema;
    return target === undefined ? [] : [`guessing the mean is wrong by ${short(target.stdDev)} (root mean square)`];
  }
  const guess =
    schema.task === 'multilabel'
      ? `saying of each label what most examples have is right in ${(chance * 100).toFixed(1)} %`
      : `always saying the most frequent ${schema.text === undefined ? 'class' : 'token'} is right in ${(chance * 100).toFixed(1)} %`;
  if (schema.text !== undefined || schema.outputs > MAX_BARS) return [guess];
  const counts = split.shards.map((examples) => classCounts(examples, schema.outputs, schema.task)!);
  const most = Math.max(1, ...counts.flat());
  const bar = (count: number) => (count === 0 ? ' ' : BARS[Math.min(7, Math.floor((count / most) * 8))]!);
  const width = String(split.shards.length - 1).length;
  const lines = counts
    .slice(0, MAX_SHARD_LINES)
    .map(
      (own, shard) =>
        `shard ${String(shard).padStart(width)}  |${own.map(bar).join('')}|  ${split.shards[shard]!.rows}`,
    );
  const more = counts.length - lines.length;
  return [
    guess,
    `examples ${schema.task === 'multilabel' ? 'with each label' : 'per class'}, a bar each:`,
    ...lines,
    ...(more > 0 ? [`and ${more} more shards: --dry-run --json shows all`] : []),
  ];
}
