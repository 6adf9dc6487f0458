import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Filter, NostrEvent } from '../../../src/ports.js';
import { matcher } from '../../../src/relay/filter.js';

export interface Strictness {
  /** The answer to an event: text refuses, undefined stores, null says nothing. @param connection  from 1 */
  readonly onEvent?: (event: NostrEvent, loggedIn: boolean, connection: number) => string | undefined | null;
  readonly forgets?: (event: NostrEvent) => boolean;
  readonly challenges?: boolean;
  readonly login?: boolean;
  readonly maxPayload?: number;
  readonly onRequest?: (loggedIn: boolean) => string | undefined;
  readonly date?: string;
  /** Refuses without the id of the event. */
  readonly isNameless?: boolean;
  /** Does it keep to NIP-09? */
  readonly deletes?: boolean;
  /** Its NIP-11 document; none where it is absent. */
  readonly information?: () => Readonly<Record<string, unknown>>;
}

export interface StrictRelay {
  readonly url: string;
  readonly written: NostrEvent[];
  /** What it has. */
  readonly kept: () => readonly NostrEvent[];
  /** Who logged in, or tried to, and on which connection. */
  readonly logins: (readonly [connection: number, pubkey: string])[];
  readonly connections: () => number;
  /** Connections at present. */
  readonly open: () => number;
  /** Nobody answers at its address any more. */
  readonly close: () => Promise<void>;
}

/** A relay of a few lines that refuses what it is told to, and what it was sent. It checks nothing; ends with the test. */
export async function strictRelay(faults: Strictness): Promise<StrictRelay> {
  const http = createServer((_, response) =>
    faults.information === undefined
      ? response.writeHead(404).end()
      : response.end(JSON.stringify(faults.information())),
  ).listen(0, '127.0.0.1');
  const server = new WebSocketServer({ server: http, maxPayload: faults.maxPayload ?? 1e6 });
  const close = async (): Promise<void> => {
    for (const client of server.clients) client.terminate();
    server.close();
    await new Promise((closed) => http.close(closed));
  };
  onTestFinished(close);
  if (faults.date !== undefined) server.on('headers', (headers) => headers.push(`Date: ${faults.date}`));
  const written: NostrEvent[] = [];
  let kept: NostrEvent[] = [];
  const logins: StrictRelay['logins'] = [];
  let connections = 0;
  server.on('connection', (socket: WebSocket) => {
    const connection = ++connections;
    let loggedIn = false;
    const live = new Map<string, (event: NostrEvent) => boolean>();
    const say = (...message: unknown[]) => socket.send(JSON.stringify(message));
    if (faults.challenges) say('AUTH', 'who are you');
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      const [verb, first, ...rest] = JSON.parse(data.toString()) as [string, never, ...Filter[]];
      if (verb === 'AUTH') {
        logins.push([connection, (first as NostrEvent).pubkey]);
        loggedIn = faults.login === true;
        return say('OK', (first as NostrEvent).id, loggedIn, loggedIn ? '' : 'restricted: not you');
      }
      if (verb === 'REQ') {
        const problem = faults.onRequest?.(loggedIn);
        if (problem !== undefined) return say('CLOSED', first, problem);
        for (const event of kept.filter(matcher(rest))) say('EVENT', first, event);
        live.set(first, matcher(rest));
        return say('EOSE', first);
      }
      if (verb !== 'EVENT') return undefined;
      const event = first as NostrEvent;
      written.push(event);
      const answer = faults.onEvent?.(event, loggedIn, connection);
      if (answer === null) return undefined;
      if (answer === undefined && !faults.forgets?.(event)) {
        if (event.kind === 5 && faults.deletes)
          kept = kept.filter(({ id }) => !event.tags.some(([, one]) => one === id));
        if (event.kind < 20_000 || event.kind >= 30_000) kept.push(event);
        for (const [name, matches] of live) if (matches(event)) say('EVENT', name, event);
      }
      const named = answer !== undefined && faults.isNameless ? '' : event.id;
      return say('OK', named, answer === undefined, answer ?? '');
    });
  });
  await new Promise((listening) => http.once('listening', listening));
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return {
    url,
    written,
    kept: () => kept,
    logins,
    connections: () => connections,
    open: () => server.clients.size,
    close,
  };
}
