import { NmktError } from '../errors.js';
import { hex } from '../hash.js';
import { KINDS, PROTOCOL_TAG, PROTOCOL_VERSION } from '../protocol/kinds.js';
import type { Clock, NostrEvent, Progress, RandomBytes, Relays, Signer } from '../ports.js';

/**
 * Two homes of one key must not run at once: both would sign the next number of a chain. A process says hello (ephemeral, so that no
 * relay keeps it); one of the same key and scope that runs already answers, and the newcomer leaves. A relay that drops ephemeral
 * events hides them from each other: then the first event that the other one signs is what is seen.
 */

/** A job that is led, or all work of a trainer. */
export type Scope = string;

export interface Presence {
  /** Aborted when another process was here first. */
  readonly rival: AbortSignal;
  /** Signs until then. @throws NmktError `key-in-use` */
  readonly signer: Signer;
  close(): void;
}

/** So long a home that may not be the only one waits for an answer. */
const LISTEN_MS = 2_000;
/** An older hello is a relay's echo. */
const MAX_AGE_SEC = 120;

/**
 * @param options.isSecond  this home came out of a backup, or another one signed for this key: wait for an answer before signing
 * @throws NmktError `key-in-use`
 */
export async function announcePresence(
  scope: Scope,
  options: {
    readonly relays: Relays;
    readonly signer: Signer;
    readonly clock: Clock;
    readonly random: RandomBytes;
    readonly progress: Progress;
    readonly isSecond: boolean;
  },
): Promise<Presence> {
  const { relays, signer, clock, random, progress, isSecond } = options;
  const nonce = hex(random(16));
  const rival = new AbortController();
  const answered = new Set<string>();

  /** What cannot be said leaves the other one unwarned; nothing else depends on it. */
  const say = async (phase: 'hello' | 'here', tags: readonly (readonly string[])[]): Promise<void> => {
    const head = [
      ['t', PROTOCOL_TAG],
      ['v', PROTOCOL_VERSION],
      ['phase', phase],
      ['x', scope],
    ];
    try {
      const template = { kind: KINDS.presence, created_at: clock.nowSec(), tags: [...head, ...tags], content: '' };
      await relays.publish(await signer.sign(template));
    } catch {
      progress.update('this process could not make itself known to others of its key');
    }
  };

  const hear = (event: NostrEvent): void => {
    const tag = (name: string) => event.tags.find(([key]) => key === name)?.[1];
    if (event.pubkey !== signer.pubkey || tag('x') !== scope) return;
    if (tag('phase') === 'here' && tag('n') === nonce) rival.abort();
    const other = tag('n');
    if (tag('phase') !== 'hello' || other === undefined || other === nonce || answered.has(other)) return;
    if (Math.abs(event.created_at - clock.nowSec()) > MAX_AGE_SEC || rival.signal.aborted) return;
    answered.add(other);
    progress.warn(
      'another process of this key was started: it is told to stop, since two of them would fork the chain',
    );
    void say('here', [['n', other]]);
  };

  const since = clock.nowSec() - MAX_AGE_SEC;
  const filter = { kinds: [KINDS.presence], authors: [signer.pubkey], since };
  const subscription = relays.subscribe([filter], hear);
  const hello = say('hello', [['n', nonce]]);
  if (isSecond) {
    await hello;
    await clock.wait(LISTEN_MS, rival.signal);
  }
  const requireAlone = (): void => {
    if (rival.signal.aborted) throw keyInUse(scope);
  };
  try {
    requireAlone();
  } catch (error) {
    subscription.close();
    throw error;
  }
  return {
    rival: rival.signal,
    signer: {
      ...signer,
      async sign(template) {
        requireAlone();
        return signer.sign(template);
      },
    },
    close: () => subscription.close(),
  };
}

export function keyInUse(scope: Scope): NmktError {
  return new NmktError('key-in-use', 'another process works with this key', {
    expected: 'one process for each key',
    got: `an answer from one that ${scope === 'trainer' ? 'trains' : scope === 'validator' ? 'scores' : `leads job ${scope.slice(0, 12)}…`}`,
    remedy: 'stop that one, here or on another machine, then run the same command again',
  });
}
