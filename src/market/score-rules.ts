import type { EventId, Pubkey } from '../hash.js';
import { workScore } from '../learning/scoring.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import type { SeenPhase } from '../protocol/round.js';
import { scoreCommitment } from '../protocol/validator.js';
import { consensus, isEnough } from './consensus.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import { checkSpot } from './draw-rules.js';
import { firstOfValidators, isNonceOf, leftOut } from './nonce-rules.js';
import type { RoundState, ValidatorSeat } from './state.js';
import { isPassedOver } from './seat-draw.js';
import { MISSES_TO_LOSE } from './validator-seats.js';

/** Scores of validators: which count in a round, what they decide, and whom they are paid to. */

type Round = Pick<RoundState, 'validators' | 'draw' | 'drawNonces' | 'drawn' | 'nonces'>;

/** Who may score a round: everybody with a seat, where draws are made whoever opened its nonce, or of those who got a seat by stake. */
export function scorersOf(terms: Draft['job']['content'], round: Round): readonly ValidatorSeat[] {
  if (terms.spot === null) return round.validators;
  const used = new Set(round.draw?.content.nonces ?? []);
  return round.validators.filter(
    ({ validator }) =>
      (round.drawNonces === null || used.has(round.nonces.get(validator)?.id as EventId)) &&
      (round.drawn === null || round.drawn.has(validator)),
  );
}

/** Are there enough of them that their scores can decide? Else the customer's own count from the start. */
export function isScoredByValidators({ spot, validators }: Draft['job']['content'], round: Round): boolean {
  if (validators === undefined) return false;
  const opened = round.drawn?.size ?? (round.draw?.content.nonces ?? []).length;
  const scorers = spot === null ? round.validators.length : opened;
  return isEnough(scorers, validators.count);
}

type ScoreEvent = EventOf<'score-commit'> | EventOf<'scores'>;

const isCommitTo =
  ({ round, revealList }: DraftRound) =>
  ({ validator }: ValidatorSeat) =>
  (event: JobEvent): event is EventOf<'score-commit'> =>
    event.type === 'score-commit' &&
    event.author === validator &&
    event.content.round === round &&
    event.content.list === revealList?.id;

/** Opens the validator's listed commitment, and is of what was listed to be scored. */
const isRevealOf =
  (draft: Draft, round: DraftRound) =>
  ({ validator }: ValidatorSeat) =>
  (event: JobEvent): event is EventOf<'scores'> =>
    event.type === 'scores' && event.author === validator && scoresFailure(draft, round, event) === null;

/** Why scores of a validator do not count; null: they do. */
export function scoresFailure(draft: Draft, round: DraftRound, event: EventOf<'scores'>): string | null {
  const { author, content } = event;
  const { opening } = content;
  if (content.round !== round.round || content.list !== round.revealList?.id) return 'they are of another round';
  if (opening === undefined || opening.list !== round.scoreCommitList?.id) return 'they open no listed commitment';
  if (!round.scoreCommitList.content.ids.includes(opening.commit)) return 'their commitment is not listed';
  const commit = draft.byId.get(opening.commit);
  if (commit !== undefined) {
    const { salt } = opening;
    const opened = { job: draft.jobId, round: round.round, list: content.list, validator: author, salt };
    const { engine, data, scores } = content;
    const isOpened =
      commit.type === 'score-commit' &&
      commit.author === author &&
      scoreCommitment({ ...opened, engine, data, scores }) === commit.content.commitment;
    if (!isOpened) return 'they are not what was committed to';
  }
  return rowsFailure(draft, round, event)?.detail ?? null;
}

/** What rows of scores break, whoever measured. */
export function rowsFailure(draft: Draft, round: DraftRound, event: EventOf<'scores'>): Broken | null {
  const { scores, data } = event.content;
  if (data !== draft.job.content.evalA.commitment)
    return broken('scores', 'the loss must be measured on the evaluation set A of the job');
  if (new Set(scores.map((row) => row.shard)).size !== scores.length) return broken('scores', 'a seat is scored twice');
  for (const row of scores) {
    const reveal = round.listedReveals.get(row.shard);
    const isAtHand = reveal !== undefined || !draft.missing.has(row.submission);
    if (isAtHand && (reveal?.id !== row.submission || reveal.author !== row.trainer))
      return broken('scores', `${row.submission} is not the listed reveal of ${row.trainer}`);
    const { dPpm, ePpm } = workScore(
      { before: row.ownBeforePpm, after: row.ownAfterPpm },
      { before: row.otherBeforePpm, after: row.otherAfterPpm },
    );
    if (dPpm !== row.dPpm || ePpm !== row.ePpm)
      return broken('scores', `D and E of ${row.trainer} must be ${dPpm} and ${ePpm} ppm`);
    const spot = checkSpot(draft, round, event, row, draft.proven);
    if (spot !== null) return spot;
  }
  return null;
}

