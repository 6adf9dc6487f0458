import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isBackupName } from '../../src/backup/names.js';
import { CHUNK_BYTES, sealChunk, TAG_BYTES } from '../../src/backup/seal.js';
import { formatSecretKey } from '../../src/config/identifiers.js';
import { sha256, u32be, utf8 } from '../../src/hash.js';
import { localSigner } from '../../src/signer.js';
import { filesBelow } from '../support/story.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { keepPassword } from '../support/secrets/outputs.js';
import { backUp, contents, JOB, makeHome, owner, put, restore, SECRET } from './samples.js';

const file = () => join(temporaryFolder(), 'home.bak');
const stranger = localSigner(sha256('stranger'));
const PASSWORD = keepPassword('correct horse battery');

/** What a home holds, without what a restore says of itself. */
const state = (dir: string) => new Map([...filesBelow(dir)].filter(([name]) => name !== 'restored.json'));

describe('a backup', () => {
  it('gives the same home elsewhere, with key and settings in force, all of it private', async () => {
    const [dir, path, other] = [makeHome(), file(), join(temporaryFolder(), 'new')];
    const { names } = await backUp(dir, path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(dirname(path))).toEqual(['home.bak']);
    expect(await restore(path, other)).toMatchObject({ placed: names.length, replaced: [], pubkey: owner.pubkey });
    const restored = state(other);
    for (const [name, data] of Object.entries(contents()))
      expect(restored.get(name)!.equals(Buffer.from(data as string)), name).toBe(true);
    expect(restored.get('key')!.toString()).toBe(`${formatSecretKey(SECRET)}\n`);
    expect(JSON.parse(restored.get('settings.json')!.toString())).toEqual({ relays: ['wss://relay.example'] });
    expect(restored.size).toBe(names.length);
    for (const name of restored.keys()) expect(statSync(join(other, name)).mode & 0o777, name).toBe(0o600);
    expect(JSON.parse(readFileSync(join(other, 'restored.json'), 'utf8'))).toEqual({
      ...{ v: 1, restoredAt: 1_800_000_100, backupCreatedAt: 1_800_000_000 },
    });
  });

  it('shows nothing of what it holds but its owner and its time', async () => {
    const path = file();
    await backUp(makeHome(), path, { password: PASSWORD });
    const bytes = readFileSync(path);
    for (const secret of [formatSecretKey(SECRET), 'payouts.jsonl', 'relay.example', JOB, PASSWORD])
      expect(bytes.includes(secret), secret).toBe(false);
    expect(bytes.includes(Buffer.from(SECRET))).toBe(false);
    expect(bytes.includes(owner.pubkey)).toBe(true);
  });

  it('opens with its password too, and with neither another password nor another key', async () => {
    const path = file();
    await backUp(makeHome(), path, { password: PASSWORD });
    const home = join(temporaryFolder(), 'new');
    await expect(restore(path, home, { password: 'wrong horse battery' })).rejects.toMatchObject({ code: 'wrong-key' });
    await expect(restore(path, home, { signer: stranger })).rejects.toMatchObject({ code: 'wrong-key' });
    expect(existsSync(home)).toBe(false);
    await restore(path, home, { password: PASSWORD });
    expect(readFileSync(join(home, 'key'), 'utf8')).toContain('nsec1');
    const keyOnly = file();
    await backUp(makeHome(), keyOnly);
    await expect(restore(keyOnly, home, { password: PASSWORD })).rejects.toMatchObject({ code: 'wrong-key' });
  }, 60_000);

  it('without the key holds no key, not even in the settings', async () => {
    const dir = makeHome();
    put(dir, 'key', `${formatSecretKey(SECRET)}\n`);
    put(dir, 'settings.json', JSON.stringify({ key: formatSecretKey(SECRET) }));
    const [path, other] = [file(), join(temporaryFolder(), 'new')];
    await backUp(dir, path, { hasKey: false });
    await restore(path, other);
    expect(state(other).has('key')).toBe(false);
    for (const [name, data] of state(other)) expect(data.includes('nsec1'), name).toBe(false);
  });

  it('takes whole lines of a journal, and no link, temporary file, chunks of relays, lock or relay', async () => {
    const dir = makeHome();
    appendFileSync(join(dir, 'payouts.jsonl'), '{"torn":');
    const passing = ['lock', 'lock.0123456789abcdef', 'a.json.1.ab.tmp', 'key.77.abcdef', 'relay/events.jsonl'];
    for (const name of [...passing, 'jobs/ab/shard-0.sealed']) put(dir, name, 'x');
    symlinkSync('/etc/hostname', join(dir, 'wallet'));
    const path = file();
    const { names, left } = await backUp(dir, path);
    expect(names).toEqual(
      ['key', 'settings.json', ...Object.keys(contents())].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)),
    );
    expect(left).toEqual(['key.77.abcdef', 'wallet']);
    const other = join(temporaryFolder(), 'new');
    await restore(path, other);
    expect(readFileSync(join(other, 'payouts.jsonl'), 'utf8')).toBe('{"type":"planned"}\n');
  });

  it('does not overwrite a file without being told to, and leaves no half one behind', async () => {
    const [dir, path] = [makeHome(), file()];
    writeFileSync(path, 'mine');
    await expect(backUp(dir, path)).rejects.toMatchObject({ code: 'bad-usage' });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    await backUp(dir, path, { isForced: true });
    expect(readFileSync(path, 'utf8')).not.toBe('mine');
    expect(readdirSync(dirname(path))).toEqual(['home.bak']);
  });

  it('of 256 MB needs no more memory than a few chunks', async () => {
    const dir = makeHome({});
    put(dir, 'datasets/big.chunks', Buffer.alloc(256e6, 7));
    const [path, other] = [file(), join(temporaryFolder(), 'new')];
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers - before)), 5);
    await backUp(dir, path);
    await restore(path, other);
    clearInterval(watch);
    expect(statSync(join(other, 'datasets/big.chunks')).size).toBe(256e6);
    expect(most).toBeLessThan(64e6);
  }, 60_000);
});

