import { isNmktError } from '../errors.js';
import type { EventId } from '../hash.js';
import { describeDisputes, disputeText } from '../market/describe-disputes.js';
import { foldJob } from '../market/fold.js';
import { paidMsat, type JobState } from '../market/state.js';
import { describeStakes, stakeRows } from '../roles/describe-stakes.js';
import { describeJob, WAYS_ON, type LapseState } from '../roles/describe-job.js';
import { publicMetrics } from '../roles/collected-metrics.js';
import { comparePlan, type PlanComparison } from '../roles/compare-plan.js';
import { describeValidators } from '../roles/describe-validators.js';
import { describeRounds, describeTrainers } from '../roles/describe-work.js';
import { describeMetrics } from '../roles/model-metrics.js';
import { allianceFile, arenaFile, secretsFile } from '../roles/job-files.js';
import { PUBLIC_KNOWLEDGE } from '../roles/round-traffic.js';
import { table } from '../terminal/table.js';
import { utc } from './utc.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { allianceSummary, allianceText, type AllianceSummary } from './alliance-text.js';
import { summaryOf, summaryText, type ArenaSummary } from './arena-text.js';
import { homeFiles, jobsOfHome } from './customer-ports.js';
import { readArena } from './find-arena.js';
import { readAlliance } from './find-alliance.js';
import { findJob, modeOfJob, readBook } from './find-job.js';
import { knownPayouts, lockedIn, type Locked } from './own-payouts.js';
import { planTable, planBesideActuals } from './status-plan.js';
import { roundTable, sats, score, trainerTable, validatorTable } from './status-tables.js';

