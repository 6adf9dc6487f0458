import { dirname, basename, resolve } from 'node:path';
import { sha256 } from '../../src/hash.js';
import type { Disk, DiskFile } from '../../src/disk/disk.js';
import { prng } from '../../src/learning/prng.js';

/**
 * A disk that forgets. Everything a process did is seen by the next one after a `kill`; after a `power` cut only what was
 * synced is sure: of unsynced bytes and names a seeded part survives (all, none, some blocks with zeros between them, a
 * rename without the name it was made under, ...). Durable are bytes by `sync`/`datasync` of the file, names by
 * `syncFolder`: POSIX promises no more, and real file systems have broken each promise beyond it.
 */

/** One change on the disk, counted per process from 0. */
export interface DiskStep {
  readonly n: number;
  readonly name: 'make' | 'write' | 'truncate' | 'rename' | 'link' | 'remove' | 'folder' | 'sync' | 'sync-folder';
  readonly path: string;
}
export type Cut = 'kill' | 'power';
/** What happens at a step instead of it. `short` and `full` apply to writes; `error` to all. */
export type DiskFault =
  | { readonly kind: 'crash'; readonly when: 'before' | 'during' | 'after'; readonly cut: Cut }
  | { readonly kind: 'error'; readonly code: 'ENOSPC' | 'EIO' | 'EDQUOT'; readonly afterBytes?: number }
  | { readonly kind: 'short'; readonly bytes: number };
export type DiskPlan = (step: DiskStep) => DiskFault | undefined;

/** Thrown by a dead process's disk, and by nothing else. */
export class Crashed extends Error {}

/** Smaller than any record that matters, so that lines tear in the middle. */
const BLOCK = 128;

interface Bytes {
  readonly at: number;
  readonly bytes: Uint8Array;
}
class FileNode {
  live = Buffer.alloc(0);
  stable = Buffer.alloc(0);
  /** Since the last sync, in order; a number is a truncation to that length. */
  pending: (Bytes | number)[] = [];
}
interface NameChange {
  readonly name: string;
  /** null: removed. */
  readonly node: Node | null;
  /** A rename takes this name away in the same stroke. */
  readonly from?: string;
}
class FolderNode {
  live = new Map<string, Node>();
  stable = new Map<string, Node>();
  pending: NameChange[] = [];
}
type Node = FileNode | FolderNode;
type Random = ReturnType<typeof prng>;

/** A process on the disk. */
export interface SimProcess {
  readonly disk: Disk;
  readonly steps: readonly DiskStep[];
  readonly isDead: boolean;
  /** Ends it from outside; nothing it still does changes the disk. */
  die(): void;
}

export class SimDisk {
  #root = new FolderNode();
  readonly #random: Random;
  readonly #running = new Set<{ die(): void }>();

  constructor(readonly seed: string) {
    this.#random = prng(sha256('sim-disk', seed), 'disk');
  }

  /** The same content, all of it durable, with its own luck. */
  copy(seed: string): SimDisk {
    const twin = new SimDisk(seed);
    const copies = new Map<Node, Node>();
    const copy = (node: Node): Node => {
      const known = copies.get(node);
      if (known !== undefined) return known;
      const made = node instanceof FileNode ? new FileNode() : new FolderNode();
      copies.set(node, made);
      // Bytes are never changed in place: see `applied`.
      if (node instanceof FileNode) Object.assign(made, { live: node.live, stable: node.live });
      else {
        const entries = [...node.live].map(([name, inner]) => [name, copy(inner)] as const);
        Object.assign(made, { live: new Map(entries), stable: new Map(entries) });
      }
      return made;
    };
    twin.#root = copy(this.#root) as FolderNode;
    return twin;
  }

