import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/commands/index.js';
import { codeOf, importsOf, sourceFiles } from '../support/source-tree.js';

const all = sourceFiles('src').map((path) => ({ name: relative('src', path), path, code: codeOf(path) }));

/** `name:line of the match` for every file that matches. */
function matches(files: typeof all, pattern: RegExp): string[] {
  return files.flatMap(({ name, code }) => {
    const found = pattern.exec(code);
    return found ? [`${name}: ${found[0].trim()}`] : [];
  });
}

describe('the pure folders', () => {
  const core = all.filter(({ name }) => /^(market|learning|protocol)\//.test(name));

  it('touch no clock, disk, network, randomness or console', () => {
    expect(core.length).toBeGreaterThan(10);
    const impure =
      /\b(Date\b|performance\b|process\b|console\b|fetch\(|setTimeout|setInterval|setImmediate|queueMicrotask|crypto\.|WebSocket|Math\.random|globalThis)/;
    expect(matches(core, impure)).toEqual([]);
  });

  it('import no package but zod, which reads the wire, and nothing of Node', () => {
    const packages = core.flatMap(({ name, path }) =>
      importsOf(path)
        .filter(({ from }) => !from.startsWith('.'))
        .filter(({ from }) => !(from === 'zod' && name.startsWith('protocol/')))
        .map(({ from }) => `${name}: ${from}`),
    );
    expect(packages).toEqual([]);
  });

  it('use no function of Math whose bits differ between engines', () => {
    const inexact = /Math\.(exp|expm1|log|log2|log10|log1p|pow|a?sinh?|a?cosh?|a?tanh?|atan2|cbrt|hypot|random)\b/;
    const exact = all.filter(({ name }) => /^(market|learning)\//.test(name));
    expect(matches(exact, inexact)).toEqual([]);
  });
});

describe('all of src', () => {
  it('leaves stdout to terminal/output.ts', () => {
    const others = all.filter(({ name }) => name !== 'terminal/output.ts');
    // Code that replaces `write` to silence a library is no writer.
    expect(matches(others, /process\.stdout(?!\.write = \(\) =>)|\bconsole\.\w+\(/)).toEqual([]);
  });

  it('names only commands that exist in its remedies', () => {
    const known = ['help', ...commands.map(({ name }) => name)];
    const unknown = all.flatMap(({ name, code }) =>
      [...code.matchAll(/remedy:.*?(?:['`]|: |or |run |with )nmkt ([a-z]+(?:-[a-z]+)*)\b/g)]
        .filter(([, command]) => !known.includes(command!))
        .map(([, command]) => `${name}: nmkt ${command}`),
    );
    expect(unknown).toEqual([]);
  });

  it('holds nothing unfinished', () => {
    const unfinished = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
    const found = all.filter(({ path }) => unfinished.test(readFileSync(path, 'utf8')));
    expect(found.map(({ name }) => name)).toEqual([]);
  });
});
