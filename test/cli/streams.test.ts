import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  binary,
  finished,
  isolatedEnv,
  runNmkt,
  startNmkt,
  temporaryFolder,
  waitForEvent,
} from '../support/run-nmkt.js';

describe('a command that serves', () => {
  it('prints one JSON object per line and nothing else on stdout', async () => {
    const relay = startNmkt(['relay', '--port', '0', '--memory', '--json']);
    const ready = await waitForEvent(relay, ({ event }) => event === 'ready');
    expect(ready).toMatchObject({ relay: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+$/), pid: relay.pid });
    const end = finished(relay);
    relay.kill('SIGTERM');
    expect(await end).toMatchObject({ status: 0, stdout: '', signal: null });
  });

  it('ends with status 0 on SIGINT and says that it stops', async () => {
    const relay = startNmkt(['relay', '--port', '0', '--memory', '--json']);
    await waitForEvent(relay, ({ event }) => event === 'ready');
    const end = finished(relay);
    relay.kill('SIGINT');
    expect(await end).toMatchObject({ status: 0, stderr: 'stopping; once more stops at once\n' });
  });

  it('goes on when the reader of its first line has left', async () => {
    const folder = temporaryFolder();
    const script =
      '"$1" "$2" relay --port 0 --memory --json > >(head -n 1) & child=$!; read -r; kill "$child"; wait "$child"';
    const shell = spawn('bash', ['-c', script, 'bash', process.execPath, binary], {
      cwd: folder,
      env: isolatedEnv(folder),
    });
    const [first] = (await once(shell.stdout, 'data')) as [Buffer];
    expect(JSON.parse(first.toString())).toMatchObject({ event: 'ready' });
    const end = finished(shell);
    shell.stdin.end('stop\n');
    expect(await end).toMatchObject({ status: 0, stderr: 'stopping; once more stops at once\n' });
  });

  it('uses a home that another process holds only after that one ends', async () => {
    const folder = temporaryFolder();
    const args = ['relay', '--port', '0', '--dir', 'events', '--json'];
    const first = startNmkt(args, { cwd: folder });
    await waitForEvent(first, ({ event }) => event === 'ready');
    const second = await finished(startNmkt(args, { cwd: folder }));
    expect(second.status).toBe(5);
    expect(JSON.parse(second.stdout)).toMatchObject({ error: { code: 'home-locked' } });

    const gone = once(first, 'close');
    first.kill('SIGKILL');
    await gone;
    const third = startNmkt(args, { cwd: folder });
    await waitForEvent(third, ({ event }) => event === 'ready');
  });
});

describe('warnings of Node.js', () => {
  const script = `process.once('beforeExit', () => {
    process.emitWarning('new here', 'ExperimentalWarning');
    process.emitWarning('old here', 'DeprecationWarning');
    process.emitWarning('odd here');
  });`;
  const options = (env: Record<string, string>) => ({
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}`, ...env },
  });

  it('do not reach who runs a command', async () => {
    const { status, stderr } = await runNmkt(['whoami', '--json'], options({}));
    expect([status, stderr]).toEqual([0, expect.not.stringContaining(' here')]);
  });

  it('reach who looks for a bug', async () => {
    const { status, stderr } = await runNmkt(['whoami', '--json'], options({ NMKT_DEBUG: '1' }));
    expect(status).toBe(0);
    for (const text of ['new here', 'old here', 'odd here']) expect(stderr).toContain(text);
  });
});

describe('a reader that has left before the first word', () => {
  it.each([
    { words: ['--help'], wanted: 0 },
    { words: ['post-job', '--print-defaults', '--json'], wanted: 0 },
    { words: ['whoami', 'surplus', '--json'], wanted: 2 },
  ])('changes nothing about the status of nmkt $words', async ({ words, wanted }) => {
    const folder = temporaryFolder();
    // `true` is gone before Node.js has started.
    const script = '"$@" | true; exit "${PIPESTATUS[0]}"';
    const shell = spawn('bash', ['-c', script, 'bash', process.execPath, binary, ...words], {
      cwd: folder,
      env: isolatedEnv(folder),
    });
    expect(await finished(shell)).toMatchObject({
      status: wanted,
      stderr: expect.not.stringContaining('EPIPE') as string,
    });
  });
});
