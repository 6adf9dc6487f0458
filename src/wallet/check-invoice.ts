import { NmktError } from '../errors.js';
import type { Sha256 } from '../hash.js';
import type { Network } from '../ports.js';
import { MAX_FINAL_CLTV } from '../market/claim-rules.js';
import { INVOICE_PREFIX } from '../protocol/network.js';
import { decodeInvoice, type Bip173Prefix, type Invoice } from './bolt11.js';

/** Seconds an invoice must still be payable: a payment may need a minute. */
export const MIN_SECONDS_LEFT = 60;

export interface InvoiceTerms {
  readonly network: Network;
  readonly msat: bigint;
  /** Hash of the claim that the payment settles. */
  readonly descriptionHash: Sha256;
  readonly nowSec: number;
  /** Payment hashes of other payouts, and those given up: one payment must not count for two. */
  readonly usedPaymentHashes: ReadonlySet<string>;
  /** The only one that will do, where the preimage is what is bought. */
  readonly paymentHash?: Sha256;
  /** Node key the invoice must be signed with (sandbox: regtest shares its prefix), 33 bytes hex. */
  readonly payee?: string;
}

/**
 * Everything that is checked before money is sent.
 *
 * @throws NmktError `network-mismatch`, or `bad-invoice` naming the broken rule
 */
export function checkInvoice(text: string, terms: InvoiceTerms): Invoice {
  const invoice = decodeInvoice(text);
  requireNetwork(invoice, terms.network);
  const { paymentHash, minFinalCltv, payee } = invoice;
  requireRules([
    ...commonRules(invoice, terms),
    [
      minFinalCltv <= MAX_FINAL_CLTV,
      'could be held back',
      `final CLTV of at most ${MAX_FINAL_CLTV}`,
      `${minFinalCltv}`,
    ],
    [
      !terms.usedPaymentHashes.has(paymentHash),
      'belongs to another payout already, or was given up',
      'a payment hash of its own',
      paymentHash,
    ],
    [
      terms.paymentHash === undefined || paymentHash === terms.paymentHash,
      'asks for another preimage than the one that opens what is paid for',
      terms.paymentHash ?? 'any',
      paymentHash,
    ],
    [terms.payee === undefined || payee === terms.payee, 'is signed by another node', terms.payee ?? 'any', payee],
  ]);
  return invoice;
}

/** What an invoice has to be whose payment waits for the preimage of a hash that was agreed on. */
export interface HoldTerms extends Pick<InvoiceTerms, 'network' | 'msat' | 'descriptionHash' | 'nowSec'> {
  readonly paymentHash: Sha256;
  /** Blocks, as they were asked for. */
  readonly minFinalCltv: number;
}

/** @throws NmktError as `checkInvoice` */
export function checkHoldInvoice(text: string, terms: HoldTerms): Invoice {
  const invoice = decodeInvoice(text);
  requireNetwork(invoice, terms.network);
  const { paymentHash, minFinalCltv } = invoice;
  requireRules([
    ...commonRules(invoice, terms),
    [paymentHash === terms.paymentHash, 'asks for another preimage', terms.paymentHash, paymentHash],
    // A wallet may add a few blocks of its own.
    [minFinalCltv >= terms.minFinalCltv, 'waits for less', `at least ${terms.minFinalCltv} blocks`, `${minFinalCltv}`],
  ]);
  return invoice;
}

type Rule = readonly [isMet: boolean, rule: string, expected: string, got: string];

function commonRules(
  { msat, descriptionHash, timestampSec, expirySec }: Invoice,
  terms: Pick<InvoiceTerms, 'msat' | 'descriptionHash' | 'nowSec'>,
): readonly Rule[] {
  const secondsLeft = timestampSec + expirySec - terms.nowSec;
  return [
    [msat !== null, 'names no amount', `${terms.msat} msat`, 'any amount'],
    [msat === terms.msat, 'is over another amount', `${terms.msat} msat`, `${msat} msat`],
    [secondsLeft >= MIN_SECONDS_LEFT, 'expires too soon', `at least ${MIN_SECONDS_LEFT} s left`, `${secondsLeft} s`],
    [
      descriptionHash === terms.descriptionHash,
      'is not for this claim',
      `description hash ${terms.descriptionHash}`,
      descriptionHash ?? 'none',
    ],
  ];
}

/** The first that is broken is named. */
function requireRules(rules: readonly Rule[]): void {
  for (const [isMet, rule, expected, got] of rules) {
    if (isMet) continue;
    throw new NmktError('bad-invoice', `the invoice ${rule}`, {
      remedy: 'nothing was paid; the payee may claim again with a new invoice',
      expected,
      got,
    });
  }
}

export function prefixOf(network: Network): Bip173Prefix {
  return INVOICE_PREFIX[network];
}

/** @throws NmktError `network-mismatch` */
export function requireNetwork(invoice: Invoice, network: Network): void {
  if (invoice.prefix === prefixOf(network)) return;
  throw new NmktError('network-mismatch', 'the invoice is of another bitcoin network', {
    remedy: 'nothing was paid; set NMKT_NETWORK to the network of the wallet and of the job',
    expected: `${network} (ln${prefixOf(network)})`,
    got: `ln${invoice.prefix}`,
  });
}
