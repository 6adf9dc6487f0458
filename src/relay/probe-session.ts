import type { Clock, Filter, NostrEvent, Signer } from '../ports.js';
import type { Answer, ProbeLine, ReadAnswer } from './probe-line.js';

/** A probe's conversation with one relay: logs in where that is demanded, and connects again where it was hung up on. */
export interface ProbeSession {
  /** As an upload would: logs in when the relay wants that, and waits once when it is asked to go slower. */
  publish(event: NostrEvent): Promise<Answer>;
  /** Without waiting for each other, and without a second try but for a login. */
  publishAtOnce(events: readonly NostrEvent[]): Promise<readonly Answer[]>;
  read(filter: Filter): Promise<ReadAnswer>;
  /** Even where nothing demanded it; once on each connection. @returns whether it worked */
  logIn(): Promise<boolean>;
  /** Is the event delivered to a subscription that was there before it was published? */
  listen(id: string): Promise<{ readonly came: Promise<boolean> }>;
  /** Goes on over a new connection. @returns false when there is none */
  renew(): Promise<boolean>;
  /** Did the last login work; null until one was demanded. */
  readonly login: boolean | null;
  readonly loginToRead: boolean;
  readonly loginToWrite: boolean;
  /** Every message in which the relay asked to go slower, on any connection. */
  slower(): readonly string[];
  close(): void;
}

export interface SessionOptions {
  readonly open: () => Promise<ProbeLine | string>;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly mayLogIn: boolean;
}

const SLOWER_MS = 1_000;

/** @param first  an open line; closed by the session */
export function sessionOver(first: ProbeLine, { open, signer, clock, mayLogIn }: SessionOptions): ProbeSession {
  const lines = [first];
  let line = first;
  /** Of the present line. */
  let attempt: Promise<boolean> | undefined;
  let login: boolean | null = null;
  const demanded = { read: false, write: false };

  const tryLogin = async (): Promise<boolean> =>
    (login = line.isChallenged() && (await line.login(signer, clock.nowSec())));
  const logIn = async (): Promise<boolean> => mayLogIn && (attempt ??= tryLogin());
  const renew = async (): Promise<boolean> => {
    line.close();
    const next = await open();
    if (typeof next === 'string') return false;
    lines.push(next);
    line = next;
    attempt = undefined;
    return true;
  };
  const connected = async (): Promise<void> => {
    if (!line.isOpen()) await renew();
  };
  const publish = async (event: NostrEvent): Promise<Answer> => {
    const answer = await line.publish(event);
    if (!answer.message.startsWith('auth-required:')) return answer;
    demanded.write = true;
    return (await logIn()) ? line.publish(event) : answer;
  };
  return {
    renew,
    logIn,
    get login() {
      return login;
    },
    get loginToRead() {
      return demanded.read;
    },
    get loginToWrite() {
      return demanded.write;
    },
    async publish(event) {
      await connected();
      const answer = await publish(event);
      if (!answer.message.startsWith('rate-limited:')) return answer;
      await clock.wait(SLOWER_MS);
      return line.publish(event);
    },
    async publishAtOnce(events) {
      await connected();
      return Promise.all(events.map(publish));
    },
    async read(filter) {
      await connected();
      const answer = await line.read(filter);
      if (!answer.message.startsWith('auth-required:')) return answer;
      demanded.read = true;
      return (await logIn()) ? line.read(filter) : answer;
    },
    async listen(id) {
      await connected();
      return line.listen(id);
    },
    slower: () => lines.flatMap(({ slower }) => slower),
    close: () => line.close(),
  };
}
