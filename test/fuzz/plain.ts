/** Nesting below this is not compared. */
export const MAX_DEPTH = 500;

/** Values of two readers in one form: bytes as hex, bigints and minus zero told apart, fields in order, undefined ones left out. */
export function plain(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : `${value}`;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex');
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return 'deep';
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(
    fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [`.${key}`, plain(field, depth + 1)]),
  );
}
