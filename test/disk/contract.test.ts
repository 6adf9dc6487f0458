import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Disk } from '../../src/disk/disk.js';
import { writeAllTogether } from '../../src/disk/durable.js';
import { nodeDisk } from '../../src/disk/node-disk.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { SimDisk } from '../support/sim-disk.js';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
const bytes = (value: string) => Buffer.from(value);

async function simulated(): Promise<{ disk: Disk; dir: string }> {
  const { disk } = new SimDisk('contract').start();
  await disk.makeFolder('/tmp/x');
  return { disk, dir: '/tmp/x' };
}

describe.each([
  ['the disk of this machine', async () => ({ disk: nodeDisk, dir: temporaryFolder() })],
  ['the simulated disk', simulated],
])('%s', (_, open) => {
  it('writes at a position, reads back what is there, and fills a gap with zeros', async () => {
    const { disk, dir } = await open();
    const path = join(dir, 'a');
    const file = await disk.open(path, 'create');
    expect(await file.write(bytes('hello'), 0)).toBe(5);
    expect(await file.write(bytes('J'), 0)).toBe(1);
    expect(await file.write(bytes('!'), 7)).toBe(1);
    expect(await file.size()).toBe(8);
    expect(text(await file.read(0, 100))).toBe('Jello\0\0!');
    expect(text(await file.read(1, 3))).toBe('ell');
    expect(await file.read(8, 5)).toHaveLength(0);
    await file.truncate(2);
    await file.datasync();
    await file.sync();
    await file.close();
    expect(text(await disk.readFile(path))).toBe('Je');
  });

  it('writes several parts as one, also more than the system takes at once', async () => {
    const { disk, dir } = await open();
    const file = await disk.open(join(dir, 'a'), 'create');
    await file.write(bytes('<>'), 0);
    const parts = Array.from({ length: 3_000 }, (_, at) => bytes(`${at},`));
    const whole = parts.map(text).join('');
    await writeAllTogether(file, parts, 1);
    await file.close();
    expect(text(await disk.readFile(join(dir, 'a')))).toBe(`<${whole}`);
  });

  it('tells a file that is missing from one that is there', async () => {
    const { disk, dir } = await open();
    const path = join(dir, 'a');
    await expect(disk.open(path, 'read')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.open(join(dir, 'none', 'a'), 'edit')).rejects.toMatchObject({ code: 'ENOENT' });
    const made = await disk.open(path, 'edit');
    await made.write(bytes('one'), 0);
    await made.close();
    await expect(disk.open(path, 'create')).rejects.toMatchObject({ code: 'EEXIST' });
    const again = await disk.open(path, 'edit');
    expect(await again.size()).toBe(3);
    await again.close();
  });

  it('renames over a file, links a second name, removes what is there and what is not', async () => {
    const { disk, dir } = await open();
    const put = async (name: string, value: string) => {
      const file = await disk.open(join(dir, name), 'create');
      await file.write(bytes(value), 0);
      await file.close();
    };
    await put('new', 'new');
    await put('old', 'old');
    await disk.rename(join(dir, 'new'), join(dir, 'old'));
    expect(await disk.list(dir)).toEqual(['old']);
    await disk.link(join(dir, 'old'), join(dir, 'twin'));
    await expect(disk.link(join(dir, 'old'), join(dir, 'twin'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(disk.link(join(dir, 'none'), join(dir, 'other'))).rejects.toMatchObject({ code: 'ENOENT' });
    await disk.remove(join(dir, 'old'));
    await disk.remove(join(dir, 'old'));
    expect(text(await disk.readFile(join(dir, 'twin')))).toBe('new');
    await expect(disk.rename(join(dir, 'old'), join(dir, 'x'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('makes folders on the way, lists them, and syncs those that are there', async () => {
    const { disk, dir } = await open();
    await disk.makeFolder(join(dir, 'a', 'b'));
    await disk.makeFolder(join(dir, 'a', 'b'));
    expect(await disk.list(join(dir, 'a'))).toEqual(['b']);
    await disk.syncFolder(join(dir, 'a'));
    await expect(disk.syncFolder(join(dir, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(disk.list(join(dir, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
    await (await disk.open(join(dir, 'file'), 'create')).close();
    await expect(disk.list(join(dir, 'file'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});

it('the disk of this machine gives files and folders the mode that is asked for, else a private one', async () => {
  const dir = temporaryFolder();
  await nodeDisk.makeFolder(join(dir, 'private'));
  for (const [name, mode] of [
    ['a', undefined],
    ['b', 0o400],
  ] as const)
    await (await nodeDisk.open(join(dir, name), 'create', mode)).close();
  const modes = ['private', 'a', 'b'].map((name) => statSync(join(dir, name)).mode & 0o777);
  expect(modes).toEqual([0o700, 0o600, 0o400]);
});

describe('the simulated disk at a crash', () => {
  const SEEDS = Array.from({ length: 200 }, (_, seed) => `${seed}`);

  async function written(seed: string, settle: (disk: Disk) => Promise<void>) {
    const machine = new SimDisk(seed);
    const { disk } = machine.start();
    await disk.makeFolder('/d');
    await disk.syncFolder('/');
    const file = await disk.open('/d/f', 'create');
    await file.write(Buffer.alloc(1000, 'x'), 0);
    await settle(disk);
    return { machine, file, disk };
  }
  async function read(machine: SimDisk): Promise<string | undefined> {
    const { disk } = machine.start();
    return disk.readFile('/d/f').then(text, () => undefined);
  }

  it('keeps everything when only the process is killed, and lets the dead one do nothing more', async () => {
    const { machine, file, disk } = await written('k', async () => undefined);
    const other = machine.start();
    expect(await other.disk.list('/d')).toEqual(['f']);
    machine.powerCut();
    await expect(file.write(bytes('x'), 0)).rejects.toThrow('dead');
    await expect(disk.readFile('/d/f')).rejects.toThrow('dead');
    await expect(other.disk.list('/d')).rejects.toThrow('dead');
  });

  it('loses names without a sync of the folder, and bytes without one of the file, by luck all, some or none', async () => {
    const outcomes = new Set<string>();
    for (const seed of SEEDS) {
      const { machine } = await written(seed, async () => undefined);
      machine.powerCut();
      const found = await read(machine);
      outcomes.add(
        found === undefined
          ? 'gone'
          : found === ''
            ? 'empty'
            : found.includes('\0')
              ? 'holes'
              : `${found.length === 1000 ? 'all' : 'part'}`,
      );
    }
    expect([...outcomes].sort()).toEqual(['all', 'empty', 'gone', 'holes', 'part']);
  });

  it('never loses what was synced, name and bytes', async () => {
    for (const seed of SEEDS) {
      const { machine } = await written(seed, async (disk) => {
        const file = await disk.open('/d/f', 'edit');
        await file.datasync();
        await disk.syncFolder('/d');
        await file.write(Buffer.alloc(200, 'y'), 1000);
      });
      machine.powerCut();
      expect(await read(machine)).toMatch(/^x{1000}[y\0]*$/);
    }
  });

  it('repeats itself for the same seed', async () => {
    const run = async (seed: string) => {
      const { machine } = await written(seed, async () => undefined);
      machine.powerCut();
      return read(machine);
    };
    for (const seed of SEEDS.slice(0, 20)) expect(await run(seed)).toBe(await run(seed));
  });
});