/** Reads only: makes no key, takes no lock, signs nothing. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('[job]', 'id, note or nevent of the job; without it, the jobs of this home')
      .addHelpText('before', '$ nmkt status JOB\n$ nmkt status --home c --json\n')
      .addHelpText('after', HELP);
  },

  async run([reference], _options, context) {
    return reference === undefined ? listJobs(context) : showJob(context, findJob(reference));
  },
};

const HELP = `
With --json one document (without JOB one per job, and its role, customer or trainer):
  job, customer, title, dataset  ids and title; null for a job that no relay has
  phase       unknown, awarding, awarded, committing, revealing, scoring, closed, selling, between, trained,
              finished, cancelled or frozen (an event does not follow); phaseText says it in words
  waitsFor    what comes next, or null; until is the Unix second until which that is in order
  isLapsed    that time is over; lapse is {state, since, meaning}, state being lapsed (no award), not-started
              (a seat without an answer), overdue, unsettled or unpaid; else null
  rail        instalments, promised (instalments of fewer than 3 rounds), key-sale or none
  seats, quorum, bids, plannedRounds, maxPriceMsat, budgetMsat, deadline
  aggregation, outer, codec  how updates become the next model, and how they travel
  rounds      [{round, state, accepted, scoredBy, rejected: [{trainer, shard, rule}], loss, accuracy, perplexity, paidMsat,
              owedMsat, plan, actual}], round from 0, measured on evaluation set A; scoredBy
              customer, validators, fallback (the customer: too few validators did) or null; perplexity (per token) of text models, else null
  trainers    [{pubkey, shard, priceMsat, seat, rounds, paidMsat, owedMsat}], seat ready, waiting, grant-bad,
              resigned, fraud or replaced
  validators  [{pubkey, engine, seat, rounds, absent, apart, paidMsat, owedMsat}], seat taken, lost or fraud (a score is proven false); rounds: how many of its
              scores count; absent and apart: rounds without scores of it, and with others than the median
  paidMsat, owedMsat, model (id of the artifact event or null), loss, accuracy (of the model on set B, or null)
  metrics     of a finished text model {perplexity, bitsPerCharacter or bitsPerByte}; else {}
  frauds      [{trainer, round, segment, event}]: a repeated part of the training ended elsewhere than committed
  keyFrauds   [{trainer, round, event}]: the key that it sold is not the one that it signed
  lockedMsat, lockedUntil  of payments of this home on their way, whose outcome is not known; by the Unix second lockedUntil (null: none) they are paid or back
  disputes    [{trainer, round, shard, segment, state, right, complaint, fraud, verdicts: [{validator, hash, isFalse, event}], owedMsat, isSettled}] of
              what its trainer says it did train (isFalse: more than half of the validators contradict it): state unheard, listed, drawn or decided; right trainer, customer, nobody (no validator can repeat) or null
  stakes      null, or of a job that asks for stake {trainerMsat, validatorMsat, staked: [{pubkey, role, ownMsat, delegatedMsat, countedMsat}],
              slashed: [{event, lock, guilty, owner, reporter, reporterMsat, potMsat}], pot: {slashedMsat, promisedMsat, leftMsat}}
  violation   {event, author, rule, detail} of the first event that does not follow, or null
  plan, actual  of a round {bytesUp, bytesDown, events, seconds, msat}, actual also feesMsat (of payments of this home); null: unknown, or a
              trainer had no seat. planFor says whose: customer (what it sends and gets, all of the job) or trainer (where this
              key had a seat, its own part). On one relay, each event and chunk once, without grants. Planned by the terms and the
              sizes of the shards: bytes at most, events where nobody fails or is late, states for spot checks on average, msat at
              most, seconds of training by the bids; actual seconds from a round's opening to its close
  plan, planSoFar, actual  of the document: of all rounds, and of those that are over
  forks       [{author, seq, events}]; missing: ids that others cite and no relay has; events: how many were read
Of an arena {job, customer, title, mode: "arena", phase, phaseText, waitsFor, until, potMsat, carriedMsat, violation, forks, missing, events}, phase being
submitting, listed, scoring, scored, ranked, finished, cancelled, frozen or incomplete; more by nmkt leaderboard
Of an alliance {job, customer, title, mode: "alliance", phase, phaseText, waitsFor, until, potMsat, paidMsat, owedMsat,
carriedMsat (below the payout floor: waits), plannedRounds, aggregation, model (sha256 of
the last accepted one, or null), rounds, members: [{pubkey, proposed, voted, earned, paidMsat, owedMsat}], stakes (as above), violation, forks, missing, events}, phase being joining,
drawing, committing, revealing, voting, vote-revealing, decided, finished, cancelled, frozen or incomplete; rounds: [{round, state, proposers: [{pubkey, isRevealed, isOpened}], voters: [{pubkey, stakeMsat,
vote, lossBefore, lossAfter, offSide}], aggregate, settledBy, paidMsat, owedMsat}], state running, too-few, empty, accepted or kept; offSide silent, aggregate, vote or null: why it earns nothing`;

async function showJob(context: Context, job: EventId): Promise<Outcome> {
  try {
    return await showFederated(context, job);
  } catch (error) {
    if (!isNmktError(error, 'wrong-mode')) throw error;
    if ((await modeOfJob(await context.deps.relays(), job)) === 'alliance') {
      const summary = allianceSummary(await readAlliance(context, job));
      return { value: summary, text: allianceText(summary), next: await afterAlliance(context, summary) };
    }
    const summary = summaryOf(await readArena(context, job));
    return { value: summary, text: summaryText(summary), next: `nmkt leaderboard ${job}` };
  }
}

async function afterAlliance({ deps }: Context, { job, phase }: AllianceSummary): Promise<string> {
  const isOurs = (await deps.home().readFile(allianceFile(job))) !== undefined;
  const isOver = phase === 'finished' || phase === 'cancelled' || phase === 'frozen';
  return isOurs || isOver
    ? `nmkt collect-model ${job} --out model`
    : `nmkt serve-trainer --mode alliance --local-data FILE --job ${job}`;
}

async function showFederated(context: Context, job: EventId): Promise<Outcome> {
  const status = await readStatus(context, job);
  const secrets = await context.deps.home().readFile(secretsFile(job));
  return { value: status, text: describe(status), next: nextCommand(status, secrets !== undefined) };
}

async function readStatus(context: Context, job: EventId): Promise<Status> {
  const { book, relays } = await readBook(context, job);
  book.close();
  const comparison = await planBesideActuals(context, book, relays);
  const locked = lockedIn(await knownPayouts(context), job);
  return statusOf(book.state(), context.deps.clock.nowSec(), book.all().length, comparison, locked);
}

type Status = ReturnType<typeof statusOf>;

function statusOf(
  state: JobState,
  nowSec: number,
  events: number,
  { rounds: compared, ...comparison }: PlanComparison,
  locked: Locked,
) {
  const terms = state.job?.content;
  const artifact = state.artifact?.content;
  const rounds = describeRounds(state).map((round, at) => ({ ...round, ...compared[at]! }));
  return {
    job: state.jobId,
    customer: state.job?.author ?? null,
    title: terms?.title ?? null,
    dataset: terms?.dataset ?? null,
    ...describeJob(state, nowSec),
    rail: terms === undefined ? null : terms.rail === 'instalments' && terms.rounds < 3 ? 'promised' : terms.rail,
    seats: terms?.trainers ?? null,
    quorum: terms?.quorum ?? null,
    bids: (terms?.bids === 'sealed' ? state.sealedBids : state.bids).length,
    plannedRounds: terms?.rounds ?? null,
    maxPriceMsat: terms?.maxPriceMsat ?? null,
    budgetMsat: terms?.budgetMsat ?? null,
    deadline: terms?.deadline ?? null,
    aggregation: state.award?.content.rule ?? terms?.aggregation ?? null,
    outer: terms?.outer ?? null,
    codec: terms?.codec ?? null,
    rounds,
    trainers: describeTrainers(state),
    validators: describeValidators(state),
    paidMsat: paidMsat(state),
    owedMsat: rounds.reduce((sum, round) => sum + round.owedMsat, 0n),
    model: state.artifact?.id ?? null,
    loss: artifact === undefined ? null : artifact.lossPpm / 1_000_000,
    accuracy: artifact?.accuracyPpm == null ? null : artifact.accuracyPpm / 1_000_000,
    metrics: artifact === undefined ? {} : publicMetrics(state),
    frauds: [...state.frauds.values()].map(({ id, content: { trainer, round, segment } }) => ({
      trainer,
      round,
      segment,
      event: id,
    })),
    keyFrauds: [...state.keyFrauds.values()].map(({ id, content: { trainer, round } }) => ({
      trainer,
      round,
      event: id,
    })),
    ...locked,
    disputes: describeDisputes(state),
    stakes: describeStakes(state),
    violation: state.firstBad,
    forks: state.forks.map(({ author, seq, ids }) => ({ author, seq, events: ids })),
    missing: state.missing,
    events,
    ...comparison,
  };
}

/** The jobs this home posted or bid on, in order of their ids. */
async function listJobs(context: Context): Promise<Outcome> {
  const home = context.deps.home();
  const jobs = await jobsOfHome(homeFiles(home));
  if (jobs.length === 0) {
    context.progress.note(`no jobs in ${home.dir}`);
    return { next: 'nmkt post-job --help, or nmkt serve-trainer --help' };
  }
  for (const job of jobs) {
    const kept = await Promise.all(
      [secretsFile(job), allianceFile(job), arenaFile(job)].map((name) => home.readFile(name)),
    );
    const role = kept.every((file) => file === undefined) ? 'trainer' : 'customer';
    const status = await statusAnyway(context, job);
    const line = 'mode' in status ? status.phaseText : oneLine(status);
    context.emit({ role, ...status }, `${job}  ${role.padEnd(8)}  ${line}`);
  }
  return { next: 'nmkt status JOB' };
}

