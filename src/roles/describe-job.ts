import {
  awaitedSeats,
  currentRound,
  type JobPhase,
  type JobState,
  type PayoutState,
  type RoundState,
  quorumOf,
} from '../market/state.js';

/** Where a job stands, for people: a silent customer strands nobody, because everyone can see what is late since when. */

/** What a phase turns into when its time is over. */
export type LapseState =
  | 'lapsed' // no award until the deadline: bids are free
  | 'not-started' // a seat without `ready`: a spare may take it
  | 'overdue' // a phase of a round, or the next round or model, is late
  | 'unsettled' // closed, but nobody knows yet what it pays
  | 'unpaid'; // a claim is older than the job allows

export interface Lapse {
  readonly state: LapseState;
  /** Unix seconds. */
  readonly since: number;
  /** What follows from it, as half a sentence. */
  readonly meaning: string;
}

export interface JobDescription {
  readonly phase: JobPhase;
  readonly phaseText: string;
  /** Completes "waits for ..."; null when nothing is left to wait for. */
  readonly waitsFor: string | null;
  /** Unix seconds; until then the wait is in order. */
  readonly until: number | null;
  readonly isLapsed: boolean;
  readonly lapse: Lapse | null;
}

interface Wait {
  readonly for: string;
  readonly until: number;
  /** Where more time was allowed than is waited for. */
  readonly limit?: number;
  readonly after: LapseState;
}

const MEANING: Readonly<Record<LapseState, string>> = {
  lapsed: 'no award will come; bids are free',
  'not-started': 'a spare may take the seat; nobody is blamed without its grant',
  overdue: 'the customer is silent; trainers may stop',
  unsettled: 'accepted work stays owed; anyone can compute what it is worth',
  unpaid: 'trainers train no further round for this customer',
};

/** What each side can do about a lapse; whoever else looks can audit. */
export const WAYS_ON: Readonly<Record<LapseState, { readonly customer: string; readonly trainer: string }>> = {
  lapsed: { customer: 'nmkt post-job --again', trainer: 'nothing: the bid is free' },
  'not-started': {
    customer: 'nmkt collect-model JOB goes on',
    trainer: 'nmkt serve-trainer --job JOB opens the grant',
  },
  overdue: { customer: 'nmkt collect-model JOB goes on', trainer: 'nmkt serve-trainer --job JOB goes on if it can' },
  unsettled: { customer: 'nmkt collect-model JOB settles', trainer: 'nmkt earnings shows what is owed' },
  unpaid: { customer: 'nmkt collect-model JOB pays', trainer: 'nmkt earnings shows what is owed' },
};

/** Times in Unix seconds. The fold decides what counts; this only says what is next, and what is late. */
export function describeJob(state: JobState, nowSec: number): JobDescription {
  const own = state.job === null ? null : nextStep(state, nowSec);
  const money = state.job === null ? null : payments(state);
  const wait = own ?? money;
  const lapse = lapseOf(own, nowSec) ?? lapseOf(money, nowSec);
  return {
    phase: state.phase,
    phaseText: phaseText(state),
    waitsFor: wait?.for ?? null,
    until: wait?.until ?? null,
    isLapsed: lapse !== null,
    lapse,
  };
}

function lapseOf(wait: Wait | null, nowSec: number): Lapse | null {
  if (wait === null) return null;
  const since = wait.limit ?? wait.until;
  return nowSec < since ? null : { state: wait.after, since, meaning: MEANING[wait.after] };
}

function phaseText(state: JobState): string {
  const rounds = state.job?.content.rounds ?? 0;
  const current = `round ${state.rounds.length} of ${rounds}`;
  const texts: Readonly<Record<JobPhase, string>> = {
    unknown: 'the job event is not at hand',
    awarding: 'taking bids',
    awarded: 'awarded, no round open yet',
    committing: `${current}: trainers work and commit`,
    revealing: `${current}: trainers reveal their updates`,
    scoring: `${current}: updates are scored`,
    closed: `${current}: closed, not settled`,
    selling: `${current}: its updates are paid for`,
    between: `${current} is over`,
    trained: 'trained, the model is not published yet',
    finished: 'finished, the model is published',
    cancelled: 'cancelled',
    frozen: 'frozen: an event does not follow from the others',
  };
  return texts[state.phase];
}

