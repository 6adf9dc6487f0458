import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { sha256 } from '../src/hash.js';
import { providerReports, type ProviderName } from '../src/secp/provider.js';
import type { BenchResult, BenchTarget } from './run.js';
import type { Ceiling } from './transfer/ceiling.js';
import type { ClientFigures, ClientTask } from './transfer/client.js';

/**
 * A dataset to a relay and back, against nostr-tools as it comes and against plain HTTP, on loopback: client, relay and
 * server are processes of their own, the relay keeps its events on the disk. Sealing and signing happen while the clock
 * runs, except where the row says so. Best of ROUNDS; MB are 1e6 bytes of plaintext. `--full`: 100,000 chunks as well.
 */
const BYTES = 100_000_000;
const ROUNDS = 2;
const MANY_CHUNKS = 100_000;

const words = (path: string) => ['--import', 'tsx', fileURLToPath(new URL(path, import.meta.url))];

/** A process as a user's is: JavaScript, without a loader that would count as its memory. */
function compiled(name: 'client' | 'server'): string {
  const source = readFileSync(new URL(`./transfer/${name}.ts`, import.meta.url), 'utf8');
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const folder = fileURLToPath(new URL('../node_modules/.cache/nmkt-bench/', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.mjs`);
  writeFileSync(file, outputText.replaceAll("'../../src/", `'${new URL('../dist/', import.meta.url).href}`));
  return file;
}

class Stage {
  readonly #client = compiled('client');
  readonly #server = compiled('server');
  readonly dir = mkdtempSync(join(tmpdir(), 'nmkt-bench-transfer-'));
  readonly #children: ChildProcess[] = [];
  #seeds = 0;

  /** Not compressible, on disk, as a packed shard is. */
  noise(bytes: number): string {
    const path = join(this.dir, `noise-${bytes}`);
    const file = openSync(path, 'w');
    const cipher = createCipheriv('chacha20', sha256('bench noise'), Buffer.alloc(16));
    for (let at = 0; at < bytes; at += 1 << 20)
      writeSync(file, cipher.update(Buffer.alloc(Math.min(1 << 20, bytes - at))));
    closeSync(file);
    return path;
  }

  async serve(provider: ProviderName, ...args: readonly string[]): Promise<string> {
    const isProxy = ['delay', 'loss'].includes(args[0]!); // of the tests, which nobody compiles
    const child = spawn(process.execPath, [...(isProxy ? words('./transfer/server.ts') : [this.#server]), ...args], {
      env: { ...process.env, NMKT_SCHNORR: provider },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    return new Promise((resolve, reject) => {
      child.stdout.once('data', (text: Buffer) => resolve(text.toString().trim()));
      child.once('exit', (code) => reject(new Error(`a server of the bench ended with ${code}`)));
    });
  }

  relay(provider: ProviderName): Promise<string> {
    return this.serve(provider, 'relay', join(this.dir, `relay-${this.#seeds++}`));
  }

  freshSeed(): string {
    return String(this.#seeds++);
  }

  async run(provider: ProviderName, task: ClientTask): Promise<ClientFigures> {
    const child = spawn(process.execPath, [this.#client, JSON.stringify(task)], {
      env: { ...process.env, NMKT_SCHNORR: provider },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (text: Buffer) => (out += text.toString()));
    const code = await new Promise((done) => child.once('close', done));
    const expected = task.killAt === undefined ? 0 : null;
    if (code !== expected) throw new Error(`${task.what} ended with ${String(code)}`);
    return JSON.parse(out) as ClientFigures;
  }

  /** What a relay takes and gives when its client does nothing else. */
  async ceiling(provider: ProviderName, file: string, bytes: number): Promise<Ceiling> {
    const url = await this.relay(provider);
    const args = [...words('./transfer/ceiling.ts'), url, file, String(bytes), this.freshSeed()];
    const { stdout, status } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (status !== 0) throw new Error(`the client of the ceiling ended with ${String(status)}`);
    return JSON.parse(stdout) as Ceiling;
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

type Row = Record<'what' | 'MBperSecond' | 'MBofMemory', string | number>;

export async function bench(): Promise<BenchResult> {
  const stage = new Stage();
  const rows: Row[] = [];
  const targets: BenchTarget[] = [];
  const rates = new Map<string, number>();
  const note = (what: string, bytes: number, { seconds, maxRssMB }: ClientFigures): void => {
    const rate = bytes / 1e6 / seconds;
    if (rate <= (rates.get(what) ?? 0)) return;
    rates.set(what, rate);
    const at = rows.findIndex((row) => row.what === what);
    rows.splice(at === -1 ? rows.length : at, 1, { what, MBperSecond: rate, MBofMemory: maxRssMB });
  };
  const target = (name: string, least: number, over: string, under: string): void => {
    const [a, b] = [rates.get(over), rates.get(under)];
    const got = a === undefined || b === undefined ? undefined : a / b;
    const ok = got !== undefined && got >= least;
    targets.push({
      name: `transfer: ${name}`,
      target: `>= ${least}`,
      got: got?.toFixed(2) ?? 'SKIP',
      ok: got === undefined || ok,
    });
  };
  try {
    const file = stage.noise(BYTES);
    const usable = providerReports().filter(({ provider, isUsable }) => isUsable && provider !== 'noble');
    const base = { file, bytes: BYTES };
    for (let round = 0; round < ROUNDS; round++) {
      const http = await stage.serve('wasm', 'http', stage.dir);
      note(
        'HTTP PUT of the ciphertext',
        BYTES,
        await stage.run('wasm', { what: 'put', url: http, seed: '0', ...base }),
      );
      note(
        'HTTP GET, SHA-256, decrypted',
        BYTES,
        await stage.run('wasm', { what: 'get', url: http, seed: '0', ...base }),
      );
      const plain = await stage.relay('wasm');
      note(
        'naive publish',
        BYTES,
        await stage.run('noble', { what: 'naive', url: plain, seed: stage.freshSeed(), ...base }),
      );
      note(
        'naive fetch',
        BYTES,
        await stage.run('noble', { what: 'naive-fetch', url: plain, seed: stage.freshSeed(), ...base }),
      );
      for (const { provider } of usable) {
        const url = await stage.relay(provider);
        const seed = stage.freshSeed();
        const pointer = join(stage.dir, `${seed}.json`);
        note(
          `publish, ${provider}`,
          BYTES,
          await stage.run(provider, { what: 'publish', url, seed, pointer, ...base }),
        );
        note('fetch', BYTES, await stage.run(provider, { what: 'fetch', url, seed, pointer, ...base }));
        note(
          `publish, sealed before, ${provider}`,
          BYTES,
          await stage.run(provider, { what: 'sealed', url, seed: stage.freshSeed(), ...base }),
        );
        const { taken, given } = await stage.ceiling(provider, file, BYTES);
        note(`relay ceiling, in, ${provider}`, BYTES, taken);
        note('relay ceiling, out', BYTES, given);
        for (const [name, kind, figure] of [
          ['50 ms away', 'delay', '25'],
          ['1 % of messages lost', 'loss', '0.01'],
        ] as const) {
          const proxy = await stage.serve(provider, kind, url, figure);
          const far = {
            url: proxy,
            seed: stage.freshSeed(),
            pointer: join(stage.dir, `far-${stage.freshSeed()}.json`),
            ...base,
          };
          note(`publish, ${provider}, ${name}`, BYTES, await stage.run(provider, { what: 'publish', ...far }));
          note(`fetch, ${name}`, BYTES, await stage.run(provider, { what: 'fetch', ...far }));
        }
      }
    }
    rows.push(await restart(stage, usable[0]!.provider, base));
    for (const { provider, isUsable, reason } of providerReports())
      if (!isUsable) rows.push({ what: `SKIP publish, ${provider}: ${reason}`, MBperSecond: '-', MBofMemory: '-' });
    if (process.argv.includes('--full')) await many(stage, usable[0]!.provider, note);
  } finally {
    stage.close();
  }
  target('publish, wasm, against naive', 30, 'publish, wasm', 'naive publish');
  target('publish, native, against naive', 40, 'publish, native', 'naive publish');
  target('publish, native, against HTTP PUT', 0.45, 'publish, native', 'HTTP PUT of the ciphertext');
  target('fetch against naive', 50, 'fetch', 'naive fetch');
  target('fetch against HTTP GET, SHA-256, decrypted', 0.8, 'fetch', 'HTTP GET, SHA-256, decrypted');
  const best = rates.has('publish, native') ? 'native' : 'wasm';
  const again = rows.find(({ what }) => what === RESTART)!.MBperSecond as number;
  targets.push({
    ...{ name: 'transfer: sent again after kill -9 at 90 %', target: '<= 12 %', got: `${again.toFixed(1)} %` },
    ok: again <= 12,
  });
  target('publish 50 ms away against no delay', 0.6, `publish, ${best}, 50 ms away`, `publish, ${best}`);
  target('fetch 50 ms away against no delay', 0.55, 'fetch, 50 ms away', 'fetch');
  rows.push({ what: 'load of the machine', MBperSecond: loadavg()[0]!, MBofMemory: '-' });
  return { rows, targets };
}

const RESTART = 'killed at 90 % and run again: % of the events sent twice';

/** Everything that was on its way when the process died counts, also what the relay had no time to answer. */
async function restart(stage: Stage, provider: ProviderName, base: Pick<ClientTask, 'file' | 'bytes'>): Promise<Row> {
  const log = join(stage.dir, 'sent.jsonl');
  const task = { ...base, what: 'publish', url: await stage.relay(provider), seed: stage.freshSeed(), log } as const;
  const first = await stage.run(provider, { ...task, killAt: 0.9 });
  const second = await stage.run(provider, task);
  const again = (first.sent! + second.sent! - second.events!) / second.events!;
  return { what: RESTART, MBperSecond: 100 * again, MBofMemory: second.maxRssMB };
}

/** As many chunks as 4.8 GB make: the rate holds, and memory does not grow with the size. */
async function many(
  stage: Stage,
  provider: ProviderName,
  note: (what: string, bytes: number, got: ClientFigures) => void,
): Promise<void> {
  const bytes = MANY_CHUNKS * 48_000;
  const file = stage.noise(bytes);
  const task = { url: await stage.relay(provider), file, bytes: statSync(file).size, seed: stage.freshSeed() };
  const pointer = join(stage.dir, 'many.json');
  note(`publish of ${MANY_CHUNKS} chunks`, bytes, await stage.run(provider, { what: 'publish', pointer, ...task }));
  note(`fetch of ${MANY_CHUNKS} chunks`, bytes, await stage.run(provider, { what: 'fetch', pointer, ...task }));
}
