import type { Clock, Filter, Signer } from '../ports.js';
import { readSubscribedEvent } from './event-frame.js';
import { isUnescaped } from './event-json.js';
import { Login } from './login.js';
import { messageOf, parseMessage } from './message.js';
import { readEvent } from './paging.js';
import {
  longest,
  unsent,
  type Outcome,
  type Publishing,
  type Request,
  type Requested,
  type RequestHandlers,
  type Sent,
} from './sent.js';
import { watchSilence } from './silence.js';
import { Slots } from './slots.js';
import { RelaySocket } from './socket.js';

/** The client's side of one relay: publishing, requests and authentication (NIP-01, NIP-42) over one socket. */

export interface LinkOptions {
  /** Answers NIP-42 challenges. */
  readonly signer?: Signer | undefined;
  /** Not before the relay refuses something without a login; default: at its first challenge. */
  readonly logsInOnDemand?: boolean;
  readonly clock: Clock;
  /** Silence after which a relay counts as unreachable. */
  readonly timeoutMs: number;
}

const MAX_REQUESTS = 6;
const MAX_BULK_REQUESTS = 2;
const MAX_POSTPONED = 4;
/** A chunk is sent again after so many later ones were answered, or after this part of the silence that is waited for. */
const OVERTAKEN = 128;
const RESENDS = 4;
const MAX_DROPS = 3;
const FIRST_POSTPONE_MS = 1_000;
const MESSAGE_TOO_BIG = 1_009;
const CLOSED_HERE = 'the connection was closed on this side';

export class RelayLink {
  readonly url: string;
  readonly #options: LinkOptions;
  readonly #socket: RelaySocket;
  readonly #closing = new AbortController();
  readonly #publishing = new Map<string, Publishing>();
  readonly #requests = new Map<string, Requested>();
  readonly #login: Login;
  /** Of requests for stored events: relays allow 10 to 20 subscriptions, live ones included. */
  readonly slots = new Slots(MAX_REQUESTS);
  /** Of those for many chunks: strfry drops a reader with more than 32 MiB unsent. */
  readonly bulkSlots = new Slots(MAX_BULK_REQUESTS);
  #nextRequest = 0;
  /** Of publishing. */
  #order = 0;
  /** performance.now() of the last message, pongs not counted, and of the last answer that did not come. */
  #saidAt = 0;
  #silentAt = -1;
  #notice = '';

