import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nip19 } from 'nostr-tools';
import { expect, it } from 'vitest';
import { finished, runNmkt, startNmkt, temporaryFolder, waitForEvent } from '../support/run-nmkt.js';
import { note, poolForTest, pubkeyOf } from './samples.js';

const isReady = ({ event }: Record<string, unknown>) => event === 'ready';

it('prints one ready line, serves, survives kill -9 without losing an acknowledged event, and stops on SIGTERM', async () => {
  const dir = temporaryFolder();
  const args = ['relay', '--port', '0', '--dir', dir, '--json'];
  const first = startNmkt(args);
  const ready = await waitForEvent(first, isReady);
  expect(ready).toMatchObject({ event: 'ready', dir, pid: first.pid });
  const event = note('alice', { created_at: Math.floor(Date.now() / 1000) });
  expect(await poolForTest([ready['relay'] as string]).publish(event)).toMatchObject([{ state: 'stored' }]);
  const killed = finished(first);
  first.kill('SIGKILL');
  await killed;

  const second = startNmkt(args);
  const ended = finished(second);
  const { relay } = await waitForEvent(second, isReady);
  expect((await poolForTest([relay as string]).fetch([{}])).events).toEqual([event]);
  second.kill('SIGTERM');
  expect(await ended).toMatchObject({ status: 0, signal: null });
});

it('keeps nothing on disk with --memory', async () => {
  const child = startNmkt(['relay', '--port', '0', '--memory', '--json']);
  const ended = finished(child);
  expect(await waitForEvent(child, isReady)).toMatchObject({ dir: null });
  child.kill('SIGINT');
  expect((await ended).status).toBe(0);
});

it.each([
  [['--port', '70000'], '--port 70000 is not a port'],
  [['--port', 'x'], '--port x is not a port'],
  [['--dir', 'a', '--memory'], '--dir and --memory contradict each other'],
])('refuses %j with status 2', async (flags, message) => {
  const { status, stderr } = await runNmkt(['relay', ...flags]);
  expect(status).toBe(2);
  expect(stderr).toContain(message);
});

it('does not start with an implementation of signatures that is not here: it would refuse every event', async () => {
  const { status, stderr } = await runNmkt(['relay', '--port', '0', '--memory'], { env: { NMKT_SCHNORR: 'none' } });
  expect(status).toBe(2);
  expect(stderr).toContain('code: bad-settings');
});

it('reads --allow-file again on SIGHUP, and keeps the keys of before when it cannot', async () => {
  const dir = temporaryFolder();
  const file = join(dir, 'keys');
  writeFileSync(file, `# the laboratory\n${nip19.npubEncode(pubkeyOf('alice'))} # Alice\n`);
  const child = startNmkt(['relay', '--port', '0', '--memory', '--allow-file', file, '--json']);
  const { relay } = await waitForEvent(child, isReady);
  const pool = poolForTest([relay as string]);
  const at = Math.floor(Date.now() / 1000);
  const publish = async (name: string, content: string) =>
    (await pool.publish(note(name, { content, created_at: at }))).map(({ state }) => state);
  expect([await publish('alice', '1'), await publish('bob', '1')]).toEqual([['stored'], ['refused']]);
  appendFileSync(file, pubkeyOf('bob'));
  const reread = waitForEvent(child, ({ event }) => event === 'allowed');
  child.kill('SIGHUP');
  expect(await reread).toMatchObject({ keys: 2 });
  expect(await publish('bob', '1')).toEqual(['stored']);
  writeFileSync(file, 'nonsense');
  const warned = new Promise<string>((done) => child.stderr?.once('data', (text: Buffer) => done(text.toString())));
  child.kill('SIGHUP');
  expect(await warned).toMatch(/in line 1; the keys of before stay/);
  expect(await publish('bob', '2')).toEqual(['stored']);
});
