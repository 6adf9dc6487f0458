import type { Clock, NostrEvent, PublishOutcome, Relays } from '../ports.js';
import { orInterrupted, requireRunning } from './interrupt.js';
import { Pace } from './pace.js';
import type { ChunkSource } from './source.js';
import type { UploadLog } from './upload-log.js';
import { Window, type WindowBounds } from './window.js';

/** One relay's share of an upload. */

export interface RelayTally {
  readonly relay: string;
  /** Chunks that it should have. */
  readonly assigned: number;
  readonly stored: number;
  readonly refused: number;
  readonly unreachable: number;
  /** Not sent, or put off to the end: the relay had refused or been silent before. */
  readonly skipped: number;
  /** The relay's last words that were not `stored`. */
  readonly message: string;
}

export interface LanePorts {
  readonly relays: Relays;
  readonly source: ChunkSource;
  readonly log: UploadLog;
  readonly bounds: WindowBounds;
  readonly clock: Pick<Clock, 'nowMs' | 'wait'>;
  readonly signal: AbortSignal | undefined;
  /** The relay asked to go slower, for the first time. */
  readonly onLimited: (relay: string, message: string) => void;
  /** Is every chunk on some relay? */
  readonly isCovered: () => boolean;
  /** The relay has this chunk, or will not get it in this pass. */
  readonly onSettled: (index: number, isStored: boolean) => void;
}

/** Silences in a row after which a relay gets no more chunks: each one costs a full timeout. */
const MAX_SILENCES = 3;
/** The same for refusals that might concern one chunk only. */
const MAX_REFUSALS = 8;
/** NIP-01 prefixes of a no that further chunks would meet as well; work on 64 KB takes hours per chunk. */
const LASTING_REFUSAL = /^(pow|restricted|blocked|auth-required):/;
/** A relay that only asks to go slower and takes nothing meanwhile: longer than those who count by the minute. */
const MAX_LIMITED_MS = 120_000;
/** Where other relays have everything, nobody waits longer than this for one that takes nothing, or for the rest of one that is slow. */
const MAX_SPARE_LIMITED_MS = 30_000;
const MAX_SPARE_REST_SEC = 600;
/** Sealing and signing take the thread: answers get theirs after so many. */
const BURST = 8;

export class UploadLane {
  readonly relay: string;
  readonly #ports: LanePorts;
  readonly #window: Window;
  readonly #pace = new Pace();
  /** Since when everything was put off (`rate-limited:`). */
  #limitedSince: number | undefined;
  /** To be sent, last first. */
  #todo: number[];
  readonly #assigned: number;
  readonly #unanswered = new Set<number>();
  #stored = 0;
  #refused = 0;
  #unreachable = 0;
  #silences = 0;
  #refusals = 0;
  #inFlight = 0;
  #wake: (() => void) | undefined;
  /** Why it gets no more chunks. */
  #dropped: 'no' | 'silent' | 'refuses' = 'no';
  #message = '';
  #failure: Error | undefined;

  /** @param indices  what this relay should have, in order */
  constructor(relay: string, indices: readonly number[], ports: LanePorts) {
    this.relay = relay;
    this.#ports = ports;
    this.#window = new Window(ports.bounds);
    this.#todo = indices.toReversed();
    this.#assigned = indices.length;
  }

