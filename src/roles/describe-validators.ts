import type { Pubkey } from '../hash.js';
import { MEASURES } from '../protocol/score.js';
import { isPassedOver } from '../market/seat-draw.js';
import type { JobState, RoundState, ValidatorSeat } from '../market/state.js';
import { TOLERANCE } from './audit-tolerance.js';

/** What the validators of a job did, from signed events alone. */

export interface ValidatorDescription {
  readonly pubkey: Pubkey;
  readonly engine: string | null;
  readonly seat: 'taken' | 'lost' | 'fraud';
  /** Rounds whose scores of it count. */
  readonly rounds: number;
  /** Closed rounds that it had a seat in and gave no scores to. */
  readonly absent: readonly number[];
  /** Rounds in which it said what the others did not, beyond what another engine may measure. */
  readonly apart: readonly number[];
  readonly paidMsat: bigint;
  readonly owedMsat: bigint;
}

export function describeValidators(state: JobState): ValidatorDescription[] {
  return state.validators.map((seat) => {
    const { validator, registration, isLost } = seat;
    const payouts = state.rounds.flatMap((round) => round.payouts).filter(({ payee }) => payee === validator);
    const sum = (isPaid: boolean) =>
      payouts.reduce((msat, one) => ((one.receipt !== null) === isPaid ? msat + one.amountMsat : msat), 0n);
    const where = (matches: (round: RoundState) => boolean) => state.rounds.filter(matches).map(({ round }) => round);
    return {
      pubkey: validator,
      engine: registration?.content.engine ?? null,
      seat: state.validatorFrauds.has(validator) ? 'fraud' : isLost ? 'lost' : 'taken',
      rounds: where(({ listedScoreReveals }) => listedScoreReveals.has(validator)).length,
      absent: where((round) => isAbsent(round, seat)),
      apart: where((round) => isApart(round, validator)),
      paidMsat: sum(true),
      owedMsat: sum(false),
    };
  });
}

function isAbsent(round: RoundState, { validator }: ValidatorSeat) {
  const { validators, revealList, close, listedScoreReveals } = round;
  if (isPassedOver(round, validator)) return false;
  const isOver = close !== null && revealList !== null;
  return isOver && validators.some((one) => one.validator === validator) && !listedScoreReveals.has(validator);
}

/** Does its sheet differ from the verdict of its round? Whether that is a lie, only who measures again can tell. */
function isApart({ verdict, listedScoreReveals }: RoundState, validator: Pubkey): boolean {
  const sheet = listedScoreReveals.get(validator)?.content;
  if (sheet === undefined || verdict === null) return false;
  return verdict.rows.some((row) => {
    const own = sheet.scores.find(({ submission }) => submission === row.submission);
    if (own === undefined) return true;
    const isOther = own.spot !== null && row.spot !== null && own.spot.hash !== row.spot.hash;
    return isOther || MEASURES.some((field) => !isNear(own[field], row[field]));
  });
}

/** Of two engines: a hundredth, and 1,000 ppm for differences of losses that are each right within 100. */
function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= 10 * TOLERANCE.lossPpm + Math.max(Math.abs(a), Math.abs(b)) / TOLERANCE.errorShare;
}

/** Whose measurements decided a round; `fallback`: too few validators revealed, or had a say. */
export function scoredBy({ job }: JobState, { verdict }: RoundState): 'customer' | 'validators' | 'fallback' | null {
  if (verdict === null) return null;
  if (verdict.from === 'validators') return 'validators';
  return job!.content.validators === undefined ? 'customer' : 'fallback';
}