/** Which events of validators count in a phase; none before it began. */
export function answersOf(draft: Draft, round: DraftRound, of: 'score-commit' | 'score-reveal') {
  const scorers = scorersOf(draft.job.content, round);
  if (of === 'score-commit') return firstOfValidators(draft, round, scorers, isCommitTo(round));
  const committed = scorers.filter(({ validator }) => round.listedScoreCommits.has(validator));
  return firstOfValidators(draft, round, committed, isRevealOf(draft, round));
}

/** What was seen counts on, also if its author forks its chain later. */
export function keepSeenOfValidator(draft: Draft, round: DraftRound, of: SeenPhase, event: JobEvent): void {
  const seat = round.validators.find(({ validator }) => validator === event.author);
  if (seat === undefined) return;
  const keep = <E extends JobEvent>(map: Map<Pubkey, E>, matches: (event: JobEvent) => event is E): void => {
    if (!map.has(event.author) && matches(event)) map.set(event.author, event);
  };
  if (of === 'nonce' && round.commitList !== null)
    keep(round.nonces, isNonceOf(seat, round.round, round.commitList.id));
  if (of === 'score-commit') keep(round.scoreCommits, isCommitTo(round)(seat));
  if (of === 'score-reveal') keep(round.scoreReveals, isRevealOf(draft, round)(seat));
}

/** `list` of score commitments, then of revealed scores. */
export function listScores(draft: Draft, round: DraftRound, event: EventOf<'list'>): Broken | null {
  const { of, ids, until } = event.content;
  const isCommit = of === 'score-commit';
  const bad = (detail: string) => broken('list', detail);
  if (event.content.round !== round.round) return bad(`round ${round.round} is open`);
  if (!isScoredByValidators(draft.job.content, round)) return bad('too few validators have a say in this round');
  if (round.scores !== null || (isCommit ? round.revealList === null : round.scoreCommitList === null))
    return bad(`a list of ${of} does not come now`);
  if ((isCommit ? round.scoreCommitList : round.scoreRevealList) !== null) return bad(`${of} is listed already`);
  if (isCommit !== (until !== null)) return bad('exactly the list of score commitments says until when scores count');
  const candidates: ReadonlyMap<Pubkey, ScoreEvent> = isCommit ? round.scoreCommits : round.scoreReveals;
  const left = leftOut(candidates, round.seen, ids);
  if (left !== null) return left;
  if (new Set(ids).size !== ids.length) return bad('an id stands twice');
  const matches = isCommit ? isCommitTo(round) : isRevealOf(draft, round);
  const found = new Map<Pubkey, ScoreEvent>();
  for (const id of ids) {
    const one = draft.byId.get(id);
    if (one === undefined) {
      draft.missing.add(id);
      draft.lacksListed = true;
      continue;
    }
    const seat = scorersOf(draft.job.content, round).find(({ validator }) => validator === one.author);
    if (seat === undefined || !matches(seat)(one)) return bad(`${id} does not count in this phase`);
    const first = candidates.get(one.author);
    if (found.has(one.author) || (first !== undefined && first.id !== id))
      return bad(`${id} is not its author's first`);
    found.set(one.author, one);
  }
  if (isCommit) {
    round.scoreCommitList = event;
    round.listedScoreCommits = found as Map<Pubkey, EventOf<'score-commit'>>;
    round.scoreReveals = answersOf(draft, round, 'score-reveal') as Map<Pubkey, EventOf<'scores'>>;
    return null;
  }
  round.scoreRevealList = event;
  round.listedScoreReveals = found as Map<Pubkey, EventOf<'scores'>>;
  if (isEnough(ids.length, draft.job.content.validators!.count))
    round.verdict = {
      ...{ by: event.id, from: 'validators' },
      rows: consensus(round.listedScoreReveals, draft.job.content.spot?.engine ?? null),
    };
  return null;
}

/** At the end of a round that was scored: who did not answer three times in a row loses its seat. */
export function countMisses(draft: Draft, round: DraftRound): void {
  if (round.revealList === null) return;
  const isAnswered = (seat: ValidatorSeat): boolean => {
    if (isPassedOver(round, seat.validator)) return true;
    if (round.scoreRevealList !== null) return round.listedScoreReveals.has(seat.validator);
    return scorersOf(draft.job.content, round).includes(seat);
  };
  for (const seat of round.validators) {
    const missed = isAnswered(seat) ? 0 : seat.missed + 1;
    draft.validators.set(seat.validator, {
      ...seat,
      missed,
      isLost: missed >= MISSES_TO_LOSE || draft.validatorFrauds.has(seat.validator),
    });
  }
}

/** Who is paid for a closed round: whoever revealed a score for every update that was accepted, and is not proven to have lied. */
export function feesOf(
  { close, listedScoreReveals, liars }: Pick<RoundState, 'close' | 'listedScoreReveals' | 'liars'>,
  feeMsat: bigint,
): readonly { readonly validator: Pubkey; readonly feeMsat: bigint }[] {
  const accepted = close?.content.accepted ?? [];
  return [...listedScoreReveals]
    .filter(
      ([validator, { content }]) =>
        !liars.has(validator) &&
        accepted.every(({ submission }) => content.scores.some((row) => row.submission === submission)),
    )
    .map(([validator]) => ({ validator, feeMsat }));
}
