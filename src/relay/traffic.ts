import type { WebSocket } from 'ws';
import type { Send } from './subscriptions.js';

/**
 * What all connections of the relay keep in memory: frames that peers did not take yet, and messages that are not dealt
 * with. A peer that does not read is given less, then cut off; peers that send too much are not read from for a while.
 */

export interface TrafficLimits {
  /** A connection's stored events wait above this; and above the second when others are behind, too. */
  readonly highWaterBytes: number;
  readonly busyHighWaterBytes: number;
  /** Unsent, of one connection and of all: above it whoever is furthest behind is cut off. */
  readonly maxUnsentBytes: number;
  readonly maxTotalUnsentBytes: number;
  /** Messages that wait for disk or peer: of one connection, and bytes of all. TCP holds back the rest. */
  readonly maxInFlight: number;
  readonly maxHeldBytes: number;
}

export const TRAFFIC_LIMITS: TrafficLimits = {
  highWaterBytes: 4 << 20,
  busyHighWaterBytes: 256 << 10,
  maxUnsentBytes: 32 << 20,
  maxTotalUnsentBytes: 256 << 20,
  maxInFlight: 512,
  maxHeldBytes: 128 << 20,
};

interface Outbox {
  readonly socket: WebSocket;
  unsent: number;
}

export class Traffic {
  readonly #limits: TrafficLimits;
  readonly #outboxes = new Set<Outbox>();
  readonly #paused = new Set<WebSocket>();
  #unsent = 0;
  #held = 0;
  #isChecking = false;

  constructor(limits: Partial<TrafficLimits> = {}) {
    this.#limits = { ...TRAFFIC_LIMITS, ...limits };
  }

  /** A quarter of what may be unsent is. */
  get isBusy(): boolean {
    return this.#unsent > this.#limits.maxTotalUnsentBytes / 4;
  }

  /**
   * Queues frames; the promise is there only when the peer is behind and the caller should wait.
   *
   * @param onProgress  called when a peer that was behind took something
   */
  sender(socket: WebSocket, onProgress: () => void): Send {
    const outbox: Outbox = { socket, unsent: 0 };
    this.#outboxes.add(outbox);
    socket.on('close', () => this.#drop(outbox));
    return (frame) => {
      if (socket.readyState !== socket.OPEN) return undefined;
      const { highWaterBytes, busyHighWaterBytes, maxUnsentBytes, maxTotalUnsentBytes } = this.#limits;
      const isBehind = outbox.unsent >= (this.isBusy ? busyHighWaterBytes : highWaterBytes);
      const bytes = Buffer.byteLength(frame);
      outbox.unsent += bytes;
      this.#unsent += bytes;
      if (outbox.unsent > maxUnsentBytes || this.#unsent > maxTotalUnsentBytes) this.#checkSoon();
      const onSent = (): void => {
        if (this.#outboxes.has(outbox)) this.#unsent -= bytes;
        outbox.unsent -= bytes;
      };
      if (!isBehind) {
        socket.send(frame, { binary: false }, onSent);
        return undefined;
      }
      return new Promise((resolve) =>
        socket.send(frame, { binary: false }, (error) => {
          onSent();
          if (!error) onProgress();
          resolve();
        }),
      );
    };
  }

  /** Calls `receive` with each message, and stops reading where too much waits. */
  receiver(socket: WebSocket, receive: (message: Buffer) => Promise<void>): void {
    const { maxInFlight, maxHeldBytes } = this.#limits;
    let inFlight = 0;
    socket.on('message', (message: Buffer) => {
      inFlight++;
      this.#held += message.length;
      if (inFlight >= maxInFlight || this.#held >= maxHeldBytes) socket.pause();
      if (this.#held >= maxHeldBytes) this.#paused.add(socket);
      void receive(message).finally(() => {
        inFlight--;
        this.#held -= message.length;
        if (this.#held >= maxHeldBytes) return;
        if (inFlight < maxInFlight && socket.isPaused) socket.resume();
        for (const other of this.#paused) other.resume();
        this.#paused.clear();
      });
    });
    socket.on('close', () => this.#paused.delete(socket));
  }

  /** After this tick: what the system takes at once is counted as unsent until then. */
  #checkSoon(): void {
    if (this.#isChecking) return;
    this.#isChecking = true;
    setImmediate(() => {
      this.#isChecking = false;
      for (const outbox of this.#outboxes) if (outbox.unsent > this.#limits.maxUnsentBytes) this.#cutOff(outbox);
      while (this.#unsent > this.#limits.maxTotalUnsentBytes && this.#outboxes.size > 0)
        this.#cutOff([...this.#outboxes].reduce((most, next) => (next.unsent > most.unsent ? next : most)));
    });
  }

  #cutOff(outbox: Outbox): void {
    this.#drop(outbox);
    outbox.socket.terminate();
  }

  #drop(outbox: Outbox): void {
    if (this.#outboxes.delete(outbox)) this.#unsent -= outbox.unsent;
  }
}
