import { hex } from '../hash.js';
import type { Clock } from '../ports.js';
import { parseMessage } from './message.js';
import { initiate, reconcile } from './negentropy.js';
import { RelaySocket } from './socket.js';
import { SyncSet } from './sync-set.js';

/** Which of many events a relay has, by NIP-77: ids go over the wire, 32 bytes each, and no event does. */

/** In one filter: 34 KB, which relays that bound messages to 64 KiB take too. */
const IDS_AT_ONCE = 500;
const MAX_MESSAGE_BYTES = 60_000;
/** Answers to one question: a relay that cuts them shorter is not worth the time. */
const MAX_ANSWERS = 50;
const NOTHING = new SyncSet([]);

export interface StoredIdsOptions {
  readonly clock: Clock;
  /** For each answer; default 5,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Asks over a connection of its own, of nobody. Never throws.
 *
 * @param url  checked (checkRelayUrl)
 * @returns the relay's word; null when it does not say: it is away, silent, speaks no NIP-77 or speaks it wrong
 */
export async function storedIds(
  url: string,
  ids: readonly string[],
  { clock, timeoutMs = 5_000, signal }: StoredIdsOptions,
): Promise<ReadonlySet<string> | null> {
  const conversation = new Conversation(url, clock, timeoutMs, signal);
  const stored = new Set<string>();
  try {
    for (let at = 0; at < ids.length; at += IDS_AT_ONCE) {
      const asked = new Set(ids.slice(at, at + IDS_AT_ONCE));
      const said = await namedOf(asked, conversation, `s${at}`);
      if (said === null) return null;
      for (const id of said) if (asked.has(id)) stored.add(id);
    }
    return stored;
  } finally {
    await conversation.close();
  }
}

/** As one who has none of them: the relay then names those that it has. */
async function namedOf(asked: ReadonlySet<string>, conversation: Conversation, id: string): Promise<string[] | null> {
  const named: string[] = [];
  let answer = await conversation.ask(['NEG-OPEN', id, { ids: [...asked] }, hex(initiate(NOTHING))], id);
  for (let count = 0; count < MAX_ANSWERS; count++) {
    if (answer === null || !/^(?:[0-9a-f]{2})+$/.test(answer)) return null;
    try {
      const { need, next } = reconcile(NOTHING, Buffer.from(answer, 'hex'), MAX_MESSAGE_BYTES);
      named.push(...need);
      if (next === undefined) {
        conversation.say(['NEG-CLOSE', id]);
        return named;
      }
      answer = await conversation.ask(['NEG-MSG', id, hex(next)], id);
    } catch {
      return null; // broken
    }
  }
  return null;
}

/** One question at a time. */
class Conversation {
  readonly #socket: RelaySocket;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  #pending:
    { readonly text: string; readonly id: string; readonly settle: (answer: string | null) => void } | undefined;

  constructor(url: string, clock: Clock, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#socket = new RelaySocket(url, clock, {
      onOpen: () => void (this.#pending && this.#socket.send(this.#pending.text)),
      onFrame: (frame) => this.#receive(frame),
      onDown: () => this.#pending?.settle(null),
    });
  }

  /** @returns the message of the answer; null when there is none */
  async ask(message: readonly unknown[], id: string): Promise<string | null> {
    const text = JSON.stringify(message);
    const signal = this.#signal;
    // Not AbortSignal.any of a timeout: nothing holds that, and collected it never fires.
    let timer: NodeJS.Timeout | undefined;
    const giveUp = (): void => this.#pending?.settle(null);
    try {
      return await new Promise<string | null>((settle) => {
        this.#pending = { text, id, settle };
        timer = setTimeout(giveUp, this.#timeoutMs);
        signal?.addEventListener('abort', giveUp, { once: true });
        if (signal?.aborted === true) settle(null);
        else if (!this.#socket.send(text)) this.#socket.want(true);
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
      this.#pending = undefined;
    }
  }

  say(message: readonly unknown[]): void {
    this.#socket.send(JSON.stringify(message));
  }

  close(): Promise<void> {
    return this.#socket.close();
  }

  /** A relay that does not know NEG-OPEN says NOTICE, if anything. */
  #receive(frame: Buffer): void {
    const [verb, first, second] = parseMessage(frame.toString()) ?? [];
    const isOurs = first === this.#pending?.id;
    if (verb === 'NEG-MSG' && isOurs && typeof second === 'string') this.#pending?.settle(second);
    else if ((verb === 'NEG-ERR' && isOurs) || verb === 'NOTICE') this.#pending?.settle(null);
  }
}
