import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { matcher, newestFirst } from '../../../src/relay/filter.js';
import type { Filter, NostrEvent } from '../../../src/ports.js';
import type { RelayFault } from './relay-faults.js';

export interface FaultyRelay {
  readonly url: string;
  /** What it really has. */
  stored(): readonly NostrEvent[];
  close(): Promise<void>;
}

/** A relay on loopback that misbehaves as it is told; it checks nothing and never asks for a login. */
export async function startFaultyRelay(fault: RelayFault): Promise<FaultyRelay> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((done) => server.once('listening', done));
  const stored = new Map<string, NostrEvent>();
  const listeners = new Set<(event: NostrEvent) => void>();
  const timers = new Set<NodeJS.Timeout>();

  const later = (delayMs: number, act: () => void): void => {
    if (delayMs === 0) return act();
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, delayMs);
    timers.add(timer);
  };

  server.on('connection', (socket) => {
    const subscriptions = new Map<string, (event: NostrEvent) => boolean>();
    const hear = (event: NostrEvent): void => {
      for (const [id, matches] of subscriptions) if (matches(event)) say(socket, ['EVENT', id, event]);
    };
    if (fault.passesOn) listeners.add(hear);
    socket.on('close', () => listeners.delete(hear));
    socket.on('error', () => undefined);

    const take = (event: NostrEvent): void => {
      const { keep, say: what, delayMs = 0 } = fault.take(event);
      later(delayMs, () => {
        if (keep) stored.set(event.id, event);
        if (what === 'drop') return socket.terminate();
        if (what === 'ok') say(socket, ['OK', event.id, true, '']);
        for (const listener of listeners) listener(event);
      });
    };
    const answer = (id: string, filters: readonly Filter[]): void => {
      const all = [...stored.values()];
      const { events, end, delayMs = 0 } = fault.answer(filters, all.filter(matcher(filters)).sort(newestFirst), all);
      subscriptions.set(id, matcher(filters));
      later(delayMs, () => {
        if (end === 'eose-first') say(socket, ['EOSE', id]);
        if (end === 'half') return sayHalf(socket, ['EVENT', id, events[0] ?? {}]);
        for (const event of events) say(socket, ['EVENT', id, event]);
        if (end === 'eose') say(socket, ['EOSE', id]);
        if (end === 'closed') say(socket, ['CLOSED', id, 'restricted: come back another day']);
        if (end === 'drop') socket.terminate();
      });
    };
    socket.on('message', (data: Buffer) => {
      const [verb, first, ...rest] = JSON.parse(data.toString()) as [string, never, ...never[]];
      if (verb === 'EVENT') take(first);
      else if (verb === 'REQ') answer(first, rest);
      else if (verb === 'CLOSE') subscriptions.delete(first);
    });
  });

  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stored: () => [...stored.values()],
    async close() {
      for (const timer of timers) clearTimeout(timer);
      for (const client of server.clients) client.terminate();
      await new Promise((done) => server.close(done));
    },
  };
}

function say(socket: WebSocket, message: unknown): void {
  socket.send(JSON.stringify(message));
}

/** The first half of a text frame (RFC 6455, 5.2) that promises more than it brings, and then nothing. */
function sayHalf(socket: WebSocket, message: unknown): void {
  const text = Buffer.from(JSON.stringify(message));
  const head = Buffer.from([0x81, 126, text.length >> 8, text.length & 0xff]);
  const { _socket: raw } = socket as unknown as { readonly _socket: { write(bytes: Buffer, done: () => void): void } };
  raw.write(Buffer.concat([head, text.subarray(0, text.length / 2)]), () => socket.terminate());
}