/** A job that no relay has any more is a line of its own, not the end of the list. */
async function statusAnyway(context: Context, job: EventId): Promise<Status | ArenaSummary | AllianceSummary> {
  try {
    return await readStatus(context, job);
  } catch (error) {
    if (isNmktError(error, 'wrong-mode'))
      return (await modeOfJob(await context.deps.relays(), job)) === 'alliance'
        ? allianceSummary(await readAlliance(context, job))
        : summaryOf(await readArena(context, job));
    if (!isNmktError(error, 'job-unknown')) throw error;
    const state = foldJob(job, []);
    const comparison = comparePlan(state, { role: 'customer' }, null, () => 0, PUBLIC_KNOWLEDGE);
    return statusOf(state, context.deps.clock.nowSec(), 0, comparison, { lockedMsat: 0n, lockedUntil: null });
  }
}

function oneLine({ phaseText, lapse }: Status): string {
  return lapse === null ? phaseText : `${phaseText} (${lapse.state} since ${utc(lapse.since)})`;
}

function describe(status: Status): string {
  const { waitsFor, until, lapse, violation } = status;
  const facts: (readonly string[])[] = [
    ['job', status.job],
    ...(status.title ? [['title', status.title]] : []),
    ['customer', status.customer ?? '-'],
    ['phase', status.phaseText],
    ...(waitsFor === null ? [] : [['waits for', `${waitsFor}, until ${utc(until!)}`]]),
    ...(lapse === null ? [] : [['late', `${lapse.state} since ${utc(lapse.since)}: ${lapse.meaning}`]]),
    ...(lapse === null ? [] : waysOn(lapse.state)),
    ['money', moneyText(status)],
    ...(status.codec === null ? [] : [['learning', describeLearning(status)]]),
    ...(status.model === null
      ? []
      : [['model', [`${status.model}  ${score(status)} on set B`, ...describeMetrics(status.metrics)].join(', ')]]),
    ...(violation === null
      ? []
      : [['violation', `${violation.rule}: ${violation.detail} (event ${violation.event} of ${violation.author})`]]),
    ...status.frauds.map(({ trainer, round, segment, event }) => [
      'fraud',
      `segment ${segment} of round ${round + 1} of ${trainer} was not trained as committed (event ${event})`,
    ]),
    ...status.keyFrauds.map(({ trainer, round, event }) => [
      'fraud',
      `the key that ${trainer} sold in round ${round + 1} is not the one it signed (event ${event})`,
    ]),
    ...status.disputes.map((one) => [
      'dispute',
      `segment ${one.segment} of round ${one.round + 1} of ${one.trainer}: ${disputeText(one)} (complaint ${one.complaint})`,
    ]),
    ...stakeRows(status.stakes),
    ...status.forks.map((fork) => ['fork', `${fork.author} signed two events with seq ${fork.seq}`]),
    ...status.missing.map((id) => ['missing', id]),
  ];
  return [table(facts), roundTable(status), trainerTable(status), validatorTable(status), planTable(status)]
    .filter((part) => part !== '')
    .join('\n\n');
}

