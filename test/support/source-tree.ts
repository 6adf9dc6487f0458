import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Import {
  /** As written: `../errors.js`, `node:fs`, `zod`. */
  readonly from: string;
  /** `import type`, `export type ... from`, or only `type` names: gone after compilation. */
  readonly typeOnly: boolean;
  readonly dynamic: boolean;
}

/** TypeScript files below a folder, in order. */
export function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** The code without comments; strings stay as they are (those of this project hold no comment signs but in URLs). */
export function codeOf(path: string): string {
  return readFileSync(path, 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

export function importsOf(path: string): Import[] {
  const code = codeOf(path);
  const fixed = [...code.matchAll(/^(?:import|export)\s+(type\s+)?([^;]*?)\s*from\s+'([^']+)'/gm)].map(
    ([, type, names = '', from = '']) => ({ from, typeOnly: type !== undefined || onlyTypes(names), dynamic: false }),
  );
  const bare = [...code.matchAll(/^import\s+'([^']+)'/gm)].map(([, from = '']) => ({
    from,
    typeOnly: false,
    dynamic: false,
  }));
  const later = [...code.matchAll(/(typeof\s+)?import\(\s*'([^']+)'\s*\)/g)].map(([, type, from = '']) => ({
    from,
    typeOnly: type !== undefined,
    dynamic: true,
  }));
  return [...fixed, ...bare, ...later];
}

function onlyTypes(names: string): boolean {
  const list = /^\{([\s\S]*)\}$/.exec(names.trim())?.[1];
  return list?.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type ')) ?? false;
}
