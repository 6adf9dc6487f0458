import { KINDS } from '../protocol/kinds.js';
import type { Clock, RandomBytes, Signer } from '../ports.js';
import { openProbeLine, type Answer } from './probe-line.js';
import { sessionOver } from './probe-session.js';
import { tryEverything } from './probe-steps.js';

/**
 * What a market needs of a relay, tried out. What it writes expires in a minute, and its deletion is asked for. All of it
 * is what one relay did once: good for advice, proof of nothing.
 */

export const PROBE_STEPS = ['event', 'regular', 'chunk', 'wrap', 'strange', 'ephemeral'] as const;
/**
 * `event`: addressable, and `regular`, of the chunk's kind and small, both signed by the participant; `chunk`: as an upload sends it, signed by a key of one use; `wrap`: a gift
 * wrap to the participant; `strange`: one to somebody else; `ephemeral`: passed on.
 */
export type ProbeStep = (typeof PROBE_STEPS)[number];

export interface StepFacts extends Answer {
  /** Is what was written given back (over another connection; ephemeral: passed on)? */
  readonly isBack: boolean;
  readonly writeMs: number;
  readonly readMs: number;
}

/** Small events of the chunk's kind, all at once. */
export interface BurstFacts {
  readonly sent: number;
  readonly stored: number;
  /** Until the last answer. */
  readonly tookMs: number;
  /** The first no; empty where there was none. */
  readonly message: string;
  /** After a second, was one that had been put off (`rate-limited:`) taken? Null where none was. */
  readonly isTakenLater: boolean | null;
}

export interface ProbeSteps extends Readonly<Record<ProbeStep, StepFacts>> {
  readonly burst: BurstFacts;
  /** Of the events of the chunk's kind, whole: the largest that was taken, the smallest that was not; null where there was none. */
  readonly takenBytes: number | null;
  readonly refusedBytes: number | null;
  /** NIP-09, asked of events that were given back before; null where there were none. */
  readonly deletion: 'honoured' | 'ignored' | 'refused' | null;
  /** Was a login demanded to read, to write? */
  readonly loginToRead: boolean;
  readonly loginToWrite: boolean;
}

export interface ProbeFacts {
  /** Why there is no connection; null when there is one. */
  readonly problem: string | null;
  readonly connectMs: number;
  /** The relay's clock minus this one by the `Date` of the upgrade, in seconds. */
  readonly clockAheadSec: number | null;
  /** `offered`: a challenge came, nothing was refused without a login. */
  readonly auth: 'none' | 'offered' | 'accepted' | 'refused' | 'demanded';
  /** What the relay said when it asked to go slower; null when it never did. */
  readonly slower: string | null;
  /** An empty REQ, without writing: null when it was answered, else what came instead. */
  readonly readProblem: string | null;
  /** Null where nothing was to be written. */
  readonly steps: ProbeSteps | null;
}

export interface ProbeOptions {
  readonly signer: Signer;
  /** Signers nobody uses again: for what is written by nobody known, and to be written to. */
  readonly oneTime: Signer;
  readonly stranger: Signer;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly isWriting: boolean;
  readonly timeoutMs?: number;
}

/** @param url  checked (checkRelayUrl). Never throws for what a relay does. */
export async function probeRelay(url: string, options: ProbeOptions): Promise<ProbeFacts> {
  const { clock, isWriting, timeoutMs = 8_000 } = options;
  const startMs = clock.nowMs();
  const open = () => openProbeLine(url, timeoutMs);
  const line = await open();
  const connectMs = clock.nowMs() - startMs;
  const nothing = {
    connectMs,
    clockAheadSec: null,
    auth: 'none',
    slower: null,
    readProblem: null,
    steps: null,
  } as const;
  if (typeof line === 'string') return { ...nothing, problem: line };
  const session = sessionOver(line, { open, signer: options.signer, clock, mayLogIn: isWriting });
  try {
    const read = await session.read({ kinds: [KINDS.job], limit: 1 });
    const steps = isWriting ? await tryEverything(url, session, options) : null;
    const isShut = read.state === 'refused' && read.message.startsWith('auth-required:');
    const login = session.login === null ? null : session.login ? 'accepted' : 'refused';
    return {
      ...{ problem: null, connectMs, steps, slower: session.slower()[0] ?? null },
      clockAheadSec: line.dateMs === null ? null : (line.dateMs + 500 - (startMs + connectMs / 2)) / 1000,
      auth: login ?? (isShut ? 'demanded' : line.isChallenged() ? 'offered' : 'none'),
      readProblem: read.state === 'answered' ? null : read.state === 'silent' ? 'no answer to a REQ' : read.message,
    };
  } finally {
    session.close();
  }
}
