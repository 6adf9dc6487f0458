import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import WebSocket, { WebSocketServer } from 'ws';
import { sha256 } from '../../../src/hash.js';

/** Networks that are far away, or lose messages, between a client and a relay on loopback. */

export interface Proxy {
  /** Where the relay behind it is found. */
  readonly url: string;
  close(): Promise<void>;
}

/** Every byte takes `delayMs` each way; bandwidth is that of the machine. */
export async function startDelay(
  targetUrl: string,
  delayMs: number,
): Promise<Proxy & { readonly connections: () => number }> {
  const port = Number(new URL(targetUrl).port);
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((near) => {
    connections++;
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.setNoDelay(true);
      from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), delayMs));
      from.on('end', () => setTimeout(() => to.end(), delayMs));
      from.on('error', () => to.destroy());
      from.on('close', () => open.delete(from));
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

/** Drops a share of the messages, each way, the same ones for one seed and one order. */
export async function startLoss(
  targetUrl: string,
  share: number,
  seed = 'loss',
): Promise<Proxy & { readonly dropped: () => number }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await new Promise((done) => server.once('listening', done));
  let drawn = 0;
  let dropped = 0;
  const isLost = (): boolean => {
    const isOne = Buffer.from(sha256(`${seed} ${drawn++}`)).readUInt32LE() / 2 ** 32 < share;
    if (isOne) dropped++;
    return isOne;
  };
  server.on('connection', (near) => {
    const far = new WebSocket(targetUrl, { perMessageDeflate: false });
    const waiting: Buffer[] = [];
    near.on('message', (data: Buffer) => {
      if (isLost()) return;
      if (far.readyState === WebSocket.OPEN) far.send(data, { binary: false });
      else waiting.push(data);
    });
    far.on('open', () => waiting.splice(0).forEach((data) => far.send(data, { binary: false })));
    far.on('message', (data: Buffer) => isLost() || near.send(data, { binary: false }));
    near.on('close', () => far.terminate());
    far.on('close', () => near.terminate());
    near.on('error', () => undefined);
    far.on('error', () => undefined);
  });
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dropped: () => dropped,
    close: async () => {
      for (const client of server.clients) client.terminate();
      await new Promise((done) => server.close(done));
    },
  };
}
