import type { EventId, Pubkey } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import type { EventType } from '../../src/protocol/envelope.js';
import {
  EVENT_TYPES,
  parseJobEvent,
  type ContentOf,
  type EventName,
  type EventOf,
  type JobEvent,
} from '../../src/protocol/events.js';
import { signEvent } from '../../src/schnorr.js';
import { START_SEC, type Person } from './job-contents.js';

/** By step: another content before it is signed, or null to leave the step out; later events follow from what was signed. And what happens after it. */
export interface ChainOptions<S> {
  readonly alter?: Readonly<Record<string, (content: never, script: S) => unknown>>;
  readonly after?: Readonly<Record<string, (script: S) => void>>;
}

/** Chains of signed events, told step by step, of a job of any kind: fixed keys, fixed times, real signatures. */
export abstract class ChainScript<O extends ChainOptions<never>> {
  readonly events: NostrEvent[] = [];
  readonly parsed: JobEvent[] = [];
  readonly #steps = new Map<string, JobEvent>();
  readonly #tips = new Map<Pubkey, NostrEvent[]>();

  constructor(readonly options: O) {}

  get jobId(): EventId {
    return this.parsed[0]!.id;
  }

  /** A second for every event. */
  get nowSec(): number {
    return START_SEC + this.events.length;
  }

  /** @throws Error when the step was left out or has not come yet */
  at<K extends EventName>(step: string, _type: K): EventOf<K> {
    const event = this.#steps.get(step);
    if (event === undefined) throw new Error(`no step ${step}`);
    return event as EventOf<K>;
  }

  has(step: string): boolean {
    return this.#steps.has(step);
  }

  raw(step: string): NostrEvent {
    const { id } = this.#steps.get(step)!;
    return this.events.find((event) => event.id === id)!;
  }

  /** Links, signs, parses and keeps the author's next event; undefined when the step is left out. */
  say<K extends EventName>(who: Person, type: K, step: string, content: ContentOf<K>): EventOf<K> | undefined {
    const change = this.options.alter?.[step];
    const changed = change === undefined ? content : (change(content as never, this as never) as ContentOf<K> | null);
    if (changed === null) return undefined;
    const chain = this.#tips.get(who.pubkey) ?? [];
    const event = this.write(who, type, changed, { seq: chain.length, prev: chain.at(-1)?.id ?? null });
    this.#tips.set(who.pubkey, [...chain, event]);
    const one = this.add(event);
    this.#steps.set(step, one);
    this.options.after?.[step]?.(this as never);
    return one as EventOf<K>;
  }

  /** A signed event anywhere in a chain; `add` lets it count. */
  write<K extends EventName>(
    who: Person,
    type: K,
    content: ContentOf<K>,
    link: { readonly seq: number; readonly prev: EventId | null },
  ): NostrEvent {
    const wire = EVENT_TYPES[type] as unknown as EventType<K, ContentOf<K>>;
    const job = this.parsed.length === 0 ? null : this.jobId;
    return signEvent(wire.build({ job, ...link }, content, this.nowSec), who.secret);
  }

  /** A second event with the seq of that step: a fork of its author. */
  fork<K extends EventName>(who: Person, step: string, type: K, content: ContentOf<K>): JobEvent {
    const { seq, prev } = this.#steps.get(step)!;
    return this.add(this.write(who, type, content, { seq, prev }));
  }

  add(event: NostrEvent): JobEvent {
    const one = parseJobEvent(event);
    this.events.push(event);
    this.parsed.push(one);
    return one;
  }
}
