import type { Command } from 'commander';
import { NmktError } from '../errors.js';
import { parseEventReference } from '../config/identifiers.js';
import type { EventId } from '../hash.js';
import type { Network } from '../ports.js';
import { parseDuration } from '../roles/duration.js';
import { addThreadsFlag, readThreads } from './threads.js';
import { readBounds, type Bounds } from './trainer-bounds.js';
import { readParallel } from './trainer-engines.js';

/** Flags of whoever serves others' jobs, as trainer or validator. */

export interface ServeFlags {
  readonly bounds: Bounds;
  readonly threads: number;
  /** Trainings at a time. */
  readonly parallel: number;
  /** Absent: every job that appears. */
  readonly only: EventId | undefined;
  readonly isOnce: boolean;
  /** As typed. */
  readonly timeout: string | undefined;
  readonly timeoutSec: number | undefined;
}

/** What one role's words are, where they differ. */
interface Words {
  readonly job: string;
  readonly once: string;
  readonly bytes: string;
  readonly minutes: string;
  readonly stake: string;
}

/** Which jobs, and how often. */
export function addWhichFlags(program: Command, { job, once }: Pick<Words, 'job' | 'once'>): void {
  program
    .option('--job <id>', job)
    .option('--once', once)
    .option('--timeout <duration>', 'with --once: give up after this long (exit 3)');
}

/** What a job may ask at most. */
export function addLimitFlags(program: Command, { bytes, minutes }: Pick<Words, 'bytes' | 'minutes'>): void {
  program
    .option('--max-params <n>', 'largest model, in parameters (default 20000000)')
    .option('--max-bytes <n>', `${bytes} (default 1073741824)`)
    .option('--max-minutes <n>', `${minutes}; 0.5 is 30 seconds (default 60)`);
}

/** For whom, and with what at stake; comes last. */
export function addCustomerFlags(program: Command, { stake }: Pick<Words, 'stake'>): void {
  program
    .option('--max-stake <sats>', `most stake to lock for a job that asks for one; ${stake} loses it (default 0)`)
    .option('--allow <npub...>', 'work for these customers only')
    .option('--deny <npub...>', 'never work for these customers');
  addThreadsFlag(program);
}

/** @param flag  that says the price @throws NmktError `bad-usage`, `bad-key` */
export function readServeFlags(
  options: Readonly<Record<string, unknown>>,
  network: Network,
  flag: '--price' | '--fee',
): ServeFlags {
  const bounds = readBounds(flag === '--fee' ? { ...options, price: options['fee'] } : options, network, flag);
  const threads = readThreads(options);
  const parallel = readParallel(options, bounds, threads);
  const only = typeof options['job'] === 'string' ? parseEventReference(options['job']) : undefined;
  if (only?.type === 'address')
    throw new NmktError('bad-key', 'a job is an event, not an address', {
      expected: 'an event id',
      got: 'naddr',
      remedy: '--job ID',
    });
  const timeout = typeof options['timeout'] === 'string' ? options['timeout'] : undefined;
  return {
    ...{ bounds, threads, parallel, only: only?.id, isOnce: options['once'] === true, timeout },
    timeoutSec: timeout === undefined ? undefined : parseDuration(timeout, '--timeout'),
  };
}
