import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { networkInterfaces } from 'node:os';
import { WebSocketServer, type WebSocket } from 'ws';
import { NmktError } from '../errors.js';
import { OPEN, type Access } from './access.js';
import { provider } from '../secp/provider.js';
import { relayInformation } from './information.js';
import type { RelayLimits } from './admission.js';
import { Session, type RelayCore } from './protocol.js';
import { openLogStore } from './store-log.js';
import { memoryStore } from './store-memory.js';
import { SyncBudget } from './sync-sessions.js';
import { Traffic, type TrafficLimits } from './traffic.js';

/** A small relay for one machine or one team: durable, fast for chunks, and honest about its limits. */

export interface RelayOptions {
  /** 0 picks a free one. */
  readonly port: number;
  /** Loopback unless another address is given on purpose. */
  readonly host?: string;
  /** Folder of the event log; without one everything stays in memory. */
  readonly dir?: string;
  /** The name clients use when a proxy stands before this relay; NIP-42 signatures must name it. */
  readonly publicUrl?: string;
  readonly maxEventBytes?: number;
  readonly maxLimit?: number;
  readonly maxConnections?: number;
  /** Who may write and read, and how much; default: everyone. */
  readonly access?: Partial<Access>;
  /** Others than those above. */
  readonly limits?: Partial<RelayLimits>;
  readonly traffic?: Partial<TrafficLimits>;
  /** Unix seconds. */
  readonly nowSec?: () => number;
}

export interface RunningRelay {
  /** `ws://host:port` without a path. */
  readonly url: string;
  readonly port: number;
  /** Says goodbye to clients, finishes writes and frees port and folder; twice is once. */
  close(): Promise<void>;
}

const DEFAULTS: RelayLimits = {
  maxEventBytes: 131_072,
  maxTags: 2_000,
  maxTagValueChars: 1_024,
  maxSubscriptions: 200,
  maxSubscriptionIdChars: 64,
  maxFilters: 32,
  maxFilterValues: 2_000,
  maxLimit: 5_000,
  maxFutureSec: 900,
  maxMessagesPerSec: Infinity,
  maxSyncs: 8,
  maxSyncEvents: 100_000,
};
/** `["EVENT",...]` around an event, and white space some clients send. */
const FRAME_OVERHEAD_BYTES = 4_096;
const PING_MS = 30_000;
const GOODBYE_MS = 500;

/**
 * @throws NmktError `port-in-use`, `home-locked`, or `bad-settings` for an address this machine does not have, or an
 *         implementation of signatures that is not here
 */
export async function startRelay(options: RelayOptions): Promise<RunningRelay> {
  const { port, host = '127.0.0.1', dir, maxConnections = 1_000 } = options;
  provider(); // else every event would be refused for it
  const nowSec = options.nowSec ?? (() => Math.floor(Date.now() / 1000));
  const limits = {
    ...DEFAULTS,
    ...options.limits,
    maxEventBytes: options.maxEventBytes ?? DEFAULTS.maxEventBytes,
    maxLimit: options.maxLimit ?? DEFAULTS.maxLimit,
  };
  const access = { ...OPEN, ...options.access };
  const maxFrameBytes = limits.maxEventBytes + FRAME_OVERHEAD_BYTES;
  const information = relayInformation(limits, maxFrameBytes, access);
  const server = createServer((request, response) => answerHttp(request, response, information));
  const bound = await listen(server, port, host);
  try {
    const store = dir === undefined ? memoryStore(nowSec) : await openLogStore(dir, nowSec);
    const isOwnUrl = ownUrls(host, bound, options.publicUrl);
    const traffic = new Traffic(options.traffic);
    const core: RelayCore = {
      store,
      limits,
      access,
      nowSec,
      isOwnUrl,
      sessions: new Set(),
      syncBudget: new SyncBudget(),
      isBusy: () => traffic.isBusy,
    };
    const sockets = new WebSocketServer({ server, maxPayload: maxFrameBytes, perMessageDeflate: false });
    sockets.on('connection', (socket) => {
      if (sockets.clients.size > maxConnections) socket.close(1013, 'too many connections');
      else serve(core, socket, traffic);
    });
    const heartbeat = setInterval(() => {
      sockets.clients.forEach(probe);
      for (const session of core.sessions) void session.tend();
      void store.tend();
    }, PING_MS);
    let closing: Promise<void> | undefined;
    return {
      url: `ws://${host.includes(':') ? `[${host}]` : host}:${bound}`,
      port: bound,
      close: () => {
        clearInterval(heartbeat);
        closing ??= shutDown(server, sockets).then(() => store.close());
        return closing;
      },
    };
  } catch (error) {
    server.close();
    throw error;
  }
}

