import { hex, sha256, type Pubkey } from '../hash.js';
import type { Filter, NostrEvent } from '../ports.js';
import { verifyHash } from '../schnorr.js';
import { isGiftWrap } from './account.js';
import { checkQuota, checkReader, checkWriter } from './access.js';
import { checkLimits, checkLogin, checkPolicy, Refusal, type House } from './admission.js';
import type { Verdict } from './event-index.js';
import { readEventFrame, type EventFrame } from './event-frame.js';
import { eventTexts, isUnescaped } from './event-json.js';
import { parseFilter, parseSignedEvent } from './event-shape.js';
import { kindClass, newestFirst, type EventHead } from './filter.js';
import { EPHEMERAL_GIFT_WRAP, GIFT_WRAP } from './kinds.js';
import { parseMessage } from './message.js';
import { refusalOf } from './rate.js';
import { reasonOf } from './reason.js';
import type { EventStore, StoredEvent } from './store.js';
import { Subscriptions, type Send } from './subscriptions.js';
import { SyncSessions, type SyncBudget } from './sync-sessions.js';

/** One client's conversation with the embedded relay: NIP-01, 09, 40, 42, 45, 59, 62, 70, 77. Knows no sockets. */

/** What all sessions share. */
export interface RelayCore extends House {
  readonly store: EventStore;
  readonly sessions: Set<Session>;
  readonly syncBudget: SyncBudget;
  /** Is little memory left for what peers do not take? */
  isBusy(): boolean;
}

export class Session {
  readonly #core: RelayCore;
  readonly #send: Send;
  readonly #challenge: string;
  readonly #subscriptions: Subscriptions;
  readonly #authed = new Set<string>();
  readonly #syncs: SyncSessions;
  readonly #hangUp: () => void;
  #invalids = 0;
  /** A second, and the messages in it. */
  #second = 0;
  #messages = 0;

