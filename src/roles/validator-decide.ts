import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { EventOf } from '../protocol/events.js';
import { differingField } from './validator-complaints.js';
import type { DisputeState } from '../market/dispute-state.js';
import { currentRound, type JobState, type RoundState } from '../market/state.js';
import { isScoredByValidators, scorersOf } from '../market/score-rules.js';
import { noncesUntil } from '../market/nonce-rules.js';
import { decideDispute, type DisputeAction } from './validator-disputes.js';
import { PATIENCE_SEC } from './patience.js';
import { decideMoney, isOverlooked, lapse, silentAt, type MoneyAction } from './worker-decide.js';

export type ValidatorAction =
  | { readonly do: 'register' }
  | { readonly do: 'nonce'; readonly round: RoundState }
  /** Everything is at hand, or no more will come in time: open, measure, commit. */
  | { readonly do: 'score'; readonly round: RoundState }
  | { readonly do: 'reveal'; readonly round: RoundState }
  /** Another one's scores, on the same engine, are not what this one measured. */
  | { readonly do: 'complain'; readonly round: RoundState; readonly subject: EventOf<'scores'> }
  /** Neither seen nor listed for long: the relays may have lost it. */
  | { readonly do: 'republish'; readonly event: EventId; readonly what: string }
  | DisputeAction
  | MoneyAction
  | { readonly do: 'done' }
  | { readonly do: 'lost'; readonly why: string }
  | { readonly do: 'stop'; readonly why: string };

export interface ValidatorFacts {
  readonly me: Pubkey;
  /** Keys to data and model of this round. */
  readonly hasKeys: (round: RoundState) => boolean;
  /** Updates that may be worth opening and for which nothing came. */
  readonly missingUpdates: (round: RoundState) => number;
  /** Did this home commit to scores of it? Then it has them and the salt. */
  readonly canReveal: (round: RoundState) => boolean;
  /** Is what it needs to repeat the segment at hand? */
  readonly canJudge: (dispute: DisputeState) => boolean;
  readonly republished: (event: EventId) => number;
  readonly held: ReadonlySet<Sha256>;
  readonly heardAt: number;
  readonly deafAt: number;
}

/** The next thing a validator does; pure, so that a restart decides the same. */
export function decideValidator(state: JobState, facts: ValidatorFacts, now: number): ValidatorAction {
  const { me } = facts;
  const { job } = state;
  if (job === null) return { do: 'stop', why: 'the job event is not at hand' };
  if (state.firstBad !== null)
    return { do: 'stop', why: `the customer broke a rule: ${state.firstBad.rule}: ${state.firstBad.detail}` };
  const money = decideMoney(state, facts, now);
  if (money !== null && money.do !== 'wait') return money;
  if (state.phase === 'awarding') return decideRegister(state, me, now);
  const seat = state.validators.find(({ validator }) => validator === me);
  if (seat === undefined) return { do: 'lost', why: 'the award does not name this validator' };
  const dispute = decideDispute(state, me, facts.canJudge, now);
  if (dispute !== null && dispute.do !== 'wait') return dispute;
  if (state.phase === 'finished' || state.phase === 'cancelled') return money ?? dispute ?? { do: 'done' };
  const round = currentRound(state);
  const subject = round === undefined ? undefined : complaintDue(state, round, me);
  if (subject !== undefined) return { do: 'complain', round: round!, subject: subject };
  const isIn = round?.validators.some(({ validator }) => validator === me) ?? false;
  if (seat.isLost && (!isIn || round!.close !== null || round!.voided !== null))
    return (
      money ??
      dispute ?? {
        do: 'lost',
        why: state.validatorFrauds.has(me)
          ? 'the customer proved a false score of this validator'
          : `${seat.missed} rounds in a row without an answer`,
      }
    );
  return (
    (isIn ? decideRound(state, facts, round!, now) : null) ??
    money ??
    lapse(facts, now, silentAt(state, facts), 'the next round')
  );
}

