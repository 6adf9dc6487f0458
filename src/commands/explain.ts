import { formatPubkey, parsePubkey } from '../config/identifiers.js';
import { NmktError } from '../errors.js';
import type { EventId, Pubkey, Sha256 } from '../hash.js';
import { explainArenaPayout } from '../market/arena/explain.js';
import type { ArenaState } from '../market/arena/state.js';
import {
  explainAward,
  explainMatch,
  explainPayout,
  payoutState,
  unsettledCorrections,
  type PayoutExplained,
} from '../market/explain.js';
import { rate, ROLES, type RatedRole, type ReaderTrust } from '../market/reputation.js';
import { tagValue } from '../protocol/envelope.js';
import { KINDS } from '../protocol/kinds.js';
import type { NostrEvent, Relays } from '../ports.js';
import { readHistory, readJobs, type History } from '../roles/history.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { homeFiles, jobsOfHome } from './customer-ports.js';
import { arenaText, awardText, nameOfStage, payoutText, ratingText } from './explain-text.js';
import { readArenaBook } from './find-arena.js';
import { findJob, otherMode } from './find-job.js';
import { addTrustFlags, readerTrust } from './reader-trust.js';

/** Reads only: from a decided value back to the signed events that it follows from. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('<subject>', 'an npub, a job, or the id of a payout')
      .option('--job <job>', 'the job of that payout (default: looked for in the jobs of this home, or in the file)')
      .option('--from-dump <file>', 'read that file of signed events alone: no relay is asked');
    addTrustFlags(program);
    program
      .addHelpText('before', '$ nmkt explain NPUB\n$ nmkt explain JOB --json\n$ nmkt explain PAYOUT --job JOB\n')
      .addHelpText('after', HELP);
  },

  async run([subject], options, context) {
    const trustOf = readerTrust(context, options);
    const named = options['job'] === undefined ? undefined : findJob(options['job'] as string);
    const isKey = /^(nostr:)?n(pub|profile)1/i.test(subject!.trim());
    const key = isKey ? parsePubkey(subject!) : undefined;
    const id = isKey ? undefined : findJob(subject!);
    const dump = options['fromDump'] as string | undefined;
    const relays = dump === undefined ? await context.deps.relays() : await context.deps.openDump(dump);
    if (key !== undefined) return explainKey(await readHistory(relays, key), key, await trustOf(relays));
    const job = named === undefined ? await jobEvent(relays, id!) : await jobEvent(relays, named);
    if (job !== undefined && tagValue(job, 'phase') === 'arena') {
      const book = await readArenaBook(context, job.id, relays);
      book.close();
      const { state } = book.state();
      const payout = id as string as Sha256;
      if (state !== null)
        return named === undefined
          ? explainArena(state)
          : explainOf(state, explainArenaPayout(state, payout), 1, payout, nameOfStage);
    }
    if (job !== undefined && tagValue(job, 'phase') === 'alliance') throw otherMode(job.id, 'alliance');
    if (named === undefined && job !== undefined) return explainJob(await readJobs(relays, [id!]), id!);
    const jobs = await jobsOfPayout(context, relays, named, dump !== undefined);
    return explainOne(jobs, id as string as Sha256);
  },
};

const HELP = `
A key: each match of its rating (see rating --help) with the points it added; they add up to mu - 3 sigma.
A job: the order of its award, bid by bid with the rule behind it, and every payout that it promises.
A payout: the seats whose prices add up to it, to the msat, the settlement, the claim and how it was paid.
With --json one document, its events {id, kind, type, author}:
  key     {subject: "key", key, npub, trainer, validator, customer}, each {rating, mu, sigma, causes: [{job, what, points, events}]}
  job     {subject: "job", job, award: [{rank, trainer, outcome, shards, what, events}], payouts: [{payout, round, payee, amountMsat,
          state}]}; rank is null for refused bids, round counts from 0, state is owed, claimed, unpaid or paid
  payout  {subject: "payout", job, payout, round, payee, amountMsat, state, causes: [{what, msat, events}]}; msat is null where an event
          decides and adds nothing; the others add up to amountMsat
Of an arena round is the stage, 0 or 1, a job has mode "arena" and no award, and a payout goes with --job.`;

/** Undefined: it is no job. */
async function jobEvent(relays: Relays, id: EventId): Promise<NostrEvent | undefined> {
  const { events, answered } = await relays.fetch([{ ids: [id] }]);
  if (answered.length > 0) return events.find((event) => event.id === id && event.kind === KINDS.job);
  throw new NmktError('relay-unreachable', 'no relay answered', {
    expected: `an answer from one of ${relays.urls.join(', ')}`,
    got: 'silence',
    remedy: 'check the network, or name another relay with --relay URL',
  });
}

