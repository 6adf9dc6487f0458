import type { Pubkey } from '../../hash.js';
import { aliasRoot } from '../../protocol/arena/alias.js';
import type { ArenaPlanLine, RankRow } from '../../protocol/arena/ranking.js';
import { WORST_SCORE_PPM } from '../../protocol/arena/scores.js';
import { modelCommitment } from '../../protocol/arena/submission.js';
import type { EventOf } from '../../protocol/events.js';
import { payoutId } from '../../protocol/settlement.js';
import { NOTHING_CARRIED, payOrCarry, type Carried } from '../carry.js';
import { broken, type Broken } from '../draft.js';
import { asksStake, stakeToPut } from '../stake-terms.js';
import { consensusOf } from './consensus.js';
import { stagePayout, type ArenaLine, type PayoutTerms } from './payout.js';
import { stagesOf } from './pot.js';
import { pendingAliases, revealedOf, scoredOf } from './scored.js';
import { MAX_DRAWS } from './seat-rules.js';
import { currentStage, seatsIn, withStage, type ArenaStage, type ArenaState } from './state.js';
import { conductOf, type Scored } from './weights.js';

/** From the opened table to what a stage pays. */

/** The table is what its root promised, and opens every commitment. */
export function applyAliasTable(state: ArenaState, event: EventOf<'alias-table'>): ArenaState | Broken {
  const { stage: number, root, salt, entries } = event.content;
  const stage = currentStage(state);
  if (stage === undefined || stage.stage !== number || stage.root?.id !== root || stage.table !== null)
    return broken('alias-table', `it opens no root of stage ${number}`);
  if (stage.rounds.some(({ revealList }) => revealList === null))
    return broken('alias-table', 'scores are being revealed');
  const seats = seatsIn(state, stage);
  if (pendingAliases(stage, seats).length > 0 && stage.rounds.length < MAX_DRAWS)
    return broken('redraw', 'submissions without a score are drawn again before their names are told');
  if (aliasRoot({ job: state.jobId, stage: number, list: stage.list.id, entries, salt }) !== stage.root.content.root)
    return broken('alias-table', 'it does not hash to its root: it is another table than was fixed before the draw');
  const byId = new Map([...stage.submissions.values()].map((one) => [one.id, one]));
  if (entries.length !== byId.size || new Set(entries.map(({ submission }) => submission)).size !== byId.size)
    return broken('alias-table', 'it does not name each submission once');
  for (const [alias, { submission, model, salt: own }] of entries.entries()) {
    const one = byId.get(submission);
    if (one === undefined) return broken('alias-table', `${submission} does not count in this stage`);
    if (model === null || own === null) continue;
    const of = { job: state.jobId, stage: number, trainer: one.author, model, salt: own };
    if (modelCommitment(of) !== one.content.commitment)
      return broken('alias-table', `alias ${alias} gives ${one.author} a model that it did not submit (${submission})`);
  }
  return withStage(state, { table: event, book: state.stakes });
}

/** By alias; null: no score, or no model. */
export function scoresOf(stage: ArenaStage, seats: number): readonly (Scored | null)[] {
  return stage.table!.content.entries.map(({ model }, alias) => {
    const rows = revealedOf(stage, alias, seats);
    return rows === null || model === null ? null : scoredOf(rows, model, seats);
  });
}

/** Of an opened stage: by (score, trainer). Who has the worst score has no rank: it is that of a file of random bytes, and no work. */
export function ranksOf(stage: ArenaStage, seats: number): readonly RankRow[] {
  const trainers = new Map([...stage.submissions].map(([trainer, { id }]) => [id, trainer]));
  const { entries } = stage.table!.content;
  return scoresOf(stage, seats)
    .flatMap((scored, alias): RankRow[] => {
      const scorePpm = scored === null ? null : consensusOf(scored.scoresPpm, seats);
      const { submission } = entries[alias]!;
      return scorePpm === null || scorePpm === WORST_SCORE_PPM
        ? []
        : [{ submission, trainer: trainers.get(submission)!, scorePpm }];
    })
    .sort((a, b) => (a.scorePpm !== b.scorePpm ? a.scorePpm - b.scorePpm : a.trainer < b.trainer ? -1 : 1));
}

export function applyRanking(state: ArenaState, event: EventOf<'ranking'>): ArenaState | Broken {
  const { stage: number, table, ranks } = event.content;
  const stage = currentStage(state);
  if (stage === undefined || stage.stage !== number || stage.table?.id !== table || stage.ranking !== null)
    return broken('ranking', `it follows from no table of stage ${number}`);
  const expected = ranksOf(stage, seatsIn(state, stage));
  const wrong = wrongRanking(ranks, expected);
  return wrong === null ? withStage(state, { ranking: event, ranks: expected }) : wrong;
}

/** Where it differs from what follows; null: nowhere. */
export function wrongRanking(found: readonly RankRow[], due: readonly RankRow[]): Broken | null {
  const spell = (row: RankRow | undefined) =>
    row === undefined ? 'none' : `${row.submission}:${row.trainer}:${row.scorePpm}`;
  const at = firstOther(found.map(spell), due.map(spell));
  if (at === null) return null;
  return broken('ranking', `rank ${at} must be ${spell(due[at])}, got ${spell(found[at])}`);
}

