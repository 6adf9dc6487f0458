import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importsOf, sourceFiles, type Import } from '../support/source-tree.js';

/** What every folder may import. */
const roots = [
  'errors',
  'hash',
  'schnorr',
  'ecdh',
  'signer',
  'large-event',
  'ports',
  'merkle',
  'secp/provider',
  'secp/wasm',
];

/** folder -> folders it may import from besides itself and the roots; values and types alike. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  // Implementations of one curve, which the roots choose among.
  secp: [],
  learning: [],
  // What must outlive a crash, as functions of a Disk; the adapters that keep such files share it.
  disk: [],
  protocol: ['learning'],
  market: ['protocol', 'learning'],
  blob: ['protocol', 'learning'],
  relay: ['disk', 'protocol', 'learning', 'market'],
  wallet: ['disk', 'protocol', 'learning', 'market'],
  // Kernels for TensorFlow.js, of use to anybody: nothing of ours comes in, and training alone uses them.
  kernels: [],
  training: ['disk', 'protocol', 'learning', 'market', 'kernels'],
  journal: ['disk', 'protocol', 'learning', 'market'],
  config: ['disk', 'learning'],
  // A file made of a home: it knows what a home is.
  backup: ['config', 'disk'],
  terminal: [],
  // blob is pure functions and transfers over the Relays port: a role names it, an adapter it does not.
  roles: ['market', 'learning', 'protocol', 'blob'],
  // A market in one process: what the adapters do, in memory and in virtual time.
  simulate: ['roles', 'market', 'learning', 'protocol', 'blob', 'relay', 'wallet', 'training'],
  // Parts of one command: its processes, its view, its words.
  demo: ['learning', 'terminal', 'training'],
  commands: ['demo', 'simulate', 'disk', 'roles', 'market', 'learning', 'protocol', 'blob'],
};

/** Functions inside adapter folders that are pure or work through ports only, so commands call them: see docs/decisions. */
const pureForCommands = [
  'config/identifiers',
  'config/key-text',
  'config/settings-values',
  'terminal/call',
  'terminal/table',
  'terminal/plot',
  'training/checkpoint',
  'training/dataset',
  'training/dataset-open',
  'training/digits',
  'training/split',
  'training/text-tokens',
  'training/layers-file',
  'training/model-files',
  'relay/gift-wrap',
  'relay/relay-url',
  'wallet/bolt11',
  'wallet/payout-book',
  'wallet/payout-journal',
  'wallet/payout-records',
  'wallet/spend-guard',
  'wallet/sandbox',
  'wallet/wallet-uri',
];

const folderOf = (file: string): string => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '');

function target(file: string, { from }: Import): string {
  return normalize(join(dirname(file), from)).replace(/\.js$/, '');
}

describe('imports', () => {
  const files = sourceFiles('src').map((path) => relative('src', path));
  const edges = files.flatMap((file) =>
    importsOf(join('src', file))
      .filter(({ from }) => from.startsWith('.'))
      .map((edge) => ({ file, to: target(file, edge), typeOnly: edge.typeOnly })),
  );

  it('point one way between folders', () => {
    const wrong = edges.filter(({ file, to, typeOnly }) => {
      const [here, there] = [folderOf(file), folderOf(to)];
      if (here === '' || here === there || roots.includes(to)) return false;
      if (arrows[here]?.includes(there)) return false;
      if (here === 'terminal') return !(typeOnly && there === 'commands');
      if (here === 'commands') return !(typeOnly || pureForCommands.includes(to));
      return true;
    });
    expect(wrong).toEqual([]);
  });

  it('of the roots stay among the roots, but for types of learning', () => {
    const wrong = edges.filter(
      ({ file, to, typeOnly }) =>
        roots.includes(file.replace(/\.ts$/, '')) &&
        !roots.includes(to) &&
        !(folderOf(file) === 'secp' && folderOf(to) === 'secp') &&
        !(typeOnly && to === 'learning/types'),
    );
    expect(wrong).toEqual([]);
  });

  it('of concrete adapters stand in deps.ts alone among the files at the top', () => {
    const adapters = ['relay', 'wallet', 'training', 'journal'];
    const wrong = edges.filter(
      ({ file, to }) => folderOf(file) === '' && file !== 'deps.ts' && adapters.includes(folderOf(to)),
    );
    expect(wrong).toEqual([]);
  });

  it('go no way back: nothing imports cli, and deps only who composes', () => {
    expect(edges.filter(({ to }) => to === 'cli' || to === 'run-command').map(({ file }) => file)).toEqual(['cli.ts']);
    const users = edges.filter(({ to, typeOnly }) => to === 'deps' && !typeOnly).map(({ file }) => file);
    expect(users.sort()).toEqual(['index.ts', 'run-command.ts']);
  });

  it('make no circle of values', () => {
    const next = new Map<string, string[]>();
    for (const { file, to, typeOnly } of edges)
      if (!typeOnly) next.set(file.replace(/\.ts$/, ''), [...(next.get(file.replace(/\.ts$/, '')) ?? []), to]);
    const state = new Map<string, 'open' | 'done'>();
    const circle = (file: string, path: readonly string[]): readonly string[] | undefined => {
      if (state.get(file) === 'open') return [...path, file];
      if (state.get(file) === 'done') return undefined;
      state.set(file, 'open');
      for (const to of next.get(file) ?? []) {
        const found = circle(to, [...path, file]);
        if (found) return found;
      }
      state.set(file, 'done');
      return undefined;
    };
    expect([...next.keys()].map((file) => circle(file, [])).filter(Boolean)).toEqual([]);
  });

  const known = new Map<string, readonly Import[]>();
  const importsIn = (file: string): readonly Import[] => {
    const found = known.get(file) ?? importsOf(join('src', `${file}.ts`));
    known.set(file, found);
    return found;
  };
  /** With what it loads at its start: not types, not what is imported later. */
  const loadedBy = (start: string): ReadonlySet<string> => {
    const reached = new Set<string>();
    const visit = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const one of importsIn(file))
        if (one.from.startsWith('.') && !one.typeOnly && !one.dynamic) visit(target(`${file}.ts`, one));
    };
    visit(start);
    return reached;
  };

  it('of a command load nothing else than it needs for --help: no adapter is imported statically by the cli', () => {
    const folders = new Set([...loadedBy('cli')].map(folderOf));
    expect([...folders].sort()).toEqual(['', 'commands', 'terminal']);
  });

  it('of TensorFlow.js are those of the training thread: a fifth of a second that nobody else waits for', () => {
    const isTfjs = (file: string): boolean =>
      importsIn(file).some(({ from, typeOnly }) => !typeOnly && from.startsWith('@tensorflow/'));
    const inThread = new Set([...loadedBy('training/worker'), ...loadedBy('training/probe')]);
    expect([...inThread].some(isTfjs)).toBe(true);
    const others = files.map((file) => file.replace(/\.ts$/, '')).filter((file) => folderOf(file) !== 'kernels');
    expect(others.filter((file) => !inThread.has(file) && [...loadedBy(file)].some(isTfjs))).toEqual([]);
  });
});
