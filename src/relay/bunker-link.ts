import { NmktError } from '../errors.js';
import { hex, type Pubkey } from '../hash.js';
import type { Clock, NostrEvent, RandomBytes, Relays, Signer, Subscription } from '../ports.js';
import { NOSTR_CONNECT } from './kinds.js';
import { Slots } from './slots.js';

/** The wire of NIP-46: encrypted questions to a remote signer over relays, and its answers. */

export interface BunkerLinkOptions {
  /** The bunker's relays, logged in with the client key: with the user's key a login would need the bunker. */
  readonly relays: Relays;
  /** The key of this session; the bunker knows us by it. */
  readonly client: Signer;
  /** The bunker's own key, not the user's. */
  readonly bunker: Pubkey;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Silence after which the bunker counts as unreachable. Default 60,000: a person may have to press a button. */
  readonly timeoutMs?: number;
  /** The person has to approve something at this web page; the question goes on waiting. */
  readonly onAuthUrl: (url: string) => void;
  /** Ends every question that waits. */
  readonly signal?: AbortSignal;
}

export interface BunkerLink {
  /** @throws NmktError `bunker-unreachable`, `bunker-refused`, `too-large`, `interrupted` */
  ask(method: string, params: readonly string[]): Promise<string>;
  close(): Promise<void>;
}

/** Of the JSON inside: what NIP-44 carries with the two-byte length that every bunker understands. */
const MAX_REQUEST_BYTES = 65_535;
/** Bunkers limit how much they do for one client at once. */
const MAX_IN_FLIGHT = 8;
/** Relays that refuse the connection may be starting. */
const SEND_ATTEMPTS = 3;
const SEND_PAUSE_MS = 1_000;
/** At least so long after the bunker sent the person to a web page. */
const APPROVAL_MS = 300_000;
/** Answers from before this session began are not for it; clocks differ. */
const CLOCK_SLACK_SEC = 300;

interface Question {
  readonly answered: Promise<void>;
  /** Aborted by the answer, so that nothing waits for it any longer. */
  readonly isOver: AbortSignal;
  settle(answer: Reply): void;
  answer: Reply | undefined;
  authUrl: string | undefined;
}
interface Reply {
  readonly id: string;
  readonly result: string;
  readonly error: string;
}

export function openBunkerLink(options: BunkerLinkOptions): BunkerLink {
  const { relays, client, bunker, clock, random, timeoutMs = 60_000 } = options;
  const questions = new Map<string, Question>();
  const slots = new Slots(MAX_IN_FLIGHT);
  const closing = new AbortController();
  const ended = options.signal === undefined ? closing.signal : AbortSignal.any([closing.signal, options.signal]);
  let subscription: Subscription | undefined;
  let unreadable = 0;

  const receive = async (event: NostrEvent): Promise<void> => {
    const reply = await client.decrypt(bunker, event.content).then(parseReply, () => undefined);
    if (reply === undefined) unreadable++;
    const question = reply && questions.get(reply.id);
    if (question === undefined) return;
    if (reply!.result !== 'auth_url') return question.settle(reply!);
    const url = approvalPage(reply!.error);
    if (url === undefined || question.authUrl !== undefined) return;
    question.authUrl = url;
    options.onAuthUrl(url);
  };
  const listen = (): void => {
    const since = clock.nowSec() - CLOCK_SLACK_SEC;
    subscription ??= relays.subscribe(
      [{ kinds: [NOSTR_CONNECT], authors: [bunker], '#p': [client.pubkey], since }],
      (event) => void receive(event),
    );
  };
  /** A new event each time: the answer to the last one may have been lost, and bunkers know their old events. */
  const send = async (body: string) =>
    relays.publish(
      await client.sign({
        kind: NOSTR_CONNECT,
        created_at: clock.nowSec(),
        tags: [['p', bunker]],
        content: await client.encrypt(bunker, body),
      }),
    );

  const waitForAnswer = async (question: Question, body: string): Promise<void> => {
    const startMs = clock.nowMs();
    const limitMs = () => (question.authUrl === undefined ? timeoutMs : Math.max(timeoutMs, APPROVAL_MS));
    const pause = (ms: number) => clock.wait(ms, AbortSignal.any([ended, question.isOver]));
    for (let attempt = 1, isSentAgain = false; ;) {
      if (ended.aborted) throw stopped();
      const outcomes = await Promise.race([question.answered, send(body)]);
      if (question.answer !== undefined) return;
      if (!outcomes!.some(({ state }) => state === 'stored')) {
        if (attempt === SEND_ATTEMPTS) throw unreachable(relays, outcomes!);
        await pause(SEND_PAUSE_MS * attempt++);
        continue;
      }
      // Halfway it is asked again, unless a person is at it.
      for (;;) {
        const leftMs = startMs + limitMs() - clock.nowMs();
        const untilAgainMs = isSentAgain ? leftMs : leftMs - limitMs() / 2;
        if (leftMs > 0) await pause(Math.max(1, untilAgainMs));
        if (question.answer !== undefined) return;
        if (ended.aborted) throw stopped();
        if (clock.nowMs() - startMs >= limitMs()) throw silent(relays, question, limitMs(), unreadable);
        if (question.authUrl === undefined && !isSentAgain && clock.nowMs() - startMs >= limitMs() / 2) break;
      }
      isSentAgain = true;
    }
  };

  return {
    ask: (method, params) =>
      slots.run(async () => {
        const id = hex(random(16));
        const body = JSON.stringify({ id, method, params });
        requireSendable(method, Buffer.byteLength(body));
        listen();
        const question = newQuestion();
        questions.set(id, question);
        try {
          await waitForAnswer(question, body);
          const { result, error } = question.answer!;
          if (error === '') return result;
          throw refused(method, error);
        } finally {
          questions.delete(id);
        }
      }),
    async close() {
      closing.abort();
      subscription?.close();
    },
  };
}