function moneyText({ rail, paidMsat, owedMsat, lockedMsat, lockedUntil }: Status): string {
  const locked = lockedUntil === null ? '' : `, ${sats(lockedMsat)} on its way, until about ${utc(lockedUntil)}`;
  return `${rail ?? '-'}, ${sats(paidMsat)} paid, ${sats(owedMsat)} owed${locked}`;
}

function waysOn(state: LapseState): (readonly string[])[] {
  const { customer, trainer } = WAYS_ON[state];
  return [['way on', `customer: ${customer}; trainer: ${trainer}; anybody: nmkt audit JOB`]];
}

/** `multi-krum (f 1 of 5) over int4, then diloco`. */
function describeLearning({ aggregation, outer, codec, seats }: Status): string {
  const rule =
    typeof aggregation === 'string' || aggregation === null
      ? (aggregation ?? '-')
      : `${aggregation.name}${aggregation.f > 0 ? ` (f ${aggregation.f} of ${seats})` : ''}`;
  return `${rule} over ${codec!.name}${outer === null || outer.name === 'none' ? '' : `, then ${outer.name}`}`;
}

function nextCommand({ job, phase, owedMsat }: Status, isOurs: boolean): string {
  if (phase === 'cancelled') return isOurs && owedMsat > 0n ? `nmkt cancel ${job}` : `nmkt audit ${job}`;
  if (isOurs && phase !== 'frozen') return `nmkt collect-model ${job} --out model`;
  return phase === 'awarding' ? `nmkt serve-trainer --job ${job} --price SATS` : `nmkt audit ${job}`;
}
