import { isNmktError } from '../errors.js';
import type { Clock, Signer } from '../ports.js';
import { CLIENT_AUTH } from './kinds.js';

/** The client's answer to a relay's challenge (NIP-42), for one connection after the other. */

const MAX_CHALLENGE_CHARS = 1_024;
const SIGN_AGAIN_MS = 5_000;

export interface LoginOptions {
  readonly url: string;
  readonly signer: Signer | undefined;
  /** Only where the relay refused something without it: whoever is not asked does not say who they are. */
  readonly isOnDemand: boolean;
  readonly clock: Clock;
  /** Aborted when the link closes. */
  readonly signal: AbortSignal;
  readonly send: (text: string) => void;
  readonly onAnswer: (isAccepted: boolean) => void;
}

/** Of the present connection. */
interface Attempt {
  readonly state: 'none' | 'pending' | 'accepted' | 'failed';
  eventId: string | undefined;
}
const NONE: Attempt = { state: 'none', eventId: undefined };

export class Login {
  readonly #options: LoginOptions;
  #attempt: Attempt = NONE;
  /** Of the present connection. */
  #challenge: string | undefined;
  #isDemanded: boolean;

  constructor(options: LoginOptions) {
    this.#options = options;
    this.#isDemanded = !options.isOnDemand;
  }

  get state(): Attempt['state'] {
    return this.#attempt.state;
  }

  /** There is somebody to log in, and the relay has not said no. */
  get isPossible(): boolean {
    return this.#options.signer !== undefined && this.state !== 'failed';
  }

  /** The connection is gone. */
  reset(): void {
    this.#attempt = NONE;
    this.#challenge = undefined;
  }

  /** The relay refused something for want of a login; on connections after this one it is spared the question. */
  demand(): void {
    const isFirst = !this.#isDemanded;
    this.#isDemanded = true;
    if (isFirst && this.#challenge !== undefined) void this.answer(this.#challenge);
  }

  /** @returns whether this OK was the answer to the login */
  take(id: string, isAccepted: boolean): boolean {
    if (this.state !== 'pending' || id !== this.#attempt.eventId) return false;
    this.#settle(isAccepted);
    return true;
  }

  async answer(challenge: string): Promise<void> {
    const { url, signer, clock, signal, send } = this.#options;
    if (!signer || challenge.length > MAX_CHALLENGE_CHARS) return;
    this.#challenge = challenge;
    if (!this.#isDemanded) return;
    const attempt: Attempt = { state: 'pending', eventId: undefined };
    this.#attempt = attempt;
    const tags = [
      ['relay', url],
      ['challenge', challenge],
    ];
    while (this.#attempt === attempt && !signal.aborted) {
      try {
        const event = await signer.sign({ kind: CLIENT_AUTH, created_at: clock.nowSec(), tags, content: '' });
        if (this.#attempt !== attempt) return; // another connection or challenge meanwhile
        attempt.eventId = event.id;
        send(JSON.stringify(['AUTH', event]));
        return;
      } catch (error) {
        // A remote signer may be away for a while; what waits for the login ends by its own silence.
        if (this.#attempt !== attempt) return;
        if (!isNmktError(error, 'bunker-unreachable')) return this.#settle(false);
        await clock.wait(SIGN_AGAIN_MS, signal);
      }
    }
  }

  #settle(isAccepted: boolean): void {
    this.#attempt = { state: isAccepted ? 'accepted' : 'failed', eventId: undefined };
    this.#options.onAnswer(isAccepted);
  }
}
