import type { Pubkey } from '../hash.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { MAX_DIFFERENCES } from '../protocol/round.js';
import { acceptRound, noteShown, type Acceptance, type Finding } from './acceptance.js';
import { differencesOf } from './base-chain.js';
import { applyValidatorFraud } from './contradictions.js';
import { broken, type Broken, type Draft, type DraftRound } from './draft.js';
import { applyList, applySeen, commitsOf } from './list-rules.js';
import { applyDraw, applyFraud, isRepeated, isStateFinding } from './draw-rules.js';
import { owes } from './money-rules.js';
import { residualsAfter, seatName } from './residuals.js';
import { isSelling } from './sale-rules.js';
import { ShownBefore } from './shown-log.js';
import { quorumOf, type Verdict } from './state.js';
import { countMisses, isScoredByValidators, rowsFailure } from './score-rules.js';

/** The customer's events of a round, each checked against what the events before it imply. */
export function roundRules(draft: Draft, event: JobEvent): Broken | null {
  if (event.type === 'open') return applyOpen(draft, event);
  const round = draft.rounds.at(-1);
  if (round === undefined || round.close !== null || round.voided !== null)
    return broken('out-of-place', `a ${event.type} while no round is open`);
  switch (event.type) {
    case 'seen':
      return applySeen(draft, round, event);
    case 'list':
      return applyList(draft, round, event);
    case 'draw':
      return applyDraw(draft, round, event);
    case 'scores':
      return applyScores(draft, round, event);
    case 'fraud':
      return applyFraud(draft, round, event);
    case 'validator-fraud':
      return applyValidatorFraud(draft, round, event);
    case 'close':
      return applyClose(draft, round, event);
    case 'void':
      return applyVoid(draft, round, event);
    default:
      return broken('out-of-place', `the customer published a ${event.type}`);
  }
}

function applyOpen(draft: Draft, event: EventOf<'open'>): Broken | null {
  const last = draft.rounds.at(-1);
  const { round, base, trainers } = event.content;
  if (draft.award === null) return broken('open', 'the job is not awarded');
  if (last !== undefined && last.close === null && last.voided === null)
    return broken('open', `round ${last.round} is still open`);
  if (last !== undefined && last.settlement === null && owes(draft, last))
    return broken('open', `round ${last.round} is not settled`);
  if (last !== undefined && isSelling(draft, last))
    return broken('open', `the sale of round ${last.round} has not ended`);
  if (round !== draft.rounds.length || round >= draft.job.content.rounds)
    return broken('open', `round ${draft.rounds.length} comes next, got ${round}`);
  if (draft.modelHash !== null && base.sha256 !== draft.modelHash)
    return broken('open', `the base must hash to ${draft.modelHash}, got ${base.sha256}`);
  const wrong = checkDifference(draft.rounds, event);
  if (wrong !== null) return wrong;
  const assigned = [...draft.assignments.values()].sort((a, b) => a.shard - b.shard);
  const spell = (seats: readonly { shard: number; trainer: Pubkey }[]) =>
    seats.map((seat) => `${seat.shard}:${seat.trainer}`).join(' ');
  if (spell(trainers) !== spell(assigned))
    return broken('open', 'its trainers are not the assigned ones in order of shard');
  const fraud = assigned.find(({ trainer }) => draft.frauds.has(trainer) || draft.keyFrauds.has(trainer));
  if (fraud !== undefined) return broken('open', `${fraud.trainer} is a proven fraud and holds shard ${fraud.shard}`);
  draft.modelHash = base.sha256;
  if (last !== undefined) keepShown(draft, last);
  draft.rounds.push({
    round,
    open: event,
    assigned,
    lossBeforePpm: draft.lossPpm,
    validators: [...draft.validators.values()].filter(({ isLost }) => !isLost),
    commits: commitsOf(draft, event, assigned),
    commitList: null,
    listedCommits: new Map(),
    draw: null,
    nonces: new Map(),
    drawNonces: null,
    drawn: null,
    reveals: new Map(),
    revealList: null,
    listedReveals: new Map(),
    shownBefore: new ShownBefore(draft.shown, round),
    residuals: last === undefined ? new Map() : residualsAfter(last.residuals, last),
    seen: new Set(),
    scoreCommits: new Map(),
    scoreCommitList: null,
    listedScoreCommits: new Map(),
    scoreReveals: new Map(),
    scoreRevealList: null,
    listedScoreReveals: new Map(),
    scores: null,
    verdict: null,
    liars: new Set(),
    close: null,
    sold: null,
    voided: null,
    settlement: null,
    corrections: [],
    receipts: new Map(),
  });
  return null;
}

