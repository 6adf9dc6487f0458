import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { nak, nostrRelay, nostrRsRelay, type Program } from './programs.js';

/** Relays of other people, with the settings they come with: only port, address and place of the store are ours. */
export interface RelayProgram {
  readonly name: string;
  readonly install: () => Promise<Program>;
  /** Writes what it needs into the empty folder it will run in. @returns its arguments and environment */
  readonly prepare: (
    folder: string,
    port: number,
  ) => { readonly words: readonly string[]; readonly env?: Readonly<Record<string, string>> };
}

/** @param limits  lines of that part of its configuration, TOML */
export function rust(name = 'nostr-rs-relay', limits: readonly string[] = []): RelayProgram {
  return {
    name,
    install: nostrRsRelay,
    prepare(folder, port) {
      const config = join(folder, 'config.toml');
      const lines = ['[network]', 'address = "127.0.0.1"', `port = ${port}`, '[limits]', ...limits];
      writeFileSync(config, `${lines.join('\n')}\n`);
      return { words: ['--config', config, '--db', folder] };
    },
  };
}

export const khatru: RelayProgram = {
  name: 'nak serve',
  install: nak,
  prepare: (_folder, port) => ({ words: ['serve', '--hostname', '127.0.0.1', '--port', String(port)] }),
};

/** @param more  lines of its configuration, YAML */
export function python(more: readonly string[] = []): RelayProgram {
  return {
    name: 'nostr-relay',
    install: nostrRelay,
    prepare(folder, port) {
      const config = join(folder, 'config.yaml');
      // A file of settings replaces the one it comes with: store and checks are repeated from there.
      const checks = ['is_not_too_large', 'is_signed', 'is_recent', 'is_not_hellthread'];
      const lines = [
        'storage:',
        `  sqlalchemy.url: sqlite+aiosqlite:///${join(folder, 'nostr.sqlite3')}`,
        '  num_concurrent_reqs: 10',
        '  num_concurrent_adds: 2',
        '  validators:',
        ...checks.map((check) => `    - nostr_relay.validators.${check}`),
        'gunicorn:',
        `  bind: 127.0.0.1:${port}`,
        '  workers: 1',
        'subscription_limit: 32',
        'max_limit: 6000',
        'hellthread_limit: 100',
        ...more,
      ];
      writeFileSync(config, `${lines.join('\n')}\n`);
      return { words: ['--config', config, 'serve'] };
    },
  };
}

/** Runs until the test ends. @returns its URL, when something listens there */
export async function startRelayProgram(relay: RelayProgram, program: string, folder: string): Promise<string> {
  mkdirSync(folder);
  const port = await freePort();
  const { words, env } = relay.prepare(folder, port);
  const child = spawn(program, words, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // with its workers, of which it is the leader
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)));
  const end = new Promise<never>((_done, fail) => {
    child.once('error', fail);
    child.once('exit', (status) => fail(new Error(`${relay.name} ended (${status}): ${said}`)));
  });
  end.catch(() => undefined);
  onTestFinished(() => {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  });
  await Promise.race([listening(port), end]);
  return `ws://127.0.0.1:${port}`;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** Resolves when something accepts connections there; the test's own limit ends the wait. */
export async function listening(port: number): Promise<void> {
  const isOpen = await new Promise<boolean>((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => done(true)).once('error', () => done(false));
    socket.once('close', () => undefined).once('connect', () => socket.destroy());
  });
  if (isOpen) return;
  await new Promise((done) => setImmediate(done));
  return listening(port);
}