  /** Ends all processes on it; what was not synced is lost, or not. */
  powerCut(): void {
    for (const process of [...this.#running]) process.die();
    const seen = new Set<Node>();
    const settle = (node: Node): void => {
      if (seen.has(node)) return;
      seen.add(node);
      if (node instanceof FileNode) {
        node.live = node.stable = survivingBytes(node, this.#random);
        node.pending = [];
        return;
      }
      node.live = survivingNames(node, this.#random);
      node.stable = new Map(node.live);
      node.pending = [];
      node.live.forEach(settle);
    };
    settle(this.#root);
  }

  /** @param plan  asked at every change @param onCrash  told when the plan ends it, after a power cut has done its work */
  start(plan: DiskPlan = () => undefined, onCrash: (cut: Cut) => void = () => undefined): SimProcess {
    const steps: DiskStep[] = [];
    let isDead = false;
    const die = (): void => {
      isDead = true;
      this.#running.delete(self);
    };
    const self = { die };
    this.#running.add(self);
    const check = (): void => {
      if (isDead) throw new Crashed('the process is dead');
    };
    const crash = (cut: Cut): never => {
      die();
      if (cut === 'power') this.powerCut();
      onCrash(cut);
      throw new Crashed(`crash (${cut}) at step ${steps.length - 1}: ${steps.at(-1)!.name} ${steps.at(-1)!.path}`);
    };

    /** @param half  a part of the change, for a crash in the middle; absent: done or not done */
    const step = <T>(name: DiskStep['name'], path: string, change: () => T, half?: () => void): T => {
      check();
      const here = { n: steps.length, name, path };
      steps.push(here);
      const fault = plan(here);
      if (fault?.kind === 'error') throw systemError(fault.code, path);
      if (fault?.kind !== 'crash') return change();
      if (fault.when === 'before') crash(fault.cut);
      if (fault.when === 'after') change();
      else if (half !== undefined) half();
      else if (this.#random.below(2) === 0) change();
      return crash(fault.cut);
    };
    /** A write knows the faults that stop after some bytes. */
    const write = (path: string, node: FileNode, bytes: Uint8Array, position: number): number => {
      const put = (count: number): number => {
        if (count > 0) change(node, { at: position, bytes: Uint8Array.from(bytes.subarray(0, count)) });
        return count;
      };
      check();
      const here: DiskStep = { n: steps.length, name: 'write', path };
      const fault = plan(here);
      steps.push(here);
      if (fault?.kind === 'short') return put(Math.max(1, Math.min(fault.bytes, bytes.length)));
      if (fault?.kind === 'error') {
        put(Math.min(fault.afterBytes ?? 0, bytes.length));
        throw systemError(fault.code, path);
      }
      if (fault?.kind !== 'crash') return put(bytes.length);
      if (fault.when === 'after') put(bytes.length);
      if (fault.when === 'during') put(this.#random.below(bytes.length + 1));
      return crash(fault.cut);
    };

    const find = (path: string): Node => {
      check();
      const node = this.#find(path);
      if (node === undefined) throw systemError('ENOENT', path);
      return node;
    };
    const folderOf = (path: string): FolderNode => {
      const node = find(dirname(resolve(path)));
      if (!(node instanceof FolderNode)) throw systemError('ENOTDIR', path);
      return node;
    };
    const fileAt = (path: string): FileNode => {
      const node = find(path);
      if (node instanceof FolderNode) throw systemError('EISDIR', path);
      return node;
    };
    const syncFile = (path: string, node: FileNode): void => {
      const all = (): void => {
        node.stable = node.live;
        node.pending = [];
      };
      step('sync', path, all, () => (node.stable = survivingBytes(node, this.#random)));
    };

    const openFile = (path: string, node: FileNode): DiskFile => ({
      read: async (position, length) => (check(), Buffer.from(node.live.subarray(position, position + length))),
      write: async (bytes, position) => write(path, node, bytes, position),
      writeTogether: async (parts, position) => write(path, node, Buffer.concat(parts), position),
      truncate: async (length) =>
        void (node.live.length !== length && step('truncate', path, () => change(node, length))),
      size: async () => (check(), node.live.length),
      datasync: async () => syncFile(path, node),
      sync: async () => syncFile(path, node),
      close: async () => check(),
    });

    const disk: Disk = {
      async open(path, how) {
        check();
        const folder = folderOf(path);
        const name = basename(resolve(path));
        const there = folder.live.get(name);
        if (there === undefined && how === 'read') throw systemError('ENOENT', path);
        if (there !== undefined && how === 'create') throw systemError('EEXIST', path);
        if (there === undefined) step('make', path, () => rename(folder, { name, node: new FileNode() }));
        return openFile(path, fileAt(path));
      },
      readFile: async (path) => Buffer.from(fileAt(path).live),
      async list(path) {
        const node = find(path);
        if (node instanceof FileNode) throw systemError('ENOTDIR', path);
        return [...node.live.keys()];
      },
      makeFolder: async (path) => {
        const missing: string[] = [];
        for (let here = resolve(path); this.#find(here) === undefined; here = dirname(here)) missing.unshift(here);
        check();
        for (const one of missing)
          step('folder', one, () => rename(folderOf(one), { name: basename(one), node: new FolderNode() }));
        if (find(path) instanceof FileNode) throw systemError('EEXIST', path);
      },
      async rename(from, to) {
        if (dirname(resolve(from)) !== dirname(resolve(to))) throw systemError('EXDEV', to);
        const node = find(from);
        const change = { name: basename(resolve(to)), node, from: basename(resolve(from)) };
        step('rename', to, () => rename(folderOf(to), change));
      },
      async link(from, to) {
        const node = fileAt(from);
        if (folderOf(to).live.has(basename(resolve(to)))) throw systemError('EEXIST', to);
        step('link', to, () => rename(folderOf(to), { name: basename(resolve(to)), node }));
      },
      remove: async (path) => {
        check();
        if (this.#find(path) === undefined) return;
        step('remove', path, () => rename(folderOf(path), { name: basename(resolve(path)), node: null }));
      },
      syncFolder: async (path) => {
        const node = find(path);
        if (node instanceof FileNode) throw systemError('ENOTDIR', path);
        step(
          'sync-folder',
          path,
          () => {
            node.stable = new Map(node.live);
            node.pending = [];
          },
          () => (node.stable = survivingNames(node, this.#random)),
        );
      },
    };
    return {
      disk,
      steps,
      die,
      get isDead() {
        return isDead;
      },
    };
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of resolve(path)
      .split('/')
      .filter((part) => part !== ''))
      node = node instanceof FolderNode ? node.live.get(name) : undefined;
    return node;
  }
}

function change(node: FileNode, what: Bytes | number): void {
  node.live = applied(node.live, what);
  node.pending.push(what);
}

function applied(bytes: Buffer<ArrayBuffer>, what: Bytes | number): Buffer<ArrayBuffer> {
  const length = typeof what === 'number' ? what : Math.max(bytes.length, what.at + what.bytes.length);
  const next = Buffer.alloc(length);
  bytes.copy(next, 0, 0, Math.min(bytes.length, length));
  if (typeof what !== 'number') next.set(what.bytes, what.at);
  return next;
}

function rename(folder: FolderNode, what: NameChange): void {
  folder.live = renamed(folder.live, what);
  folder.pending.push(what);
}

function renamed(names: ReadonlyMap<string, Node>, { name, node, from }: NameChange): Map<string, Node> {
  const next = new Map(names);
  if (from !== undefined) next.delete(from);
  if (node === null) next.delete(name);
  else next.set(name, node);
  return next;
}

/** All, none, a beginning, or each on its own: file systems of every kind. */
function luck(random: Random, count: number): (index: number) => boolean {
  const kind = random.below(4);
  const first = random.below(count + 1);
  if (kind === 0) return () => false;
  if (kind === 1) return () => true;
  return kind === 2 ? (index) => index < first : () => random.below(2) === 0;
}

function survivingNames(folder: FolderNode, random: Random): Map<string, Node> {
  const isKept = luck(random, folder.pending.length);
  return folder.pending.filter((_, index) => isKept(index)).reduce(renamed, new Map(folder.stable));
}

function survivingBytes(file: FileNode, random: Random): Buffer<ArrayBuffer> {
  const parts = file.pending.flatMap((what): (Bytes | number)[] =>
    typeof what === 'number' ? [what] : blocksOf(what),
  );
  const isKept = luck(random, parts.length);
  return parts.filter((_, index) => isKept(index)).reduce(applied, file.stable);
}

/** Cut where the file's blocks are. */
function blocksOf({ at, bytes }: Bytes): Bytes[] {
  const blocks: Bytes[] = [];
  for (let from = 0; from < bytes.length;) {
    const to = Math.min(bytes.length, from + BLOCK - ((at + from) % BLOCK));
    blocks.push({ at: at + from, bytes: bytes.subarray(from, to) });
    from = to;
  }
  return blocks;
}

function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
