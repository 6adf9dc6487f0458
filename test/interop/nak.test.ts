import { spawn, spawnSync } from 'node:child_process';
import { createServer, connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { localSigner } from '../../src/relay/signer.js';
import { connectRelays } from '../../src/relay/pool.js';
import { startRelay } from '../../src/relay/embedded.js';

/** `nak`, by the author of NIP-01 (github.com/fiatjaf/nak): a relay (`nak serve`) and a client that are not ours. */
const version = 'v0.20.6';
const secret = new Uint8Array(32).fill(7);

let nak: string | undefined;
let whyNot = '';

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'nmkt-nak-'));
  const env = { ...process.env, GOBIN: folder };
  const { status, error, stderr } = spawnSync('go', ['install', `github.com/fiatjaf/nak@${version}`], {
    env,
    encoding: 'utf8',
    timeout: 540_000,
  });
  if (status === 0) nak = join(folder, 'nak');
  else if (error?.message.includes('ENOENT')) whyNot = 'go is not installed';
  else whyNot = `go install of nak ${version} failed: ${stderr.trim().split('\n').at(-1) ?? error?.message ?? ''}`;
  return () => rmSync(folder, { recursive: true, force: true });
});

/** The path of nak, or the end of the test with a line that says why. */
function requireNak(context: TestContext): string {
  if (nak !== undefined) return nak;
  console.log(`SKIP ${context.task.name}: ${whyNot}`);
  return context.skip(whyNot);
}

describe('nak', () => {
  it('serves as a relay: an event published there comes back equal, by id and by tag', async (context) => {
    const program = requireNak(context);
    const port = await freePort();
    const relay = spawn(program, ['serve', '--hostname', '127.0.0.1', '--port', String(port)], { stdio: 'ignore' });
    onTestFinished(() => void relay.kill('SIGKILL'));
    await listening(port);

    const pool = connectRelays([`ws://127.0.0.1:${port}`], { network: 'sandbox' });
    const event = await localSigner(secret).sign({
      kind: 1,
      tags: [['t', 'nmkt-interop']],
      content: 'from nmkt',
      created_at: Math.floor(Date.now() / 1000),
    });
    expect((await pool.publish(event)).map(({ state }) => state)).toEqual(['stored']);
    expect((await pool.fetch([{ ids: [event.id] }])).events).toEqual([event]);
    expect((await pool.fetch([{ '#t': ['nmkt-interop'], authors: [event.pubkey] }])).events).toEqual([event]);
    await pool.close();
  });

  it('is a client of the embedded relay: what it publishes, it and we can read', async (context) => {
    const program = requireNak(context);
    const relay = await startRelay({ port: 0 });
    const sec = Buffer.from(secret).toString('hex');
    const published = spawnSync(program, ['event', '--sec', sec, '-k', '1', '-c', 'from nak', relay.url], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    const { id } = JSON.parse(published.stdout) as { id: string };
    const pool = connectRelays([relay.url], { network: 'sandbox' });
    expect((await pool.fetch([{ ids: [id] }])).events).toMatchObject([{ id, content: 'from nak' }]);
    await pool.close();
    await relay.close();
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** Resolves when something accepts connections there; the test's own limit ends the wait. */
async function listening(port: number): Promise<void> {
  const isOpen = await new Promise<boolean>((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => done(true)).once('error', () => done(false));
    socket.once('close', () => undefined).once('connect', () => socket.destroy());
  });
  if (isOpen) return;
  await new Promise((done) => setImmediate(done));
  return listening(port);
}
