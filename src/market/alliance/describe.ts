import type { Pubkey, Sha256 } from '../../hash.js';
import { awaitedNow, type Awaited } from './awaited.js';
import { openedBy, settlementsOf } from './settle-rules.js';
import { endOf, type AlliancePhase, type AllianceRoundState, type AllianceState } from './state.js';

/** An alliance for people: where it stands, and who did what in its rounds. */

const WAITS: Readonly<Record<Awaited['of'], string>> = {
  nonce: 'members to open their nonces',
  commit: 'proposers to train and commit',
  reveal: 'proposers to reveal',
  'score-commit': 'voters to measure and commit',
  'score-reveal': 'voters to reveal',
};

export function alliancePhaseText({ rounds, job }: AllianceState, phase: AlliancePhase): string {
  const name = `round ${rounds.length} of ${job.content.rounds}`;
  switch (phase) {
    case 'joining':
      return rounds.length === 0 ? 'open: members join' : `${name} is settled, the next one opens`;
    case 'drawing':
      return `${name}: roles are drawn`;
    case 'committing':
    case 'revealing':
      return `${name}: proposers train`;
    case 'voting':
    case 'vote-revealing':
      return `${name}: voters measure`;
    case 'decided':
      return `${name} is decided and not settled by the customer`;
    case 'finished':
      return 'finished';
    case 'cancelled':
      return 'cancelled';
    case 'frozen':
      return 'frozen: an event of the customer does not follow';
    case 'incomplete':
      return 'events are missing';
    case 'unknown':
      return 'the job event is not at hand';
  }
}

export function allianceWaits(state: AllianceState, phase: AlliancePhase) {
  const awaited = awaitedNow(state);
  if (awaited !== null && phase !== 'frozen' && phase !== 'incomplete') {
    const { of, from, answers, until } = awaited;
    return { what: `${WAITS[of]}: ${answers.size} of ${from.length}`, until };
  }
  if (phase === 'joining' && state.rounds.length === 0)
    return { what: 'members to join and the customer to open the first round', until: state.job.content.deadline };
  return phase === 'decided' ? { what: 'the settlement', until: null } : null;
}

export type RoundWord = 'running' | 'too-few' | 'empty' | 'accepted' | 'kept';

/** Of one round, everything that decides who earns what. */
export interface DescribedRound {
  readonly round: number;
  readonly state: RoundWord;
  /** `opened`: most of the stake behind the aggregate could open it. */
  readonly proposers: readonly { readonly pubkey: Pubkey; readonly isRevealed: boolean; readonly isOpened: boolean }[];
  readonly voters: readonly {
    readonly pubkey: Pubkey;
    readonly stakeMsat: bigint;
    /** Null: it revealed none. */
    readonly vote: 1 | -1 | null;
    readonly lossBefore: number | null;
    readonly lossAfter: number | null;
    readonly offSide: 'silent' | 'aggregate' | 'vote' | null;
  }[];
  readonly aggregate: Sha256 | null;
  readonly settledBy: readonly Pubkey[];
  readonly paidMsat: bigint;
  readonly owedMsat: bigint;
}

export function describeAllianceRounds({ rounds }: AllianceState): readonly DescribedRound[] {
  return rounds.map((of) => {
    const { round, roles, proposals, votes, tally, payouts, stakes } = of;
    const drawn = roles?.state === 'drawn' ? roles : { proposers: [], voters: [] };
    const opened = openedBy(of);
    const sum = (isPaid: boolean) =>
      payouts.filter(({ receipt }) => (receipt !== null) === isPaid).reduce((all, one) => all + one.amountMsat, 0n);
    return {
      ...{ round, state: wordOf(of) },
      proposers: drawn.proposers.map((pubkey) => ({
        ...{ pubkey, isRevealed: proposals?.by.has(pubkey) === true, isOpened: opened.has(pubkey) },
      })),
      voters: drawn.voters.map((pubkey) => {
        const said = votes?.by.get(pubkey)?.content;
        const loss = (ppm: number | undefined) => (ppm === undefined ? null : ppm / 1_000_000);
        return {
          ...{ pubkey, stakeMsat: stakes.get(pubkey)!, vote: said?.vote ?? null },
          ...{ lossBefore: loss(said?.beforePpm), lossAfter: loss(said?.afterPpm) },
          offSide: tally?.offSide.get(pubkey) ?? null,
        };
      }),
      aggregate: tally?.aggregate ?? null,
      settledBy: settlementsOf(of).map(({ author }) => author),
      ...{ paidMsat: sum(true), owedMsat: sum(false) },
    };
  });
}

function wordOf(round: AllianceRoundState): RoundWord {
  if (round.roles?.state === 'too-few') return 'too-few';
  if (round.tally !== null) return round.tally.isAccepted ? 'accepted' : 'kept';
  return endOf(round) === null ? 'running' : 'empty';
}

/** Of each member ever named, by key: its rounds in each part and what it got. */
export function describeMembers({ rounds }: AllianceState) {
  const keys = [...new Set(rounds.flatMap(({ members }) => [...members.keys()]))].sort();
  return keys.map((pubkey) => {
    const count = (part: 'proposers' | 'voters') =>
      rounds.filter(({ roles }) => roles?.state === 'drawn' && roles[part].includes(pubkey)).length;
    const mine = rounds.flatMap(({ payouts }) => payouts).filter(({ payee }) => payee === pubkey);
    const sum = (isPaid: boolean) =>
      mine.filter(({ receipt }) => (receipt !== null) === isPaid).reduce((all, { amountMsat }) => all + amountMsat, 0n);
    return {
      ...{ pubkey, proposed: count('proposers'), voted: count('voters') },
      earned: mine.length,
      ...{ paidMsat: sum(true), owedMsat: sum(false) },
    };
  });
}
