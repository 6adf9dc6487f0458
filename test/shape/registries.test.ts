import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/commands/index.js';
import { ERRORS } from '../../src/errors.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { codeOf, sourceFiles } from '../support/source-tree.js';

describe('error codes', () => {
  const page = readFileSync('docs/exit-codes.md', 'utf8');
  const rows = new Map(
    [...page.matchAll(/^\| `([a-z-]+)` \| (\d+) \| (.+?) \| (.+?) \| (yes|no) \|$/gm)].map((row) => [row[1], row]),
  );

  it('have one row each in docs/exit-codes.md, with their status, meaning, a remedy and whether to try again', () => {
    expect([...rows.keys()].sort()).toEqual(Object.keys(ERRORS).sort());
    for (const [code, { exit, meaning, retry }] of Object.entries(ERRORS)) {
      const [, , status, documented, remedy, again] = rows.get(code)!;
      expect([code, status, documented, again]).toEqual([code, String(exit), meaning, retry ? 'yes' : 'no']);
      expect(remedy!.length).toBeGreaterThan(5);
    }
  });

  it('are each of a status that the page explains', () => {
    for (const { exit } of Object.values(ERRORS))
      expect(page).toMatch(new RegExp(`^\\| ${exit} \\| [^|]{5,} \\|$`, 'm'));
  });

  it('always come with a remedy', () => {
    const bare = sourceFiles('src').filter(
      (path) => /new NmktError\([^;]*?\)/s.test(codeOf(path)) && !/remedy/.test(codeOf(path)),
    );
    expect(bare).toEqual([]);
  });
});

describe('commands', () => {
  it('have a file of their name each, and every file there is a command', () => {
    const files = readdirSync('src/commands').map((file) => file.replace(/\.ts$/, ''));
    const known = ['index', 'command', ...commands.map(({ name }) => name)];
    expect(commands.map(({ name }) => name).filter((name) => !files.includes(name))).toEqual([]);
    for (const file of files.filter((name) => !known.includes(name)))
      expect(readFileSync(join('src/commands', `${file}.ts`), 'utf8'), file).not.toMatch(/export const command\b/);
  });

  it('have names and one-line summaries', () => {
    for (const { name, summary } of commands) {
      expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(summary.length).toBeLessThanOrEqual(75);
    }
    expect(new Set(commands.map(({ name }) => name)).size).toBe(commands.length);
  });
});

describe('event kinds', () => {
  const folder = 'test/vectors/protocol';

  it('have valid and invalid vectors each', () => {
    if (!existsSync(folder)) return;
    const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
    const covered = files.flatMap((file) => {
      const vectors = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, unknown>;
      expect([file, isFilled(vectors['valid']), isFilled(vectors['invalid'])]).toEqual([file, true, true]);
      return [vectors['kind'], file.replace(/\.json$/, '')];
    });
    // For the own key only: nobody else reads them.
    const used = Object.entries(KINDS).filter(([name]) => usesKind(name) && !['backup', 'presence'].includes(name));
    expect(used.filter(([name, kind]) => !covered.includes(kind) && !covered.includes(kebab(name)))).toEqual([]);
  });

  it('are numbers of their own', () => {
    const numbers = Object.values(KINDS);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});

/** Does code outside of kinds.ts and its lists name this kind? */
function usesKind(name: string): boolean {
  return sourceFiles('src').some((path) => !path.endsWith('kinds.ts') && codeOf(path).includes(`KINDS.${name}`));
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value)
    ? value.length > 0
    : typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}

describe('the package', () => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { resolved?: string; os?: string[]; cpu?: string[] }>;
  };

  it('locks the binaries of other platforms too, so that npm ci works there', () => {
    const names = Object.keys(lock.packages);
    for (const binary of [
      ...['darwin-arm64', 'darwin-x64', 'win32-x64', 'linux-arm64', 'linux-x64'].map((at) => `@esbuild/${at}`),
      ...['darwin-arm64', 'darwin-x64', 'win32-x64-msvc', 'linux-arm64-gnu', 'linux-x64-gnu'].map(
        (at) => `@rolldown/binding-${at}`,
      ),
    ])
      expect(names).toContain(`node_modules/${binary}`);
  });

  it('names no registry host in its lock', () => {
    expect(Object.values(lock.packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
  });

  it('pins what it runs on exactly', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>;
    const versions = { ...manifest['dependencies'], ...manifest['optionalDependencies'] };
    expect(Object.entries(versions).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  it('has run bits where a shell needs them', () => {
    for (const file of ['bin/nmkt.js', '.ci/run']) expect(statSync(file).mode & 0o111, file).toBe(0o111);
  });
});
