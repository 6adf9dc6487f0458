import {
  alliancePhaseText,
  allianceWaits,
  describeAllianceRounds,
  describeMembers,
  type DescribedRound,
} from '../market/alliance/describe.js';
import { baseHashOf } from '../market/alliance/state.js';
import { carriedMsat } from '../market/carry.js';
import { describeStakes, stakeRows } from '../roles/describe-stakes.js';
import { table } from '../terminal/table.js';
import { utc } from './utc.js';
import type { FoundAlliance } from './find-alliance.js';
import { sats } from './status-tables.js';

/** An alliance in words and numbers, for nmkt status. */

export type AllianceSummary = ReturnType<typeof allianceSummary>;

export function allianceSummary({ folded, state, book }: Pick<FoundAlliance, 'folded' | 'state' | 'book'>) {
  const { phase, firstBad, forks, missing } = folded;
  const { title, alliance, rounds: planned, aggregation } = state.job.content;
  const waits = allianceWaits(state, phase);
  const rounds = describeAllianceRounds(state);
  const sum = (of: 'paidMsat' | 'owedMsat') => rounds.reduce((all, round) => all + round[of], 0n);
  return {
    ...{ job: state.jobId, customer: state.job.author, title, mode: 'alliance' as const },
    ...{
      phase,
      phaseText: alliancePhaseText(state, phase),
      waitsFor: waits?.what ?? null,
      until: waits?.until ?? null,
    },
    ...{ potMsat: alliance.potMsat, paidMsat: sum('paidMsat'), owedMsat: sum('owedMsat') },
    // By its cancellation it is owed.
    carriedMsat: state.cancelled === null ? carriedMsat(state.carried) : 0n,
    ...{ plannedRounds: planned, aggregation, model: baseHashOf(state, state.rounds.length) },
    ...{ rounds, members: describeMembers(state), stakes: describeStakes(stakedOf(state)), violation: firstBad },
    forks: forks.map(({ author, seq, ids }) => ({ author, seq, events: ids })),
    ...{ missing, events: book.all().length },
  };
}

/** What members stake counts as a trainer's. */
const stakedOf = ({ job, stakes, rounds }: FoundAlliance['state']) => ({
  ...{ stakes, rounds },
  job: { content: { stake: job.content.stake, keyRelease: 'open' as const } },
});

export function allianceText(one: AllianceSummary): string {
  const { job, title, customer, violation, rounds, members } = one;
  const until = one.until === null ? '' : `, until ${utc(one.until)}`;
  const facts = [
    ['job', job],
    ...(title === '' ? [] : [['title', title]]),
    ['customer', customer],
    ['mode', `alliance, a pot of ${sats(one.potMsat)}, ${one.plannedRounds} rounds, ${one.aggregation} of proposals`],
    ['phase', one.phaseText],
    ...(one.waitsFor === null ? [] : [['waits for', `${one.waitsFor}${until}`]]),
    [
      'money',
      `${sats(one.paidMsat)} paid, ${sats(one.owedMsat)} owed${one.carriedMsat === 0n ? '' : `, ${sats(one.carriedMsat)} below the payout floor wait`}`,
    ],
    ...stakeRows(one.stakes),
    ...(one.model === null ? [] : [['model', `sha256 ${one.model}`]]),
    ...(violation === null
      ? []
      : [['violation', `${violation.rule}: ${violation.detail} (event ${violation.event} of ${violation.author})`]]),
    ...one.forks.map(({ author, seq }) => ['fork', `${author} signed two events with seq ${seq}`]),
    ...one.missing.map((id) => ['missing', id]),
  ];
  const parts = [
    table(facts),
    rounds.length === 0 ? '' : table([['round', 'model', 'proposals', 'votes', 'paid', 'owed'], ...rounds.map(rowOf)]),
    members.length === 0
      ? ''
      : table([
          ['member', 'proposed', 'voted', 'earned', 'paid', 'owed'],
          ...members.map((who) => [
            `${who.pubkey.slice(0, 16)}…`,
            ...[who.proposed, who.voted, who.earned].map((count) => `${count} rounds`),
            ...[sats(who.paidMsat), sats(who.owedMsat)],
          ]),
        ]),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

const WORDS: Readonly<Record<DescribedRound['state'], string>> = {
  running: 'not decided',
  'too-few': 'kept: too few members',
  empty: 'kept: nobody proposed or voted',
  accepted: 'accepted',
  kept: 'kept: the votes were against it',
};

function rowOf({ round, state, proposers, voters, paidMsat, owedMsat }: DescribedRound): (string | number)[] {
  const count = (side: 1 | -1) => voters.filter(({ vote }) => vote === side).length;
  const off = voters.filter(({ offSide }) => offSide !== null).length;
  return [
    ...[round + 1, WORDS[state], `${proposers.filter(({ isRevealed }) => isRevealed).length} of ${proposers.length}`],
    `${count(1)} for, ${count(-1)} against${off === 0 ? '' : `, ${off} off-side`}`,
    ...[sats(paidMsat), sats(owedMsat)],
  ];
}
