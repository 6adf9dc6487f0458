import { awaitedOf, phaseText, stageName } from '../market/arena/describe.js';
import type { Leaderboard, LeaderboardRow, NoRank, Said } from '../market/arena/leaderboard.js';
import { carriedIn } from '../market/arena/rank-rules.js';
import { carriedMsat } from '../market/carry.js';
import { table } from '../terminal/table.js';
import { utc } from './utc.js';
import type { FoundArena } from './find-arena.js';
import { sats } from './status-tables.js';

/** An arena in words and numbers. */

export type ArenaSummary = ReturnType<typeof summaryOf>;

export function summaryOf({ state, phase, firstBad, forks, missing, events }: FoundArena) {
  const awaited = awaitedOf(state, phase);
  const { title, arena } = state.job.content;
  return {
    job: state.jobId,
    customer: state.job.author,
    title,
    mode: 'arena' as const,
    ...{ phase, phaseText: phaseText(state, phase), waitsFor: awaited?.what ?? null, until: awaited?.until ?? null },
    potMsat: arena.potMsat,
    carriedMsat: phase === 'finished' || phase === 'cancelled' ? 0n : carriedMsat(carriedIn(state)),
    violation: firstBad,
    forks: forks.map(({ author, seq, ids }) => ({ author, seq, events: ids })),
    ...{ missing, events },
  };
}

export function summaryText({ job, title, customer, potMsat, violation, ...one }: ArenaSummary): string {
  const until = one.until === null ? '' : `, until ${utc(one.until)}`;
  return table([
    ['job', job],
    ...(title === '' ? [] : [['title', title]]),
    ['customer', customer],
    ['mode', `arena, a pot of ${sats(potMsat)}`],
    ...(one.carriedMsat === 0n
      ? []
      : [['waits', `${sats(one.carriedMsat)} below the payout floor, for the final stage`]]),
    ['phase', one.phaseText],
    ...(one.waitsFor === null ? [] : [['waits for', `${one.waitsFor}${until}`]]),
    ...(violation === null
      ? []
      : [['violation', `${violation.rule}: ${violation.detail} (event ${violation.event} of ${violation.author})`]]),
    ...one.forks.map(({ author, seq }) => ['fork', `${author} signed two events with seq ${seq}`]),
    ...one.missing.map((id) => ['missing', id]),
  ]);
}

const NO_RANK: Readonly<Record<NoRank, string>> = {
  unopened: 'no model was opened',
  'no-score': 'too few scores',
  contradicted: 'most validators opened another model',
  'worst-score': 'as bad as random bytes',
};

export function boardText(board: Leaderboard): string {
  const { stage, potMsat, settledBy, refundMsat, rows, validators } = board;
  const pot = potMsat === null ? 'names are not told yet' : `${sats(potMsat)}, ${settledText(settledBy.length)}`;
  const back = refundMsat === null || refundMsat === 0n ? '' : `, ${sats(refundMsat)} back to the customer`;
  const staked = new Set(rows.map(({ stakeMsat }) => stakeMsat)).size > 1;
  const header = ['rank', 'alias', 'trainer', 'score', ...(staked ? ['stake'] : []), 'part', 'gets', 'scores'];
  return [
    `${stageName(stage)} stage: ${pot}${back}`,
    ...(rows.length === 0 ? [] : [table([header, ...rows.map((row) => rowText(row, staked))])]),
    ...(validators.length === 0 ? [] : [validatorTable(board)]),
  ].join('\n');
}

const settledText = (count: number) => (count === 0 ? 'not settled yet' : 'settled');

function rowText(
  { rank, alias, trainer, scorePpm, stakeMsat, weightPpm, rewardMsat, noRank, said }: LeaderboardRow,
  staked: boolean,
) {
  return [
    ...[rank ?? '-', alias, trainer ?? 'not told yet', scorePpm === null ? '-' : scoreText(scorePpm)],
    ...(staked ? [stakeMsat === null ? '-' : sats(stakeMsat)] : []),
    ...[
      weightPpm === null ? '-' : `${(weightPpm / 10_000).toFixed(2)} %`,
      rewardMsat === null ? '-' : sats(rewardMsat),
    ],
    `${said.map(saidText).join(' ')}${noRank === null ? '' : `  (${NO_RANK[noRank]})`}`,
  ];
}

const scoreText = (ppm: number): string => String(ppm / 1_000_000);

/** `-` for silence; what does not count stands in brackets. */
function saidText({ scorePpm, counts }: Said): string {
  if (scorePpm === null) return '-';
  return counts ? scoreText(scorePpm) : `[${scoreText(scorePpm)}]`;
}

function validatorTable({ validators }: Leaderboard): string {
  return table([
    ['validator', 'seats', 'revealed', 'counted', 'spreads off', 'gets'],
    ...validators.map(({ validator, seats, revealed, counted, deviationMillionths, rewardMsat }) => [
      ...[validator, seats, revealed, counted ?? '-'],
      deviationMillionths === null ? '-' : Number(deviationMillionths) / 1_000_000,
      rewardMsat === null ? '-' : sats(rewardMsat),
    ]),
  ]);
}
