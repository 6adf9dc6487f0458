import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeDigits, writeNewDigits } from '../../src/demo/digits-files.js';
import { createProcesses } from '../../src/demo/processes.js';
import { sha256Hex } from '../../src/hash.js';
import { readDataset } from '../../src/training/dataset.js';
import { isolatedEnv, temporaryFolder } from '../support/run-nmkt.js';

function processesIn(folder: string, extra: Record<string, string> = {}) {
  return createProcesses(folder, isolatedEnv(folder, extra));
}

describe('a process of the demo', () => {
  it('gives its document, and nothing of the person’s own settings reaches it', async () => {
    const folder = temporaryFolder();
    const mine = { NMKT_KEY: '01'.repeat(32), NMKT_RELAYS: 'wss://relay.example', NMKT_NETWORK: 'bitcoin' };
    const { status, document } = await processesIn(folder, mine).run('somebody', ['whoami', '--home', 'h']);
    expect(status).toBe(0);
    expect(document).toMatchObject({ key: null, relays: { urls: [] }, network: { name: 'sandbox' } });
  });

  it('fails with its own code, remedy and facts', async () => {
    const failing = processesIn(temporaryFolder()).run('the reader', ['predict', 'nowhere', 'rows.csv']);
    await expect(failing).rejects.toMatchObject({ code: 'bad-usage', exitStatus: 2 });
    await expect(failing).rejects.toThrow(/^the reader: there is no model at nowhere/);
  });

  it('that serves ends when all are stopped, and none starts after that', async () => {
    const folder = temporaryFolder();
    const processes = processesIn(folder);
    let pid = 0;
    const relay = await new Promise<{ ended: Promise<{ status: number | null }> }>((resolve) => {
      const started = processes.start('relay', ['relay', '--port', '0', '--memory'], (line) => {
        pid = Number(line['pid']);
        resolve(started);
      });
    });
    await processes.stopAll();
    expect((await relay.ended).status).toBe(0);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect(() => processes.start('relay', ['relay'])).toThrow('stopped');
  });

  it('keeps what it says on stderr in a log of its own', async () => {
    const folder = temporaryFolder();
    await processesIn(folder)
      .run('trainer 1', ['frobnicate'])
      .catch(() => undefined);
    expect(readFileSync(join(folder, 'trainer-1.log'), 'utf8')).toContain('frobnicate');
  });
});

describe('the digits', () => {
  it('are the same files every time, and an ordinary dataset', async () => {
    const folder = temporaryFolder();
    await writeDigits(folder);
    const names = ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte'];
    const hashes = () => names.map((name) => sha256Hex(readFileSync(join(folder, name))));
    const first = hashes();
    await writeDigits(folder);
    expect(hashes()).toEqual(first);
    const { schema, examples, test } = await readDataset(folder);
    expect([schema.shape, schema.outputs, examples.rows + test!.rows]).toEqual([[28, 28], 10, 5_000]);
    expect(await writeNewDigits(folder)).toBe(join(folder, 'new-images-idx3-ubyte'));
    expect([...readFileSync(join(folder, 'new-labels-idx1-ubyte')).subarray(8)].sort()).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
  });
});