  /** Sends until nothing is left, or the relay takes no more. @throws NmktError `interrupted` */
  async run(): Promise<void> {
    const { source, log, signal } = this.#ports;
    let burst = 0;
    // What is in flight may come back to be sent again.
    while (this.#dropped === 'no' && this.#todo.length + this.#inFlight > 0) {
      requireRunning(signal);
      this.#requireWhole();
      if (this.#todo.length === 0 || this.#inFlight >= this.#window.size) {
        await orInterrupted(this.#answer(), signal);
        continue;
      }
      const waitMs = this.#pace.waitMs(this.#ports.clock.nowMs());
      if (waitMs > 0) {
        await orInterrupted(this.#answerWithin(waitMs), signal);
        continue;
      }
      const index = this.#todo.pop()!;
      if (log.has(this.relay, index)) {
        this.#stored++;
        this.#ports.onSettled(index, true);
        continue;
      }
      this.#inFlight++;
      void this.#send(index, await source.event(index)).catch((error: unknown) => this.#fail(error));
      if (++burst % BURST === 0) await new Promise(setImmediate);
    }
    while (this.#inFlight > 0) await orInterrupted(this.#answer(), signal);
    this.#requireWhole();
    for (const index of this.#todo) this.#ports.onSettled(index, false);
  }

  /** What met silence is sent once more, to a relay that took something before. @returns whether there is anything */
  reopen(): boolean {
    if (this.#dropped === 'refuses' || this.#stored === 0 || this.#unanswered.size === 0) return false;
    this.#dropped = 'no';
    this.#silences = 0;
    this.#todo = [...this.#unanswered, ...this.#todo].sort((a, b) => b - a);
    this.#unanswered.clear();
    return true;
  }

  tally(): RelayTally {
    const skipped = Math.max(0, this.#assigned - this.#stored - this.#refused - this.#unreachable);
    return {
      relay: this.relay,
      assigned: this.#assigned,
      stored: this.#stored,
      refused: this.#refused,
      unreachable: this.#unreachable,
      skipped,
      message: this.#message,
    };
  }

  async #send(index: number, event: NostrEvent): Promise<void> {
    const sentAt = performance.now();
    const sentMs = this.#ports.clock.nowMs();
    this.#pace.onSent(sentMs);
    const [outcome] = await this.#ports.relays.publish(event, [this.relay], { isBulk: true });
    this.#inFlight--;
    const silence: PublishOutcome = { relay: this.relay, state: 'unreachable', message: 'no such relay' };
    if (outcome?.state === 'refused' && outcome.message.startsWith('rate-limited:'))
      this.#putOff(index, outcome.message, sentMs);
    else this.#note(index, outcome ?? silence, performance.now() - sentAt);
    this.#wake?.();
  }

  #fail(error: unknown): void {
    this.#failure = error instanceof Error ? error : new Error(String(error));
    this.#inFlight--;
    this.#wake?.();
  }

  #requireWhole(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The relay will have it later, unless it takes nothing else meanwhile. */
  #putOff(index: number, message: string, sentMs: number): void {
    const nowMs = this.#ports.clock.nowMs();
    if (!this.#pace.isLimited) this.#ports.onLimited(this.relay, message.slice(0, 200));
    this.#pace.onLimited(sentMs, nowMs);
    this.#window.onTrouble(this.#inFlight);
    this.#silences = 0;
    this.#message = message.slice(0, 200);
    this.#todo.push(index);
    this.#limitedSince ??= nowMs;
    const isSpare = this.#ports.isCovered();
    const isHopeless = isSpare && this.#todo.length > MAX_SPARE_REST_SEC * (this.#pace.ratePerSec ?? Infinity);
    const isStuck = nowMs - this.#limitedSince >= (isSpare ? MAX_SPARE_LIMITED_MS : MAX_LIMITED_MS);
    if (isHopeless || isStuck) this.#dropped = 'refuses';
  }

  #note(index: number, { state, message, postponed = 0 }: PublishOutcome, tookMs: number): void {
    if (state === 'stored') {
      this.#stored++;
      this.#pace.onStored(this.#ports.clock.nowMs());
      this.#limitedSince = undefined;
      this.#ports.log.add(this.relay, index);
    } else {
      this.#message = message.slice(0, 200);
      if (state === 'refused') this.#refused++;
      else {
        this.#unreachable++;
        this.#unanswered.add(index);
      }
    }
    // A chunk that had to wait went through in the end; what follows should be slower all the same.
    if (state === 'unreachable' || postponed > 0) this.#window.onTrouble(this.#inFlight);
    else this.#window.onStored(tookMs);
    this.#silences = state === 'unreachable' ? this.#silences + 1 : 0;
    this.#refusals = state === 'refused' ? this.#refusals + 1 : 0;
    if (this.#silences >= MAX_SILENCES) this.#dropped = 'silent';
    if (this.#refusals >= MAX_REFUSALS || (state === 'refused' && LASTING_REFUSAL.test(message)))
      this.#dropped = 'refuses';
    this.#ports.onSettled(index, state === 'stored');
  }

  /** The next answer, or so much time. */
  async #answerWithin(ms: number): Promise<void> {
    const stop = new AbortController();
    await Promise.race([this.#answer(), this.#ports.clock.wait(ms, stop.signal)]);
    stop.abort();
  }

  #answer(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
