import { fromHex, hex } from '../hash.js';
import { Refusal, type RelayLimits } from './admission.js';
import { respond } from './negentropy.js';
import { reasonOf } from './reason.js';
import type { NowSec } from './store.js';
import { SyncSet, type SyncItem } from './sync-set.js';

/** The relay's side of NIP-77 on one connection: NEG-OPEN, NEG-MSG and NEG-CLOSE, answered with NEG-MSG or NEG-ERR. */

/** As hex it fits the messages of relays and clients that allow 128 KiB, as most do. */
const MAX_ANSWER_BYTES = 60_000;
/** Of all connections together: 72 bytes each. */
const MAX_EVENTS = 2_000_000;
const IDLE_SEC = 60;

/** What the sets of all connections hold. */
export class SyncBudget {
  #events = 0;

  /** @returns whether there was room */
  take(events: number): boolean {
    if (this.#events + events > MAX_EVENTS) return false;
    this.#events += events;
    return true;
  }

  giveBack(events: number): void {
    this.#events -= events;
  }
}

export interface SyncPorts {
  readonly limits: RelayLimits;
  readonly nowSec: NowSec;
  readonly budget: SyncBudget;
  /** What the client may see of this filter, at most `max` events. @throws Refusal, NmktError */
  select(filter: unknown, max: number): readonly SyncItem[];
  reply(...message: readonly unknown[]): Promise<void>;
}

interface OpenSync {
  readonly set: SyncSet;
  usedAt: number;
}

export class SyncSessions {
  readonly #ports: SyncPorts;
  readonly #open = new Map<string, OpenSync>();

  constructor(ports: SyncPorts) {
    this.#ports = ports;
  }

  /** Never throws: what goes wrong is answered and ends the reconciliation. */
  async receive(verb: string, [id, ...rest]: readonly unknown[]): Promise<void> {
    const { maxSubscriptionIdChars } = this.#ports.limits;
    if (typeof id !== 'string' || id.length === 0 || id.length > maxSubscriptionIdChars)
      return this.#ports.reply('NOTICE', `invalid: subscription ids have 1 to ${maxSubscriptionIdChars} characters`);
    try {
      if (verb === 'NEG-OPEN') await this.#start(id, rest[0], rest[1]);
      else if (verb === 'NEG-MSG') await this.#answer(id, rest[0]);
      else if (verb === 'NEG-CLOSE') this.#end(id);
      else throw new Refusal('invalid: expected NEG-OPEN, NEG-MSG or NEG-CLOSE');
    } catch (error) {
      this.#end(id);
      await this.#ports.reply('NEG-ERR', id, reasonOf(error));
    }
  }

  /** To be called from time to time: sets of clients that went quiet are given up. */
  async tend(): Promise<void> {
    const now = this.#ports.nowSec();
    for (const [id, { usedAt }] of [...this.#open]) {
      if (now - usedAt <= IDLE_SEC) continue;
      this.#end(id);
      await this.#ports.reply('NEG-ERR', id, `closed: no message for ${IDLE_SEC} s`);
    }
  }

  close(): void {
    for (const id of [...this.#open.keys()]) this.#end(id);
  }

  async #start(id: string, filter: unknown, message: unknown): Promise<void> {
    const { limits, budget, nowSec } = this.#ports;
    this.#end(id);
    if (this.#open.size >= limits.maxSyncs) throw new Refusal(`blocked: more than ${limits.maxSyncs} reconciliations`);
    const items = this.#ports.select(filter, limits.maxSyncEvents + 1);
    if (items.length > limits.maxSyncEvents)
      return this.#ports.reply('NEG-ERR', id, 'blocked: this query is too big', limits.maxSyncEvents);
    if (!budget.take(items.length)) throw new Refusal('rate-limited: too many reconciliations, try again in a minute');
    this.#open.set(id, { set: new SyncSet(items), usedAt: nowSec() });
    await this.#answer(id, message);
  }

  async #answer(id: string, message: unknown): Promise<void> {
    const open = this.#open.get(id);
    if (open === undefined) throw new Refusal('closed: no reconciliation is open under this id');
    open.usedAt = this.#ports.nowSec();
    if (typeof message !== 'string' || !/^(?:[0-9a-f]{2})+$/.test(message))
      throw new Refusal('invalid: a message is bytes as lowercase hex');
    const answer = respond(open.set, Buffer.from(fromHex(message)), MAX_ANSWER_BYTES);
    await this.#ports.reply('NEG-MSG', id, hex(answer));
  }

  #end(id: string): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    this.#ports.budget.giveBack(open.set.size);
  }
}