const rank = (name: string) =>
  ['key', 'settings.json'].indexOf(name) === -1 ? 2 : ['key', 'settings.json'].indexOf(name);

describe('a restore', () => {
  it('twice is harmless, also after the home went on', async () => {
    const [dir, path, other] = [makeHome(), file(), join(temporaryFolder(), 'new')];
    await backUp(dir, path);
    await restore(path, other);
    const first = filesBelow(other);
    expect(await restore(path, other)).toMatchObject({ placed: 0 });
    expect(filesBelow(other)).toEqual(first);
    appendFileSync(join(other, 'payouts.jsonl'), '{"type":"paid"}\n');
    put(other, `jobs/${'99'.repeat(32)}/job.json`, '{}');
    const later = filesBelow(other);
    for (const isForced of [false, true]) {
      expect(await restore(path, other, { isForced })).toMatchObject({ placed: 0, replaced: [] });
      expect(filesBelow(other)).toEqual(later);
    }
  });

  it('brings journals forward that an older backup left behind', async () => {
    const [dir, old, recent, other] = [makeHome(), file(), file(), join(temporaryFolder(), 'new')];
    await backUp(dir, old);
    appendFileSync(join(dir, 'payouts.jsonl'), '{"type":"paid"}\n');
    await backUp(dir, recent);
    await restore(old, other);
    expect(await restore(recent, other)).toMatchObject({ placed: 1, replaced: [] });
    expect(readFileSync(join(other, 'payouts.jsonl'), 'utf8')).toBe('{"type":"planned"}\n{"type":"paid"}\n');
  });

  it('refuses a home of another state, and with force keeps what it replaces', async () => {
    const [path, other] = [file(), makeHome({ ...contents(), 'payouts.jsonl': '{"type":"other"}\n' })];
    await backUp(makeHome(), path);
    const before = filesBelow(other);
    await expect(restore(path, other)).rejects.toMatchObject({
      code: 'home-not-empty',
      got: expect.stringContaining('payouts.jsonl') as string,
    });
    expect(filesBelow(other)).toEqual(before);
    expect(await restore(path, other, { isForced: true })).toMatchObject({ replaced: ['payouts.jsonl'] });
    expect(readFileSync(join(other, 'payouts.jsonl'), 'utf8')).toBe('{"type":"planned"}\n');
    expect(readFileSync(join(other, 'replaced/1800000100/payouts.jsonl'), 'utf8')).toBe('{"type":"other"}\n');
  });

  it('refuses the home of somebody else even where no name is the same', async () => {
    const [path, other] = [file(), makeHome({ [`jobs/${'99'.repeat(32)}/job.json`]: '{}' })];
    await backUp(makeHome(), path);
    await expect(restore(path, other)).rejects.toMatchObject({ code: 'home-not-empty' });
  });

  it('goes on after it was stopped half-way', async () => {
    const [dir, path, other] = [makeHome(), file(), join(temporaryFolder(), 'new')];
    const { names } = await backUp(dir, path);
    await restore(path, other);
    for (const name of ['key', `jobs/${JOB}/events.jsonl`]) rmSync(join(other, name));
    put(other, 'restoring/key', 'left over');
    expect(await restore(path, other)).toMatchObject({ placed: 2 });
    expect(state(other).size).toBe(names.length);
    expect(existsSync(join(other, 'restoring'))).toBe(false);
  });

  it('follows no link out of the home', async () => {
    const [path, outside, other] = [file(), temporaryFolder(), makeHome({})];
    await backUp(makeHome(), path);
    put(other, 'x', '');
    rmSync(join(other, 'x'));
    symlinkSync(outside, join(other, 'jobs'));
    for (const isForced of [false, true])
      await expect(restore(path, other, { isForced })).rejects.toMatchObject({ code: 'home-not-empty' });
    expect(readdirSync(outside)).toEqual([]);
  });
});

