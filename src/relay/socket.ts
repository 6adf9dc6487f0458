import WebSocket from 'ws';
import type { Clock } from '../ports.js';
import { lookupFor } from './relay-url.js';

/** One WebSocket to one relay that is there when wanted: connects lazily, reconnects with growing pauses. */

/** 64 KB chunks and the largest events relays carry; more is not read into memory. */
export const MAX_FRAME_BYTES = 512 * 1024;
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 30_000;
/** Somebody waits for an answer: a relay that just failed is tried again after this long. */
const URGENT_PAUSE_MS = 1_000;
/** A connection that lived this long ended; a shorter one failed. */
const STABLE_MS = 5_000;
const HANDSHAKE_MS = 10_000;
const PING_MS = 30_000;
const GOODBYE_MS = 500;
const ABNORMAL_CLOSURE = 1_006;

export interface SocketEvents {
  onOpen(): void;
  /** @param frame  UTF-8 */
  onFrame(frame: Buffer): void;
  /** @param wasOpen  false when the connection never came about  @param code  WebSocket close code */
  onDown(wasOpen: boolean, reason: string, code: number): void;
}

export class RelaySocket {
  readonly #url: string;
  readonly #clock: Clock;
  readonly #events: SocketEvents;
  #socket: WebSocket | undefined;
  #pause: AbortController | undefined;
  #pauseEndsAt = 0;
  #failures = 0;
  #lastAttemptAt = -Infinity;
  #isClosed = false;
  /** performance.now() of the last sign of life. */
  heardAt = -Infinity;
  /** The shortest round trip seen, milliseconds. */
  rttMs = Infinity;

  constructor(url: string, clock: Clock, events: SocketEvents) {
    this.#url = url;
    this.#clock = clock;
    this.#events = events;
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** False when there is no connection; `onOpen` is the time to send again. */
  send(text: Buffer | string): boolean {
    if (!this.isOpen) return false;
    this.#socket!.send(text, { binary: false });
    return true;
  }

  /** Asks for a connection; `urgent` shortens the pause after failures. */
  want(urgent: boolean): void {
    if (this.#isClosed || this.#socket) return;
    const pauseMs = this.#pauseMs(urgent);
    if (this.#pause && performance.now() + pauseMs >= this.#pauseEndsAt) return;
    this.#pause?.abort();
    this.#pause = undefined;
    if (pauseMs <= 0) return this.#connect();
    const pause = new AbortController();
    this.#pause = pause;
    this.#pauseEndsAt = performance.now() + pauseMs;
    void this.#clock.wait(pauseMs, pause.signal).then(() => {
      if (this.#pause !== pause) return;
      this.#pause = undefined;
      this.#connect();
    });
  }

  /** Ends the connection and every timer. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pause?.abort();
    this.#pause = undefined;
    const socket = this.#socket;
    if (!socket) return;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const deadline = setTimeout(() => socket.terminate(), GOODBYE_MS);
    socket.close(1000);
    await closed;
    clearTimeout(deadline);
  }

  #pauseMs(urgent: boolean): number {
    if (this.#failures === 0) return 0;
    const backoffMs = Math.min(FIRST_PAUSE_MS * 2 ** (this.#failures - 1), urgent ? URGENT_PAUSE_MS : MAX_PAUSE_MS);
    return this.#lastAttemptAt + backoffMs - performance.now();
  }

  #connect(): void {
    this.#lastAttemptAt = performance.now();
    const socket = new WebSocket(this.#url, {
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_MS,
      lookup: lookupFor(this.#url),
    });
    this.#socket = socket;
    let openedAt: number | undefined;
    let failure = '';
    let pings: NodeJS.Timeout | undefined;
    let pingedAt = 0;
    socket.on('open', () => {
      openedAt = this.heardAt = performance.now();
      socket.ping();
      pingedAt = openedAt;
      pings = setInterval(() => {
        this.#probe(socket);
        pingedAt = performance.now();
      }, PING_MS);
      this.#events.onOpen();
    });
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      this.heardAt = performance.now();
      if (!isBinary) this.#events.onFrame(data);
    });
    socket.on('pong', () => {
      this.heardAt = performance.now();
      this.rttMs = Math.min(this.rttMs, this.heardAt - pingedAt);
    });
    let isTheirFrameTooBig = false;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = error.message || (error.code ?? 'no connection');
      isTheirFrameTooBig = error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    });
    socket.on('close', (code, reason) => {
      clearInterval(pings);
      this.#socket = undefined;
      const wasStable = openedAt !== undefined && performance.now() - openedAt >= STABLE_MS;
      this.#failures = wasStable ? 1 : this.#failures + 1;
      this.#lastAttemptAt = performance.now();
      const why = failure || reason.toString().slice(0, 200) || `connection closed (${code})`;
      // Our own complaint comes back as their close code; it says nothing about what we sent.
      this.#events.onDown(openedAt !== undefined, why, isTheirFrameTooBig ? ABNORMAL_CLOSURE : code);
    });
  }

  /** Two silent periods: the other end is gone without a word. */
  #probe(socket: WebSocket): void {
    if (performance.now() - this.heardAt > 2 * PING_MS) socket.terminate();
    else socket.ping();
  }
}