function serve(core: RelayCore, socket: WebSocket, traffic: Traffic): void {
  const send = traffic.sender(socket, () => alive.add(socket));
  const session = new Session(core, send, randomBytes(16).toString('hex'), () =>
    socket.close(1008, 'too many invalid events'),
  );
  alive.add(socket);
  socket.on('pong', () => alive.add(socket));
  traffic.receiver(socket, (message) => session.receive(message));
  socket.on('close', () => session.close());
  // A frame above maxPayload or broken UTF-8: ws closes the connection with the fitting code by itself.
  socket.on('error', () => {});
}

const alive = new WeakSet<WebSocket>();

/** A peer that vanished without a FIN never answers a ping. A slow one answers when it gets to it: what it takes counts. */
function probe(socket: WebSocket): void {
  if (!alive.delete(socket)) socket.terminate();
  else socket.ping();
}

function answerHttp(request: IncomingMessage, response: ServerResponse, information: object) {
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Allow-Headers', 'Accept');
  if (request.method === 'OPTIONS') return response.writeHead(204).end();
  if (!request.headers.accept?.includes('application/nostr+json')) {
    return response.writeHead(426, { 'Content-Type': 'text/plain' }).end('This is a Nostr relay: use a WebSocket.\n');
  }
  response.writeHead(200, { 'Content-Type': 'application/nostr+json' });
  return response.end(JSON.stringify(information));
}

/** The hosts under which clients may know us, with our port; and the public URL. */
function ownUrls(host: string, port: number, publicUrl: string | undefined): (url: string) => boolean {
  const isAny = host === '0.0.0.0' || host === '::';
  const addresses = isAny ? Object.values(networkInterfaces()).flatMap((list) => list ?? []) : [];
  const names = [host, '127.0.0.1', 'localhost', '::1', ...addresses.map(({ address }) => address)];
  const own = new Set(names.map((name) => `ws://${name.includes(':') ? `[${name}]` : name}:${port}/`));
  if (publicUrl !== undefined) own.add(new URL(publicUrl).href);
  return (url) => own.has(URL.canParse(url) ? new URL(url).href : '');
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(cause, port, host)));
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

function listenError(cause: NodeJS.ErrnoException, port: number, host: string): NmktError {
  if (cause.code === 'EADDRINUSE') {
    return new NmktError('port-in-use', `another process listens on port ${port}`, {
      remedy: 'name another with --port, or 0 for a free one',
      expected: `a free port on ${host}`,
      got: `${host}:${port} in use`,
      cause,
    });
  }
  return new NmktError('bad-settings', `cannot listen on ${host}:${port}`, {
    remedy: 'use a port above 1023 and an address of this machine: nmkt relay --host 127.0.0.1 --port 7447',
    expected: 'an address and port this process may listen on',
    got: cause.code ?? cause.message,
    cause,
  });
}

async function shutDown(server: Server, sockets: WebSocketServer): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of sockets.clients) socket.close(1001, 'relay is stopping');
  const deadline = setTimeout(() => sockets.clients.forEach((socket) => socket.terminate()), GOODBYE_MS);
  sockets.close();
  server.closeIdleConnections();
  await closed;
  clearTimeout(deadline);
}
