import { setTimeout as wait } from 'node:timers/promises';
import { fromHex, hex, sha256, sha256Hex } from '../hash.js';
import type { Clock, HoldRequest, InvoiceRequest, LookupResult, Network, PayOutcome, Wallet } from '../ports.js';
import { decodeInvoice, encodeInvoice, nodeIdOf, type Invoice, type InvoiceFields } from '../wallet/bolt11.js';
import { prefixOf } from '../wallet/check-invoice.js';

/** Taken one per call of that method, in order; then the wallet is honest again. */
export interface WalletFaults {
  /** `lost-*`: unknown, without and with the money moving; `wrong-preimage`: moved, but the proof is bad. */
  pay?: ('lost-before' | 'lost-after' | 'wrong-preimage' | 'rejected' | 'failed' | Error)[];
  lookup?: (LookupResult['state'] | 'wrong-preimage' | Error)[];
  balance?: Error[];
  makeInvoice?: Error[];
}

export interface MemoryPayment {
  readonly from: string;
  readonly to: string;
  readonly msat: bigint;
  readonly paymentHash: string;
}

/** Wallets of one node: real invoices, balances in memory, a payment hash paid at most once. */
export class MemoryLightning {
  readonly network: Network;
  readonly payments: MemoryPayment[] = [];
  readonly nodePubkey: string;
  readonly #nodeSecret = sha256('fake lightning node');
  readonly #balances = new Map<string, bigint>();
  readonly #invoices = new Map<
    string,
    { preimage: string | null; to: string; msat: bigint; holder?: string; text?: string }
  >();
  /** Who got a payment back. */
  readonly #returned = new Map<string, string>();
  /** Told when the payment of a hold invoice has ended. */
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #cancelled = new Set<string>();
  readonly #decoded = new Map<string, Invoice>();
  readonly #nowSec: () => number;
  readonly #wait: Clock['wait'];

