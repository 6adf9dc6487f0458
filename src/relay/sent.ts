import type { NostrEvent, PublishOutcome } from '../ports.js';

/** What a link sent to its relay and waits for. */

export type Outcome = Omit<PublishOutcome, 'relay'>;

export interface RequestHandlers {
  /** Of the right shape; id and signature are not checked. @param isPlain  the message held no escaped character (event-json.ts) */
  onEvent(event: NostrEvent, isPlain: boolean): void;
  /** Stored events are through. */
  onEose(): void;
  /** The relay ended the request for good, or (`isLive` false) could not be reached. */
  onEnd(reason: string): void;
  /** Live requests outlast every loss of the connection. */
  readonly isLive: boolean;
}

export interface Request {
  close(): void;
}

/** Something that was sent and may have to be sent again. */
export interface Sent {
  readonly frame: Buffer | string;
  /** Times it was postponed by `rate-limited:` or `error:`. */
  postponed: number;
  isPostponed: boolean;
  /** Waits for authentication; once sent again after it, a second `auth-required:` is final. */
  awaitsAuth: boolean;
  wasResentAfterAuth: boolean;
  /** Connections lost while it waited. */
  drops: number;
}
export interface Publishing extends Sent {
  /** Of many, none of which is worth more than another: may be sent twice. */
  readonly isBulk: boolean;
  /** Of sending. */
  order: number;
  readonly outcome: Promise<Outcome>;
  readonly settle: (outcome: Outcome) => void;
}
export interface Requested extends Sent {
  readonly handlers: RequestHandlers;
}

export function unsent(frame: Buffer | string): Sent {
  return { frame, postponed: 0, isPostponed: false, awaitsAuth: false, wasResentAfterAuth: false, drops: 0 };
}

export function longest(publishing: ReadonlyMap<string, Publishing>): Publishing | undefined {
  const all = [...publishing.values()];
  return all.reduce<Publishing | undefined>((a, b) => (a && a.frame.length >= b.frame.length ? a : b), undefined);
}
