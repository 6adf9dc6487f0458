import type { EventId, Pubkey, Sha256 } from '../../hash.js';
import type { JobEvent } from '../../protocol/events.js';
import { cause, moneyCauses, payoutState, type Cause, type PayoutExplained } from '../explain.js';
import { stageName } from './describe.js';
import { leaderboards, type LeaderboardRow, type LeaderboardValidator } from './leaderboard.js';
import type { ArenaPayout, ArenaStage, ArenaState } from './state.js';

/** Why somebody gets what it gets of a stage: its rank or its scores, and who stands behind whom, to the msat. */

/** Null: no stage that is settled promises it. */
export function explainArenaPayout(state: ArenaState, id: Sha256): PayoutExplained | null {
  for (const [at, stage] of state.stages.entries()) {
    const payout = stage.payouts.find((one) => one.payout === id);
    if (payout === undefined) continue;
    const { payee, purpose } = payout;
    const told = { round: stage.stage, payout, state: payoutState(payout) };
    if (purpose === 'carry') return { ...told, causes: [...carriedOver(state, payout), ...moneyCauses(payout)] };
    const board = leaderboards(state)[at]!;
    const operator = purpose.startsWith('delegation:') ? (purpose.slice('delegation:'.length) as Pubkey) : payee;
    const row = board.rows.find(({ trainer }) => trainer === operator);
    const ranked = board.rows.filter(({ rank }) => rank !== null).length;
    const own =
      row === undefined
        ? scored(
            stage,
            board.validators.find(({ validator }) => validator === operator)!,
          )
        : placed(state, stage, row, ranked);
    const rewardMsat = row?.rewardMsat ?? board.validators.find(({ validator }) => validator === operator)!.rewardMsat!;
    return {
      ...told,
      causes: [
        ...own,
        ...behind(state, payout, operator, rewardMsat),
        cause(`settlement of the ${stageName(stage.stage)} stage: the line that promises it`, [payout.settlement]),
        ...moneyCauses(payout),
      ],
    };
  }
  return null;
}

/** What the interim stage promised, in lines too small to be paid by themselves. */
function carriedOver(state: ArenaState, { settlement, amountMsat }: ArenaPayout): Cause[] {
  const interim = state.stages[0]!;
  const words = `promised by the ${stageName(0)} stage, in lines below the payout floor of ${state.job.content.payoutFloorMsat} msat`;
  return [
    cause(words, [state.job, interim.table, interim.ranking], { msat: amountMsat }),
    cause('what promises it: nothing more comes that it could wait for', [settlement]),
  ];
}

function placed(state: ArenaState, stage: ArenaStage, row: LeaderboardRow, ranked: number): Cause[] {
  const { alias, rank, scorePpm, weightPpm, rewardMsat, said } = row;
  const counting = said.filter(({ counts }) => counts);
  const sheets = stage.rounds.flatMap(({ reveals }) =>
    counting.flatMap(({ validator }) => reveals.get(validator) ?? []),
  );
  const scores = counting.map((one) => loss(one.scorePpm!)).join(', ');
  const part = `${(weightPpm! / 10_000).toFixed(2)} %`;
  const draws = stage.rounds.map(({ draw }) => draw);
  return [
    cause(`submitted to the ${stageName(stage.stage)} stage, seen and listed`, [
      byId(state, row.submission!),
      stage.list,
    ]),
    cause(`scored as alias ${alias}: ${scores}; their lower median ${loss(scorePpm!)} counts`, [
      ...[stage.root, ...draws, ...sheets, stage.table],
    ]),
    cause(`rank ${rank} of ${ranked}: ${part} of what trainers get`, [stage.ranking], { msat: rewardMsat! }),
  ];
}

function scored(stage: ArenaStage, row: LeaderboardValidator): Cause[] {
  const { validator, seats, revealed, counted, deviationMillionths, rewardMsat } = row;
  const sheets = stage.rounds.flatMap(({ commits, reveals }) => [commits.get(validator), reveals.get(validator)]);
  const off = (Number(deviationMillionths ?? 0n) / 1_000_000).toFixed(4);
  const words = `${revealed} of ${seats} scores revealed, ${counted ?? 0} count, on average ${off} spreads from what counts`;
  return [cause(words, [stage.validators.get(validator), stage.root, ...sheets, stage.table], { msat: rewardMsat! })];
}

/** What of a reward goes to somebody else than its payee. */
function behind(state: ArenaState, payout: ArenaPayout, operator: Pubkey, rewardMsat: bigint): Cause[] {
  if (payout.amountMsat === rewardMsat) return [];
  const tables = [...state.byId.values()].filter(({ type }) => type === 'stake-table');
  const whose =
    payout.payee === operator ? 'those behind it share the rest' : 'the operator and others behind it get the rest';
  const words = `of that reward, by amount and intervals of the stake tables; ${whose}`;
  return [cause(words, tables, { msat: payout.amountMsat - rewardMsat })];
}

const byId = (state: ArenaState, id: EventId): JobEvent | undefined => state.byId.get(id);
const loss = (ppm: number): string => String(ppm / 1_000_000);
