import { NmktError } from '../errors.js';
import type { Pubkey } from '../hash.js';
import { paidMsat, type JobState } from '../market/state.js';
import type { Finding } from '../roles/audit.js';
import type { JobBook } from '../roles/job-book.js';
import { table } from '../terminal/table.js';
import type { Outcome } from './command.js';

/** What the audit ran over and what it found, as a document and as text. */

const CHECKS = {
  public: ['signatures', 'chains', 'award', 'lists', 'omissions', 'acceptance', 'settlements', 'receipts'],
  keys: ['seed', 'bases', 'updates', 'aggregates', 'model'],
} as const;

export interface Audited {
  readonly state: JobState;
  readonly level: keyof typeof CHECKS;
  readonly found: Finding | null;
  /** Events that were at hand when `state` was folded: of the job, and such as break the protocol. */
  readonly events: number;
  readonly unreadable: number;
}

/** @throws NmktError `audit-failed` with the document, when an event does not follow */
export function report(audited: Audited, book: JobBook): Outcome {
  const value = documentOf(audited, book);
  const text = describe(value);
  const { job, firstBad } = value;
  if (firstBad === null) return { value, text, next: `nmkt status ${job}` };
  throw new NmktError('audit-failed', `event ${firstBad.event} does not follow: ${firstBad.rule}`, {
    expected: 'every event to follow from the others',
    got: firstBad.detail,
    remedy: `nmkt status ${job}`,
    value: { value, text },
  });
}

function documentOf({ state, level, found, events, unreadable }: Audited, book: JobBook) {
  const author: Pubkey | undefined = found === null ? undefined : book.raw(found.event)?.pubkey;
  return {
    job: state.jobId,
    level,
    verdict: found === null ? 'PASS' : 'FAIL',
    firstBad: found && { event: found.event, ...(author && { author }), rule: found.rule, detail: found.detail },
    phase: state.phase,
    reached: level === 'keys' ? [...CHECKS.public, ...CHECKS.keys] : CHECKS.public,
    events,
    rounds: state.rounds.length,
    paidMsat: paidMsat(state),
    forks: state.forks.map(({ author: who, seq, ids }) => ({ author: who, seq, events: ids })),
    unreadable,
  };
}

function describe(value: ReturnType<typeof documentOf>): string {
  const { level, phase, firstBad } = value;
  const isWhole = phase === 'finished' || phase === 'cancelled' || firstBad !== null;
  const why =
    level === 'keys'
      ? 'models and updates opened; no shard key, so training itself is not repeated'
      : firstBad === null
        ? 'signed events alone; no audit keys, so models and updates stay closed (--keys FILE)'
        : 'signed events alone are enough to see it';
  return table([
    ['job', value.job],
    ['level', `${level}: ${why}`],
    ['checked', value.reached.join(', ')],
    ['over', `${value.events} events, ${value.rounds} rounds, ${Number(value.paidMsat) / 1000} sat paid`],
    ...value.forks.map(({ author, seq }) => ['fork', `${author} signed two events with seq ${seq}`]),
    ['verdict', `${value.verdict}${isWhole ? '' : ` so far: the job is ${phase}`}`],
    ...(firstBad === null
      ? []
      : [
          ['first bad', `${firstBad.event}${firstBad.author ? ` of ${firstBad.author}` : ''}`],
          ['', `${firstBad.rule}: ${firstBad.detail}`],
        ]),
  ]);
}
