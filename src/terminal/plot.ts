export interface PlotOptions {
  /** Characters across, labels included. Default 60. */
  readonly width?: number;
  /** Lines of the plot's field. Default 8. */
  readonly height?: number;
  /** How a value reads on the left. Default four significant digits. */
  readonly format?: (value: number) => string;
  /** What the positions are, e.g. `round`; stands below. */
  readonly axis?: string;
}

/**
 * An ASCII plot of a series, e.g. accuracy by round: one `*` per value (per column when there are more values than
 * columns: their mean), highest value on top, the first and last position below.
 *
 * @param values  non-finite ones leave a gap; none at all gives an empty string
 */
export function sparkPlot(values: readonly number[], options: PlotOptions = {}): string {
  const { width = 60, height = 8, format = (value: number) => value.toPrecision(4), axis = '' } = options;
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return '';
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const margin = Math.max(format(low).length, format(high).length);
  const columns = spread(values, Math.max(1, width - margin - 3));
  const rowOf = (value: number): number =>
    high === low ? 0 : Math.round(((high - value) / (high - low)) * (height - 1));

  const lines = Array.from({ length: high === low ? 1 : height }, (_, row) => {
    const label = row === 0 ? format(high) : row === height - 1 ? format(low) : '';
    const marks = columns.map((value) => (value !== undefined && rowOf(value) === row ? '*' : ' ')).join('');
    return `${label.padStart(margin)} |${marks}`.trimEnd();
  });
  const last = String(values.length);
  const foot = `${' '.repeat(margin + 2)}1${last.padStart(Math.max(last.length, columns.length - 1))}  ${axis}`;
  return [...lines, `${' '.repeat(margin)} +${'-'.repeat(columns.length)}`, foot.trimEnd()].join('\n');
}

/** `columns` wide at most: few values stand apart evenly, many share a column as their mean. */
function spread(values: readonly number[], columns: number): (number | undefined)[] {
  const step = Math.max(1, Math.min(6, Math.floor((columns - 1) / Math.max(1, values.length - 1))));
  const used = Math.min(columns, (values.length - 1) * step + 1);
  const buckets: number[][] = Array.from({ length: used }, () => []);
  values.forEach((value, index) => {
    const at = values.length > columns ? Math.floor((index * used) / values.length) : index * step;
    if (Number.isFinite(value)) buckets[at]?.push(value);
  });
  return buckets.map((bucket) =>
    bucket.length === 0 ? undefined : bucket.reduce((sum, value) => sum + value, 0) / bucket.length,
  );
}
