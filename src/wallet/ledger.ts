import { NmktError } from '../errors.js';
import type { Journal } from '../ports.js';

/** One line of the sandbox's books. A payment moves money by itself: there is no half of one to find after a crash. */
export type LedgerRecord =
  | { readonly type: 'fund'; readonly account: string; readonly msat: bigint }
  | ({ readonly type: 'invoice' } & LedgerInvoice)
  | ({ readonly type: 'transfer' } & LedgerTransfer)
  | { readonly type: 'payment'; readonly paymentHash: string; readonly from: string; readonly atSec: number };

export interface LedgerInvoice {
  readonly paymentHash: string;
  readonly preimage: string;
  /** Who receives. */
  readonly account: string;
  readonly msat: bigint;
  readonly invoice: string;
  readonly description?: string;
  readonly descriptionHash?: string;
  readonly createdSec: number;
  readonly expiresSec: number;
}
/** Money that moves without an invoice: into a lock and out of it. */
export interface LedgerTransfer {
  /** Each counts once. */
  readonly id: string;
  readonly from: string;
  readonly to: readonly { readonly account: string; readonly msat: bigint }[];
  readonly atSec: number;
  /** What it was for. */
  readonly note: Readonly<Record<string, string>>;
}
export interface LedgerPayment {
  readonly from: string;
  readonly atSec: number;
}
export interface LedgerEntry extends LedgerInvoice {
  readonly payment?: LedgerPayment;
}

export type LedgerOutcome =
  | { readonly kind: 'paid'; readonly entry: LedgerEntry & { readonly payment: LedgerPayment } }
  | {
      readonly kind: 'refused';
      readonly code: 'INSUFFICIENT_BALANCE' | 'PAYMENT_FAILED' | 'OTHER';
      readonly message: string;
    };

/** Accounts in msat and the invoices between them. The sum of balances always equals the sum funded. */
export interface Ledger {
  balanceMsat(account: string): bigint;
  totalMsat(): bigint;
  find(paymentHash: string): LedgerEntry | undefined;
  /** Everything the account receives or has sent, oldest first. */
  entriesOf(account: string): readonly LedgerEntry[];
  /** The first call per account counts, also over restarts. */
  fundOnce(account: string, msat: bigint): Promise<void>;
  addInvoice(invoice: LedgerInvoice): Promise<void>;
  findTransfer(id: string): LedgerTransfer | undefined;
  /** The first one with that id counts, and is the answer. @returns undefined: the balance is too small */
  transfer(transfer: LedgerTransfer): Promise<LedgerTransfer | undefined>;
  /** Once per payment hash: the payer's second call finds the first one's outcome. */
  pay(from: string, paymentHash: string, nowSec: number): Promise<LedgerOutcome>;
}

/** Rebuilt from the journal; a record counts once it is durable. The caller closes the journal. */
export async function openLedger(journal: Journal<LedgerRecord>): Promise<Ledger> {
  const balances = new Map<string, bigint>();
  const entries = new Map<string, LedgerEntry>();
  const transfers = new Map<string, LedgerTransfer>();
  const funded = new Set<string>();
  let fundedMsat = 0n;
  let queue: Promise<unknown> = Promise.resolve();

  const balanceMsat = (account: string): bigint => balances.get(account) ?? 0n;
  const totalMsat = (): bigint => [...balances.values()].reduce((sum, msat) => sum + msat, 0n);

  const apply = (record: LedgerRecord): void => {
    if (record.type === 'fund') {
      funded.add(record.account);
      fundedMsat += record.msat;
      balances.set(record.account, balanceMsat(record.account) + record.msat);
    } else if (record.type === 'transfer') {
      const { type: _, ...transfer } = record;
      if (transfers.has(transfer.id)) throw broken('one transfer of an id', transfer.id);
      transfers.set(transfer.id, transfer);
      for (const { account, msat } of transfer.to) {
        balances.set(transfer.from, balanceMsat(transfer.from) - msat);
        balances.set(account, balanceMsat(account) + msat);
      }
      if (balanceMsat(transfer.from) < 0n) throw broken('no balance below zero', `${balanceMsat(transfer.from)} msat`);
    } else if (record.type === 'invoice') {
      const { type: _, ...invoice } = record;
      entries.set(invoice.paymentHash, invoice);
    } else {
      const { paymentHash, from, atSec } = record;
      const entry = entries.get(paymentHash);
      if (!entry || entry.payment) throw broken('one payment per invoice', paymentHash);
      balances.set(from, balanceMsat(from) - entry.msat);
      balances.set(entry.account, balanceMsat(entry.account) + entry.msat);
      entries.set(paymentHash, { ...entry, payment: { from, atSec } });
      if (balanceMsat(from) < 0n) throw broken('no balance below zero', `${balanceMsat(from)} msat`);
    }
    if (totalMsat() !== fundedMsat) throw broken(`${fundedMsat} msat in all accounts`, `${totalMsat()} msat`);
  };
  const write = async (record: LedgerRecord): Promise<void> => {
    await journal.append(record);
    apply(record);
  };
  /** One change after the other: each is decided on the books it is written to. */
  const inTurn = <T>(change: () => Promise<T>): Promise<T> => {
    const result = queue.then(change);
    queue = result.catch(() => undefined);
    return result;
  };

  (await journal.read()).forEach(apply);
  return {
    balanceMsat,
    totalMsat,
    find: (paymentHash) => entries.get(paymentHash),
    entriesOf: (account) =>
      [...entries.values()].filter((entry) => entry.account === account || entry.payment?.from === account),
    fundOnce: (account, msat) =>
      inTurn(async () => {
        if (!funded.has(account)) await write({ type: 'fund', account, msat });
      }),
    addInvoice: (invoice) => inTurn(() => write({ type: 'invoice', ...invoice })),
    findTransfer: (id) => transfers.get(id),
    transfer: (transfer) =>
      inTurn(async () => {
        const known = transfers.get(transfer.id);
        if (known !== undefined) return known;
        const sum = transfer.to.reduce((all, { msat }) => all + msat, 0n);
        if (balanceMsat(transfer.from) < sum) return undefined;
        await write({ type: 'transfer', ...transfer });
        return transfer;
      }),
    pay: (from, paymentHash, nowSec) =>
      inTurn(async () => {
        const entry = entries.get(paymentHash);
        if (!entry) return refused('PAYMENT_FAILED', 'no route: the invoice is not known here');
        if (entry.payment?.from === from) return { kind: 'paid', entry: { ...entry, payment: entry.payment } };
        if (entry.payment) return refused('OTHER', 'the invoice is paid already');
        if (entry.expiresSec <= nowSec) return refused('PAYMENT_FAILED', 'the invoice has expired');
        const balance = balanceMsat(from);
        if (balance < entry.msat) return refused('INSUFFICIENT_BALANCE', `needs ${entry.msat} msat, has ${balance}`);
        await write({ type: 'payment', paymentHash, from, atSec: nowSec });
        return { kind: 'paid', entry: { ...entry, payment: { from, atSec: nowSec } } };
      }),
  };
}

function refused(code: 'INSUFFICIENT_BALANCE' | 'PAYMENT_FAILED' | 'OTHER', message: string): LedgerOutcome {
  return { kind: 'refused', code, message };
}

function broken(expected: string, got: string): NmktError {
  return new NmktError('internal-error', 'the sandbox ledger does not add up', {
    remedy: 'keep the sandbox folder and report it; start again with an empty one',
    expected,
    got,
  });
}
