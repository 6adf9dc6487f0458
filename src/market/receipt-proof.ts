import { fromHex, sha256Hex, type EventId, type Pubkey, type Sha256 } from '../hash.js';
import { invoiceHash } from '../protocol/claim.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import type { NetworkName } from '../protocol/network.js';
import { claimHash, payoutId } from '../protocol/settlement.js';
import { brokenInvoiceRule, type InvoiceFacts } from './claim-rules.js';

/** Whether a payment was made as a job promised it, from five signed events alone: no relay, no wallet, no fold of the job. */

/** In the order looked at; each rests on those before it. */
export const RECEIPT_CHECKS = [
  'job',
  'plan',
  'payout',
  'claim',
  'receipt',
  'invoice',
  'preimage',
  'countersigned',
] as const;
export interface ReceiptCheck {
  readonly check: (typeof RECEIPT_CHECKS)[number];
  /** `absent`: only of `countersigned`, without which the payment is proven all the same. */
  readonly result: 'ok' | 'failed' | 'absent';
  readonly detail: string;
}

/** A decoded invoice with the node that signed it, 33 bytes compressed, hex. */
export type SignedInvoice = InvoiceFacts & { readonly payee: string };
type JobOf = EventOf<'job' | 'arena-job' | 'alliance-job'>;
type SettlementOf = EventOf<'settlement' | 'arena-settlement' | 'alliance-settlement'>;

export interface ReceiptProof {
  /** All checks up to the first that fails. */
  readonly checks: readonly ReceiptCheck[];
  readonly isProven: boolean;
  /** As far as the checks came. */
  readonly facts: {
    readonly job: EventId | null;
    readonly customer: Pubkey | null;
    readonly network: NetworkName | null;
    readonly round: number | null;
    readonly payout: Sha256 | null;
    readonly payee: Pubkey | null;
    readonly purpose: string | null;
    readonly amountMsat: bigint | null;
    readonly paymentHash: Sha256 | null;
    readonly preimage: Sha256 | null;
    /** That made the invoice. */
    readonly node: string | null;
    /** Unix seconds, as the customer says. */
    readonly paidAt: number | null;
  };
}

const SETTLES: Readonly<Record<JobOf['type'], SettlementOf['type']>> = {
  job: 'settlement',
  'arena-job': 'arena-settlement',
  'alliance-job': 'alliance-settlement',
};

/**
 * @param events  parsed, their signatures checked: job, settlement, claim, receipt, and the countersignature if there is one
 * @param decode  null: not a signed BOLT11 invoice
 */