/** To the model of the round before, and not too many in a row: who is new fetches all of them. */
function checkDifference(rounds: readonly DraftRound[], { content }: EventOf<'open'>): Broken | null {
  const { difference } = content;
  if (difference === undefined) return null;
  const before = rounds.at(-1)?.open.content.base.sha256;
  if (difference.to !== before)
    return broken(
      'open',
      `a difference is to the model of the round before, ${before ?? 'none'}, got ${difference.to}`,
    );
  if (differencesOf(rounds) >= MAX_DIFFERENCES)
    return broken('open', `after ${MAX_DIFFERENCES} differences in a row comes a whole model`);
  return null;
}

function keepShown({ jobId, shown }: Draft, { round, listedCommits, listedReveals }: DraftRound): void {
  noteShown(shown, { job: jobId, round, commits: listedCommits, reveals: listedReveals });
}

/** The customer's own: where no validators have a say, or too few of them revealed. */
function applyScores(draft: Draft, round: DraftRound, event: EventOf<'scores'>): Broken | null {
  const { scores, list, opening } = event.content;
  if (round.revealList === null || list !== round.revealList.id || round.scores !== null)
    return broken('scores', 'scores follow the list of reveals, once');
  if (event.content.round !== round.round) return broken('scores', `round ${round.round} is open`);
  if (opening !== undefined) return broken('scores', 'only validators commit to scores before');
  if (draft.job.content.rail === 'key-sale') return broken('scores', 'the customer opens no update before it has paid');
  if (round.verdict !== null || (isScoredByValidators(draft.job.content, round) && round.scoreRevealList === null))
    return broken('scores', 'those of the validators count');
  const wrong = rowsFailure(draft, round, event);
  if (wrong !== null) return wrong;
  round.scores = event;
  round.verdict = { by: event.id, from: 'customer', rows: scores };
  return null;
}

function applyClose(draft: Draft, round: DraftRound, event: EventOf<'close'>): Broken | null {
  const { content } = event;
  if (content.round !== round.round || round.revealList === null || round.verdict === null)
    return broken('close', 'a round closes after its scores');
  if (content.list !== round.revealList.id || content.scores !== round.verdict.by)
    return broken('close', 'it cites another list or other scores');
  if (draft.job.content.rail === 'key-sale' && content.aggregate !== draft.modelHash)
    return broken('close', `the model stays ${draft.modelHash} until updates are sold, got ${content.aggregate}`);
  if ((content.root !== undefined) !== (draft.award!.content.rule.name === 'fltrust'))
    return broken('close', 'a root update is named exactly with the rule fltrust');
  const findings = new Map<number, Finding>();
  for (const { shard, rule, detail } of content.rejected)
    if (rule === 'blob' || rule === 'shape' || (rule === 'spot-check' && isStateFinding(round, shard)))
      findings.set(shard, { rule, detail });
  if (!draft.lacksListed) {
    const expected = acceptance(draft, round, round.verdict, findings);
    const good = (rows: readonly { shard: number; trainer: string; submission: string }[]) =>
      rows.map((row) => `${row.shard}:${row.trainer}:${row.submission}`).join(' ');
    const bad = (rows: readonly { shard: number; trainer: string; submission: string | null; rule: string }[]) =>
      rows.map((row) => `${row.shard}:${row.trainer}:${row.submission ?? ''}:${row.rule}`).join(' ');
    if (good(expected.accepted) !== good(content.accepted))
      return broken('close', 'the accepted submissions do not follow from lists and scores');
    if (bad(expected.rejected) !== bad(content.rejected))
      return broken('close', 'the rejections do not follow from lists and scores');
    const unsaid = expected.rejected.find((row) => isRepeated(round, row) && !draft.frauds.has(row.trainer));
    if (unsaid !== undefined) return broken('close', `the proof against ${unsaid.trainer} is not published`);
  }
  if (content.accepted.length < quorumOf(draft.job.content, round))
    return broken('close', `${draft.job.content.quorum} accepted updates are the quorum`);
  round.close = event;
  for (const seat of content.accepted) draft.proven.add(seatName(seat));
  countMisses(draft, round);
  draft.modelHash = content.aggregate;
  draft.lossPpm = content.lossPpm;
  return null;
}

