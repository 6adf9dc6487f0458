import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import { foldJob } from '../market/fold.js';
import { parseJobEvents, type JobEvent } from '../protocol/events.js';
import type { NostrEvent, Relays, Signer } from '../ports.js';
import {
  customerNamedIn,
  earningsOf,
  earningsOfJournal,
  ownInvoices,
  sumEarnings,
  type JobEarnings,
  type Sums,
} from '../roles/earnings.js';
import { jobFilters, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import { table } from '../terminal/table.js';
import { utc } from './utc.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { homeFiles, jobsOfHome } from './customer-ports.js';
import { requireOneFormat } from './money-events.js';

/** Reads only: makes no key, takes no lock, signs and publishes nothing, also beside a running serve-trainer. */
export const command: CommandModule = {
  configure(program) {
    program
      .option('--csv', 'one line per payment received, for a spreadsheet')
      .addHelpText('before', '$ nmkt earnings --home t1\n$ nmkt earnings --csv > earnings.csv\n')
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const isCsv = options['csv'] === true;
    requireOneFormat(isCsv, context.json);
    const signer = await context.deps.signer({ create: false });
    const kept = signer === undefined ? [] : await keptJobs(context, signer.pubkey);
    if (signer === undefined || kept.length === 0) {
      context.progress.note(`no work of this key in ${context.deps.home().dir}`);
      return outcomeOf([], isCsv, '');
    }
    const relays = await context.deps.relays();
    const jobs: Told[] = [];
    for (const one of kept) jobs.push(await tell(context, relays, signer, one));
    const outcome = outcomeOf(jobs, isCsv, signer.pubkey);
    if (jobs.every(({ isAnswered }) => !isAnswered))
      throw new NmktError('relay-unreachable', 'no relay answered: this is what the journals of this home tell', {
        expected: `an answer from one of ${relays.urls.join(', ')}`,
        got: 'silence',
        remedy: 'check the network, or name another relay with --relay URL',
        value: { text: '', ...outcome },
      });
    return outcome;
  },
};

const HELP = `
Paid is what the own wallet confirmed, or what a receipt proves with the preimage of an own invoice. Owed is accepted work that is not paid;
late is the part of it that should be paid by the terms of its job.
With --json one document:
  owedMsat, paidMsat, lateMsat  over all jobs of this home
  jobs       [{job, customer, title, phase, source, rounds, owedMsat, paidMsat, lateMsat}], rounds being accepted ones; source is relays, or
             journal when no relay has the job: then only what this home signed is known, and customer may be null
  customers  [{customer, jobs, owedMsat, paidMsat, lateMsat}], who owes most first
With --csv the columns job, payee, round, msat, payment_hash, preimage, time (UTC), a line per payment; round counts from 0.`;

interface Kept {
  readonly job: EventId;
  readonly raw: readonly NostrEvent[];
  readonly own: readonly JobEvent[];
}

/** Jobs of this home that this key bid on. */
async function keptJobs({ deps }: Context, me: Pubkey): Promise<Kept[]> {
  const home = deps.home();
  const kept: Kept[] = [];
  for (const job of await jobsOfHome(homeFiles(home))) {
    const journal = await deps.openJournal<SignedRecord>(home.path(eventsFile(job)));
    const raw = (await journal.read()).map(({ event }) => event);
    await journal.close();
    const own = parseJobEvents(raw, (_, error) => {
      throw error;
    });
    if (own.some(({ type, author }) => (type === 'bid' || type === 'sealed-bid') && author === me))
      kept.push({ job, raw, own });
  }
  return kept;
}

interface Told extends JobEarnings, Sums {
  readonly source: 'relays' | 'journal';
  readonly isAnswered: boolean;
}

async function tell({ deps }: Context, relays: Relays, signer: Signer, { job, raw, own }: Kept): Promise<Told> {
  const { events, answered } = await relays.fetch(jobFilters(job));
  const state = foldJob(job, [...own, ...parseJobEvents(events)]);
  const isKnown = state.job !== null;
  const told = isKnown
    ? earningsOf(state, signer.pubkey, await ownInvoices(state, signer), deps.clock.nowSec())
    : earningsOfJournal(job, own, customerNamedIn(raw));
  return {
    ...told,
    ...sumEarnings(told.earnings),
    source: isKnown ? 'relays' : 'journal',
    isAnswered: answered.length > 0,
  };
}

function outcomeOf(jobs: readonly Told[], isCsv: boolean, me: string): Outcome {
  if (isCsv) return { text: csv(jobs, me) };
  const sums = sumEarnings(jobs.flatMap(({ earnings }) => earnings));
  const customers = byCustomer(jobs);
  const value = {
    ...sums,
    jobs: jobs.map(({ job, customer, title, phase, source, rounds, owedMsat, paidMsat, lateMsat }) => {
      return { job, customer, title, phase, source, rounds, owedMsat, paidMsat, lateMsat };
    }),
    customers,
  };
  const late = jobs.find(({ lateMsat }) => lateMsat > 0n);
  return {
    value,
    text: text(value),
    next: late === undefined ? 'nmkt serve-trainer --price SATS' : `nmkt status ${late.job}`,
  };
}

interface CustomerSums extends Sums {
  readonly customer: Pubkey | null;
  readonly jobs: number;
}

/** Who owes most first, then by key. */
function byCustomer(jobs: readonly Told[]): CustomerSums[] {
  const people = [...new Set(jobs.map(({ customer }) => customer))];
  return people
    .map((customer) => {
      const theirs = jobs.filter((one) => one.customer === customer);
      return { customer, jobs: theirs.length, ...sumEarnings(theirs.flatMap(({ earnings }) => earnings)) };
    })
    .sort((a, b) => {
      if (a.owedMsat !== b.owedMsat) return a.owedMsat > b.owedMsat ? -1 : 1;
      return (a.customer ?? '') < (b.customer ?? '') ? -1 : 1;
    });
}

const sats = (msat: bigint) => `${Number(msat) / 1000} sat`;
const moneyCells = ({ paidMsat, owedMsat, lateMsat }: Sums) => [sats(paidMsat), sats(owedMsat), sats(lateMsat)];

function text(
  value: Sums & { readonly jobs: readonly (Sums & Pick<Told, 'job' | 'rounds' | 'phase'>)[] } & {
    readonly customers: readonly CustomerSums[];
  },
): string {
  const head = ['paid', 'owed', 'late'];
  return table([
    ['', '', ...head],
    ['all', `${value.jobs.length} jobs`, ...moneyCells(value)],
    ...value.customers.map((one) => [
      `customer ${one.customer?.slice(0, 12) ?? 'unknown'}…`,
      `${one.jobs} jobs`,
      ...moneyCells(one),
    ]),
    ...value.jobs.map((one) => [
      `job ${one.job.slice(0, 12)}…`,
      `${one.rounds} rounds, ${one.phase}`,
      ...moneyCells(one),
    ]),
  ]);
}

/** RFC 4180; no field needs quotes. */
function csv(jobs: readonly Told[], me: string): string {
  const lines = jobs.flatMap(({ job, earnings }) =>
    earnings
      .filter(({ state }) => state === 'paid')
      .map(({ round, msat, paymentHash, preimage, paidAt }) => {
        return [job, me, round ?? '', msat, paymentHash ?? '', preimage ?? '', utc(paidAt!)].join(',');
      }),
  );
  return ['job,payee,round,msat,payment_hash,preimage,time', ...lines].join('\n');
}