export function proveReceipt(
  events: readonly JobEvent[],
  decode: (invoice: string) => SignedInvoice | null,
): ReceiptProof {
  const checks: ReceiptCheck[] = [];
  let facts: ReceiptProof['facts'] = {
    ...{ job: null, customer: null, network: null, round: null, payout: null, payee: null, purpose: null },
    ...{ amountMsat: null, paymentHash: null, preimage: null, node: null, paidAt: null },
  };
  const ok = (check: ReceiptCheck['check'], detail: string): void => void checks.push({ check, result: 'ok', detail });
  const fail = (check: ReceiptCheck['check'], detail: string): ReceiptProof => {
    return { checks: [...checks, { check, result: 'failed', detail }], isProven: false, facts };
  };
  const all = <K extends JobEvent['type']>(...types: K[]) =>
    events.filter((event): event is EventOf<K> & JobEvent => (types as string[]).includes(event.type));

  const [job, ...otherJobs] = all('job', 'arena-job', 'alliance-job') as JobOf[];
  if (job === undefined || otherJobs.length > 0) return fail('job', `one job, got ${otherJobs.length + (job ? 1 : 0)}`);
  const { network } = job.content;
  facts = { ...facts, job: job.id, customer: job.author, network };
  ok('job', `${job.content.title === '' ? 'a job' : `“${job.content.title}”`} of ${job.author}, on ${network}`);

  const [receipt, ...otherReceipts] = all('receipt');
  if (receipt === undefined || otherReceipts.length > 0)
    return fail('receipt', `one receipt, got ${otherReceipts.length + (receipt ? 1 : 0)}`);
  const { payout, payee, amountMsat, invoice: text, paymentHash, preimage, claim: claimId } = receipt.content;
  const settlement = events.find(
    (event): event is SettlementOf => event.id === receipt.content.settlement && event.type === SETTLES[job.type],
  );
  if (settlement?.job !== job.id)
    return fail('plan', `no settlement ${receipt.content.settlement} of that job is here`);
  const round = 'stage' in settlement.content ? settlement.content.stage : settlement.content.round;
  const byCustomer = settlement.author === job.author;
  // Where its customer is silent, who worked in an arena or an alliance may settle it.
  if (!byCustomer && job.type === 'job') return fail('plan', `its author ${settlement.author} is not the customer`);
  facts = { ...facts, round };
  const author = byCustomer ? 'its customer' : `${settlement.author}, which counts where nmkt audit says so`;
  ok('plan', `settlement ${settlement.id} of round ${round + 1}, signed by ${author}`);

  const line = settlement.content.plan.find((one) => one.payout === payout);
  if (line === undefined) return fail('payout', `the plan has no payout ${payout}`);
  if (line.payout !== payoutId(job.id, round, line.payee, line.purpose))
    return fail('payout', 'its id does not follow from job, round, payee and purpose');
  if (line.payee !== payee || line.amountMsat !== amountMsat)
    return fail('payout', `the plan has ${line.amountMsat} msat for ${line.payee}`);
  facts = { ...facts, payout, payee, purpose: line.purpose, amountMsat };
  ok('payout', `${amountMsat} msat to ${payee}, as ${line.purpose}`);

  const claim = all('claim').find(({ id }) => id === claimId);
  if (claim?.job !== job.id) return fail('claim', `no claim ${claimId} of that job is here`);
  const { content: asked } = claim;
  const isOfLine = asked.settlement === settlement.id && asked.payout === payout && asked.amountMsat === amountMsat;
  if (claim.author !== payee || !isOfLine) return fail('claim', 'it is not the payee’s, of this payout');
  if (asked.invoiceHash !== invoiceHash(text)) return fail('claim', 'the payee asked with another invoice');
  ok('claim', `signed by the payee: it names this invoice by its hash`);

  if (receipt.job !== job.id || receipt.author !== job.author) return fail('receipt', 'it is not the customer’s');
  facts = { ...facts, paidAt: receipt.createdAt };
  ok('receipt', 'signed by the customer');

  const invoice = decode(text);
  const descriptionHash = claimHash({ job: job.id, settlement: settlement.id, payout, payee, amountMsat });
  const terms = { network, amountMsat, descriptionHash, claimedAt: claim.createdAt, receipted: new Set<string>() };
  const broken = brokenInvoiceRule(invoice, terms);
  if (invoice === null || broken !== null) return fail('invoice', `it breaks the rule ${broken}`);
  facts = { ...facts, node: invoice.payee };
  ok('invoice', `signed by node ${invoice.payee}, of that amount, for this payout and no other`);

  if (invoice.paymentHash !== paymentHash) return fail('preimage', 'the receipt has another payment hash');
  if (sha256Hex(fromHex(preimage)) !== paymentHash) return fail('preimage', 'it does not hash to the payment hash');
  facts = { ...facts, paymentHash, preimage };
  ok('preimage', `hashes to ${paymentHash}`);

  const received = all('received').find(({ content }) => content.receipt === receipt.id);
  if (received === undefined)
    return {
      checks: [...checks, { check: 'countersigned', result: 'absent', detail: 'the payee has not countersigned' }],
      ...{ isProven: true, facts },
    };
  const { content: said } = received;
  if (received.author !== payee || received.job !== job.id || said.payout !== payout || said.amountMsat !== amountMsat)
    return fail('countersigned', 'it is not the payee’s, of this payout');
  ok('countersigned', `by the payee, ${received.id}`);
  return { checks, isProven: true, facts };
}
