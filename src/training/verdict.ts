import { fork } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256Hex } from '../hash.js';
import type { Rung } from '../learning/types.js';
import { findPackages, type Found } from './optional-packages.js';
import type { EnginePlace } from './tfjs-rungs.js';
import { TRAINING_REVISION } from './training-revision.js';
import { compiledFile, ending, scrubbedEnvironment } from './worker-carrier.js';

/** What a probe of a native rung said; the speeds are of products of 1024 x 1024. */
export interface Verdict {
  /** Null, or why the rung is unfit. */
  readonly flaw: string | null;
  readonly gigaflops?: number | undefined;
  readonly wasmGigaflops?: number | undefined;
}

export interface VerdictOptions extends EnginePlace {
  /** Probe now, whatever is remembered. */
  readonly isFresh?: boolean;
  readonly probeTimeoutMs?: number;
}

const PROBE_TIMEOUT_MS = 60_000;
/** A driver may be repaired without any version changing: what failed is tried again the next day. */
const KEPT_MS = { fit: 7 * 86_400_000, unfit: 86_400_000 };
const CACHE_FILE = 'probes.json';

const verdictShape = z.object({
  flaw: z.string().nullable(),
  gigaflops: z.number().optional(),
  wasmGigaflops: z.number().optional(),
});
const cacheShape = z.record(z.string(), verdictShape.extend({ atMs: z.number() }));
type Cache = z.infer<typeof cacheShape>;

/** One probe at a time per rung and process: callers that come meanwhile get its answer. */
const running = new Map<string, Promise<Verdict>>();

/**
 * Does a native rung load, train and multiply here? Asked of a process of its own, whose end in a crash is an answer too. The
 * answer is kept in the folder of engines under everything it depends on: versions, Node.js, processor, driver. A folder
 * that cannot be written costs a probe per command, nothing else.
 */
export async function judgeRung(rung: Rung, options: VerdictOptions): Promise<Verdict> {
  let found: readonly Found[];
  try {
    found = findPackages(rung, options.folder);
  } catch (error) {
    return { flaw: (error as Error).message };
  }
  const key = keyOf(rung, found, options);
  if (options.isFresh !== true) {
    const kept = await remembered(key, options.folder);
    if (kept !== undefined) return kept;
  }
  let probing = running.get(key);
  if (probing === undefined) {
    probing = probe(rung, options).then(async (verdict) => {
      await remember(key, verdict, options.folder);
      return verdict;
    });
    running.set(key, probing);
    void probing.finally(() => running.delete(key));
  }
  return probing;
}

function probe(
  rung: Rung,
  { folder, isSoftwareFine, probeTimeoutMs = PROBE_TIMEOUT_MS }: VerdictOptions,
): Promise<Verdict> {
  const child = fork(compiledFile('probe'), [JSON.stringify({ rung, folder, isSoftwareFine })], {
    env: scrubbedEnvironment(),
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      resolve({ flaw: `it did not load and train within ${probeTimeoutMs / 1000} s` });
    }, probeTimeoutMs);
    // A library may send messages of its own: what is no verdict is none.
    child.on('message', (message) => {
      const verdict = verdictShape.safeParse(message);
      if (verdict.success) resolve(verdict.data);
    });
    child.once('error', (error) => resolve({ flaw: error.message }));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      resolve({ flaw: `the native library ended the probe with ${ending(code, signal)}` });
    });
  });
}

function keyOf(rung: Rung, found: readonly Found[], { isSoftwareFine = false }: EnginePlace): string {
  const files = found.map(({ name, path, version }) => `${name} ${version} ${path} ${changedMs(path)}`);
  const machine = [process.version, process.platform, process.arch, driver(), String(isSoftwareFine)];
  return `${rung} ${sha256Hex([TRAINING_REVISION, ...files, ...machine].join('\n')).slice(0, 16)}`;
}

function changedMs(path: string): number {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

/** The kernel's part of the common driver, where it says its version; others are noticed when the verdict expires. */
function driver(): string {
  try {
    return readFileSync('/proc/driver/nvidia/version', 'utf8');
  } catch {
    return '';
  }
}

async function readCache(folder: string): Promise<Cache> {
  try {
    return cacheShape.parse(JSON.parse(await readFile(join(folder, CACHE_FILE), 'utf8')));
  } catch {
    return {};
  }
}

async function remembered(key: string, folder: string | undefined): Promise<Verdict | undefined> {
  const kept = folder === undefined ? undefined : (await readCache(folder))[key];
  if (kept === undefined) return undefined;
  const { atMs, ...verdict } = kept;
  const ageMs = Date.now() - atMs;
  return ageMs >= 0 && ageMs < KEPT_MS[verdict.flaw === null ? 'fit' : 'unfit'] ? verdict : undefined;
}

/** The last verdict of each rung; a half-written file never appears under the name. */
async function remember(key: string, verdict: Verdict, folder: string | undefined): Promise<void> {
  if (folder === undefined) return;
  try {
    await mkdir(folder, { recursive: true });
    const others = Object.entries(await readCache(folder)).filter(([name]) => name.split(' ')[0] !== key.split(' ')[0]);
    const text = JSON.stringify({ ...Object.fromEntries(others), [key]: { ...verdict, atMs: Date.now() } });
    const draft = join(folder, `.${CACHE_FILE}.${process.pid}`);
    await writeFile(draft, `${text}\n`);
    await rename(draft, join(folder, CACHE_FILE));
  } catch {
    // Only a cache.
  }
}