function nextStep(state: JobState, now: number): Wait | null {
  const round = currentRound(state);
  switch (state.phase) {
    case 'awarding':
      return award(state);
    case 'awarded':
      return seats(state) ?? customerStep(state, 'open round 1', state.award!.createdAt, 'not-started');
    case 'committing':
    case 'revealing':
      if (state.phase === 'revealing' && state.job!.content.spot !== null && round!.draw === null)
        return customerStep(
          state,
          `draw what is repeated of round ${round!.round + 1}`,
          round!.commitList!.createdAt,
          'overdue',
        );
      return answers(state, round!, now);
    case 'scoring':
      return customerStep(state, `score and close round ${round!.round + 1}`, round!.revealList!.createdAt, 'overdue');
    case 'closed':
      return customerStep(state, `settle round ${round!.round + 1}`, round!.close!.createdAt, 'unsettled');
    case 'selling':
      return (
        payments(state) ?? customerStep(state, `end the sale of round ${round!.round + 1}`, endOf(round!), 'overdue')
      );
    case 'between':
      return (
        payments(state) ??
        seats(state) ??
        customerStep(state, `open round ${round!.round + 2}`, endOf(round!), 'overdue')
      );
    case 'trained':
      return payments(state) ?? customerStep(state, 'publish the model', endOf(round!), 'overdue');
    case 'finished':
    case 'cancelled':
      return payments(state) ?? claims(state, now);
    default:
      return null;
  }
}

/** The job sets no time for what the customer does alone: each step may take as long as a round, from when it was due. */
function customerStep(state: JobState, what: string, since: number, after: LapseState): Wait {
  const started = [...state.assignments.values()].map((seat) => seat.ready?.createdAt ?? 0);
  const from = after === 'not-started' ? Math.max(since, ...started) : since;
  return { for: `the customer to ${what}`, until: from + state.job!.content.roundTimeoutSec, after };
}

function endOf(round: RoundState): number {
  const receipts = round.payouts.map((payout) => payout.receipt?.createdAt ?? 0);
  const end = round.settlement ?? round.close ?? round.voided;
  return Math.max(end!.createdAt, ...receipts);
}

function award(state: JobState): Wait {
  const { author, content } = state.job!;
  const { maxPriceMsat, trainers, deadline } = content;
  const open = state.bids.filter((bid) => bid.content.priceMsat <= maxPriceMsat);
  const made = content.bids === 'sealed' ? state.sealedBids : open;
  const bids = made.filter((bid) => bid.author !== author).length;
  return { for: `the award: ${count(bids, 'bid')} for ${count(trainers, 'seat')}`, until: deadline, after: 'lapsed' };
}

/** Seats whose trainer has not answered its grant; the first that runs out of time decides. */
function seats(state: JobState): Wait | null {
  const waiting = [...state.assignments.values()].filter((seat) => seat.ready === null && seat.grantBad === null);
  if (waiting.length === 0) return null;
  const until = Math.min(...waiting.map((seat) => seat.awardedAt + state.job!.content.readyTimeoutSec));
  return {
    for: `${waiting.length} of ${state.assignments.size} trainers to open their grants`,
    until,
    after: 'not-started',
  };
}

/** With a quorum a phase ends at its time, without one it is extended once. */
function answers(state: JobState, round: RoundState, now: number): Wait {
  const { quorum, roundTimeoutSec, revealTimeoutSec } = state.job!.content;
  const isCommit = round.commitList === null;
  const expected = isCommit ? awaitedSeats(state, round).length : round.listedCommits.size;
  const here = isCommit ? round.commits.size : round.reveals.size;
  const until = isCommit ? round.open.content.until : round.commitList.content.until!;
  const hasQuorum = here >= quorumOf({ quorum }, round);
  const limit = hasQuorum ? until : until + (isCommit ? roundTimeoutSec : revealTimeoutSec);
  return {
    for:
      here < expected
        ? `${here} of ${expected} ${isCommit ? 'updates committed' : 'updates revealed'}`
        : `the customer to list ${count(here, isCommit ? 'commitment' : 'reveal')}`,
    until: now < until ? until : limit,
    limit,
    after: 'overdue',
  };
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`;
}

function payouts(state: JobState): { readonly round: RoundState; readonly payout: PayoutState }[] {
  return state.rounds.flatMap((round) => round.payouts.map((payout) => ({ round, payout })));
}

/** Claims without a receipt; the oldest decides. */
function payments(state: JobState): Wait | null {
  const open = payouts(state).filter(({ payout }) => payout.claim !== null && payout.receipt === null);
  if (open.length === 0) return null;
  const until = Math.min(...open.map(({ payout }) => payout.claim!.createdAt + state.job!.content.payWithinSec));
  return { for: `the customer to pay ${count(open.length, 'claim')}`, until, after: 'unpaid' };
}

/** What nobody claims in time stays carried: not the customer's fault, so there is no lapse. */
function claims(state: JobState, now: number): Wait | null {
  const { claimWithinSec } = state.job!.content;
  const ends = payouts(state)
    .filter(({ payout }) => payout.claim === null && payout.receipt === null)
    .map(({ payout }) => payout.settlement.createdAt + claimWithinSec)
    .filter((end) => now < end);
  if (ends.length === 0) return null;
  return {
    for: `${count(ends.length, 'payout')} to be claimed`,
    until: Math.max(...ends),
    limit: Number.POSITIVE_INFINITY,
    after: 'unpaid',
  };
}
