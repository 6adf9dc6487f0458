import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { finished, isolatedEnv, temporaryFolder, type RunResult } from '../support/run-nmkt.js';

const dist = (file: string): string => JSON.stringify(pathToFileURL(resolve('dist', file)).href);

/** Runs one made-up command through the real cli, deps and output, in a process of its own. */
async function runBody(
  body: string,
  options: { flags?: object; env?: Record<string, string> } = {},
): Promise<RunResult> {
  const flags = { json: false, quiet: false, color: true, ...options.flags };
  const code = `
    import { createOutput, sendConsoleToStderr } from ${dist('terminal/output.js')};
    import { failWith } from ${dist('cli.js')};
    import { runCommand } from ${dist('run-command.js')};
    import { NmktError } from ${dist('errors.js')};
    const output = createOutput({ ...${JSON.stringify(flags)}, env: process.env });
    sendConsoleToStderr();
    const run = async (args, options, context) => { ${body} };
    try {
      process.exitCode = await runCommand({ configure() {}, run }, [], ${JSON.stringify(flags)}, output);
    } catch (error) {
      process.exitCode = failWith(error, output);
    }`;
  const folder = temporaryFolder();
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    cwd: folder,
    env: isolatedEnv(folder, options.env),
  });
  return finished(child);
}

describe('how a command ends', () => {
  it('an error with a result: both in one document, the status of the error', async () => {
    const body = `throw new NmktError('accuracy-too-low', 'the model reaches 0.91', {
      remedy: 'train for more rounds', expected: '0.93', got: '0.91', value: { value: { accuracy: 0.91 }, text: 'accuracy 0.91' } });`;
    const json = await runBody(body, { flags: { json: true } });
    expect(json.status).toBe(4);
    expect(JSON.parse(json.stdout)).toEqual({
      accuracy: 0.91,
      error: {
        code: 'accuracy-too-low',
        message: 'the model reaches 0.91',
        expected: '0.93',
        got: '0.91',
        remedy: 'train for more rounds',
      },
    });
    const human = await runBody(body);
    expect(human.stdout).toBe('accuracy 0.91\n');
    expect(human.stderr).toBe(
      'error: the model reaches 0.91\n  expected 0.93, got 0.91\n  try:  train for more rounds\n  code: accuracy-too-low\n',
    );
  });

  it('an unexpected exception: internal-error, its stack only with NMKT_DEBUG', async () => {
    const plain = await runBody(`throw new TypeError('undefined is no function');`);
    expect(plain.status).toBe(1);
    expect(plain.stderr).toContain('code: internal-error');
    expect(plain.stderr).not.toMatch(/^\s+at /m);
    const debug = await runBody(`throw new TypeError('x', { cause: new Error('the cause') });`, {
      env: { NMKT_DEBUG: '1' },
    });
    expect(debug.stderr).toMatch(/^\s+at /m);
    expect(debug.stderr).toContain('caused by Error: the cause');
  });

  it('partly done: the value and status 7', async () => {
    const { status, stdout } = await runBody(`return { value: { done: 2, failed: 1 }, exit: 7 };`, {
      flags: { json: true },
    });
    expect([status, stdout]).toEqual([7, '{"done":2,"failed":1}\n']);
  });

  it('interrupted: a command that cannot finish ends with 130', async () => {
    const body = `const work = setInterval(() => {}, 1000);
      process.kill(process.pid, 'SIGINT');
      await new Promise((done) => context.signal.addEventListener('abort', done));
      clearInterval(work);
      throw new Error('socket closed');`;
    const { status, stderr } = await runBody(body);
    expect(status).toBe(130);
    expect(stderr).toContain('code: interrupted');
  });

  it('killed: by the second signal, at once', async () => {
    const body = `setInterval(() => {}, 1000);
      context.signal.addEventListener('abort', () => process.kill(process.pid, 'SIGTERM'));
      process.kill(process.pid, 'SIGTERM');
      await new Promise(() => {});`;
    expect(await runBody(body)).toMatchObject({ status: null, signal: 'SIGTERM' });
  });

  it('libraries that chat on the console do not reach stdout, and secrets reach nothing', async () => {
    const secret = 'e'.repeat(64);
    const { stdout, stderr } = await runBody(
      `console.info('NOTICE'); console.debug('wallet ${secret}');
       context.emit({ event: 'x', note: 'nostr+walletconnect://a?secret=${secret}' }, 'x');
       throw new NmktError('internal-error', 'key ${secret}', { remedy: 'none' });`,
      { flags: { json: true }, env: { NMKT_KEY: secret } },
    );
    expect(stderr).toContain('NOTICE');
    expect(stdout).not.toContain('NOTICE');
    expect(stdout + stderr).not.toContain(secret);
  });

  it('msat above 2^53 - 1: refused with --json instead of rounded', async () => {
    const { status, stdout } = await runBody(`return { value: { msat: 2n ** 53n } };`, { flags: { json: true } });
    expect(status).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'too-large', got: '9007199254740992' } });
  });
});

describe('what a command gets', () => {
  it('a key made on demand: once, private, and said on stderr', async () => {
    const body = `const none = await context.deps.signer({ create: false });
      const made = await context.deps.signer({ create: true });
      const again = await context.deps.signer({ create: true });
      const { readFileSync, statSync } = await import('node:fs');
      const file = context.deps.home().path('key');
      return { value: { none: none ?? null, same: made === again, mode: statSync(file).mode & 0o777,
        isKey: readFileSync(file, 'utf8').startsWith('nsec1') } };`;
    const { stdout, stderr } = await runBody(body, { flags: { json: true } });
    expect(JSON.parse(stdout)).toEqual({ none: null, same: true, mode: 0o600, isKey: true });
    expect(stderr).toMatch(/^made a new key in .*: npub1\w+\n$/);
  });

  it('relays of the settings, or an error that says where to set them', async () => {
    const { status, stderr } = await runBody(`await context.deps.relays(); return {};`);
    expect(status).toBe(2);
    expect(stderr).toContain('add --relay wss://');
  });

  it('relays and an embedded relay that work together, and a process that ends by itself', async () => {
    const body = `const relay = await context.deps.startRelay({ port: 0 });
      const signer = await context.deps.signer({ create: true });
      const pool = await context.deps.relays([relay.url]);
      const event = await signer.sign({ kind: 1, tags: [], content: 'hello', created_at: context.deps.clock.nowSec() });
      const [outcome] = await pool.publish(event);
      const { events } = await pool.fetch([{ ids: [event.id] }]);
      return { value: { state: outcome.state, same: events[0]?.id === event.id, wallet: await context.deps.wallet() } };`;
    const { status, stdout } = await runBody(body, { flags: { json: true } });
    expect([status, stdout]).toEqual([0, '{"state":"stored","same":true,"wallet":null}\n']);
  });
});
