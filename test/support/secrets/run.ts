import { appendFileSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { secretsOfFile, secretsOfGiven } from './harvest.js';
import { eventAround, isLeak, isTelling, merged, searchFor, type Secret } from './needles.js';
import { runDir, type Given } from './outputs.js';

/** The secrets of a run, and where they were seen. */

export interface Leak {
  readonly secret: string;
  readonly form: string;
  readonly where: string;
}

const known = new Set<string>();

/**
 * @param isOfWorld  drawn from the name of a world: another world of that name may have to show in an event what this one
 *                   keeps, so its events are searched when it ends, apart from those of others
 */
export function registerSecrets(secrets: readonly Secret[], isOfWorld = false): void {
  const dir = runDir();
  const lines = secrets
    .filter(isTelling)
    .map(({ name, value, shown = [] }) =>
      JSON.stringify({ name, value, shown: shown.map((one) => one.source), isOfWorld }),
    )
    .filter((line) => !known.has(line));
  if (dir === undefined || lines.length === 0) return;
  for (const line of lines) known.add(line);
  appendFileSync(join(dir, `secrets-${process.pid}.ndjson`), `${lines.join('\n')}\n`, { mode: 0o600 });
}

export function reportLeaks(leaks: readonly Leak[]): void {
  const dir = runDir();
  if (dir === undefined || leaks.length === 0) return;
  appendFileSync(join(dir, `leaks-${process.pid}.ndjson`), leaks.map((leak) => `${JSON.stringify(leak)}\n`).join(''));
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => {
    try {
      return statSync(join(folder, name)).isFile();
    } catch {
      return false; // gone meanwhile, or a link to nowhere
    }
  });
}

/** Every file of a folder: no secret that any of them holds may stand in another place than its own, or be open to others. */
export function leaksIn(folder: string): { readonly secrets: Secret[]; readonly leaks: Leak[] } {
  const files = filesIn(folder).flatMap((name) => {
    try {
      const isOpen = process.platform !== 'win32' && (statSync(join(folder, name)).mode & 0o077) !== 0;
      return [{ path: name.replaceAll('\\', '/'), isOpen, bytes: readFileSync(join(folder, name)) }];
    } catch {
      return []; // not for us to read, on purpose
    }
  });
  const secrets = files.flatMap(({ path, bytes }) => secretsOfFile(path, bytes));
  const search = searchFor(secrets);
  const leaks = files.flatMap(({ path, isOpen, bytes }) =>
    search(bytes)
      .filter((hit) => isLeak(hit, bytes, path, isOpen))
      .map(({ secret, form }) => ({
        ...{ secret: secret.name, form },
        where: `${join(folder, path)}${isOpen ? ', which is open to others' : ''}`,
      })),
  );
  return { secrets, leaks };
}

/** Before a folder of a test goes. Its secrets are looked for in the outputs of all tests later. */
export function inspectFolder(folder: string): void {
  if (runDir() === undefined || !existsSync(folder)) return;
  const { secrets, leaks } = leaksIn(folder);
  registerSecrets(secrets);
  reportLeaks(leaks);
}

const linesOf = <T>(dir: string, start: string): T[] =>
  readdirSync(dir)
    .filter((name) => name.startsWith(start))
    .flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as T);

export interface RunFindings {
  readonly secrets: number;
  readonly outputBytes: number;
  readonly leaks: readonly Leak[];
}

/** At the end of the run: leaks that were seen on the way, and every output against the secrets of all tests. */
export function leaksOfRun(dir: string): RunFindings {
  const told = linesOf<{ name: string; value: string; shown: string[]; isOfWorld: boolean }>(dir, 'secrets-').map(
    ({ shown, ...rest }) => ({ ...rest, places: [], shown: shown.map((one) => new RegExp(one)) }),
  );
  const given = linesOf<Given>(dir, 'given-').flatMap(secretsOfGiven);
  const secrets = merged([...told, ...given]);
  const search = searchFor(secrets);
  const searchEvents = searchFor([...told.filter(({ isOfWorld }) => !isOfWorld), ...given]);
  const outputs = existsSync(join(dir, 'outputs')) ? readdirSync(join(dir, 'outputs')) : [];
  let outputBytes = 0;
  const found = outputs.flatMap((name) => {
    const bytes = readFileSync(join(dir, 'outputs', name));
    outputBytes += bytes.length;
    const find = /-(events|frames)$/.test(name) ? searchEvents : search;
    return find(bytes)
      .filter((hit) => isLeak(hit, bytes, name, false))
      .map(({ secret, form, at }) => ({
        ...{ secret: secret.name, form },
        where: [name, eventAround(bytes, at) ?? []].flat().join(', '),
      }));
  });
  const unique = new Map([...linesOf<Leak>(dir, 'leaks-'), ...found].map((leak) => [JSON.stringify(leak), leak]));
  return { secrets: secrets.length, outputBytes, leaks: [...unique.values()] };
}
