import type { EventId, Pubkey } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import { keysGiven } from './holders.js';
import { noncesUntil } from './nonce-rules.js';
import { isScoredByValidators, scorersOf } from './score-rules.js';
import type { AnyJobState, JobState, RoundState, Violation } from './state.js';

/**
 * What the customer's own signatures say about its patience and its reasons. `created_at` is its author's word: held here
 * only against other words of the same author. The fold does not freeze a job for it; the audit fails.
 */

/** Between reading the clock for `until` and signing. */
const SIGNING_SEC = 60;

/** The first deadline that the customer cut short, or replacement that its own lists contradict. */
export function conductViolation(state: JobState): Violation | null {
  const { job, award } = state;
  if (job === null) return null;
  const blame = (event: { readonly id: EventId }, rule: string, detail: string): Violation => ({
    event: event.id,
    author: job.author,
    rule,
    detail,
  });
  if (award !== null && award.createdAt > job.content.deadline)
    return blame(award, 'deadline', `awarded ${award.createdAt - job.content.deadline} s after the job had lapsed`);
  for (const seat of replacements(state)) {
    const wrong = replaceViolation(state, seat);
    if (wrong !== null) return blame(seat.event, wrong.rule, wrong.detail);
  }
  const keys = tooManyHolders(state);
  if (keys !== null) return blame(keys.event, 'holders', keys.detail);
  for (const { opened, draw, eligible } of state.disputes) {
    if (draw === null || draw.createdAt >= opened.createdAt + job.content.disputes!.withinSec) continue;
    const drawn = new Set((draw.content.nonces ?? []).map((id) => authorOf(state, id)));
    const silent = eligible.find(({ validator }) => !drawn.has(validator) && isWhole(state, validator));
    if (silent !== undefined)
      return blame(draw, 'deadline', `before its time, without the nonce of ${silent.validator} for a dispute`);
  }
  for (const round of state.rounds) {
    const cut = cutShort(state, round) ?? validatorsCutShort(state, round);
    if (cut !== null) return blame(cut.event, 'deadline', cut.detail);
  }
  return null;
}

/** The replacement that gave a shard's key to one trainer more than the job promised. */
function tooManyHolders(state: JobState): { readonly event: { readonly id: EventId }; readonly detail: string } | null {
  const { maxHolders } = state.job!.content;
  const holders = new Map<number, Set<Pubkey>>();
  for (const { event, shard, trainer } of keysGiven(state)) {
    const known = holders.get(shard) ?? new Set();
    holders.set(shard, known.add(trainer));
    if (known.size > maxHolders)
      return { event, detail: `${known.size} trainers got the key to shard ${shard}, ${maxHolders} were promised` };
  }
  return null;
}

function cutShort(
  state: JobState,
  { open, commitList, revealList, assigned, listedCommits, listedReveals }: RoundState,
): { readonly event: { readonly id: EventId }; readonly detail: string } | null {
  const { roundTimeoutSec, revealTimeoutSec } = state.job!.content;
  const isShort = (event: { readonly createdAt: number }, until: number, promisedSec: number) =>
    until < event.createdAt + promisedSec - Math.min(SIGNING_SEC, Math.ceil(promisedSec / 4));
  if (isShort(open, open.content.until, roundTimeoutSec))
    return { event: open, detail: `commitments count for less than the ${roundTimeoutSec} s that the job promised` };
  if (commitList === null) return null;
  const late = assigned.find(({ trainer, shard }) => !listedCommits.has(shard) && !mayHaveLeft(state, trainer));
  if (late !== undefined && commitList.createdAt < open.content.until)
    return { event: commitList, detail: `listed before its time, without the commitment of ${late.trainer}` };
  const until = commitList.content.until;
  if (until !== null && isShort(commitList, until, revealTimeoutSec))
    return { event: commitList, detail: `reveals count for less than the ${revealTimeoutSec} s that the job promised` };
  if (revealList === null || until === null) return null;
  const unheard = [...listedCommits.values()].find(({ content }) => !listedReveals.has(content.shard));
  if (unheard !== undefined && revealList.createdAt < until)
    return { event: revealList, detail: `listed before its time, without the reveal of ${unheard.author}` };
  return null;
}