/** The first sheet of the round that is not what this validator measured on the same engine, and that it did not complain of. */
function complaintDue(state: JobState, round: RoundState, me: Pubkey): EventOf<'scores'> | undefined {
  const mine = round.listedScoreReveals.get(me);
  if (mine === undefined) return undefined;
  const said = new Set(
    (state.chains.get(me)?.events ?? []).map((event) => event.type === 'complaint' && event.content.subject),
  );
  return [...round.listedScoreReveals.values()].find(
    (sheet) => !said.has(sheet.id) && differingField(mine, sheet) !== null,
  );
}

function decideRegister(state: JobState, me: Pubkey, now: number): ValidatorAction {
  const { deadline, validators } = state.job!.content;
  if (validators === undefined) return { do: 'lost', why: 'the job has no seats for validators' };
  if (now >= deadline) return { do: 'lost', why: 'the job lapsed without an award' };
  const mine = state.chains.get(me)?.events ?? [];
  if (mine.some(({ type }) => type === 'register')) return { do: 'wait', for: 'the award', until: deadline };
  return { do: 'register' };
}

function decideRound(state: JobState, facts: ValidatorFacts, round: RoundState, now: number): ValidatorAction | null {
  const terms = state.job!.content;
  const { me } = facts;
  const name = `round ${round.round + 1} of ${terms.rounds}`;
  if (state.phase === 'committing')
    return lapse(facts, now, Math.max(silentAt(state, facts), round.open.content.until), `the commitments of ${name}`);
  if (state.phase === 'revealing') {
    const list = round.commitList!;
    const wait = lapse(facts, now, list.content.until! + 2 * terms.revealTimeoutSec + PATIENCE_SEC, `${name}`);
    if (terms.spot === null || round.draw !== null) return wait;
    const mine = round.nonces.get(me);
    if (mine === undefined) return { do: 'nonce', round };
    const phaseSec = noncesUntil(terms, list.createdAt) - list.createdAt;
    return isOverlooked(round, mine, phaseSec, facts, now)
      ? { do: 'republish', event: mine.id, what: `the nonce of ${name}` }
      : wait;
  }
  if (state.phase !== 'scoring') return null;
  const wait = lapse(facts, now, silentAt(state, facts), `the close of ${name}`);
  const mayScore = scorersOf(terms, round).some(({ validator }) => validator === me);
  if (!isScoredByValidators(terms, round) || !mayScore || round.scoreRevealList !== null) return wait;
  return round.scoreCommitList === null
    ? decideCommit(round, facts, now, name, wait)
    : decideReveal(round, facts, now, name, wait);
}

function decideCommit(
  round: RoundState,
  facts: ValidatorFacts,
  now: number,
  name: string,
  wait: ValidatorAction,
): ValidatorAction {
  const { createdAt, content } = round.revealList!;
  const until = content.until!;
  const mine = round.scoreCommits.get(facts.me);
  if (mine !== undefined)
    return isOverlooked(round, mine, until - createdAt, facts, now)
      ? { do: 'republish', event: mine.id, what: `the scores of ${name}` }
      : wait;
  const missing = facts.missingUpdates(round);
  const hasWaited = now >= createdAt + Math.floor((until - createdAt) / 2);
  if (facts.hasKeys(round) && (missing === 0 || (hasWaited && missing < round.listedReveals.size)))
    return { do: 'score', round };
  return lapse(facts, now, until + PATIENCE_SEC, `keys to ${missing} updates, ${name}`);
}

function decideReveal(
  round: RoundState,
  facts: ValidatorFacts,
  now: number,
  name: string,
  wait: ValidatorAction,
): ValidatorAction {
  const { createdAt, content } = round.scoreCommitList!;
  if (!round.listedScoreCommits.has(facts.me)) return wait;
  const mine = round.scoreReveals.get(facts.me);
  if (mine !== undefined)
    return isOverlooked(round, mine, content.until! - createdAt, facts, now)
      ? { do: 'republish', event: mine.id, what: `the scores of ${name}` }
      : wait;
  return facts.canReveal(round) ? { do: 'reveal', round } : wait;
}