function newQuestion(): Question {
  const over = new AbortController();
  const question: Question = {
    answered: new Promise((resolve) => over.signal.addEventListener('abort', () => resolve(), { once: true })),
    isOver: over.signal,
    // The first answer counts: a repetition may be signed with other randomness.
    settle: (answer) => {
      question.answer ??= answer;
      over.abort();
    },
    answer: undefined,
    authUrl: undefined,
  };
  return question;
}

/** @returns undefined for anything else than an answer */
function parseReply(text: string): Reply | undefined {
  try {
    const { id, result, error } = JSON.parse(text) as Record<string, unknown>;
    if (typeof id !== 'string') return undefined;
    const said = typeof error === 'string' ? error : error == null ? '' : JSON.stringify(error);
    return {
      id,
      result: typeof result === 'string' ? result : result == null ? '' : JSON.stringify(result),
      error: said,
    };
  } catch {
    return undefined;
  }
}

/** A stranger's text that a person is asked to open. */
function approvalPage(text: string): string | undefined {
  if (text.length > 2_048 || !URL.canParse(text)) return undefined;
  const { protocol, href } = new URL(text);
  return protocol === 'https:' || protocol === 'http:' ? href : undefined;
}

function requireSendable(method: string, bytes: number): void {
  if (bytes <= MAX_REQUEST_BYTES) return;
  throw new NmktError('too-large', `${method} of this content does not fit into one message to the bunker`, {
    expected: `at most ${MAX_REQUEST_BYTES} bytes`,
    got: `${bytes} bytes`,
    remedy: 'use fewer shards or trainers, or keep the key in a file instead of a bunker',
  });
}

const AGAIN = 'nothing is lost, run the same command again';

function unreachable(
  relays: Relays,
  outcomes: readonly { readonly relay: string; readonly message: string }[],
): NmktError {
  return new NmktError('bunker-unreachable', 'no relay takes messages to the bunker', {
    expected: `an answer from one of ${relays.urls.join(', ')}`,
    got: outcomes.map(({ relay, message }) => `${relay}: ${message}`).join('; '),
    remedy: `check the network and the relay in the bunker:// address; ${AGAIN}`,
  });
}

function silent(relays: Relays, { authUrl }: Question, limitMs: number, unreadable: number): NmktError {
  return new NmktError('bunker-unreachable', `the bunker did not answer in ${Math.round(limitMs / 1000)} s`, {
    expected: `an answer over ${relays.urls.join(', ')}`,
    got: unreadable === 0 ? 'silence' : `${unreadable} messages that do not open with NIP-44`,
    remedy:
      authUrl === undefined
        ? `start the bunker, or approve what it asks; ${AGAIN}`
        : `approve it at ${authUrl} ; ${AGAIN}`,
  });
}

function refused(method: string, error: string): NmktError {
  return new NmktError('bunker-refused', `the bunker refused ${method}`, {
    expected: 'its consent',
    got: error.slice(0, 300),
    remedy: 'allow this client in the bunker, or give nmkt a new bunker:// address from it',
  });
}

function stopped(): NmktError {
  return new NmktError('interrupted', 'stopped while the bunker was asked', {
    expected: 'its answer',
    got: 'a signal',
    remedy: 'run the same command again to go on',
  });
}
