/**
 * Columns two spaces apart, as wide as their widest cell; numbers (and what looks like one) stand right.
 *
 * @param rows  any number of cells each; the first row may be a header, it is aligned like its column
 */
export function table(rows: readonly (readonly (string | number | bigint)[])[]): string {
  const cells = rows.map((row) => row.map(String));
  const columns = Math.max(0, ...cells.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...cells.map((row) => (row[column] ?? '').length)),
  );
  const isNumeric = widths.map((_, column) => {
    const body = cells.slice(cells.length > 1 ? 1 : 0).map((row) => row[column] ?? '');
    return body.some((cell) => cell !== '') && body.every((cell) => cell === '' || /^[-+]?\d[\d.,]*\s?%?$/.test(cell));
  });
  return cells
    .map((row) =>
      widths
        .map((width, column) => {
          const cell = row[column] ?? '';
          return isNumeric[column] ? cell.padStart(width) : cell.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