/** A payout's id says nothing of its job: that is named, or one that this home or the file knows. */
async function jobsOfPayout(
  { deps }: Context,
  relays: Relays,
  named: EventId | undefined,
  isFile: boolean,
): Promise<History> {
  if (named !== undefined) return readJobs(relays, [named]);
  if (isFile) return readHistory(relays);
  return readJobs(relays, await jobsOfHome(homeFiles(deps.home())));
}

function explainOne({ jobs }: History, id: Sha256): Outcome {
  const found = jobs.map((state) => ({ state, one: explainPayout(state, id) })).find(({ one }) => one !== null);
  return explainOf(found?.state, found?.one ?? null, jobs.length, id);
}

/** @param read  how many jobs were looked through */
function explainOf(
  state: { readonly jobId: EventId } | undefined,
  found: PayoutExplained | null,
  read: number,
  id: Sha256,
  nameOf?: (round: number) => string,
): Outcome {
  if (state === undefined || found === null)
    throw new NmktError('job-unknown', `${id.slice(0, 12)}… is no job, and no payout of a job that was read`, {
      expected: 'a job, or a payout of the jobs of this home',
      got: `${read} jobs without it`,
      remedy: 'name the job of a payout with --job JOB; a key goes as npub',
    });
  const { round, payout, causes } = found;
  const { payee, amountMsat } = payout;
  const value = {
    ...{ subject: 'payout', job: state.jobId, payout: id, round, payee, amountMsat, state: found.state },
    causes: causes.map(({ what, adds, events }) => ({
      what,
      msat: adds !== null && 'msat' in adds ? adds.msat : null,
      events,
    })),
  };
  return { value, text: payoutText(value, nameOf), next: `nmkt audit ${state.jobId}` };
}

function explainArena(state: ArenaState): Outcome {
  const payouts = state.stages.flatMap(({ stage, payouts: all }) =>
    all.map((one) => {
      const { payout, payee, amountMsat } = one;
      return { payout, round: stage, payee, amountMsat, state: payoutState(one) };
    }),
  );
  const value = { subject: 'job', job: state.jobId, mode: 'arena', payouts };
  return { value, text: arenaText(value), next: `nmkt leaderboard ${state.jobId}` };
}

function explainJob({ jobs, events }: History, job: EventId): Outcome {
  const state = jobs[0]!;
  const award = explainAward(state, (id) => events.get(id)).map(({ rank, trainer, row, shards, cause }) => {
    return { rank, trainer, outcome: row.outcome, shards, what: cause.what, events: cause.events };
  });
  const payouts = state.rounds.flatMap(({ round, payouts: all }) =>
    all.map(({ payout, payee, amountMsat }) => {
      return { payout, round, payee, amountMsat, state: explainPayout(state, payout)!.state };
    }),
  );
  const owed = unsettledCorrections(state).map(({ dispute, line: { payout, payee, amountMsat } }) => {
    return { payout, round: dispute.fraud.content.round, payee, amountMsat, state: 'owed' as const };
  });
  const value = { subject: 'job', job, award, payouts: [...payouts, ...owed] };
  const first = payouts[0];
  return { value, text: awardText(value), ...(first && { next: `nmkt explain ${first.payout} --job ${job}` }) };
}

function explainKey({ jobs, events }: History, key: Pubkey, trust: ReaderTrust): Outcome {
  const told = (role: RatedRole) => {
    const { rating, mu, sigma, matches } = rate(jobs, key, role, trust);
    const causes = matches.map((match) => {
      const { what, events: cited } = explainMatch(match, (id) => events.get(id));
      return { job: match.job, what, points: match.gain, events: cited };
    });
    return { rating, mu, sigma, causes };
  };
  const roles = { trainer: told('trainer'), validator: told('validator'), customer: told('customer') };
  const value = { subject: 'key', key, npub: formatPubkey(key), ...roles };
  const job = ROLES.flatMap((role) => roles[role].causes)[0]?.job;
  return { value, text: ratingText(value), ...(job !== undefined && { next: `nmkt explain ${job}` }) };
}
