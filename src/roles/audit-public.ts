import type { EventId, Sha256 } from '../hash.js';
import { brokenInvoiceRule, type InvoiceFacts } from '../market/claim-rules.js';
import { conductViolation } from '../market/conduct.js';
import { receiptedElsewhere, type AnyPayout, type JobState, type Owed } from '../market/state.js';
import type { NetworkName } from '../protocol/network.js';
import { invoiceHash } from '../protocol/claim.js';
import { INVOICE_PREFIX } from '../protocol/network.js';
import { claimHash } from '../protocol/settlement.js';
import type { NostrEvent } from '../ports.js';
import type { Finding } from './audit-format.js';
import { auditDisputes } from './audit-disputes.js';
import { auditPins } from './audit-pins.js';

/** What a receipt's invoice proves; decoded by the caller. Null when it does not decode or its signature is bad. */
export type DecodeInvoice = (invoice: string) => InvoiceFacts | null;

export interface PublicFacts {
  /** The dataset and evaluation sets that the job pins, as far as they are at hand. */
  readonly snapshots: ReadonlyMap<EventId, NostrEvent>;
  readonly decode: DecodeInvoice;
  readonly nowSec: number;
}

/** From signed events alone: chains, pins, award, lists, deadlines, acceptance, settlements, receipts, omissions. */
export function auditPublic(state: JobState, facts: PublicFacts): Finding | null {
  if (state.job === null) return { event: state.jobId, rule: 'missing', detail: 'the job event is not at hand' };
  if (state.firstBad !== null) return state.firstBad;
  // A participant that forks counts as absent from there on; only the customer's fork breaks the job.
  const fork = state.forks.find(({ author }) => author === state.job!.author);
  if (fork !== undefined)
    return {
      event: fork.ids[0]!,
      rule: 'fork',
      detail: `${fork.author} signed two events with seq ${fork.seq}: ${fork.ids.join(' and ')}`,
    };
  const missing = state.missing[0];
  if (missing !== undefined)
    return { event: missing, rule: 'missing', detail: 'an event that others cite is on no relay that answered' };
  const pins = auditPins(state, facts.snapshots);
  if (pins !== null) return pins;
  const conduct = conductViolation(state);
  if (conduct !== null) return { event: conduct.event, rule: conduct.rule, detail: conduct.detail };
  const dispute = auditDisputes(state, facts.nowSec);
  if (dispute !== null) return dispute;
  return auditMoney({ jobId: state.jobId, terms: state.job.content, rounds: state.rounds }, facts);
}

/** What a customer promised, of a job of any kind. */
export interface Promised {
  readonly jobId: EventId;
  readonly terms: { readonly network: NetworkName; readonly payWithinSec: number };
  readonly rounds: readonly Owed[];
}

/** Every claim was answered in time, every receipt proves its payment, and no good invoice was refused. */
export function auditMoney(
  promised: Promised,
  { decode, nowSec }: Pick<PublicFacts, 'decode' | 'nowSec'>,
): Finding | null {
  const { network, payWithinSec } = promised.terms;
  for (const payout of promised.rounds.flatMap(({ payouts }) => payouts)) {
    const { receipt, claim } = payout;
    const wanted = claimHash({
      job: promised.jobId,
      settlement: payout.settlement.id,
      payout: payout.payout,
      payee: payout.payee,
      amountMsat: payout.amountMsat,
    });
    const refusal = falseRefusal(promised, payout, wanted, decode);
    if (refusal !== null) return refusal;
    if (receipt === null) {
      const due = claim === null ? null : claim.createdAt + payWithinSec;
      if (due !== null && nowSec > due)
        return {
          event: claim!.id,
          rule: 'unpaid',
          detail: `${payout.amountMsat} msat claimed by ${payout.payee} are not paid`,
        };
      continue;
    }
    const invoice = decode(receipt.content.invoice);
    const wrong =
      invoice === null
        ? 'its invoice is not a signed BOLT11 invoice'
        : invoice.paymentHash !== receipt.content.paymentHash
          ? 'its invoice has another payment hash'
          : invoice.msat !== payout.amountMsat
            ? `its invoice is over ${invoice.msat ?? 'any'} msat, owed were ${payout.amountMsat}`
            : invoice.descriptionHash !== wanted
              ? 'its invoice does not name this claim'
              : !payout.asked.has(invoiceHash(receipt.content.invoice))
                ? 'its invoice is in no claim of the payee'
                : invoice.prefix !== INVOICE_PREFIX[network]
                  ? `its invoice is of ln${invoice.prefix}, the job pays on ${network}`
                  : null;
    if (wrong !== null) return { event: receipt.id, rule: 'receipt', detail: wrong };
  }
  return null;
}

/** A claim that the customer calls bad although its invoice keeps that rule; what was sealed only the two of them know. */
function falseRefusal(
  promised: Promised,
  payout: AnyPayout,
  descriptionHash: Sha256,
  decode: DecodeInvoice,
): Finding | null {
  for (const { notice, claim } of payout.refused) {
    const { rule, invoice } = notice.content;
    if (invoice === null || claim === null) continue;
    const { amountMsat } = payout;
    const terms = {
      network: promised.terms.network,
      amountMsat,
      descriptionHash,
      claimedAt: claim.createdAt,
      receipted: receiptedElsewhere(promised, payout),
    };
    const broken = brokenInvoiceRule(decode(invoice), terms);
    if (broken !== rule)
      return {
        event: notice.id,
        rule: 'claim-bad',
        detail: `the invoice of ${payout.payee} ${broken === null ? 'keeps every rule' : `breaks ${broken}`}, it says ${rule}`,
      };
  }
  return null;
}
