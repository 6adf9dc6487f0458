import { isNmktError } from '../errors.js';
import type { JobState, RoundState } from '../market/state.js';
import type { TrainerEnv } from './trainer.js';

/** Between two looks at a round, if no news comes. */
const LOOK_MS = 60_000;

/** Can a commitment to this round still count? */
export function takesCommits({ rounds, cancelled }: JobState, { round }: Pick<RoundState, 'round'>): boolean {
  const now = rounds[round];
  return cancelled === null && now !== undefined && now.commitList === null && now.voided === null;
}

/**
 * Trains for as long as the round takes commitments: a straggler is free for its other seats' reveals, and for the next round, as
 * soon as the list is out.
 *
 * @returns null when it came too late
 */
export async function whileOpen<T>(
  { bell, signal }: Pick<TrainerEnv, 'bell' | 'signal'>,
  isOpen: () => boolean,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | null> {
  const [done, late] = [new AbortController(), new AbortController()];
  const stop = AbortSignal.any([done.signal, signal]);
  const watch = async (): Promise<void> => {
    while (!stop.aborted && isOpen()) await bell.wait(LOOK_MS, stop);
    if (!stop.aborted) late.abort();
  };
  const watching = watch();
  try {
    return await work(AbortSignal.any([late.signal, signal]));
  } catch (error) {
    if (late.signal.aborted && isNmktError(error, 'interrupted')) return null;
    throw error;
  } finally {
    done.abort();
    await watching;
  }
}