/** Index of the first that differs, a missing one too. */
function firstOther(found: readonly string[], due: readonly string[]): number | null {
  for (let i = 0; i < Math.max(found.length, due.length); i++) if (found[i] !== due[i]) return i;
  return null;
}

export function arenaPayoutTerms({ job }: Pick<ArenaState, 'job'>): PayoutTerms {
  const { arena, stake, keyRelease } = job.content;
  const minMsat = asksStake({ stake, keyRelease }, 'trainer') ? stakeToPut({ stake, keyRelease }, 'trainer') : 1n;
  return {
    sides: arena.sides,
    rank: { qPpm: arena.qPpm, best: arena.bestStakes, minMsat },
    weights: { lambdaPpm: arena.lambdaPpm, best: arena.bestValidators },
    effective: { delegatedPpm: stake?.delegatedPpm ?? 0, maxDelegated: stake?.maxDelegated ?? 0 },
  };
}

export interface ArenaPlan {
  /** What of the stage's part of the pot goes to whom, paid with it or later. */
  readonly earned: readonly ArenaLine[];
  readonly plan: readonly ArenaPlanLine[];
  readonly totalMsat: bigint;
  /** What waits after it. */
  readonly carried: Carried;
}

/** What a stage has of the pot. */
export function stagePotMsat({ job }: Pick<ArenaState, 'job'>, stage: number): bigint {
  const { potMsat, interimSharePpm } = job.content.arena;
  const { interimMsat, finalMsat } = stagesOf(potMsat, interimSharePpm);
  return stage === 0 ? interimMsat : finalMsat;
}

/**
 * What a ranked stage pays, in order of (payee, purpose): with what waits, to the msat what it has of the pot. What has no payee goes back to
 * the customer; what is below the payout floor waits for the final stage. Everything it follows from stands when the table is opened.
 */
export function arenaPlan(state: ArenaState, stage: ArenaStage): ArenaPlan {
  const { lines: earned, returnedMsat } = stageLines(state, stage);
  const before = stage.stage === 0 ? NOTHING_CARRIED : carriedIn(state);
  const terms = { floorMsat: state.job.content.payoutFloorMsat, isLast: stage.stage === 1 };
  const { lines, carried } = payOrCarry(earned, before, terms);
  const refund = { payee: state.job.author, purpose: 'refund' as const, amountMsat: returnedMsat };
  const plan = [...lines, ...(returnedMsat > 0n ? [refund] : [])]
    .map((line): ArenaPlanLine => ({ payout: idOf(state, stage, line.payee, line.purpose), ...line }))
    .sort((a, b) => (a.payee !== b.payee ? (a.payee < b.payee ? -1 : 1) : a.purpose < b.purpose ? -1 : 1));
  return { earned, plan, totalMsat: plan.reduce((sum, { amountMsat }) => sum + amountMsat, 0n), carried };
}

/** What of the interim stage waits. */
export function carriedIn(state: ArenaState): Carried {
  const interim = state.stages[0];
  if (interim?.table == null) return NOTHING_CARRIED;
  return arenaPlan(state, { ...interim, ranks: ranksOf(interim, seatsIn(state, interim)) }).carried;
}

function stageLines(state: ArenaState, stage: ArenaStage): ReturnType<typeof stagePayout> {
  const ranked = ({ trainer, scorePpm }: RankRow) =>
    [trainer, { scorePpm, stakeMsat: stage.trainerStakes.get(trainer)! }] as const;
  const scored = scoresOf(stage, seatsIn(state, stage)).filter((one) => one !== null);
  return stagePayout(
    stagePotMsat(state, stage.stage),
    {
      trainers: new Map(stage.ranks.map(ranked)),
      conduct: conductOf(scored),
      stakes: stage.validatorStakes,
      book: stage.book,
    },
    arenaPayoutTerms(state),
  );
}

const idOf = ({ jobId }: ArenaState, { stage }: ArenaStage, payee: Pubkey, purpose: string) =>
  payoutId(jobId, stage, payee, purpose);

export function applyArenaSettlement(state: ArenaState, event: EventOf<'arena-settlement'>): ArenaState | Broken {
  const { stage: number, ranking } = event.content;
  const stage = currentStage(state);
  if (stage === undefined || stage.stage !== number || stage.ranking?.id !== ranking || stage.settlement !== null)
    return broken('settlement', `it follows from no ranking of stage ${number}`);
  const wrong = wrongPlan(event.content, arenaPlan(state, stage));
  return wrong === null ? withStage(state, { settlement: event }) : wrong;
}

/** Where it differs from what follows; null: nowhere. */
export function wrongPlan(
  { stage, plan, totalMsat }: EventOf<'arena-settlement'>['content'],
  due: ReturnType<typeof arenaPlan>,
): Broken | null {
  if (totalMsat !== due.totalMsat)
    return broken('settlement', `stage ${stage} pays ${due.totalMsat} msat, got ${totalMsat}`);
  const spell = (line: ArenaPlanLine | undefined) =>
    line === undefined ? 'none' : `${line.amountMsat} msat to ${line.payee} for ${line.purpose} as ${line.payout}`;
  const at = firstOther(plan.map(spell), due.plan.map(spell));
  if (at === null) return null;
  return broken('settlement', `line ${at} must be ${spell(due.plan[at])}, got ${spell(plan[at])}`);
}
