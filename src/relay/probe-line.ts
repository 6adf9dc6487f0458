import type { IncomingMessage } from 'node:http';
import WebSocket from 'ws';
import type { Filter, NostrEvent, Signer } from '../ports.js';
import { CLIENT_AUTH } from './kinds.js';
import { messageOf, parseMessage } from './message.js';
import { lookupFor } from './relay-url.js';
import { MAX_FRAME_BYTES } from './socket.js';

/** One plain connection that shows what the pool smooths over: challenges, refusals for now, silence. */

export interface Answer {
  readonly state: 'stored' | 'refused' | 'silent';
  readonly message: string;
}

export interface ReadAnswer {
  readonly ids: ReadonlySet<string>;
  readonly state: 'answered' | 'refused' | 'silent';
  readonly message: string;
}

export interface ProbeLine {
  /** By the HTTP `Date` of the upgrade; null without one. Unix milliseconds. */
  readonly dateMs: number | null;
  isOpen(): boolean;
  /** Did the relay send a NIP-42 challenge so far? */
  isChallenged(): boolean;
  /** Every message in which the relay asked to go slower. */
  readonly slower: readonly string[];
  publish(event: NostrEvent): Promise<Answer>;
  /** The ids that came before EOSE; `message` is why there were none. */
  read(filter: Filter): Promise<ReadAnswer>;
  /** Is the event delivered to a subscription that was there before it was published? */
  listen(id: string): { readonly came: Promise<boolean> };
  login(signer: Signer, nowSec: number): Promise<boolean>;
  close(): void;
}

/** How the message of an answer begins that the end of the connection came instead of. */
export const HUNG_UP = 'it closed the connection';

/** @returns the line, or why there is none */
export function openProbeLine(url: string, timeoutMs: number): Promise<ProbeLine | string> {
  return new Promise((resolve) => {
    const lookup = lookupFor(url);
    const socket = new WebSocket(url, {
      handshakeTimeout: timeoutMs,
      maxPayload: MAX_FRAME_BYTES,
      ...(lookup && { lookup }),
    });
    let dateMs: number | null = null;
    const readDate = ({ headers }: IncomingMessage) => {
      const at = Date.parse(headers.date ?? '');
      if (!Number.isNaN(at)) dateMs = at;
    };
    socket.on('upgrade', readDate);
    socket.on('unexpected-response', (_request, response) => {
      resolve(`HTTP status ${response.statusCode}`);
      socket.terminate();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('open', () => resolve(lineOver(socket, url, dateMs, timeoutMs)));
  });
}

function lineOver(socket: WebSocket, url: string, dateMs: number | null, timeoutMs: number): ProbeLine {
  const oks = new Map<string, (answer: Answer) => void>();
  const requests = new Map<string, { onEvent(id: string): void; onEnd(isEose: boolean, message: string): void }>();
  const slower: string[] = [];
  let challenge: string | undefined;
  let next = 0;
  /** What it said of an event that it did not name. */
  let nameless = '';
  const hear = (message: string): string => {
    if (/rate[- ]?limit|slow down|too (many|fast)/i.test(message)) slower.push(message);
    return message;
  };
  socket.on('message', (data: Buffer) => {
    const [verb, first, second, third] = parseMessage(data.toString()) ?? [];
    if (typeof first !== 'string') return;
    if (verb === 'AUTH') challenge = first;
    else if (verb === 'NOTICE') hear(messageOf(first));
    else if (verb === 'OK' && first === '') nameless = `; it said: ${hear(messageOf(third))}`;
    else if (verb === 'OK')
      oks.get(first)?.({ state: second === true ? 'stored' : 'refused', message: hear(messageOf(third)) });
    else if (verb === 'EVENT') requests.get(first)?.onEvent(String((second as { id?: unknown } | null)?.id));
    else if (verb === 'EOSE') requests.get(first)?.onEnd(true, '');
    else if (verb === 'CLOSED') requests.get(first)?.onEnd(false, hear(messageOf(second)));
  });
  let closed: string | undefined;
  const waiting = new Set<(why: string) => void>();
  socket.on('close', (code) => {
    closed = `${HUNG_UP} (${code})`;
    for (const end of waiting) end(closed);
  });
  socket.on('error', () => undefined);
  /** @param late  the answer where none comes, given why */
  const within = <T>(late: (why: string) => T, start: (done: (value: T) => void) => void): Promise<T> =>
    new Promise((resolve) => {
      const end = (value: T) => {
        clearTimeout(timer);
        waiting.delete(giveUp);
        resolve(value);
      };
      const giveUp = (why: string) => end(late(why));
      const timer = setTimeout(() => giveUp(`no answer in ${timeoutMs} ms${nameless}`), timeoutMs);
      waiting.add(giveUp);
      if (closed === undefined) start(end);
      else giveUp(closed);
    });
  const silent = (message: string): Answer => ({ state: 'silent', message });
  const say = (...message: unknown[]) => socket.send(JSON.stringify(message));
  const confirm = (id: string, frame: () => void) =>
    within<Answer>(silent, (done) => {
      oks.set(id, done);
      frame();
    });
  return {
    dateMs,
    slower,
    isOpen: () => closed === undefined,
    isChallenged: () => challenge !== undefined,
    publish: (event) => confirm(event.id, () => say('EVENT', event)),
    read(filter) {
      const name = `p${next++}`;
      const ids = new Set<string>();
      return within<ReadAnswer>(
        (message) => ({ ids, state: 'silent', message }),
        (done) => {
          requests.set(name, {
            onEvent: (id) => void ids.add(id),
            onEnd: (isEose, message) => done({ ids, state: isEose ? 'answered' : 'refused', message }),
          });
          say('REQ', name, filter);
        },
      );
    },
    listen(id) {
      const name = `p${next++}`;
      const came = within<boolean>(
        () => false,
        (done) => {
          requests.set(name, {
            onEvent: (one) => (one === id ? done(true) : undefined),
            onEnd: (isEose) => (isEose ? undefined : done(false)),
          });
          say('REQ', name, { ids: [id] });
        },
      );
      return { came };
    },
    async login(signer, nowSec) {
      const tags = [
        ['relay', url],
        ['challenge', challenge ?? ''],
      ];
      const event = await signer.sign({ kind: CLIENT_AUTH, created_at: nowSec, tags, content: '' });
      return (await confirm(event.id, () => say('AUTH', event))).state === 'stored';
    },
    close: () => socket.terminate(),
  };
}