  /** @param challenge  fresh and unguessable @param hangUp  ends a connection that does harm */
  constructor(core: RelayCore, send: Send, challenge: string, hangUp: () => void = () => undefined) {
    this.#core = core;
    this.#hangUp = hangUp;
    this.#send = send;
    this.#challenge = challenge;
    this.#subscriptions = new Subscriptions({
      ...{ limits: core.limits, send, isBusy: () => core.isBusy() },
      find: (filters) => this.#find(filters),
    });
    this.#syncs = new SyncSessions({
      ...{ limits: core.limits, nowSec: core.nowSec, budget: core.syncBudget },
      select: (filter, max) => this.#find(this.#parseFilters([filter]), max).map(({ head }) => head),
      reply: (...message) => this.#reply(...message),
    });
    core.sessions.add(this);
    void this.#reply('AUTH', challenge);
  }

  close(): void {
    this.#core.sessions.delete(this);
    this.#subscriptions.closeAll();
    this.#syncs.close();
  }

  /** To be called from time to time. */
  tend(): Promise<void> {
    return this.#syncs.tend();
  }

  /** Never throws: whatever the frame holds, the answer is a message. */
  async receive(frame: Buffer): Promise<void> {
    if (this.#isTooFast()) return this.#reply(...refusalOf(frame, this.#core.limits.maxMessagesPerSec));
    const large = isEventFrame(frame) ? readEventFrame(frame, EVENT_PREFIX.length) : undefined;
    if (large !== undefined) return this.#onLargeEvent(large);
    const text = frame.toString();
    const message = parseMessage(text);
    const [verb, first, ...rest] = message ?? [];
    if (verb === 'EVENT') return this.#onEvent(first, isUnescaped(text));
    if (verb === 'REQ') return this.#onQuery(first, rest, (id, filters) => this.#subscriptions.open(id, filters));
    if (verb === 'COUNT') return this.#onQuery(first, rest, async (id, filters) => this.#onCount(id, filters));
    if (verb === 'CLOSE') return void (typeof first === 'string' && this.#subscriptions.close(first));
    if (verb === 'AUTH') return this.#onAuth(first);
    if (typeof verb === 'string' && verb.startsWith('NEG-')) return this.#syncs.receive(verb, [first, ...rest]);
    await this.#reply('NOTICE', 'invalid: expected EVENT, REQ, COUNT, CLOSE, AUTH or NEG-OPEN as a JSON list');
  }

  #isTooFast(): boolean {
    const second = this.#core.nowSec();
    if (second !== this.#second) [this.#second, this.#messages] = [second, 0];
    return ++this.#messages > this.#core.limits.maxMessagesPerSec;
  }

  /** @param frames  see Subscriptions */
  offer(event: EventHead, json: string | Buffer, frames: Map<string, Buffer>): void {
    if (this.#maySee(event)) this.#subscriptions.offer(event, json, frames);
  }

  async #onEvent(value: unknown, isPlain: boolean): Promise<void> {
    const claimedId = idOf(value);
    try {
      const event = parseSignedEvent(value);
      const { serialised, json } = eventTexts(event, isPlain);
      const note = await this.#accept(event, [serialised], json);
      await this.#reply('OK', event.id, true, note);
    } catch (error) {
      await this.#reply('OK', claimedId, false, reasonOf(error));
    }
  }

  async #onLargeEvent({ head, serialised, json }: EventFrame): Promise<void> {
    try {
      await this.#reply('OK', head.id, true, await this.#accept(head, serialised, json));
    } catch (error) {
      await this.#reply('OK', head.id, false, reasonOf(error));
    }
  }

  /** @param serialised  NIP-01, in parts @returns the message of OK true @throws Refusal */
  async #accept(
    event: Omit<NostrEvent, 'content'>,
    serialised: readonly (string | Buffer)[],
    json: string | Buffer,
  ): Promise<string> {
    const { store } = this.#core;
    // The id is all a duplicate needs: whoever resumes an upload is answered without a signature check.
    if (store.has(event.id)) return DUPLICATE;
    // All that costs less than a signature comes before it.
    const bytes = Buffer.byteLength(json);
    checkLimits(event, bytes, this.#core.limits);
    checkPolicy(event, this.#authed, this.#core);
    const frees = () => store.frees(event);
    checkWriter(event, this.#authed, this.#core.access, frees);
    const isKept = kindClass(event.kind) !== 'ephemeral';
    const note = isKept ? noteOf(store.judge(event)) : '';
    if (note !== '') return note;
    if (isKept) checkQuota(bytes, store.usedBeside(event), this.#core.access, frees);
    const hash = sha256(...serialised);
    if (hex(hash) !== event.id) throw new Refusal(this.#invalid('the id is not the hash'));
    if (!verifyHash(hash, event.sig, event.pubkey)) throw new Refusal(this.#invalid('the signature does not verify'));

    const broadcast = () => {
      const frames = new Map<string, Buffer>();
      for (const session of this.#core.sessions) session.offer(event, json, frames);
    };
    if (isKept) return noteOf(await store.add(event, json, broadcast));
    broadcast();
    return '';
  }

  /** Each costs us more than its sender: a connection gets only so many. */
  #invalid(what: string): string {
    if (++this.#invalids >= MAX_INVALID) this.#hangUp();
    return `invalid: ${what}`;
  }

  async #onQuery(
    id: unknown,
    rawFilters: readonly unknown[],
    answer: (id: string, filters: readonly Filter[]) => Promise<void>,
  ): Promise<void> {
    const { limits } = this.#core;
    if (typeof id !== 'string' || id.length === 0 || id.length > limits.maxSubscriptionIdChars) {
      return this.#reply('NOTICE', `invalid: subscription ids have 1 to ${limits.maxSubscriptionIdChars} characters`);
    }
    try {
      await answer(id, this.#parseFilters(rawFilters));
    } catch (error) {
      this.#subscriptions.close(id);
      await this.#reply('CLOSED', id, reasonOf(error));
    }
  }

  /** @throws Refusal, NmktError */
  #parseFilters(raw: readonly unknown[]): readonly Filter[] {
    const { maxFilters, maxFilterValues, maxTagValueChars } = this.#core.limits;
    checkReader(this.#authed, this.#core.access);
    if (raw.length === 0) throw new Refusal('invalid: no filter');
    if (raw.length > maxFilters) throw new Refusal(`invalid: more than ${maxFilters} filters`);
    const filters = raw.map((one) => parseFilter(one, { maxValues: maxFilterValues, maxTagValueChars }));
    if (this.#authed.size === 0 && filters.some(asksForWraps))
      throw new Refusal('auth-required: gift wraps are served to their recipient only');
    return filters;
  }

  async #onCount(id: string, filters: readonly Filter[]): Promise<void> {
    await this.#reply('COUNT', id, { count: this.#find(filters, Infinity).length });
  }

  /** Newest first, each once, only what this client may see. */
  #find(filters: readonly Filter[], maxLimit = this.#core.limits.maxLimit): StoredEvent[] {
    const found = new Map<string, StoredEvent>();
    for (const filter of filters) {
      const limit = Math.min(filter.limit ?? maxLimit, maxLimit);
      for (const stored of this.#core.store.find(filter, limit, (event) => this.#maySee(event))) {
        found.set(stored.head.id, stored);
      }
    }
    return [...found.values()].sort((a, b) => newestFirst(a.head, b.head));
  }

  /** NIP-59: who receives gift wraps, and when, is nobody else's business. */
  #maySee(event: EventHead): boolean {
    if (!isGiftWrap(event)) return true;
    return event.tags.some(([name, value]) => name === 'p' && this.#authed.has(value ?? ''));
  }

  async #onAuth(value: unknown): Promise<void> {
    const claimedId = idOf(value);
    try {
      const event = parseSignedEvent(value);
      if (this.#authed.size >= MAX_AUTHED_KEYS) throw new Refusal(`restricted: more than ${MAX_AUTHED_KEYS} keys`);
      checkLogin(event, this.#challenge, this.#core);
      this.#authed.add(event.pubkey);
      await this.#reply('OK', event.id, true, '');
    } catch (error) {
      if (++this.#invalids >= MAX_INVALID) this.#hangUp();
      await this.#reply('OK', claimedId, false, reasonOf(error));
    }
  }

  async #reply(...message: readonly unknown[]): Promise<void> {
    await this.#send(JSON.stringify(message));
  }
}

const EVENT_PREFIX = Buffer.from('["EVENT",');
const isEventFrame = (frame: Buffer): boolean =>
  frame.length > EVENT_PREFIX.length && EVENT_PREFIX.compare(frame, 0, EVENT_PREFIX.length) === 0;
const MAX_AUTHED_KEYS = 64;
const MAX_INVALID = 32;
const DUPLICATE = 'duplicate: already have this event';

function asksForWraps({ kinds = [] }: Filter): boolean {
  return kinds.includes(GIFT_WRAP) || kinds.includes(EPHEMERAL_GIFT_WRAP);
}

/** @returns the message of OK true @throws Refusal */
function noteOf(verdict: Verdict): string {
  switch (verdict) {
    case 'new':
      return '';
    case 'duplicate':
      return DUPLICATE;
    case 'superseded':
      return 'duplicate: have a newer version';
    case 'deleted':
      throw new Refusal('blocked: its author deleted this event');
    case 'expired':
      throw new Refusal('invalid: expired');
  }
}

/** What an OK names when the event is too broken to have an id. */
function idOf(value: unknown): Pubkey | string {
  const id = typeof value === 'object' && value !== null && 'id' in value ? value.id : undefined;
  return typeof id === 'string' ? id.slice(0, 64) : '';
}
