import { isNmktError, NmktError, type ErrorCode } from '../errors.js';
import type { Clock, Progress } from '../ports.js';
import type { Bell } from './bell.js';
import type { Outage } from './outage.js';

/** A customer that computes, waits for others or is started again is not gone yet. */
export const PATIENCE_SEC = 600;

/** How long a loop leaves relays alone that did not answer; they may be restarting. */
const RETRY_SEC = 5;

/**
 * Does a step of a loop; when no relay or no remote signer answers it says so and waits a little instead of giving up, since every step can be repeated.
 * @returns whether the step was done
 */
export async function patiently(
  env: { readonly clock: Clock; readonly bell: Bell; readonly progress: Progress; readonly signal: AbortSignal },
  step: () => Promise<void>,
  outage?: Pick<Outage, 'tell'>,
): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    if (!isNmktError(error, 'relay-unreachable') && !isNmktError(error, 'bunker-unreachable')) throw error;
    const whom = error.code === 'relay-unreachable' ? 'relays' : 'the bunker';
    const next = clockTime(env.clock.nowSec() + RETRY_SEC);
    const line = `waiting for ${whom}, until they answer or this run is stopped; again at ${next}: ${error.message}`;
    (outage?.tell ?? env.progress.update)(line);
    await env.clock.wait(RETRY_SEC * 1000, env.signal);
    return false;
  }
}

/** As `patiently`, until it is done. @throws NmktError `interrupted` */
export async function insisting<T>(env: Parameters<typeof patiently>[0], step: () => Promise<T>): Promise<T> {
  for (;;) {
    let done: { readonly value: T } | undefined;
    await patiently(env, async () => {
      done = { value: await step() };
    });
    if (done !== undefined) return done.value;
    requireRunning(env.signal);
  }
}

/** @throws NmktError `interrupted` */
export function requireRunning(signal: AbortSignal): void {
  if (signal.aborted)
    throw new NmktError('interrupted', 'stopped; the job waits where it is', {
      remedy: 'run the same command again to go on',
    });
}

/** HH:MM:SS UTC of a Unix second. */
export function clockTime(sec: number): string {
  return `${new Date(sec * 1000).toISOString().slice(11, 19)} UTC`;
}

const OWN_TROUBLES: readonly ErrorCode[] = [
  'bunker-unreachable',
  'bunker-refused',
  'disk-full',
  'disk-failed',
  'interrupted',
];

/**
 * The own key is out of reach or its holder said no, the own disk keeps nothing, or the run was stopped: never the fault of who
 * wrote the message.
 */
export function isOwnTrouble(error: unknown): boolean {
  return isNmktError(error) && OWN_TROUBLES.includes(error.code);
}
