import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { keyHolders, type KeyHolders } from '../market/holders.js';
import { paidMsat, type JobState } from '../market/state.js';
import { describeStakes, stakeRows } from '../roles/describe-stakes.js';
import type { Audit, AuditedValidator, Finding } from '../roles/audit.js';
import { scoredBy } from '../roles/describe-validators.js';
import type { JobBook } from '../roles/job-book.js';
import { table } from '../terminal/table.js';
import type { Outcome } from './command.js';

/** What the audit ran over and what it found, as a document and as text. */

const CHECKS = {
  public: [
    ...['signatures', 'chains', 'pins', 'award', 'lists', 'omissions', 'deadlines'],
    ...['acceptance', 'settlements', 'receipts'],
  ],
  keys: ['seed', 'bases', 'updates', 'aggregates', 'model'],
  data: ['data', 'commitments', 'grants', 'scores', 'segments', 'roots', 'metrics'],
} as const;

const REACHED = {
  public: CHECKS.public,
  keys: [...CHECKS.public, ...CHECKS.keys],
  data: [...CHECKS.public, ...CHECKS.keys, ...CHECKS.data],
} as const;

export interface Audited extends Audit {
  readonly state: JobState;
  /** Events that were at hand when `state` was folded: of the job, and such as break the protocol. */
  readonly events: number;
  readonly unreadable: number;
}

/** @throws NmktError `audit-failed` with the document, when an event does not follow */
export function report(audited: Audited, book: JobBook): Outcome {
  const value = documentOf(audited, book);
  return verdictOf(value, describe(value));
}

/** Of a job of any kind. @throws NmktError `audit-failed` with the document, when an event does not follow */
export function verdictOf(value: { readonly job: EventId; readonly firstBad: Finding | null }, text: string): Outcome {
  const { job, firstBad } = value;
  if (firstBad === null) return { value, text, next: `nmkt status ${job}` };
  throw new NmktError('audit-failed', `event ${firstBad.event} does not follow: ${firstBad.rule}`, {
    expected: 'every event to follow from the others',
    got: firstBad.detail,
    remedy: `nmkt status ${job}`,
    value: { value, text },
  });
}

function documentOf(audited: Audited, book: JobBook) {
  const { state, level, why, found, disputes, engine, repeated, roots, standing, events, unreadable } = audited;
  const { validators, awardedBy } = audited;
  const unchecked = Object.entries({ segments: repeated, roots })
    .filter(([, again]) => again?.why !== null)
    .map(([check]) => check);
  const author: Pubkey | undefined = found === null ? undefined : book.raw(found.event)?.pubkey;
  return {
    job: state.jobId,
    level,
    why,
    verdict: found === null ? 'PASS' : 'FAIL',
    firstBad: found && { event: found.event, ...(author && { author }), rule: found.rule, detail: found.detail },
    phase: state.phase,
    reached: REACHED[level].filter((check) => !unchecked.includes(check)),
    events,
    rounds: state.rounds.length,
    paidMsat: paidMsat(state),
    engine,
    repeated,
    roots,
    standing,
    validators,
    fallbacks: fallbacksOf(state),
    holders: keyHolders(state),
    awardedBy,
    forks: state.forks.map(({ author: who, seq, ids }) => ({ author: who, seq, events: ids })),
    disputes,
    stakes: describeStakes(state),
    unreadable,
  };
}

