import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchResult } from './run.js';

/**
 * Peak memory of `nmkt publish-dataset` on a CSV whose inputs have more bytes than V8 may have, as a process of its own. Without `--full`
 * nothing is sent (`--dry-run`); with it the dataset goes to a relay on loopback, whose process is not counted.
 */
const MIB = 2 ** 20;
const CSV_MIB = 300;
const HEAP_MIB = 128;
const TARGET_MIB = 512;
const isFull = process.argv.includes('--full');
const nmkt = fileURLToPath(new URL('../bin/nmkt.js', import.meta.url));

/** 20 columns of numbers, one of 20 categories, a label; from a fixed seed (the generator of Numerical Recipes). */
async function writeCsv(path: string): Promise<number> {
  const out = createWriteStream(path);
  let [state, bytes, rows] = [1, 0, 0];
  const next = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  const line = (): string => {
    const numbers = Array.from({ length: 20 }, () => (next() * 100 - 50).toFixed(4));
    return `${numbers.join(',')},c${Math.floor(next() * 20)},${next() < 0.5 ? 'yes' : 'no'}\n`;
  };
  out.write(`${Array.from({ length: 20 }, (_, i) => `n${i}`).join(',')},city,label\n`);
  for (; bytes < CSV_MIB * MIB; rows += 1000) {
    const text = Array.from({ length: 1000 }, line).join('');
    bytes += text.length;
    if (!out.write(text)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
  return rows;
}

async function startRelay(dir: string): Promise<{ readonly process: ChildProcess; readonly url: string }> {
  const relay = spawn(process.execPath, [nmkt, 'relay', '--port', '0', '--dir', dir, '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(relay.stdout, 'data')) as [Buffer];
  return { process: relay, url: (JSON.parse(line.toString('utf8')) as { relay: string }).relay };
}

/** The child's own account of its peak, printed as it ends. */
const REPORT = `data:text/javascript,process.on('exit',()=>process.stderr.write('\\npeak '+process.resourceUsage().maxRSS+'\\n'))`;

export async function bench(): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'nmkt-bench-'));
  const relay = isFull ? await startRelay(join(folder, 'relay')) : undefined;
  try {
    const file = join(folder, 'large.csv');
    const rows = await writeCsv(file);
    const how = relay === undefined ? ['--dry-run'] : ['--relay', relay.url, '--no-backup'];
    const args = ['publish-dataset', file, '--label', 'label', '--shards', '4', '--home', join(folder, 'home'), ...how];
    const began = performance.now();
    const { status, stderr } = spawnSync(
      process.execPath,
      [`--max-old-space-size=${HEAP_MIB}`, '--import', REPORT, nmkt, ...args],
      { encoding: 'utf8', maxBuffer: 64 * MIB, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const peak = Number(/\npeak (\d+)\n/.exec(stderr)?.[1] ?? NaN) / 1024;
    if (status !== 0) throw new Error(stderr.slice(-2_000));
    const seconds = (performance.now() - began) / 1000;
    return {
      rows: [{ csvMiB: CSV_MIB, rows, inputsMiB: (rows * 40 * 4) / MIB, peakMiB: peak, seconds, load: loadavg()[0] }],
      targets: [
        {
          name: `dataset-memory: ${isFull ? 'published' : 'read and cut'} with a heap of ${HEAP_MIB} MiB`,
          ...{ target: `<= ${TARGET_MIB} MiB`, got: `${peak.toFixed(0)} MiB`, ok: peak <= TARGET_MIB },
        },
      ],
    };
  } finally {
    relay?.process.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