function applyVoid(draft: Draft, round: DraftRound, event: EventOf<'void'>): Broken | null {
  if (event.content.round !== round.round) return broken('void', `round ${round.round} is open`);
  if (round.commitList === null) return broken('void', 'a round is void only after its list of commitments');
  if (mustClose(draft, round))
    return broken(
      'void',
      `${countable(draft, round)} updates count, the quorum is ${quorumOf(draft.job.content, round)}`,
    );
  round.voided = event;
  countMisses(draft, round);
  return null;
}

/**
 * Who is listed reveals: from the quorum on the round can only end with its close. Else a customer could read the updates
 * and pay for none. While an event is not at hand that a list names, of this round or of one before, nobody can tell: an update of any
 * of them may be a copy.
 */
export function mustClose(draft: Draft, round: DraftRound): boolean {
  if (round.close !== null || round.voided !== null || round.commitList === null) return false;
  if (hasNoJudges(draft, round)) return false;
  return !draft.lacksListed && countable(draft, round) >= quorumOf(draft.job.content, round);
}

/** On rail `key-sale` nobody can score for validators that are too few. */
function hasNoJudges({ job: { content } }: Draft, round: DraftRound): boolean {
  if (content.rail !== 'key-sale' || round.revealList === null || round.verdict !== null) return false;
  return round.scoreRevealList !== null || !isScoredByValidators(content, round);
}

/** Updates that may still be, or are, accepted: an update that did not open has no score. */
function countable(draft: Draft, round: DraftRound): number {
  if (round.verdict !== null) return acceptance(draft, round, round.verdict, new Map()).accepted.length;
  return round.revealList === null ? round.listedCommits.size : round.listedReveals.size;
}

function acceptance(
  draft: Draft,
  round: DraftRound,
  { from, rows }: Verdict,
  findings: ReadonlyMap<number, Finding>,
): Acceptance {
  const scores = new Map(rows.map((row) => [row.shard, row]));
  // What most validators opened and scored, no customer can call closed.
  const unscored = from === 'customer' ? findings : new Map([...findings].filter(([shard]) => !scores.has(shard)));
  return acceptRound({
    job: draft.jobId,
    round: round.round,
    baseHash: round.open.content.base.sha256,
    assigned: round.assigned,
    commits: round.listedCommits,
    reveals: round.listedReveals,
    shownBefore: round.shownBefore,
    residuals: round.residuals,
    codec: draft.job.content.codec,
    findings: unscored,
    scores,
    lossBeforePpm: round.lossBeforePpm,
    strictLoss: draft.job.content.strictLoss,
    leastWorkPpm: draft.job.content.leastWorkPpm ?? null,
    engine: draft.job.content.spot?.engine ?? null,
    isSale: draft.job.content.rail === 'key-sale',
  });
}
