import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Btcd } from './btcd.js';
import { nodeProcess, until } from './lightning-process.js';
import { connectLnd, type LndMessage, type LndRest } from './lnd-rest.js';
import { freePort } from './relay-programs.js';

export interface Lnd {
  readonly alias: string;
  /** Where other nodes find it. */
  readonly host: string;
  readonly rest: LndRest;
  /** Resolves when it answers; with a chain that has blocks of today, `isSynced` says whether it is ready to pay. */
  start(): Promise<void>;
  isSynced(): Promise<boolean>;
  pubkey(): Promise<string>;
  height(): Promise<number>;
  kill(): Promise<void>;
}

/** A node of its own in its own folder, with the defaults it comes with but for network, chain and addresses. */
export async function startLnd(program: string, folder: string, alias: string, chain: Btcd): Promise<Lnd> {
  mkdirSync(folder, { recursive: true });
  const [port, rpcPort, restPort] = [await freePort(), await freePort(), await freePort()];
  const host = `127.0.0.1:${port}`;
  const lines = [
    '[Application Options]',
    ...['noseedbackup=1', 'nobootstrap=1', `alias=${alias}`, `listen=${host}`],
    ...[`rpclisten=127.0.0.1:${rpcPort}`, `restlisten=127.0.0.1:${restPort}`],
    ...['[Bitcoin]', 'bitcoin.simnet=1', 'bitcoin.node=btcd', ...chain.settings, ''],
  ];
  writeFileSync(join(folder, 'lnd.conf'), lines.join('\n'), { mode: 0o600 });
  const process = nodeProcess(program, [`--lnddir=${folder}`]);
  const [certificate, macaroon] = [
    join(folder, 'tls.cert'),
    join(folder, 'data', 'chain', 'bitcoin', 'simnet', 'admin.macaroon'),
  ];

  process.start();
  // It makes its keys when it first runs: what is read before they are whole lets nobody in.
  const rest = await until(`${alias} answers`, async () => {
    const opened = connectLnd({
      port: restPort,
      certificate: readFileSync(certificate, 'utf8'),
      headers: { 'Grpc-Metadata-macaroon': readFileSync(macaroon).toString('hex') },
    });
    await opened.get('/v1/getinfo');
    return opened;
  });
  const info = (): Promise<LndMessage> => rest.get('/v1/getinfo');
  return {
    alias,
    host,
    rest,
    async start() {
      process.start();
      await until(`${alias} answers`, info);
    },
    isSynced: async () => (await info())['synced_to_chain'] === true,
    pubkey: async () => String((await info())['identity_pubkey']),
    height: async () => Number((await info())['block_height']),
    kill: () => process.kill(),
  };
}
