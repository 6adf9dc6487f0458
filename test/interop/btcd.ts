import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { nodeProcess, until } from './lightning-process.js';
import { askPinned } from './pinned-https.js';
import { freePort } from './relay-programs.js';

/** A bitcoin node whose network is a simnet of its own: blocks come when they are asked for. */
export interface Btcd {
  /** Lines of a configuration of LND. */
  readonly settings: readonly string[];
  /** Whose coins the blocks make from now on. */
  restart(miningAddress: string): Promise<void>;
  /** @returns the height */
  mine(blocks: number): Promise<number>;
  kill(): Promise<void>;
}

/** @param program  path of btcd @param folder  empty, or not there yet */
export async function startBtcd(program: string, folder: string): Promise<Btcd> {
  mkdirSync(folder, { recursive: true });
  const [port, password] = [await freePort(), randomBytes(16).toString('hex')];
  const [config, certificate] = [join(folder, 'btcd.conf'), join(folder, 'rpc.cert')];
  const lines = [
    '[Application Options]',
    ...['simnet=1', 'nolisten=1', 'txindex=1', `rpclisten=127.0.0.1:${port}`, 'rpcuser=nmkt', `rpcpass=${password}`],
    ...[`datadir=${join(folder, 'data')}`, `logdir=${join(folder, 'logs')}`],
    ...[`rpccert=${certificate}`, `rpckey=${join(folder, 'rpc.key')}`],
  ];
  const write = (more: readonly string[]): void =>
    writeFileSync(config, [...lines, ...more, ''].join('\n'), { mode: 0o600 });
  const process = nodeProcess(program, [`--configfile=${config}`]);

  const call = async (method: string, params: readonly unknown[]): Promise<unknown> => {
    const authorization = `Basic ${Buffer.from(`nmkt:${password}`).toString('base64')}`;
    const server = { port, certificate: readFileSync(certificate, 'utf8'), headers: { authorization } };
    const body = { jsonrpc: '1.0', id: 1, method, params };
    for await (const answer of askPinned(server, { method: 'POST', path: '/', body }, AbortSignal.timeout(60_000))) {
      const { result, error } = answer as { result: unknown; error: { message: string } | null };
      if (error) throw new Error(`btcd ${method}: ${error.message}`);
      return result;
    }
    throw new Error(`btcd ended its answer to ${method}`);
  };
  const height = async (): Promise<number> => (await call('getblockcount', [])) as number;
  const start = async (): Promise<void> => {
    process.start();
    await until('btcd answers', async () => (await height()) >= 0);
  };

  write([]);
  await start();
  return {
    settings: [
      ...['[Btcd]', `btcd.rpchost=127.0.0.1:${port}`, 'btcd.rpcuser=nmkt', `btcd.rpcpass=${password}`],
      `btcd.rpccert=${certificate}`,
    ],
    async restart(miningAddress) {
      await process.kill();
      write([`miningaddr=${miningAddress}`]);
      await start();
    },
    async mine(blocks) {
      await call('generate', [blocks]);
      return height();
    },
    kill: () => process.kill(),
  };
}
