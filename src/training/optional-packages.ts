import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, parse } from 'node:path';
import type { Rung } from '../learning/types.js';

/**
 * Engines that need not be there because of their size or their native parts. They are looked for in the folder of engines,
 * where `npm install --prefix` puts them, then beside nmkt.
 */
export const OPTIONAL_PACKAGES: Partial<Record<Rung, readonly string[]>> = {
  node: ['@tensorflow/tfjs-node'],
  webgpu: ['webgpu', '@tensorflow/tfjs-backend-webgpu'],
};

/** The versions that were tried: all of @tensorflow must be of one. */
const VERSIONS: Readonly<Record<string, string>> = {
  '@tensorflow/tfjs-node': '4.22.0',
  '@tensorflow/tfjs-backend-webgpu': '4.22.0',
  webgpu: '0.6.2',
};

export interface Found {
  readonly name: string;
  /** Of the file to load. */
  readonly path: string;
  readonly version: string;
}

/** Where each package of the rung is. @throws Error that says which one is missing, or of another version than needed */
export function findPackages(rung: Rung, folder: string | undefined): readonly Found[] {
  return (OPTIONAL_PACKAGES[rung] ?? []).map((name) => {
    const path = resolveIn(name, folder);
    if (path === undefined) throw new Error(`${name} is not installed`);
    const version = versionOf(name, path);
    if (name.startsWith('@tensorflow/') && version !== VERSIONS[name])
      throw new Error(`${name} is ${version}, and ${VERSIONS[name]} is needed`);
    return { name, path, version };
  });
}

export function isInstalled(rung: Rung, folder: string | undefined): boolean {
  return (OPTIONAL_PACKAGES[rung] ?? []).every((name) => resolveIn(name, folder) !== undefined);
}

/** What to type to have the rung's packages in the folder. */
export function installCommand(rung: Rung, folder: string): string {
  const packages = (OPTIONAL_PACKAGES[rung] ?? []).map((name) => `${name}@${VERSIONS[name]}`);
  return `npm install --prefix ${/[^\w@%+=:,./\\-]/.test(folder) ? JSON.stringify(folder) : folder} ${packages.join(' ')}`;
}

function resolveIn(name: string, folder: string | undefined): string | undefined {
  const places = [...(folder === undefined ? [] : [join(folder, 'index.js')]), import.meta.url];
  for (const place of places)
    try {
      return createRequire(place).resolve(name);
    } catch {
      continue;
    }
  return undefined;
}

/** Read from the package's own description: some do not export it. */
function versionOf(name: string, path: string): string {
  const { root } = parse(path);
  for (let at = dirname(path); at !== root; at = dirname(at))
    try {
      const own = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as { name?: string; version?: string };
      if (own.name === name) return own.version ?? 'unknown';
    } catch {
      continue;
    }
  return 'unknown';
}
