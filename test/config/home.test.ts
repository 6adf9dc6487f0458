import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultHomeDir, openHome } from '../../src/config/home.js';
import { createKey } from '../../src/config/own-key.js';
import { processStart } from '../../src/disk/process-identity.js';
import { temporaryFolder } from '../support/run-nmkt.js';

describe('a home', () => {
  it('is found where the platform keeps user data, or where NMKT_HOME says', () => {
    expect(defaultHomeDir({ HOME: '/u' }, 'linux')).toBe('/u/.local/share/nmkt');
    expect(defaultHomeDir({ HOME: '/u', XDG_DATA_HOME: '/data' }, 'linux')).toBe('/data/nmkt');
    expect(defaultHomeDir({ HOME: '/u', XDG_DATA_HOME: 'relative' }, 'linux')).toBe('/u/.local/share/nmkt');
    expect(defaultHomeDir({ HOME: '/u' }, 'darwin')).toBe('/u/Library/Application Support/nmkt');
    expect(defaultHomeDir({ HOME: '/u', NMKT_HOME: '/other' }, 'linux')).toBe('/other');
  });

  it('writes private files whole and leaves no temporary ones', async () => {
    const home = openHome(join(temporaryFolder(), 'home'));
    await home.writeFile('jobs/a.json', '{"n":1}');
    await home.writeFile('jobs/a.json', '{"n":2}');
    expect(await home.readJson('jobs/a.json')).toEqual({ n: 2 });
    expect(statSync(home.path('jobs', 'a.json')).mode & 0o777).toBe(0o600);
    expect(statSync(home.dir).mode & 0o777).toBe(0o700);
    expect(readdirSync(home.path('jobs'))).toEqual(['a.json']);
  });

  it('edits a private file in place, where the disk takes it', async () => {
    const home = openHome(join(temporaryFolder(), 'home'));
    const file = await home.editFile('jobs/a/shard-0.sealed');
    await file.write(Uint8Array.of(4, 5, 6), 3);
    await file.write(Uint8Array.of(1), 0);
    expect([...(await file.read(0, 99))]).toEqual([1, 0, 0, 4, 5, 6]);
    expect(await file.read(6, 1)).toHaveLength(0);
    await file.close();
    const again = await home.editFile('jobs/a/shard-0.sealed');
    expect([...(await again.read(3, 2))]).toEqual([4, 5]);
    await again.close();
    expect(statSync(home.path('jobs', 'a', 'shard-0.sealed')).mode & 0o777).toBe(0o600);
    await expect(home.editFile('jobs/a')).rejects.toThrow();
  });

  it('loses its scratch files when the next process locks it, and to that one only', async () => {
    const dir = join(temporaryFolder(), 'home');
    const killed = openHome(dir);
    const file = await killed.scratch.edit('rows.tmp');
    await file.write(Uint8Array.of(1), 0);
    await file.close();
    expect(statSync(join(dir, 'scratch')).mode & 0o777).toBe(0o700);
    expect(statSync(join(dir, 'scratch', 'rows.tmp')).mode & 0o777).toBe(0o600);
    const next = openHome(dir);
    await next.lock();
    expect(await next.list('scratch')).toEqual([]);
    await (await next.scratch.edit('rows.tmp')).close();
    await next.lock();
    expect(await next.list('scratch')).toEqual(['rows.tmp']);
    await next.scratch.remove('rows.tmp');
    expect(await next.list('scratch')).toEqual([]);
    await next.unlock();
  });

  it('answers undefined for a file that is not there and bad-settings for one that is not JSON', async () => {
    const home = openHome(temporaryFolder());
    expect(await home.readJson('none.json')).toBeUndefined();
    await home.writeFile('broken.json', '{');
    await expect(home.readJson('broken.json')).rejects.toMatchObject({ code: 'bad-settings' });
  });

  it('refuses paths that climb out', () => {
    const home = openHome('/home-of-test');
    expect(() => home.path('..', 'etc')).toThrow(RangeError);
    expect(() => home.path('/etc/passwd')).toThrow(RangeError);
    expect(home.path('..jobs')).toBe('/home-of-test/..jobs');
  });

  it('makes one key, however many ask at once', async () => {
    const home = openHome(join(temporaryFolder(), 'home'));
    let next = 1;
    const random = (length: number): Uint8Array => new Uint8Array(length).fill(next++);
    const keys = await Promise.all([1, 2, 3, 4].map(() => createKey(home, random)));
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^nsec1/);
    expect(readdirSync(home.dir)).toEqual(['key']);
  });
});

describe("a home's lock", () => {
  it('is held by one at a time, and the refusal names the process', async () => {
    const dir = temporaryFolder();
    const [first, second] = [openHome(dir), openHome(dir)];
    await first.lock();
    await first.lock();
    await expect(second.lock()).rejects.toMatchObject({
      code: 'home-locked',
      got: `pid ${process.pid}`,
      exitStatus: 5,
    });
    await first.unlock();
    await second.lock();
    await second.unlock();
    expect(readdirSync(dir)).toEqual([]);
  });

  it('is free again after the kill -9 of its holder, for exactly one of many that wait', async () => {
    const dir = temporaryFolder();
    const holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log("up")']);
    await new Promise((done) => holder.stdout.once('data', done));
    const content = JSON.stringify({ pid: holder.pid, start: processStart(holder.pid!), nonce: '' });
    writeFileSync(join(dir, 'lock'), content);
    await expect(openHome(dir).lock()).rejects.toMatchObject({ code: 'home-locked', got: `pid ${holder.pid}` });

    const gone = new Promise((done) => holder.once('exit', done));
    holder.kill('SIGKILL');
    await gone;
    const takers = await Promise.allSettled(Array.from({ length: 20 }, () => openHome(dir).lock()));
    expect(takers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const refusals = takers.flatMap((taker) => (taker.status === 'rejected' ? [taker.reason as { code: string }] : []));
    expect(refusals.every(({ code }) => code === 'home-locked')).toBe(true);
    expect(readdirSync(dir)).toEqual(['lock']);
    expect(readFileSync(join(dir, 'lock'), 'utf8')).toContain(`"pid":${process.pid}`);
  });

  it('is stale when its pid now belongs to a process that started at another time', async () => {
    const dir = temporaryFolder();
    writeFileSync(join(dir, 'lock'), JSON.stringify({ pid: process.pid, start: 'another boot', nonce: '' }));
    await openHome(dir).lock();
  });

  it('is stale when it is half-written', async () => {
    const dir = temporaryFolder();
    writeFileSync(join(dir, 'lock'), '{"pid":1');
    await openHome(dir).lock();
  });
});