describe('a broken file', () => {
  async function sample(): Promise<{ readonly path: string; readonly bytes: Buffer; readonly start: number }> {
    const path = file();
    await backUp(makeHome(), path);
    const bytes = readFileSync(path);
    return { path, bytes, start: 18 + bytes.readUInt32BE(14) };
  }
  const attempt = async (bytes: Uint8Array): Promise<{ readonly error: unknown; readonly home: string }> => {
    const [path, home] = [file(), join(temporaryFolder(), 'new')];
    writeFileSync(path, bytes);
    const error: unknown = await restore(path, home).catch((caught: unknown) => caught);
    return { error, home };
  };

  it('is refused and leaves the home as it was, wherever a byte was changed', async () => {
    const { bytes, start } = await sample();
    const places = [
      0,
      13,
      14,
      17,
      20,
      start - 1,
      start,
      start + 100,
      start + CHUNK_BYTES + TAG_BYTES,
      bytes.length - 1,
    ];
    for (const at of places) {
      const other = Buffer.from(bytes);
      other[at]! ^= 1;
      const { error, home } = await attempt(other);
      expect(['bad-backup', 'wrong-key'], `byte ${at}`).toContain((error as { code?: string }).code);
      expect(existsSync(home) ? readdirSync(home) : [], `byte ${at}`).toEqual([]);
    }
  });

  it('is refused at every place where it was cut, at the ends of chunks too', async () => {
    const { bytes, start } = await sample();
    const chunk = CHUNK_BYTES + TAG_BYTES;
    for (const at of [0, 5, 14, 18, start - 1, start, start + 1, start + chunk, start + 2 * chunk, bytes.length - 1]) {
      const { error } = await attempt(bytes.subarray(0, at));
      expect(error, `${at} bytes`).toMatchObject({ code: 'bad-backup' });
    }
    expect((await attempt(Buffer.concat([bytes, Buffer.of(0)]))).error).toMatchObject({ code: 'bad-backup' });
  });

  it('is refused when chunks were swapped, left out or repeated', async () => {
    const { bytes, start } = await sample();
    const size = CHUNK_BYTES + TAG_BYTES;
    const [head, a, b] = [
      bytes.subarray(0, start),
      bytes.subarray(start, start + size),
      bytes.subarray(start + size, start + 2 * size),
    ];
    const rest = bytes.subarray(start + 2 * size);
    expect(rest.length).toBeGreaterThan(TAG_BYTES);
    for (const order of [
      [b, a, rest],
      [a, rest],
      [a, a, b, rest],
    ])
      expect((await attempt(Buffer.concat([head, ...order]))).error).toMatchObject({ code: 'bad-backup' });
    expect((await attempt(Buffer.concat([head, a, b, rest]))).error).toMatchObject({ placed: 7 });
  });

  /** A file that its owner's key opens, with any plaintext: what a thief of a key, or a bug, could write. */
  async function forged(plain: Uint8Array): Promise<Uint8Array> {
    const key = sha256('content key');
    const payload = await owner.encrypt(owner.pubkey, Buffer.from(key).toString('hex'));
    const header = utf8(
      JSON.stringify({ v: 1, createdAt: 1, pubkey: owner.pubkey, locks: [{ type: 'nip44', payload }] }),
    );
    const head = Buffer.concat([utf8('nmkt-backup 1\n'), u32be(header.length), header]);
    return Buffer.concat([head, sealChunk(key, sha256(head), 0, true, plain)]);
  }
  const part = (about: string, data = '') => Buffer.concat([u32be(about.length), utf8(about), utf8(data)]);
  const end = u32be(0);

  it.each<[string, Uint8Array]>([
    ['a path out of the home', Buffer.concat([part('{"name":"../key","size":1}', 'x'), end])],
    ['an absolute path', Buffer.concat([part('{"name":"/tmp/key","size":1}', 'x'), end])],
    ['a path out of a folder', Buffer.concat([part('{"name":"jobs/../../key","size":1}', 'x'), end])],
    ['the lock of the home', Buffer.concat([part('{"name":"lock","size":1}', 'x'), end])],
    ['a size beyond its end', Buffer.concat([part('{"name":"key","size":9007199254740991}', 'x'), end])],
    ['a negative size', Buffer.concat([part('{"name":"key","size":-1}', 'x'), end])],
    ['a name twice', Buffer.concat([part('{"name":"key","size":1}', 'x'), part('{"name":"key","size":1}', 'x'), end])],
    [
      'a file that is a folder',
      Buffer.concat([part('{"name":"jobs","size":1}', 'x'), part('{"name":"jobs/a","size":1}', 'x'), end]),
    ],
    ['a long name', u32be(0xffffffff)],
    ['an unknown field', Buffer.concat([part('{"name":"key","size":1,"mode":511}', 'x'), end])],
    ['no end', part('{"name":"key","size":1}', 'x')],
    ['more after its end', Buffer.concat([end, Buffer.of(1)])],
    ['nothing', Buffer.alloc(0)],
  ])('with %s is refused, also when it is sealed right', async (_, plain) => {
    const { error, home } = await attempt(await forged(plain));
    expect(error).toMatchObject({ code: 'bad-backup' });
    expect(readdirSync(home)).toEqual([]);
    expect(existsSync(join(home, '..', 'key'))).toBe(false);
  });

  it('cannot ask for more memory by its password than 256 MiB', async () => {
    const { bytes, start } = await sample();
    const header = JSON.parse(bytes.subarray(18, start).toString('utf8')) as { locks: object[] };
    header.locks.push({ type: 'scrypt', logN: 30, salt: 'ab'.repeat(32), sealed: 'cd'.repeat(48) });
    const text = utf8(JSON.stringify(header));
    const { error } = await attempt(
      Buffer.concat([bytes.subarray(0, 14), u32be(text.length), text, bytes.subarray(start)]),
    );
    expect(error).toMatchObject({ code: 'bad-backup' });
  });
});

describe('a name in a backup', () => {
  it.each([
    'key',
    'settings.json',
    `jobs/${JOB}/events.jsonl`,
    `jobs/${JOB}/model-${'ab'.repeat(32)}.safetensors`,
    `datasets/${'ab'.repeat(32)}.chunks`,
  ])('may be %s', (name) => expect(isBackupName(name)).toBe(true));

  it.each([
    ...[
      '',
      '.',
      '..',
      '/key',
      'a//b',
      'jobs/',
      './key',
      'jobs/../key',
      'C:key',
      'a\\b',
      'a b',
      'a\0',
      'key\n',
      '~',
      'Key',
    ],
    ...[
      'a/b/c/d',
      'con',
      'nul.json',
      'x.tmp',
      'lock',
      'lock.ab',
      'relay/x',
      'restored.json',
      'restoring/key',
      'a'.repeat(200),
    ],
  ])('may not be %j', (name) => expect(isBackupName(name)).toBe(false));
});