/** The same of validators: nonces, commitments to scores, scores. */
function validatorsCutShort(
  state: JobState,
  round: RoundState,
): { readonly event: { readonly id: EventId }; readonly detail: string } | null {
  const terms = state.job!.content;
  const { commitList, draw, revealList, scoreCommitList, scoreRevealList } = round;
  const early = (
    event: EventOf<'draw'> | EventOf<'list'>,
    until: number,
    validator: Pubkey | undefined,
    what: string,
  ) =>
    validator !== undefined && event.createdAt < until && isWhole(state, validator)
      ? { event, detail: `before its time, without the ${what} of ${validator}` }
      : null;
  const { validators } = round;
  if (draw !== null && round.drawNonces !== null) {
    const silent = validators.find(
      ({ validator }) => draw.content.nonces?.includes(round.nonces.get(validator)?.id as EventId) !== true,
    );
    const cut = early(draw, noncesUntil(terms, commitList!.createdAt), silent?.validator, 'nonce');
    if (cut !== null) return cut;
  }
  if (revealList === null || !isScoredByValidators(terms, round)) return null;
  const isShort = (event: EventOf<'list'>, promisedSec: number) =>
    event.content.until! < event.createdAt + promisedSec - Math.min(SIGNING_SEC, Math.ceil(promisedSec / 4));
  if (isShort(revealList, terms.roundTimeoutSec))
    return {
      event: revealList,
      detail: `scores count for less than the ${terms.roundTimeoutSec} s that the job promised`,
    };
  if (scoreCommitList === null) return null;
  const late = scorersOf(terms, round).find(({ validator }) => !round.listedScoreCommits.has(validator));
  const cut = early(scoreCommitList, revealList.content.until!, late?.validator, 'scores');
  if (cut !== null) return cut;
  if (isShort(scoreCommitList, terms.revealTimeoutSec))
    return {
      event: scoreCommitList,
      detail: `revealed scores count for less than the ${terms.revealTimeoutSec} s that the job promised`,
    };
  const unheard = [...round.listedScoreCommits.keys()].find((validator) => !round.listedScoreReveals.has(validator));
  return scoreRevealList === null
    ? null
    : early(scoreRevealList, scoreCommitList.content.until!, unheard, 'revealed scores');
}

/** Who cannot be waited for has a chain that does not hold. */
export function isWhole({ chains }: AnyJobState, validator: Pubkey): boolean {
  const chain = chains.get(validator);
  return chain !== undefined && chain.fork === null && chain.gapBefore === null && chain.broken === null;
}

function authorOf({ disputes }: JobState, nonce: EventId): Pubkey | undefined {
  for (const { nonces } of disputes) for (const { id, author } of nonces.values()) if (id === nonce) return author;
  return undefined;
}

/** A trainer that resigned is not waited for. Nor can it hide that afterwards: in a chain that is no longer whole anything may have stood. */
function mayHaveLeft(state: JobState, trainer: Pubkey): boolean {
  const chain = state.chains.get(trainer);
  if (chain === undefined || chain.fork !== null || chain.gapBefore !== null || chain.broken !== null) return true;
  return chain.events.some((event) => event.type === 'resign');
}

export interface Replacement {
  readonly event: EventOf<'replace'>;
  /** When its seat was given. */
  readonly awardedAt: number;
  readonly award: EventId;
  /** The last round that opened before it. */
  readonly last: RoundState | undefined;
}

/** Each with the seat it takes away, in the order of the chain. */
export function replacements(state: JobState): Replacement[] {
  const found: Replacement[] = [];
  const given = new Map<number, { readonly id: EventId; readonly createdAt: number }>();
  let opened = 0;
  const spine = state.job === null ? undefined : state.chains.get(state.job.author);
  for (const event of spine?.events ?? []) {
    if (event.type === 'open') opened++;
    if (event.type === 'award') for (const { shard } of event.content.winners) given.set(shard, event);
    if (event.type !== 'replace') continue;
    const seat = given.get(event.content.shard);
    given.set(event.content.shard, event);
    if (seat === undefined) continue;
    found.push({ event, award: seat.id, awardedAt: seat.createdAt, last: state.rounds[opened - 1] });
  }
  return found;
}

/** Only what the customer's own events contradict: a participant could delete its own. */
function replaceViolation(
  { job }: JobState,
  { event, awardedAt, last }: Replacement,
): { readonly rule: string; readonly detail: string } | null {
  const { reason, out, shard } = event.content;
  const rejection = last?.close?.content.rejected.find((row) => row.trainer === out && row.shard === shard);
  const isAbsence = rejection?.rule === 'absent' || rejection?.rule === 'no-reveal';
  const wrong = (detail: string) => ({ rule: 'replace', detail });
  const { readyTimeoutSec } = job!.content;
  switch (reason) {
    case 'absent': {
      const hadSeat = last?.assigned.some((seat) => seat.trainer === out && seat.shard === shard) ?? false;
      const missedIt = last?.voided != null && hadSeat && !last.listedCommits.has(shard);
      return isAbsence || missedIt
        ? null
        : wrong(`it calls ${out} absent, and no list of the last round is without it`);
    }
    case 'rejected':
      return rejection !== undefined && !isAbsence
        ? null
        : wrong(`it calls ${out} rejected, and the last round did not reject its work`);
    case 'not-started':
      return event.createdAt >= awardedAt + readyTimeoutSec
        ? null
        : { rule: 'deadline', detail: `${out} was promised ${readyTimeoutSec} s to open its grant` };
    default:
      return null;
  }
}
