import type { Pubkey } from '../../hash.js';
import { aliasRoot } from '../../protocol/arena/alias.js';
import type { ArenaPlanLine, RankRow } from '../../protocol/arena/ranking.js';
import { modelCommitment } from '../../protocol/arena/submission.js';
import type { EventOf } from '../../protocol/events.js';
import { payoutId } from '../../protocol/settlement.js';
import { broken, type Broken } from '../draft.js';
import { asksStake, stakeToPut } from '../stake-terms.js';
import { consensusOf } from './consensus.js';
import { stagePayout, type PayoutTerms } from './payout.js';
import { stagesOf } from './pot.js';
import { pendingAliases, revealedOf, scoredOf } from './scored.js';
import { MAX_DRAWS } from './seat-rules.js';
import { currentStage, withStage, type ArenaStage, type ArenaState } from './state.js';
import { conductOf, type Scored } from './weights.js';

/** From the opened table to what a stage pays. */

/** The table is what its root promised, and opens every commitment. */
export function applyAliasTable(state: ArenaState, event: EventOf<'alias-table'>): ArenaState | Broken {
  const { stage: number, root, salt, entries } = event.content;
  const stage = currentStage(state);
  const { seats } = state.job.content.arena;
  if (stage === undefined || stage.stage !== number || stage.root?.id !== root || stage.table !== null)
    return broken('alias-table', `it opens no root of stage ${number}`);
  if (stage.rounds.some(({ revealList }) => revealList === null))
    return broken('alias-table', 'scores are being revealed');
  if (pendingAliases(stage, seats).length > 0 && stage.rounds.length < MAX_DRAWS)
    return broken('redraw', 'submissions without a score are drawn again before their names are told');
  if (aliasRoot({ job: state.jobId, stage: number, list: stage.list.id, entries, salt }) !== stage.root.content.root)
    return broken('alias-table', 'it does not hash to its root');
  const byId = new Map([...stage.submissions.values()].map((one) => [one.id, one]));
  if (entries.length !== byId.size || new Set(entries.map(({ submission }) => submission)).size !== byId.size)
    return broken('alias-table', 'it does not name each submission once');
  for (const [alias, { submission, model, salt: own }] of entries.entries()) {
    const one = byId.get(submission);
    if (one === undefined) return broken('alias-table', `${submission} does not count in this stage`);
    if (model === null || own === null) continue;
    const of = { job: state.jobId, stage: number, trainer: one.author, model, salt: own };
    if (modelCommitment(of) !== one.content.commitment)
      return broken('alias-table', `alias ${alias} does not open the commitment of ${submission}`);
  }
  return withStage(state, { table: event });
}

/** By alias; null: no score, or no model. */
function scoresOf(stage: ArenaStage, seats: number): readonly (Scored | null)[] {
  return stage.table!.content.entries.map(({ model }, alias) => {
    const rows = revealedOf(stage, alias, seats);
    return rows === null || model === null ? null : scoredOf(rows, model, seats);
  });
}

/** Of an opened stage: by (score, trainer). */
export function ranksOf(stage: ArenaStage, seats: number): readonly RankRow[] {
  const trainers = new Map([...stage.submissions].map(([trainer, { id }]) => [id, trainer]));
  const { entries } = stage.table!.content;
  return scoresOf(stage, seats)
    .flatMap((scored, alias): RankRow[] => {
      const scorePpm = scored === null ? null : consensusOf(scored.scoresPpm, seats);
      const { submission } = entries[alias]!;
      return scorePpm === null ? [] : [{ submission, trainer: trainers.get(submission)!, scorePpm }];
    })
    .sort((a, b) => (a.scorePpm !== b.scorePpm ? a.scorePpm - b.scorePpm : a.trainer < b.trainer ? -1 : 1));
}

export function applyRanking(state: ArenaState, event: EventOf<'ranking'>): ArenaState | Broken {
  const { stage: number, table, ranks } = event.content;
  const stage = currentStage(state);
  if (stage === undefined || stage.stage !== number || stage.table?.id !== table || stage.ranking !== null)
    return broken('ranking', `it follows from no table of stage ${number}`);
  const expected = ranksOf(stage, state.job.content.arena.seats);
  const spell = (rows: readonly RankRow[]) => rows.map((row) => `${row.submission}:${row.trainer}:${row.scorePpm}`);
  const [found, due] = [spell(ranks), spell(expected)];
  const at = due.findIndex((row, i) => row !== found[i]);
  if (at >= 0 || found.length !== due.length)
    return broken(
      'ranking',
      `rank ${at < 0 ? due.length : at} must be ${due[at] ?? 'none'}, got ${found[at < 0 ? due.length : at] ?? 'none'}`,
    );
  return withStage(state, { ranking: event, ranks: expected });
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

/** What a ranked stage pays, in order of (payee, purpose): to the msat what it has of the pot. What has no payee goes back to the customer. */
export function arenaPlan(
  state: ArenaState,
  stage: ArenaStage,
): { readonly plan: readonly ArenaPlanLine[]; readonly totalMsat: bigint } {
  const { arena } = state.job.content;
  const { interimMsat, finalMsat } = stagesOf(arena.potMsat, arena.interimSharePpm);
  const potMsat = stage.stage === 0 ? interimMsat : finalMsat;
  const ranked = ({ trainer, scorePpm }: RankRow) =>
    [trainer, { scorePpm, stakeMsat: stage.trainerStakes.get(trainer)! }] as const;
  const scored = scoresOf(stage, arena.seats).filter((one) => one !== null);
  const { lines, returnedMsat } = stagePayout(
    potMsat,
    {
      trainers: new Map(stage.ranks.map(ranked)),
      conduct: conductOf(scored),
      stakes: stage.validatorStakes,
      book: state.stakes,
    },
    arenaPayoutTerms(state),
  );
  const refund = { payee: state.job.author, purpose: 'refund' as const, amountMsat: returnedMsat };
  const plan = [...lines, ...(returnedMsat > 0n ? [refund] : [])]
    .map((line): ArenaPlanLine => ({ payout: idOf(state, stage, line.payee, line.purpose), ...line }))
    .sort((a, b) => (a.payee !== b.payee ? (a.payee < b.payee ? -1 : 1) : a.purpose < b.purpose ? -1 : 1));
  return { plan, totalMsat: potMsat };
}

const idOf = ({ jobId }: ArenaState, { stage }: ArenaStage, payee: Pubkey, purpose: string) =>
  payoutId(jobId, stage, payee, purpose);

export function applyArenaSettlement(state: ArenaState, event: EventOf<'arena-settlement'>): ArenaState | Broken {
  const { stage: number, ranking, plan, totalMsat } = event.content;
  const stage = currentStage(state);
  if (stage === undefined || stage.stage !== number || stage.ranking?.id !== ranking || stage.settlement !== null)
    return broken('settlement', `it follows from no ranking of stage ${number}`);
  const due = arenaPlan(state, stage);
  if (totalMsat !== due.totalMsat)
    return broken('settlement', `stage ${number} pays ${due.totalMsat} msat, got ${totalMsat}`);
  const spell = (line: ArenaPlanLine | undefined) =>
    line === undefined ? 'none' : `${line.amountMsat} msat to ${line.payee} for ${line.purpose} as ${line.payout}`;
  const longer = Math.max(plan.length, due.plan.length);
  for (let i = 0; i < longer; i++)
    if (spell(plan[i]) !== spell(due.plan[i]))
      return broken('settlement', `line ${i} must be ${spell(due.plan[i])}, got ${spell(plan[i])}`);
  return withStage(state, { settlement: event });
}
