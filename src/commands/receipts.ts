import { NmktError } from '../errors.js';
import type { EventId, Pubkey } from '../hash.js';
import type { NostrEvent, Relays } from '../ports.js';
import { jobFilters, type SignedRecord } from '../roles/job-book.js';
import { eventsFile } from '../roles/job-files.js';
import { table } from '../terminal/table.js';
import { utc } from './utc.js';
import type { Payouts } from '../wallet/payout-records.js';
import { ownPayouts } from './own-payouts.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { homeFiles, jobsOfHome } from './customer-ports.js';
import { findJob } from './find-job.js';
import { paymentsIn, requireOneFormat, short, type ProvenPayment } from './money-events.js';
import { saveProofs } from './proof-file.js';
import { sats } from './status-tables.js';

/** Reads only: makes no key, takes no lock, signs and publishes nothing. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('[job]', 'id, note or nevent of a job (default: all jobs of this home)')
      .option('--csv', 'one line per payment, for a spreadsheet')
      .option('--save <file>', 'write the signed events that prove them, for nmkt receipt verify')
      .option('--force', 'overwrite that file')
      .addHelpText('before', '$ nmkt receipts --home c\n$ nmkt receipts JOB --save receipts.ndjson\n')
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const isCsv = options['csv'] === true;
    requireOneFormat(isCsv, context.json);
    const named = reference === undefined ? undefined : findJob(reference);
    const signer = await context.deps.signer({ create: false });
    const jobs = named === undefined ? await jobsOfHome(homeFiles(context.deps.home())) : [named];
    if (jobs.length === 0) {
      context.progress.note(`no jobs in ${context.deps.home().dir}`);
      return outcomeOf([], isCsv);
    }
    const relays = await context.deps.relays();
    const paid = await ownPayouts(context);
    const rows: Row[] = [];
    let answered = 0;
    for (const job of jobs) {
      const found = await readRaw(context, relays, job);
      if (found.isAnswered) answered++;
      for (const payment of paymentsIn(found.events)) {
        const row = rowOf(payment, signer?.pubkey, paid);
        // Of a job that was named all payments are shown, also those of others.
        if (row.direction !== null || named !== undefined) rows.push(row);
      }
    }
    const file = options['save'] as string | undefined;
    if (file !== undefined) await saveProofs(file, provenIn(rows), options['force'] === true);
    const outcome = outcomeOf(rows, isCsv, file);
    if (answered > 0) return outcome;
    throw new NmktError('relay-unreachable', 'no relay answered: this is what the journals of this home tell', {
      expected: `an answer from one of ${relays.urls.join(', ')}`,
      got: 'silence',
      remedy: 'check the network, or name another relay with --relay URL',
      value: { text: '', ...outcome },
    });
  },
};

const HELP = `
Payments of this key, made and received, each with the preimage that proves it. --save writes the job, plan, claim, receipt and countersignature
of each: a file that anybody checks offline with nmkt receipt verify. Fees are those that the wallet of this home named.
With --json one document:
  payments   [{job, direction, round, purpose, payer, payee, amountMsat, feesMsat, paymentHash, preimage, node, paidAt, receipt, isProven,
             failed}], direction out, in or null (of others); round the stage of an arena; feesMsat null where this home did not pay; failed
             what is wrong with a receipt that proves nothing, or null
  paidMsat, receivedMsat, feesMsat  over all that are proven
  file       of --save, or null
With --csv the columns job, direction, round, purpose, payer, payee, msat, fees_msat, payment_hash, preimage, time (UTC).`;

interface Row {
  readonly payment: ProvenPayment;
  readonly direction: 'in' | 'out' | null;
  readonly feesMsat: bigint | null;
}

/** What relays have, and what this home signed itself. */
async function readRaw(
  { deps }: Context,
  relays: Relays,
  job: EventId,
): Promise<{ readonly events: readonly NostrEvent[]; readonly isAnswered: boolean }> {
  const journal = await deps.openJournal<SignedRecord>(deps.home().path(eventsFile(job)));
  const own = (await journal.read()).map(({ event }) => event);
  await journal.close();
  const { events, answered } = await relays.fetch(jobFilters(job));
  const all = new Map([...own, ...events].map((event) => [event.id, event]));
  return { events: [...all.values()], isAnswered: answered.length > 0 };
}

function rowOf(payment: ProvenPayment, me: Pubkey | undefined, payouts: Payouts): Row {
  const { author, content } = payment.receipt;
  const direction = me === undefined ? null : author === me ? 'out' : content.payee === me ? 'in' : null;
  return {
    payment,
    direction,
    feesMsat: direction === 'out' ? (payouts.get(content.payout)?.paid?.feesMsat ?? null) : null,
  };
}

const provenIn = (rows: readonly Row[]) =>
  rows.flatMap(({ payment }) => (payment.proof.isProven ? payment.events : []));

const failedOf = ({ payment: { proof } }: Row) => proof.checks.find(({ result }) => result === 'failed') ?? null;

function outcomeOf(rows: readonly Row[], isCsv: boolean, file?: string): Outcome {
  const payments = rows.map((row) => {
    const { receipt, proof } = row.payment;
    const { payee, amountMsat, paymentHash, preimage } = receipt.content;
    const failed = failedOf(row);
    return {
      ...{ job: receipt.job, direction: row.direction, round: proof.facts.round, purpose: proof.facts.purpose },
      ...{ payer: receipt.author, payee, amountMsat, feesMsat: row.feesMsat, paymentHash, preimage },
      ...{ node: proof.facts.node, paidAt: receipt.createdAt, receipt: receipt.id, isProven: proof.isProven },
      failed: failed === null ? null : `${failed.check}: ${failed.detail}`,
    };
  });
  const proven = payments.filter(({ isProven }) => isProven);
  const sum = (direction: Row['direction']) =>
    proven.reduce((all, one) => (one.direction === direction ? all + one.amountMsat : all), 0n);
  const feesMsat = proven.reduce((all, one) => all + (one.feesMsat ?? 0n), 0n);
  const sums = { paidMsat: sum('out'), receivedMsat: sum('in'), feesMsat };
  if (isCsv) {
    const lines = proven.map((one) =>
      [
        ...[one.job, one.direction ?? '', one.round, one.purpose, one.payer, one.payee, one.amountMsat],
        ...[one.feesMsat ?? '', one.paymentHash, one.preimage, utc(one.paidAt)],
      ].join(','),
    );
    return { text: [CSV_HEAD, ...lines].join('\n') };
  }
  const head = ['job', '', 'round', 'for', 'with', 'amount', 'fees', 'payment hash', 'time'];
  const cells = payments.map((one) => [
    ...[short(one.job), one.direction ?? 'of others', one.round === null ? '-' : one.round + 1, one.purpose ?? '-'],
    ...[short(one.direction === 'in' ? one.payer : one.payee), sats(one.amountMsat)],
    one.feesMsat === null ? '-' : sats(one.feesMsat),
    ...[one.failed === null ? short(one.paymentHash) : `proves nothing (${one.failed})`, utc(one.paidAt)],
  ]);
  const total = `${sats(sums.paidMsat)} paid, ${sats(sums.feesMsat)} of fees, ${sats(sums.receivedMsat)} received`;
  return {
    value: { payments, ...sums, file: file ?? null },
    text: payments.length === 0 ? 'no payments' : `${table([head, ...cells])}\n\n${total}`,
    ...(file !== undefined && { next: `nmkt receipt verify ${file}` }),
  };
}

const CSV_HEAD = 'job,direction,round,purpose,payer,payee,msat,fees_msat,payment_hash,preimage,time';
