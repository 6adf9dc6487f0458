import { readdirSync } from 'node:fs';
import { table } from '../src/terminal/table.js';

/**
 * Runs every file here that exports `bench()`, or those named: `npm run bench -- cli transfer`. Prints each one's rows as
 * they come and one table of targets at the end; with `--json` one document. A missed target is a finding, not a
 * failure: the status is 0 unless a bench itself breaks.
 */

export interface BenchTarget {
  readonly name: string;
  readonly target: string;
  readonly got: string;
  readonly ok: boolean;
}
export interface BenchResult {
  /** Any columns; the same in every row. */
  readonly rows: readonly object[];
  readonly targets: readonly BenchTarget[];
}

const words = process.argv.slice(2);
const json = words.includes('--json');
const wanted = words.filter((word) => !word.startsWith('--'));
const say = (text: string): void => (json ? console.error(text) : console.log(text));

const targets: BenchTarget[] = [];
for (const name of benchNames()) {
  const module = (await import(`./${name}.ts`)) as { bench?: () => Promise<BenchResult> };
  if (module.bench === undefined) continue;
  say(`\n# ${name}`);
  try {
    const result = await module.bench();
    say(table(rowsWithHeader(result.rows)));
    targets.push(...result.targets);
  } catch (error) {
    process.exitCode = 1;
    console.error(error);
    targets.push({ name, target: 'runs to its end', got: String(error).split('\n')[0] ?? '', ok: false });
  }
}
if (json) console.log(JSON.stringify({ targets }));
else {
  const rows = targets.map(({ name, target, got, ok }) => [name, target, got, ok ? 'yes' : 'NO']);
  say(`\n${table([['name', 'target', 'got', 'ok'], ...rows])}`);
}
// Benches may leave sockets or threads behind; the figures are out.
process.exit();

function benchNames(): string[] {
  const names = readdirSync(new URL('.', import.meta.url))
    .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
    .map((file) => file.slice(0, -3))
    .sort();
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no bench named ${unknown.join(', ')}; there are ${names.join(', ')}`);
  return wanted.length > 0 ? names.filter((name) => wanted.includes(name)) : names;
}

/** Numbers with at most four significant digits, but whole ones in full. */
function rowsWithHeader(rows: readonly object[]): string[][] {
  const header = Object.keys(rows[0] ?? {});
  const cell = (value: unknown): string =>
    typeof value === 'number' && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
  const lines = rows.map((row) => header.map((name) => cell((row as Record<string, unknown>)[name])));
  return header.length > 0 ? [header, ...lines] : [];
}