  constructor({
    network = 'sandbox',
    nowSec = () => Math.floor(Date.now() / 1000),
    wait = realWait,
  }: { network?: Network; nowSec?: () => number; wait?: Clock['wait'] } = {}) {
    this.network = network;
    this.#nowSec = nowSec;
    this.#wait = wait;
    this.nodePubkey = nodeIdOf(this.#nodeSecret);
  }

  /** The payee gives an unpaid invoice up: it can be paid no more. @returns false when it was paid */
  cancel(paymentHash: string): boolean {
    if (this.payments.some((payment) => payment.paymentHash === paymentHash)) return false;
    this.#cancelled.add(paymentHash);
    return true;
  }

  /** The same invoices, unpaid; nobody has anything. */
  reset(): void {
    this.payments.length = 0;
    this.#cancelled.clear();
    this.#balances.clear();
  }

  /** Of every invoice that it ever made. */
  preimages(): { readonly preimage: string; readonly isPaid: boolean }[] {
    const paid = new Set(this.payments.map(({ paymentHash }) => paymentHash));
    return [...this.#invoices].flatMap(([hash, { preimage }]) =>
      preimage === null ? [] : [{ preimage, isPaid: paid.has(hash) }],
    );
  }

  balance(name: string): bigint {
    return this.#balances.get(name) ?? 0n;
  }

  /** @param faults  shared with the caller, who may add to it */
  wallet(name: string, msat = 0n, faults: WalletFaults = {}): Wallet {
    this.#balances.set(name, this.balance(name) + msat);
    return {
      info: async () => ({
        network: this.network === 'sandbox' ? 'regtest' : this.network,
        methods: new Set([
          ...['get_info', 'get_balance', 'make_invoice', 'pay_invoice', 'lookup_invoice'],
          ...['make_hold_invoice', 'settle_hold_invoice', 'cancel_hold_invoice'],
        ]),
        alias: `fake ${name}`,
        encryption: 'nip44_v2',
      }),
      budget: async () => null,
      balanceMsat: async () => {
        throwNext(faults.balance);
        return this.balance(name);
      },
      makeInvoice: async (request) => {
        throwNext(faults.makeInvoice);
        return this.makeInvoice(name, request);
      },
      makeHoldInvoice: async (request) => {
        throwNext(faults.makeInvoice);
        return this.#makeHoldInvoice(name, request);
      },
      settleHold: async (preimage) => this.#settle(name, preimage),
      cancelHold: async (paymentHash) => this.#giveBack(name, paymentHash),
      pay: async (invoice, timeoutMs) => {
        const fault = faults.pay?.shift();
        const outcome = this.#pay(name, invoice, fault);
        return outcome === 'held' ? this.#whenEnded(name, invoice, timeoutMs) : outcome;
      },
      lookup: async (paymentHash) => this.#lookup(name, paymentHash, faults.lookup?.shift()),
      close: async () => undefined,
    };
  }

  /** @param changes  what an honest wallet would not write */
  makeInvoice(to: string, { msat, descriptionHash, expirySec }: InvoiceRequest, changes: Partial<InvoiceFields> = {}) {
    const preimage = sha256(`preimage ${this.#invoices.size}`);
    const paymentHash = sha256Hex(preimage);
    this.#invoices.set(paymentHash, { preimage: hex(preimage), to, msat });
    const fields = { msat, descriptionHash, expirySec, paymentHash, paymentSecret: sha256Hex('secret') };
    const place = { prefix: prefixOf(this.network), timestampSec: this.#nowSec(), minFinalCltv: 18 };
    const invoice = encodeInvoice({ ...place, ...fields, ...changes }, this.#nodeSecret);
    this.#invoices.get(paymentHash)!.text = invoice;
    return { invoice, paymentHash };
  }

  #makeHoldInvoice(to: string, { msat, paymentHash, minFinalCltv, descriptionHash, expirySec }: HoldRequest) {
    if (this.#invoices.has(paymentHash)) throw new Error(`${paymentHash} is in use`);
    this.#invoices.set(paymentHash, { preimage: null, to, msat });
    const fields = { msat, descriptionHash, expirySec, paymentHash, paymentSecret: sha256Hex('secret'), minFinalCltv };
    const place = { prefix: prefixOf(this.network), timestampSec: this.#nowSec() };
    const invoice = encodeInvoice({ ...place, ...fields }, this.#nodeSecret);
    this.#invoices.get(paymentHash)!.text = invoice;
    return { invoice };
  }

  #settle(to: string, preimage: string): boolean {
    const paymentHash = sha256Hex(fromHex(preimage));
    const entry = this.#invoices.get(paymentHash);
    if (entry?.to !== to) return false;
    if (entry.preimage !== null) return true;
    if (entry.holder === undefined) return false;
    const { holder: from, msat } = entry;
    this.#invoices.set(paymentHash, { preimage, to, msat });
    this.payments.push({ from, to, msat, paymentHash });
    this.#balances.set(to, this.balance(to) + msat);
    this.#end(paymentHash);
    return true;
  }

  #giveBack(to: string, paymentHash: string): boolean {
    const entry = this.#invoices.get(paymentHash);
    if (entry?.to !== to || entry.preimage !== null) return false;
    const { holder, msat } = entry;
    if (holder !== undefined) {
      this.#balances.set(holder, this.balance(holder) + msat);
      this.#returned.set(paymentHash, holder);
    }
    this.#invoices.set(paymentHash, { preimage: null, to, msat });
    this.#cancelled.add(paymentHash);
    this.#end(paymentHash);
    return true;
  }

  #end(paymentHash: string): void {
    for (const tell of this.#waiting.get(paymentHash) ?? []) tell();
    this.#waiting.delete(paymentHash);
  }

  async #whenEnded(from: string, invoice: string, timeoutMs: number): Promise<PayOutcome> {
    const { paymentHash } = this.#decode(invoice);
    const ended = new AbortController();
    this.#waiting.set(paymentHash, [...(this.#waiting.get(paymentHash) ?? []), () => ended.abort()]);
    await this.#wait(timeoutMs, ended.signal);
    const outcome = this.#pay(from, invoice, undefined);
    return outcome === 'held' ? { kind: 'unknown', why: 'no answer' } : outcome;
  }

  #pay(
    from: string,
    invoice: string,
    fault: NonNullable<WalletFaults['pay']>[number] | undefined,
  ): PayOutcome | 'held' {
    if (fault instanceof Error) throw fault;
    if (fault === 'lost-before') return { kind: 'unknown', why: 'no answer' };
    if (fault === 'failed') return { kind: 'unknown', why: 'PAYMENT_FAILED: no route' };
    if (fault === 'rejected') return { kind: 'rejected', code: 'QUOTA_EXCEEDED', message: 'not today' };
    const { prefix, paymentHash, timestampSec, expirySec } = this.#decode(invoice);
    const entry = this.#invoices.get(paymentHash);
    if (prefix !== prefixOf(this.network))
      return { kind: 'rejected', code: 'NETWORK_MISMATCH', message: `ln${prefix}` };
    if (!entry || this.#cancelled.has(paymentHash)) return { kind: 'unknown', why: 'PAYMENT_FAILED: no route' };
    if (entry.holder !== undefined)
      return entry.holder === from ? 'held' : { kind: 'unknown', why: 'OTHER: another waits' };
    if (!this.payments.some((payment) => payment.paymentHash === paymentHash)) {
      if (timestampSec + expirySec <= this.#nowSec()) return { kind: 'unknown', why: 'PAYMENT_FAILED: expired' };
      if (this.balance(from) < entry.msat)
        return { kind: 'rejected', code: 'INSUFFICIENT_BALANCE', message: 'too little' };
      if (entry.preimage === null) {
        this.#balances.set(from, this.balance(from) - entry.msat);
        this.#invoices.set(paymentHash, { ...entry, holder: from });
        return fault === 'lost-after' ? { kind: 'unknown', why: 'no answer' } : 'held';
      }
      this.payments.push({ from, to: entry.to, msat: entry.msat, paymentHash });
      this.#balances.set(from, this.balance(from) - entry.msat);
      this.#balances.set(entry.to, this.balance(entry.to) + entry.msat);
    }
    if (fault === 'lost-after') return { kind: 'unknown', why: 'no answer' };
    if (fault === 'wrong-preimage') return { kind: 'unknown', why: 'the preimage is not the one of the invoice' };
    return { kind: 'paid', preimage: entry.preimage!, feesMsat: 0n };
  }

  #decode(text: string): Invoice {
    const invoice = this.#decoded.get(text) ?? decodeInvoice(text);
    this.#decoded.set(text, invoice);
    return invoice;
  }

  #lookup(
    name: string,
    paymentHash: string,
    fault: NonNullable<WalletFaults['lookup']>[number] | undefined,
  ): LookupResult {
    if (fault instanceof Error) throw fault;
    if (fault === 'wrong-preimage') return { direction: 'out', state: 'settled', preimage: 'ab'.repeat(32) };
    if (fault !== undefined) return { direction: fault === 'not-found' ? 'unknown' : 'out', state: fault };
    const entry = this.#invoices.get(paymentHash);
    const payment = this.payments.find((made) => made.paymentHash === paymentHash);
    if (entry && payment?.from === name)
      return { direction: 'out', state: 'settled', preimage: entry.preimage!, feesMsat: 0n };
    if (entry?.holder === name) return { direction: 'out', state: 'pending' };
    if (this.#returned.get(paymentHash) === name) return { direction: 'out', state: 'failed' };
    if (entry?.to !== name) return { direction: 'unknown', state: 'not-found' };
    if (payment) return { direction: 'in', state: 'settled', preimage: entry.preimage! };
    if (entry.preimage === null && this.#cancelled.has(paymentHash)) return { direction: 'in', state: 'failed' };
    return {
      ...{ direction: 'in', state: 'pending' },
      ...(entry.holder !== undefined && { held: { settleBy: null } }),
      ...(entry.text !== undefined && { invoice: entry.text }),
    };
  }
}

function throwNext(faults: Error[] | undefined): void {
  const error = faults?.shift();
  if (error) throw error;
}

function realWait(ms: number, signal?: AbortSignal): Promise<void> {
  return wait(ms, undefined, { ...(signal && { signal }) }).catch(() => undefined);
}
