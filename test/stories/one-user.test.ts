import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runJson, startSandbox, startStream, type Stream } from '../support/story.js';

/** A home, a sandbox's folder and a relay's folder have one process each; what a dead one left behind blocks nobody. */

const isReady = ({ event }: Record<string, unknown>) => event === 'ready';

async function hasOneUser(folder: string, args: readonly string[], first: Stream): Promise<void> {
  const lock = join(folder, 'lock');
  const second = await runJson(args);
  expect(second.status, second.stderr).toBe(5);
  const got = `pid ${first.child.pid}`;
  expect(second.document).toMatchObject({
    error: {
      code: 'home-locked',
      message: expect.stringContaining(got) as string,
      expected: expect.stringContaining(lock) as string,
      got,
    },
  });
  expect(first.child.exitCode).toBeNull();

  first.child.kill('SIGKILL');
  await first.end;
  const left = JSON.parse(readFileSync(lock, 'utf8')) as { pid: number; start: string };
  expect(left.pid).toBe(first.child.pid);
  const third = startStream(args);
  await third.event(isReady);
  third.child.kill('SIGKILL');
  await third.end;

  // The dead one's pid runs again: it is this test's.
  writeFileSync(lock, JSON.stringify({ ...left, pid: process.pid }));
  const fourth = startStream(args);
  await fourth.event(isReady);
  expect(JSON.parse(readFileSync(lock, 'utf8'))).toMatchObject({ pid: fourth.child.pid });
  fourth.child.kill('SIGKILL');
  await fourth.end;
}

it('a second process is told the pid of the first; the lock of a dead one is taken over, also when its pid runs again', async () => {
  const sandbox = await startSandbox(1);
  const serve = ['serve-trainer', ...sandbox.as('trainer-1'), '--price', '1'];
  const trainer = startStream(serve);
  await trainer.event(isReady);
  await hasOneUser(join(sandbox.folder, 'trainer-1'), serve, trainer);

  const relayFolder = join(sandbox.folder, 'relay');
  const relay = ['relay', '--port', '0', '--dir', relayFolder];
  const first = startStream(relay);
  await first.event(isReady);
  await hasOneUser(relayFolder, relay, first);

  await hasOneUser(sandbox.dir, ['sandbox', '--dir', sandbox.dir, '--trainers', '1'], sandbox.stream);
});
