import type { Pubkey } from '../hash.js';
import { complaintMatches } from './complaint-matches.js';
import { falseVerdictMatches } from './dispute-matches.js';
import { EVERY_RANK, forkMatches, isPaid, type Match } from './matches.js';
import { isPassedOver } from './seat-draw.js';
import type { Rank } from './skill.js';
import type { JobState, RoundState } from './state.js';

/** Every closed round in which the validator had a seat: scores that count and were paid, none, or such as others on its engine contradict. */
export function validatorMatches(state: JobState, validator: Pubkey): Match[] {
  const { job, jobId, chains } = state;
  if (job === null) return [];
  const hasBadGrant = chains.get(validator)?.events.some(({ type }) => type === 'grant-bad') ?? false;
  const rounds = hasBadGrant ? [] : state.rounds;
  return [
    ...(state.validators.some((seat) => seat.validator === validator) ? forkMatches(state, validator) : []),
    ...rounds.flatMap((round): Match[] => {
      const mine = verdictOn(state, round, validator);
      if (mine === null) return [];
      const others = new Set<Rank>();
      for (const seat of round.validators)
        if (seat.validator !== validator) {
          const theirs = verdictOn(state, round, seat.validator);
          if (theirs !== null) others.add(theirs.rank);
        }
      const place = { job: jobId, round: round.round, issuer: job.author };
      return [{ ...place, others: mine.rank === 'proven' ? EVERY_RANK : others, ...mine }];
    }),
    ...falseVerdictMatches(state, validator),
    ...complaintMatches(state, validator),
  ];
}

function verdictOn(
  { job }: JobState,
  round: RoundState,
  validator: Pubkey,
): Pick<Match, 'rank' | 'why' | 'events'> | null {
  const { close, validators, listedScoreReveals, liars, payouts } = round;
  if (isPassedOver(round, validator)) return null;
  if (close === null || !validators.some((seat) => seat.validator === validator && !seat.isLost)) return null;
  const scores = listedScoreReveals.get(validator);
  if (scores === undefined) return { rank: 'absent', why: 'no scores', events: [close.id] };
  if (liars.has(validator)) return { rank: 'proven', why: 'false scores', events: [scores.id, close.id] };
  if ((job!.content.validators?.feeMsat ?? 0n) === 0n)
    return { rank: 'done', why: 'free', events: [scores.id, close.id] };
  const payout = payouts.find(({ payee, purpose }) => payee === validator && purpose === 'fee');
  if (payout === undefined || !isPaid(payout)) return null;
  return { rank: 'done', why: 'paid', events: [scores.id, payout.receipt!.id] };
}
