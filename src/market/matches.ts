import type { EventId, Pubkey } from '../hash.js';
import { invoiceHash } from '../protocol/claim.js';
import { isCleared } from './dispute-state.js';
import type { JobState, PayoutState, RoundState } from './state.js';
import type { Rank } from './skill.js';

/** What folded jobs say of a key, one match after the other. */
export interface Match {
  readonly job: EventId;
  /** Null: of the job as a whole. */
  readonly round: number | null;
  /** Whose word it is; null: both signatures of the key itself prove it, so nobody has to be trusted. */
  readonly issuer: Pubkey | null;
  readonly rank: Exclude<Rank, 'bar'>;
  readonly others: ReadonlySet<Rank>;
  /** Rule or reason, for people. */
  readonly why: string;
  /** What it follows from. */
  readonly events: readonly EventId[];
}

/** Of who loses against all. */
export const EVERY_RANK: ReadonlySet<Rank> = new Set(['done', 'bar', 'late', 'rejected', 'absent', 'proven'] as const);

/** Each once, in the order of (end, id). The end is the customer's word; it decides an order and nothing else. */
export function inOrder(jobs: Iterable<JobState>): JobState[] {
  const known = new Map([...jobs].flatMap((state) => (state.job === null ? [] : [[state.jobId, state] as const])));
  return [...known.values()].sort((a, b) => endOf(a) - endOf(b) || (a.jobId < b.jobId ? -1 : 1));
}

function endOf({ job, artifact, cancelled, rounds }: JobState): number {
  const close = rounds.findLast((round) => round.close !== null)?.close;
  return (artifact ?? cancelled ?? close ?? job)!.createdAt;
}

/** Every closed round in which the trainer held a seat. Unpaid work says nothing of it yet, nor does a grant that it never opened. */
export function trainerMatches(state: JobState, trainer: Pubkey): Match[] {
  if (state.job === null) return [];
  return [...forkMatches(state, trainer), ...state.rounds.flatMap((round) => roundMatch(state, round, trainer))];
}

/** Both signatures prove it. */
export function forkMatches({ jobId, forks }: JobState, key: Pubkey): Match[] {
  return forks
    .filter(({ author }) => author === key)
    .map(({ seq, ids }) => ({ ...blank(jobId, null), rank: 'proven', why: `fork at seq ${seq}`, events: ids }));
}

const blank = (job: EventId, issuer: Pubkey | null) => ({ job, issuer, round: null, others: EVERY_RANK });

function roundMatch(state: JobState, round: RoundState, trainer: Pubkey): Match[] {
  const mine = ranksOf(state, round, trainer);
  if (mine === null) return [];
  const others = new Set<Rank>();
  for (const other of new Set(round.assigned.map((seat) => seat.trainer)))
    if (other !== trainer) {
      const theirs = ranksOf(state, round, other);
      if (theirs !== null) others.add(theirs.rank);
    }
  const { jobId, job } = state;
  return [
    {
      job: jobId,
      round: round.round,
      issuer: job!.author,
      others: mine.rank === 'proven' ? EVERY_RANK : others,
      ...mine,
    },
  ];
}

/** A key with several seats is as good as its worst. A proven fraud lost every round of the job. */
function ranksOf(
  state: JobState,
  { assigned, close, payouts }: RoundState,
  trainer: Pubkey,
): Pick<Match, 'rank' | 'why' | 'events'> | null {
  if (close === null) return null;
  const seats = assigned.filter((seat) => seat.trainer === trainer);
  if (seats.every(({ ready, grantBad }) => ready === null || grantBad !== null)) return null;
  const fraud = state.frauds.get(trainer);
  const keyFraud = state.keyFrauds.get(trainer);
  if (keyFraud !== undefined) return { rank: 'proven', why: 'key-fraud', events: [keyFraud.id, close.id] };
  const isFalse = isCleared(state, trainer);
  if (fraud !== undefined && !isFalse) return { rank: 'proven', why: 'fraud', events: [fraud.id, close.id] };
  // What only a false proof rejected says nothing of its trainer.
  const counts = ({ rule }: { readonly rule: string }) => !(isFalse && rule === 'spot-check');
  const bad = close.content.rejected.filter((row) => row.trainer === trainer && counts(row));
  const isAbsence = (rule: string) => rule === 'absent' || rule === 'no-reveal';
  const worst = bad.find(({ rule }) => isAbsence(rule)) ?? bad[0];
  if (worst !== undefined)
    return {
      rank: isAbsence(worst.rule) ? 'absent' : 'rejected',
      why: worst.rule,
      events: [close.id, ...(worst.submission === null ? [] : [worst.submission])],
    };
  if (seats.every(({ priceMsat }) => priceMsat === 0n)) return { rank: 'done', why: 'free', events: [close.id] };
  const payout = payouts.find(({ payee, purpose }) => payee === trainer && purpose === 'trainer');
  if (payout === undefined || !isPaid(payout)) return null;
  return { rank: 'done', why: 'paid', events: [close.id, payout.receipt!.id] };
}

/** With an invoice that the payee asked to be paid: a customer could write a receipt with one of its own. */
export function isPaid({ receipt, asked }: PayoutState): boolean {
  return receipt !== null && asked.has(invoiceHash(receipt.content.invoice));
}

/** Every payout that its payee says was paid or not, and what the customer's own signatures prove. */
export function customerMatches(state: JobState, customer: Pubkey): Match[] {
  const { job, jobId, firstBad } = state;
  if (job?.author !== customer) return [];
  const matches = forkMatches(state, customer);
  if (firstBad?.rule === 'omission')
    matches.push({ ...blank(jobId, null), rank: 'proven', why: 'omission', events: [firstBad.event] });
  for (const round of state.rounds)
    for (const payout of round.payouts) {
      const found = payoutMatch(payout);
      if (found !== null) matches.push({ job: jobId, round: round.round, issuer: payout.payee, ...found });
    }
  return matches;
}

/** Who does not pay loses to those who pay, late or not. */
function payoutMatch({
  receipt,
  received,
  unpaid,
}: PayoutState): Pick<Match, 'rank' | 'others' | 'why' | 'events'> | null {
  const none: ReadonlySet<Rank> = new Set();
  if (received !== null && unpaid === null)
    return { rank: 'done', others: none, why: 'paid', events: [receipt!.id, received.id] };
  if (received !== null) return { rank: 'late', others: none, why: 'paid late', events: [unpaid!.id, received.id] };
  if (unpaid === null) return null;
  return { rank: 'rejected', others: new Set<Rank>(['done', 'late']), why: 'unpaid', events: [unpaid.id] };
}