  constructor(url: string, options: LinkOptions) {
    this.url = url;
    this.#options = options;
    this.#socket = new RelaySocket(url, options.clock, {
      onOpen: () => this.#resend(() => true),
      onFrame: (frame) => this.#receive(frame),
      onDown: (wasOpen, reason, code) => this.#onDown(wasOpen, reason, code),
    });
    this.#login = new Login({
      isOnDemand: options.logsInOnDemand === true,
      ...{ url, signer: options.signer, clock: options.clock, signal: this.#closing.signal },
      send: (text) => void this.#socket.send(text),
      onAnswer: (isAccepted) => this.#onAuthAnswer(isAccepted),
    });
  }

  get rttMs(): number {
    return this.#socket.rttMs;
  }

  /** Events that wait for their answer. */
  get publishing(): number {
    return this.#publishing.size;
  }

  get heardAt(): number {
    return this.#socket.heardAt;
  }

  /**
   * How long to wait for an answer. A relay that takes connections and never answers would cost the full time at every step of a
   * job: until it is heard again it gets a tenth.
   */
  patienceMs(timeoutMs: number): number {
    return this.#saidAt > this.#silentAt ? timeoutMs : Math.ceil(timeoutMs / 10);
  }

  /** An answer did not come in time. */
  noteSilence(): void {
    this.#silentAt = performance.now();
  }

  /** Many may be in flight; the same event twice shares one outcome. */
  publish(id: string, frame: Buffer | string, isBulk = false): Promise<Outcome> {
    const known = this.#publishing.get(id);
    if (known) return known.outcome;
    if (this.#closing.signal.aborted) return Promise.resolve({ state: 'unreachable', message: CLOSED_HERE });
    let resolve!: (outcome: Outcome) => void;
    const outcome = new Promise<Outcome>((done) => (resolve = done));
    const watch = watchSilence(this, this.patienceMs(this.#options.timeoutMs), (ms) => {
      this.noteSilence();
      publishing.settle({ state: 'unreachable', message: `no answer in ${ms} ms${this.#notice}` });
    });
    const probe = watchSilence(this, this.patienceMs(this.#options.timeoutMs) / RESENDS, () => {
      if (isBulk) this.#sendAgain(id, publishing);
    });
    const publishing: Publishing = {
      ...unsent(frame),
      outcome,
      isBulk,
      order: this.#order++,
      settle: (result) => {
        watch.stop();
        probe.stop();
        this.#publishing.delete(id);
        resolve(publishing.postponed === 0 ? result : { ...result, postponed: publishing.postponed });
      },
    };
    this.#publishing.set(id, publishing);
    this.#send(publishing);
    return outcome;
  }

  request(filters: readonly Filter[], handlers: RequestHandlers): Request {
    if (this.#closing.signal.aborted) {
      queueMicrotask(() => handlers.onEnd(CLOSED_HERE));
      return { close: () => {} };
    }
    const id = `n${this.#nextRequest++}`;
    const request: Requested = { ...unsent(JSON.stringify(['REQ', id, ...filters])), handlers };
    this.#requests.set(id, request);
    this.#send(request);
    return {
      close: () => {
        if (this.#requests.delete(id)) this.#socket.send(JSON.stringify(['CLOSE', id]));
      },
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#giveUp(CLOSED_HERE);
    this.#requests.clear();
    await this.#socket.close();
  }

  #send(sent: Sent): void {
    if (!this.#socket.send(sent.frame)) this.#socket.want(true);
  }

  #resend(which: (sent: Sent) => boolean): void {
    // Requests first: an answer to what is published may come at once (NIP-46, NIP-47).
    for (const sent of [...this.#requests.values(), ...this.#publishing.values()]) {
      if (!sent.isPostponed && which(sent)) this.#send(sent);
    }
  }

  #receive(frame: Buffer): void {
    const large = readSubscribedEvent(frame);
    if (large !== undefined) {
      this.#saidAt = performance.now();
      this.#requests.get(large.subscription)?.handlers.onEvent(large.event, true);
      return;
    }
    const text = frame.toString();
    const [verb, first, second, third] = parseMessage(text) ?? [];
    if (typeof first !== 'string') return;
    this.#saidAt = performance.now();
    if (verb === 'EVENT') this.#onEvent(first, second, isUnescaped(text));
    else if (verb === 'OK') this.#onOk(first, second === true, messageOf(third));
    else if (verb === 'EOSE') this.#requests.get(first)?.handlers.onEose();
    else if (verb === 'CLOSED') this.#onClosed(first, messageOf(second));
    else if (verb === 'AUTH') void this.#login.answer(first);
    else if (verb === 'NOTICE') this.#notice = `; it said: ${messageOf(first)}`;
  }

  #onEvent(request: string, value: unknown, isPlain: boolean): void {
    const handlers = this.#requests.get(request)?.handlers;
    if (handlers === undefined) return;
    const event = readEvent(value);
    if (event !== undefined) handlers.onEvent(event, isPlain);
  }

  #onOk(id: string, isAccepted: boolean, message: string): void {
    if (this.#login.take(id, isAccepted)) return;
    const publishing = this.#publishing.get(id);
    if (!publishing) {
      // nostr-relay refuses without the id of what it refuses: which of those in flight it was cannot be known, why can.
      if (!isAccepted && id === '') this.#notice = `; it said: ${message}`;
      return;
    }
    if (isAccepted || message.startsWith('duplicate:')) publishing.settle({ state: 'stored', message });
    // Who sends many finds the relay's pace; here each would wait for itself.
    else if (publishing.isBulk && message.startsWith('rate-limited:')) publishing.settle({ state: 'refused', message });
    else if (!this.#tryAgain(publishing, message)) publishing.settle({ state: 'refused', message });
    this.#sendOvertaken(publishing.order);
  }

  /** What was sent long before an event that is answered was lost, or its answer was (as TCP's fast retransmit, RFC 5681). */
  #sendOvertaken(answered: number): void {
    for (const [id, publishing] of this.#publishing) {
      if (publishing.order + OVERTAKEN > answered) return; // in the order of sending
      if (publishing.isBulk) this.#sendAgain(id, publishing);
    }
  }

  /** Harmless: a relay answers `duplicate:`. */
  #sendAgain(id: string, publishing: Publishing): void {
    if (!this.#publishing.delete(id)) return;
    publishing.order = this.#order++;
    this.#publishing.set(id, publishing);
    if (!publishing.isPostponed && !publishing.awaitsAuth && this.#socket.isOpen) this.#send(publishing);
  }

  #onClosed(id: string, message: string): void {
    const request = this.#requests.get(id);
    if (!request || this.#tryAgain(request, message)) return;
    this.#requests.delete(id);
    request.handlers.onEnd(message);
  }

  /** @returns false when the relay's no is final */
  #tryAgain(sent: Sent, message: string): boolean {
    if (message.startsWith('auth-required:')) return this.#sendAfterAuth(sent);
    const isTemporary = message.startsWith('rate-limited:') || message.startsWith('error:');
    if (!isTemporary || sent.postponed >= MAX_POSTPONED) return false;
    const waitMs = FIRST_POSTPONE_MS * 2 ** sent.postponed++;
    sent.isPostponed = true;
    void this.#options.clock.wait(waitMs, this.#closing.signal).then(() => {
      sent.isPostponed = false;
      if (this.#isPending(sent)) this.#send(sent);
    });
    return true;
  }

  #sendAfterAuth(sent: Sent): boolean {
    if (!this.#login.isPossible || sent.wasResentAfterAuth) return false;
    sent.awaitsAuth = true;
    this.#login.demand();
    // Otherwise the challenge is still to come, or its answer is on the way.
    if (this.#login.state === 'accepted') this.#resendAwaiting();
    return true;
  }

  #resendAwaiting(): void {
    this.#resend((sent) => {
      const isAwaiting = sent.awaitsAuth;
      if (isAwaiting) sent.wasResentAfterAuth = true;
      sent.awaitsAuth = false;
      return isAwaiting;
    });
  }

  #onAuthAnswer(isAccepted: boolean): void {
    if (isAccepted) return this.#resendAwaiting();
    for (const publishing of this.#publishing.values()) {
      if (publishing.awaitsAuth) publishing.settle({ state: 'refused', message: 'auth-required: login refused' });
    }
    for (const [id, request] of this.#requests) {
      if (!request.awaitsAuth) continue;
      this.#requests.delete(id);
      request.handlers.onEnd('auth-required: login refused');
    }
  }

  #onDown(wasOpen: boolean, reason: string, code: number): void {
    this.#login.reset();
    for (const sent of [...this.#publishing.values(), ...this.#requests.values()]) {
      sent.awaitsAuth = sent.wasResentAfterAuth = false;
      sent.drops++;
    }
    this.#giveUp(reason, (sent) => !wasOpen || sent.drops >= MAX_DROPS);
    // The relay does not say which message; the longest is the likeliest, the others get their chance.
    if (code === MESSAGE_TOO_BIG)
      longest(this.#publishing)?.settle({ state: 'refused', message: `invalid: ${reason}` });
    const isUrgent = this.#publishing.size > 0 || [...this.#requests.values()].some(({ handlers }) => !handlers.isLive);
    if (isUrgent || this.#requests.size > 0) this.#socket.want(isUrgent);
  }

  /** Ends what waits for an answer; live requests wait on. */
  #giveUp(reason: string, which: (sent: Sent) => boolean = () => true): void {
    for (const publishing of this.#publishing.values()) {
      if (which(publishing)) publishing.settle({ state: 'unreachable', message: reason });
    }
    for (const [id, request] of this.#requests) {
      if (request.handlers.isLive || !which(request)) continue;
      this.#requests.delete(id);
      request.handlers.onEnd(reason);
    }
  }

  #isPending(sent: Sent): boolean {
    return [...this.#publishing.values(), ...this.#requests.values()].includes(sent as Publishing & Requested);
  }
}
