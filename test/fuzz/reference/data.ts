import { JsonNumber, JsonObject, readJson, refuse, type Json } from './json.js';

/** One number, text or truth; undefined for anything else. */
function cell(value: Json): string | undefined {
  if (value === null) return '';
  if (value instanceof JsonNumber) return Number.isFinite(Number(value.text)) ? `${Number(value.text)}` : undefined;
  return typeof value === 'object' ? undefined : `${value}`;
}

/** JSON lines: names first, then the cells of each object; equal keys, the last one counts. */
export function readLines(file: Uint8Array): string[][] {
  const rows: Map<string, Json>[] = [];
  for (let from = 0; from < file.length;) {
    const found = file.indexOf(10, from);
    const end = found < 0 ? file.length : found;
    const text = new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(from, end));
    from = end + 1;
    if (text.trim() === '') continue;
    const value = readJson(text);
    if (!(value instanceof JsonObject)) return refuse('no object');
    rows.push(new Map(value.fields));
  }
  const isPlace = (key: string): boolean => /^(0|[1-9]\d*)$/.test(key) && Number(key) < 2 ** 32 - 1;
  const names: string[] = [];
  for (const row of rows) {
    const keys = [...row.keys()];
    const places = keys.filter(isPlace).sort((a, b) => Number(a) - Number(b));
    for (const key of [...places, ...keys.filter((one) => !isPlace(one))]) if (!names.includes(key)) names.push(key);
  }
  const table = rows.map((): string[] => []);
  const columns: string[] = [];
  for (const name of names) {
    const values = rows.map((row) => row.get(name) ?? null);
    const lists = values.filter((value): value is Json[] => Array.isArray(value));
    const length = lists[0]?.length;
    if (length === undefined) columns.push(name);
    else for (let i = 0; i < length; i++) columns.push(`${name}.${i}`);
    values.forEach((value, row) => {
      if (length === undefined) return table[row]!.push(cell(value) ?? refuse('no cell'));
      if (value === null) return table[row]!.push(...Array.from({ length }, () => ''));
      if (!Array.isArray(value) || value.length !== length || length === 0) return refuse('another length');
      for (const item of value) {
        if (item !== null && !(item instanceof JsonNumber)) return refuse('no number');
        table[row]!.push(cell(item) ?? refuse('no number'));
      }
    });
  }
  if (columns.length === 0 || new Set(columns).size < columns.length) return refuse('no names');
  return [columns, ...table];
}
