import { NmktError } from '../errors.js';
import { table } from '../terminal/table.js';
import { utc } from './utc.js';
import type { CommandModule } from './command.js';
import { eventsToVerify } from './proof-file.js';
import { paymentsIn, short, type ProvenPayment } from './money-events.js';
import { sats } from './status-tables.js';

/** Offline: no relay, no home, no wallet. */
export const command: CommandModule = {
  configure(program) {
    program
      .argument('<verb>', 'verify')
      .argument('<file>', 'of nmkt receipts --save, or of nmkt audit --dump')
      .addHelpText('before', '$ nmkt receipt verify receipts.ndjson\n')
      .addHelpText('after', HELP);
  },

  async run(args, _options, context) {
    const [, file] = args;
    const events = await eventsToVerify(context, 'receipt', args);
    const payments = paymentsIn(events);
    if (payments.length === 0)
      throw new NmktError('bad-usage', `${file} holds no receipt`, {
        expected: 'signed events, one a line, with a receipt among them',
        got: `${events.length} events`,
        remedy: 'nmkt receipts JOB --save FILE',
      });
    const value = { file, receipts: payments.map(described), isProven: payments.every(({ proof }) => proof.isProven) };
    const outcome = { value, text: payments.map(textOf).join('\n\n') };
    if (value.isProven) return { ...outcome, text: `${outcome.text}\n\n${MEANING}` };
    const bad = payments.find(({ proof }) => !proof.isProven)!;
    const failed = bad.proof.checks.find(({ result }) => result === 'failed')!;
    throw new NmktError('bad-event', `receipt ${short(bad.receipt.id)} proves no payment`, {
      expected: `${failed.check} as the job promises it`,
      got: failed.detail,
      remedy:
        'ask its payer for a file of nmkt receipts --save; a payment that happened can be shown with its preimage',
      value: outcome,
    });
  },
};

const MEANING = `Proven: the customer promised this amount to this payee for this payout, the payee asked for it with exactly this invoice, and its preimage is known,
which the invoice's node gives away when it is paid. Not proven: who paid, that the node is the payee's (only the payee says so), that the work
was good or the plan right (nmkt audit JOB), and that nothing was paid twice elsewhere.`;

const HELP = `
Looks at each receipt of the file on its own: signatures, the job, the plan that its customer signed, the payee's claim, the invoice with its
node's signature, the preimage, the countersignature. Ends with 4 where one proves nothing.
${MEANING}
With --json one document {file, receipts: [{receipt, job, customer, network, round, purpose, payout, payee, amountMsat, paymentHash, preimage,
node, paidAt, isProven, checks: [{check, result, detail}]}], isProven}; result is ok, failed or absent (of countersigned); facts that the checks
did not come to are null.`;

function described({ receipt, proof: { checks, facts, isProven } }: ProvenPayment) {
  return { receipt: receipt.id, ...facts, isProven, checks };
}

function textOf({ receipt, proof: { checks, facts } }: ProvenPayment): string {
  const { amountMsat, paidAt } = facts;
  const when = paidAt === null ? '' : `, ${utc(paidAt)}`;
  const head = `receipt ${receipt.id}${amountMsat === null ? '' : `: ${sats(amountMsat)}`}${when}`;
  return `${head}\n${table(checks.map(({ check, result, detail }) => [result, check, detail]))}`;
}
