import type { Filter } from '../ports.js';
import { Refusal, type RelayLimits } from './admission.js';
import { matcher, type EventHead } from './filter.js';
import { Slots } from './slots.js';
import type { StoredEvent } from './store.js';

/** The subscriptions of one connection: stored events, EOSE, live ones (NIP-01). */

/** Resolves when the peer may get more. */
export type Send = (frame: Buffer | string) => Promise<void> | undefined;

export interface SubscriptionPorts {
  readonly limits: RelayLimits;
  readonly send: Send;
  find(filters: readonly Filter[]): readonly StoredEvent[];
  /** Is little memory left for what peers do not take? */
  isBusy(): boolean;
}

/** Stored events in these messages are read from the store at once; when it is busy one by one. */
const READ_TOGETHER = 8;
/** Answered at a time: others of a peer that does not read would keep what they found in memory. */
const MAX_STREAMS = 8;
const BRACKET = Buffer.from(']');

interface Subscription {
  readonly filters: readonly Filter[];
  /** Undefined as long as it waits for its turn. */
  matches: ((event: EventHead) => boolean) | undefined;
}

export class Subscriptions {
  readonly #ports: SubscriptionPorts;
  readonly #open = new Map<string, Subscription>();
  readonly #streams = new Slots(MAX_STREAMS);

  constructor(ports: SubscriptionPorts) {
    this.#ports = ports;
  }

  /** Instead of one with the same id. @throws Refusal, and when the store fails */
  async open(id: string, filters: readonly Filter[]): Promise<void> {
    const { maxSubscriptions } = this.#ports.limits;
    if (!this.#open.has(id) && this.#open.size >= maxSubscriptions)
      throw new Refusal(`error: more than ${maxSubscriptions} subscriptions`);
    const subscription: Subscription = { filters, matches: undefined };
    this.#open.set(id, subscription);
    await this.#streams.run(() => this.#answer(id, subscription));
  }

  close(id: string): void {
    this.#open.delete(id);
  }

  closeAll(): void {
    this.#open.clear();
  }

  /**
   * Sends a new event to the subscriptions that asked for it.
   *
   * @param frames  messages with this event that were made for others, by subscription id: a text of 64 KB is not made a
   *                thousand times
   */
  offer(event: EventHead, json: string | Buffer, frames: Map<string, Buffer>): void {
    for (const [id, { matches }] of this.#open) {
      if (matches === undefined || !matches(event)) continue;
      const frame = frames.get(id) ?? Buffer.concat([prefixOf(id), Buffer.from(json as string), BRACKET]);
      frames.set(id, frame);
      void this.#ports.send(frame);
    }
  }

  async #answer(id: string, subscription: Subscription): Promise<void> {
    const { send } = this.#ports;
    const isOpen = () => this.#open.get(id) === subscription; // else closed or replaced meanwhile
    if (!isOpen()) return;
    // In the same tick as the query: no event falls between the stored and the live ones.
    subscription.matches = matcher(subscription.filters);
    const found = this.#ports.find(subscription.filters);
    const prefix = prefixOf(id);
    const read = (from: number) => {
      const to = from + (this.#ports.isBusy() ? 1 : READ_TOGETHER);
      const messages = Promise.all(found.slice(from, to).map((stored) => stored.message(prefix)));
      messages.catch(() => undefined); // thrown where it is awaited
      return { to, messages };
    };
    let batch = read(0);
    for (let at = 0; at < found.length;) {
      const messages = await batch.messages;
      at = batch.to;
      if (!this.#ports.isBusy()) batch = read(at);
      for (const message of messages) {
        if (!isOpen()) return;
        if (message !== undefined) await send(message);
      }
      if (batch.to === at) batch = read(at);
    }
    if (isOpen()) await send(JSON.stringify(['EOSE', id]));
  }
}

const prefixOf = (id: string): Buffer => Buffer.from(`["EVENT",${JSON.stringify(id)},`);
