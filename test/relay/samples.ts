import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { sha256 } from '../../src/hash.js';
import { startRelay, type RelayOptions, type RunningRelay } from '../../src/relay/embedded.js';
import { connectRelays, type PoolOptions } from '../../src/relay/pool.js';
import { localSigner } from '../../src/signer.js';
import { signEvent } from '../../src/schnorr.js';
import { keepSecret } from '../support/secrets/outputs.js';
import type { EventTemplate, NostrEvent, RandomBytes, Relays } from '../../src/ports.js';

export const NOW = 1_800_000_000;

export const secretOf = (name: string) => keepSecret(sha256(`test secret of ${name}`));
export const signerOf = (name: string) => localSigner(secretOf(name));
export const pubkeyOf = (name: string) => signerOf(name).pubkey;

/** Bytes that repeat from run to run. */
export function seededRandom(seed: string): RandomBytes {
  let counter = 0;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) bytes.set(sha256(`${seed} ${counter++}`).subarray(0, length - at), at);
    return bytes;
  };
}

export function note(author: string, fields: Partial<EventTemplate> = {}): NostrEvent {
  return signEvent({ kind: 1, created_at: NOW, tags: [], content: '', ...fields }, secretOf(author));
}

/** In memory, on a free port, at NOW unless told otherwise; ends with the test. */
export async function relayForTest(options: Partial<RelayOptions> = {}): Promise<RunningRelay> {
  const relay = await startRelay({ port: 0, nowSec: () => NOW, ...options });
  onTestFinished(() => relay.close());
  return relay;
}

export function poolForTest(urls: readonly string[], options: PoolOptions = {}): Relays {
  const pool = connectRelays(urls, { clock: fastClock, network: 'sandbox', ...options });
  onTestFinished(() => pool.close());
  return pool;
}

/** Pauses end a hundred times sooner. */
export const fastClock = {
  nowSec: () => NOW,
  nowMs: () => NOW * 1000,
  wait: (ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms / 100);
      signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    }),
};

export type Message = readonly unknown[];

/** A client that shows every message of the relay. */
export class RawClient {
  readonly #socket: WebSocket;
  readonly #inbox: Message[] = [];
  readonly #waiting = new Set<() => void>();
  #closeCode: number | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      this.#inbox.push(JSON.parse(data.toString()) as Message);
      this.#wake();
    });
    socket.on('close', (code) => {
      this.#closeCode = code;
      this.#wake();
    });
    socket.on('error', () => {});
  }

  static async connect(url: string): Promise<RawClient> {
    const socket = new WebSocket(url);
    const client = new RawClient(socket);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    onTestFinished(() => socket.terminate());
    return client;
  }

  send(...message: Message): void {
    this.#socket.send(JSON.stringify(message));
  }

  sendText(text: string | Buffer): void {
    this.#socket.send(text, { binary: false });
  }

  /** The next message with this verb (and second element); earlier others are dropped. */
  async next(verb: string, second?: unknown): Promise<Message> {
    for (;;) {
      const message = this.#inbox.shift();
      if (message && message[0] === verb && (second === undefined || message[1] === second)) return message;
      if (message) continue;
      if (this.#closeCode !== undefined) throw new Error(`closed with ${this.#closeCode} before ${verb}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  async publish(event: NostrEvent): Promise<readonly [boolean, string]> {
    this.send('EVENT', event);
    const [, , isAccepted, message] = await this.next('OK', event.id);
    return [isAccepted as boolean, message as string];
  }

  /** Stored events of a request, or the reason it was closed. */
  async query(...filters: readonly object[]): Promise<NostrEvent[] | string> {
    this.send('REQ', 'q', ...filters);
    const found: NostrEvent[] = [];
    for (;;) {
      const message = await this.#nextOf('q');
      if (message[0] === 'EVENT') found.push(message[2] as NostrEvent);
      else if (message[0] === 'CLOSED') return message[2] as string;
      else if (message[0] === 'EOSE') {
        this.send('CLOSE', 'q');
        return found;
      }
    }
  }

  async authenticate(
    name: string,
    url: string,
    challenge: string,
    createdAt = NOW,
  ): Promise<readonly [boolean, string]> {
    const tags = [
      ['relay', url],
      ['challenge', challenge],
    ];
    const event = note(name, { kind: 22242, created_at: createdAt, tags });
    this.send('AUTH', event);
    const [, , isAccepted, message] = await this.next('OK', event.id);
    return [isAccepted as boolean, message as string];
  }

  async challenge(): Promise<string> {
    return (await this.next('AUTH'))[1] as string;
  }

  async closed(): Promise<number> {
    while (this.#closeCode === undefined) await new Promise<void>((resolve) => this.#waiting.add(resolve));
    return this.#closeCode;
  }

  async #nextOf(id: string): Promise<Message> {
    for (;;) {
      const message = this.#inbox.shift();
      if (message?.[1] === id) return message;
      if (message) continue;
      if (this.#closeCode !== undefined) throw new Error(`closed with ${this.#closeCode}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** A relay that does what a test tells it. */
export class ScriptedRelay {
  readonly received: Message[] = [];
  connections = 0;
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer, onMessage: ScriptedAnswer, onConnect: (reply: Reply) => void) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.connections++;
      const reply: Reply = (...message) => socket.send(JSON.stringify(message));
      onConnect(reply);
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as Message;
        this.received.push(message);
        onMessage(message, reply, socket);
      });
    });
  }

  static async start(onMessage: ScriptedAnswer, onConnect: (reply: Reply) => void = () => {}): Promise<ScriptedRelay> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => server.once('listening', resolve));
    const relay = new ScriptedRelay(server, onMessage, onConnect);
    onTestFinished(() => relay.stop());
    return relay;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Ends every connection, keeps listening. */
  drop(): void {
    for (const socket of this.#server.clients) socket.terminate();
  }

  async stop(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export type Reply = (...message: Message) => void;
type ScriptedAnswer = (message: Message, reply: Reply, socket: WebSocket) => void;