function describe(value: ReturnType<typeof documentOf>): string {
  const { phase, firstBad } = value;
  const isWhole = phase === 'finished' || phase === 'cancelled' || firstBad !== null;
  return table([
    ['job', value.job],
    ['level', `${value.level}: ${describeLevel(value)}`],
    ['checked', value.reached.join(', ')],
    ['over', `${value.events} events, ${value.rounds} rounds, ${Number(value.paidMsat) / 1000} sat paid`],
    ...(value.repeated === null ? [] : [['repeated', describeRepeated(value.repeated)]]),
    ...(value.roots === null ? [] : [['root updates', describeRoots(value.roots)]]),
    ...(value.awardedBy === 'customer' ? [['award', 'the customer chose among admissible bids: its word']] : []),
    ...(value.standing === null ? [] : [['standing', describeStanding(value.standing)]]),
    ...(value.holders.shards.length === 0 ? [] : [['keys', describeHolders(value.holders)]]),
    ...(value.validators ?? []).map((one) => ['validator', describeValidator(one)]),
    ...(value.fallbacks.length === 0
      ? []
      : [
          [
            'scores',
            `validators: fallback in rounds ${value.fallbacks.map((round) => round + 1).join(', ')}: the customer's own`,
          ],
        ]),
    ...stakeRows(value.stakes),
    ...value.forks.map(({ author, seq }) => ['fork', `${author} signed two events with seq ${seq}`]),
    ...value.disputes.map(({ event, trainer, shard, rule, detail }) => [
      'dispute',
      `shard ${shard}, ${trainer}: ${rule} (${detail}); event ${event}`,
    ]),
    ['verdict', `${value.verdict}${isWhole ? '' : ` so far: the job is ${phase}`}`],
    ...(firstBad === null
      ? []
      : [
          ['first bad', `${firstBad.event}${firstBad.author ? ` of ${firstBad.author}` : ''}`],
          ['', `${firstBad.rule}: ${firstBad.detail}`],
        ]),
  ]);
}

function describeHolders({ shards, validators }: KeyHolders): string {
  const most = Math.max(...shards.map(({ trainers }) => trainers.length));
  const theirs = `each of ${shards.length} shards to at most ${most} trainer${most === 1 ? '' : 's'}`;
  return validators.length === 0 ? theirs : `${theirs}, all of them to ${validators.length} validators`;
}

/** Rounds that the customer measured because too few validators did. */
function fallbacksOf(state: JobState): number[] {
  return state.rounds.filter((round) => scoredBy(state, round) === 'fallback').map(({ round }) => round);
}

function describeValidator({ pubkey, seat, rounds, absent, apart, contradicted }: AuditedValidator): string {
  const named = (what: string, list: readonly number[]) =>
    list.length === 0 ? [] : [`${what} in ${list.map((round) => round + 1).join(', ')}`];
  const lies = (contradicted ?? []).map(({ round, detail }) => `round ${round + 1}: ${detail}`);
  return [
    `${pubkey}: ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`,
    ...(seat === 'lost' ? ['lost its seat'] : []),
    ...named('absent', absent),
    ...named('apart from the others', apart),
    ...(lies.length === 0 ? [] : [`contradicted, ${lies[0]}${lies.length > 1 ? ` and ${lies.length - 1} more` : ''}`]),
  ].join('; ');
}

function describeRepeated({ segments, why }: NonNullable<Audit['repeated']>): string {
  const again = `${segments} ${segments === 1 ? 'segment' : 'segments'} of training, to the bit`;
  return why === null ? again : segments === 0 ? `no segment of training: ${why}` : `${again}; not all: ${why}`;
}

function describeRoots({ rounds, why }: NonNullable<Audit['roots']>): string {
  return why === null
    ? `of ${rounds} ${rounds === 1 ? 'round' : 'rounds'} trained again, to the bit`
    : `not trained again: ${why}`;
}

function describeStanding({ jobs, why }: NonNullable<Audit['standing']>): string {
  const counted = `of bidders counted again from ${jobs} earlier ${jobs === 1 ? 'job' : 'jobs'}`;
  return why === null ? counted : jobs === 0 ? `the customer's word: ${why}` : `${counted}; ${why}`;
}

function describeLevel({ level, why, firstBad, engine }: ReturnType<typeof documentOf>): string {
  const opened = {
    public: firstBad === null ? 'signed events alone' : 'signed events alone are enough to see it',
    keys: 'models and updates opened',
    data: `the data opened, scores measured again on ${engine ?? 'no engine'}`,
  }[level];
  const hint = { public: ' (--keys FILE)', keys: ' (collect-model --audit-data)', data: '' }[level];
  return why === null ? opened : `${opened}; ${why}${why.includes('asked for') ? '' : hint}`;
}
