import { NmktError } from '../errors.js';
import { table } from '../terminal/table.js';
import { decodeInvoice } from '../wallet/bolt11.js';
import { payoutBook } from '../wallet/payout-book.js';
import { payOut, type PayoutOutcome } from '../wallet/payout-journal.js';
import { unknownPayouts, type Payout } from '../wallet/payout-records.js';
import { createSpendGuard } from '../wallet/spend-guard.js';
import { createBell } from '../roles/bell.js';
import { requireRunning } from '../roles/patience.js';
import { PAYEES_AT_ONCE, sideBySide } from '../roles/side-by-side.js';
import type { CommandModule, Outcome } from './command.js';
import { findJob } from './find-job.js';
import { payingWallet } from './lead.js';
import { short } from './money-events.js';
import { payoutJournal } from './own-payouts.js';
import { planResume } from './pay-plan.js';
import { sats } from './status-tables.js';
import { limitsOf } from './spending.js';

/** Goes on with what was sent and whose outcome is not known: looked up first, then the same invoice or none. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('[job]', 'id, note or nevent of a job (default: all jobs that this home pays)')
      .option('--resume', 'go on with payments whose outcome is not known')
      .option('--max-sats <sats>', 'spend no more than this, fees included')
      .option('--dry-run', 'look each up and show what would be done; send and write nothing')
      .addHelpText('before', '$ nmkt pay --resume --home c\n')
      .addHelpText('after', HELP);
  },

  async run([reference], options, context) {
    const job = reference === undefined ? undefined : findJob(reference);
    if (options['resume'] !== true)
      throw new NmktError('bad-usage', 'nmkt pay starts no payment of its own', {
        expected: '--resume',
        got: 'no --resume',
        remedy: 'nmkt pay --resume; what a job owes is paid by nmkt collect-model JOB',
      });
    if (options['dryRun'] === true) return planResume(context, job, options);
    const limits = limitsOf(context, options);
    const { deps, progress } = context;
    const wallet = await payingWallet(context);
    await deps.lockedHome();
    const book = payoutBook(await payoutJournal(context));
    const payouts = await book.payouts();
    const open = unknownPayouts(payouts).filter((one) => job === undefined || one.job === job);
    const all = [...payouts.values()];
    const guard = createSpendGuard(limits);
    const tools = { wallet, network: deps.network, book, guard, clock: deps.clock };
    progress.start(`looking up ${open.length} payments`);
    const outcomes = new Map<Payout, PayoutOutcome>();
    const left = [...open];
    const [first] = left.splice(0, 1);
    if (first !== undefined)
      await sideBySide(
        { bell: createBell(deps.clock), signal: context.signal },
        PAYEES_AT_ONCE,
        first,
        () => left.shift() ?? null,
        async (payout) => {
          progress.update(`looking up ${sats(payout.amountMsat)} to ${short(payout.payee)}`);
          outcomes.set(payout, await payOut(requestOf(payout, all), tools));
          return true;
        },
      );
    requireRunning(context.signal);
    const lines = open.map((payout): Line => ({ payout, outcome: outcomes.get(payout)! }));
    progress.done(
      open.length === 0 ? 'no payment is open' : `${lines.filter(isPaid).length} of ${open.length} are paid`,
    );
    return requireKnown(lines);
  },
};

const HELP = `
A payment is unknown when the wallet did not say what became of it. Here each is looked up; a failed one is sent again by the same invoice, which
a node pays once, and nothing else is sent. Receipts are signed by nmkt collect-model JOB, which finds them paid then. Ends with 6 while one is
unknown: run it again later.
With --json one document {payouts: [{payout, job, round, payee, amountMsat, outcome, why, paymentHash, preimage, feesMsat}], paidMsat}: outcome
paid, refused or unknown. With --dry-run {payouts: [{payout, job, round, payee, amountMsat, feeReserveMsat, paymentHash, next, why}], checks:
[{name, state, detail, remedy}]}: next paid, send (the same invoice again) or wait; checks of the wallet and of each cap that is set.`;

interface Line {
  readonly payout: Payout;
  readonly outcome: PayoutOutcome;
}
const isPaid = ({ outcome }: Line): boolean => outcome.kind === 'paid';

/** What the journal says was promised; its job gets no more than it was promised before. */
function requestOf({ bound, voided, ...payout }: Payout, all: readonly Payout[]): Parameters<typeof payOut>[0] {
  const { invoice } = bound!;
  const inJob = all.filter(({ job }) => job === payout.job);
  return {
    ...{ ...payout, voided: new Set(voided) },
    jobBudgetMsat: inJob.reduce((sum, { amountMsat }) => sum + amountMsat, 0n),
    invoice,
    descriptionHash: decodeInvoice(invoice).descriptionHash!,
  };
}

function requireKnown(lines: readonly Line[]): Outcome {
  const payouts = lines.map(({ payout: { payoutId, job, round, payee, amountMsat, bound }, outcome }) => ({
    ...{ payout: payoutId, job, round, payee, amountMsat },
    outcome: outcome.kind === 'rejected' ? ('refused' as const) : outcome.kind,
    why:
      outcome.kind === 'paid' ? null : outcome.kind === 'unknown' ? outcome.why : `${outcome.code}: ${outcome.message}`,
    paymentHash: bound!.paymentHash,
    preimage: outcome.kind === 'paid' ? outcome.preimage : null,
    feesMsat: outcome.kind === 'paid' ? outcome.feesMsat : null,
  }));
  const paidMsat = payouts.reduce((sum, one) => (one.outcome === 'paid' ? sum + one.amountMsat : sum), 0n);
  const jobs = [...new Set(payouts.filter(({ outcome }) => outcome === 'paid').map(({ job }) => job))];
  const result: Outcome = {
    value: { payouts, paidMsat },
    text:
      payouts.length === 0
        ? 'no payment is open'
        : table(
            payouts.map(({ payout, payee, amountMsat, outcome, why }) => [
              ...[short(payout), short(payee), sats(amountMsat), outcome, why ?? ''],
            ]),
          ),
    ...(jobs.length > 0 && { next: `nmkt collect-model ${jobs[0]!}` }),
  };
  const unknown = payouts.filter(({ outcome }) => outcome === 'unknown');
  const refused = payouts.filter(({ outcome }) => outcome === 'refused');
  if (unknown.length === 0 && refused.length === 0) return result;
  const isUnknown = unknown.length > 0;
  const [first] = isUnknown ? unknown : refused;
  throw new NmktError(
    isUnknown ? 'payment-unknown' : 'payment-failed',
    isUnknown
      ? `nobody can tell what became of ${unknown.length} payments`
      : `the wallet refused ${refused.length} payments`,
    {
      expected: 'the preimage of each invoice, from the wallet',
      got: `${sats(first!.amountMsat)} to ${short(first!.payee)}: ${first!.why}`,
      remedy: isUnknown
        ? 'nmkt pay --resume again later: each is looked up first, and holds up only its payee'
        : 'put the wallet right (nmkt wallet), then nmkt collect-model JOB',
      value: result,
    },
  );
}
