import { NmktError } from '../errors.js';
import type { Journal } from '../ports.js';

/** One line of the sandbox's books. A payment moves money by itself: there is no half of one to find after a crash. */
export type LedgerRecord =
  | { readonly type: 'fund'; readonly account: string; readonly msat: bigint }
  | ({ readonly type: 'invoice' } & LedgerInvoice)
  | ({ readonly type: 'transfer' } & LedgerTransfer)
  | { readonly type: 'payment'; readonly paymentHash: string; readonly from: string; readonly atSec: number }
  | ({ readonly type: 'hold'; readonly paymentHash: string } & LedgerHeld)
  | { readonly type: 'settle'; readonly paymentHash: string; readonly preimage: string; readonly atSec: number }
  | { readonly type: 'cancel'; readonly paymentHash: string }
  | { readonly type: 'block'; readonly height: number };

export interface LedgerInvoice {
  readonly paymentHash: string;
  /** Of a hold invoice empty until its payee settles it. */
  readonly preimage: string;
  /** A hold invoice: blocks for which a payment of it may wait. */
  readonly holdBlocks?: number;
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
/** A payment that arrived at a hold invoice and waits for its payee. */
export interface LedgerHeld {
  readonly from: string;
  /** From this height on it is the payer's again. */
  readonly untilHeight: number;
}
export interface LedgerEntry extends LedgerInvoice {
  readonly payment?: LedgerPayment;
  readonly held?: LedgerHeld;
  /** A payment came back to this account, or the payee gave the invoice up before one. */
  readonly cancelled?: { readonly from: string | null };
}

export type LedgerOutcome =
  /** It waits for the payee of a hold invoice: look it up when it has ended. */
  | { readonly kind: 'held' }
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
  /**
   * Once per payment hash: the payer's second call finds the first one's outcome. A hold invoice takes the money and ends with its payee's
   * word, or with the block that is its limit.
   */
  pay(from: string, paymentHash: string, nowSec: number): Promise<LedgerOutcome>;
  /** The payee takes what waits. @returns false: nothing waits, the preimage is another's, or so is the invoice */
  settleHold(account: string, preimage: string, paymentHash: string, nowSec: number): Promise<boolean>;
  /** The payee gives a payment back, or will take none. @returns false: it is settled, or another's */
  cancelHold(account: string, paymentHash: string): Promise<boolean>;
  height(): number;
  /** So many blocks pass: what waits for too long goes back. @returns the height */
  mine(blocks: number): Promise<number>;
  /** When a payment that waits has ended, as long as this process lives. */
  ended(paymentHash: string): Promise<void>;
}

/** Rebuilt from the journal; a record counts once it is durable. The caller closes the journal. */
export async function openLedger(journal: Journal<LedgerRecord>): Promise<Ledger> {
  const balances = new Map<string, bigint>();
  const entries = new Map<string, LedgerEntry>();
  const transfers = new Map<string, LedgerTransfer>();
  const funded = new Set<string>();
  const waiting = new Map<string, (() => void)[]>();
  let height = 0;
  let fundedMsat = 0n;
  let queue: Promise<unknown> = Promise.resolve();

  const balanceMsat = (account: string): bigint => balances.get(account) ?? 0n;
  const totalMsat = (): bigint => [...balances.values()].reduce((sum, msat) => sum + msat, 0n);

  const moveTo = (from: string, to: string, msat: bigint): void => {
    balances.set(from, balanceMsat(from) - msat);
    balances.set(to, balanceMsat(to) + msat);
    if (balanceMsat(from) < 0n) throw broken('no balance below zero', `${balanceMsat(from)} msat`);
  };
  const applyPayment = (record: LedgerRecord & { readonly type: 'payment' | 'hold' | 'settle' | 'cancel' }): void => {
    const { paymentHash } = record;
    const entry = entries.get(paymentHash);
    if (!entry || entry.payment) throw broken('one payment per invoice', paymentHash);
    const { held: before, ...open } = entry;
    const isSecond = before !== undefined && (record.type === 'payment' || record.type === 'hold');
    if (isSecond) throw broken('no other payment while one waits', paymentHash);
    if (record.type === 'payment') {
      const { from, atSec } = record;
      moveTo(from, entry.account, entry.msat);
      entries.set(paymentHash, { ...open, payment: { from, atSec } });
    } else if (record.type === 'hold') {
      const { type: _, paymentHash: __, ...held } = record;
      moveTo(held.from, heldBy(paymentHash), entry.msat);
      entries.set(paymentHash, { ...entry, held });
    } else if (record.type === 'settle') {
      if (before === undefined) throw broken('a payment that waits', paymentHash);
      moveTo(heldBy(paymentHash), entry.account, entry.msat);
      const payment = { from: before.from, atSec: record.atSec };
      entries.set(paymentHash, { ...open, preimage: record.preimage, payment });
    } else {
      if (before !== undefined) moveTo(heldBy(paymentHash), before.from, entry.msat);
      entries.set(paymentHash, { ...open, cancelled: { from: before?.from ?? null } });
    }
    if (record.type === 'hold') return;
    for (const tell of waiting.get(paymentHash) ?? []) tell();
    waiting.delete(paymentHash);
  };
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
    } else if (record.type === 'block') height = record.height;
    else applyPayment(record);
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
      [...entries.values()].filter((entry) => entry.account === account || payerOf(entry) === account),
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
        if (entry.cancelled) return refused('PAYMENT_FAILED', 'the payee gave the payment back, or the invoice up');
        if (entry.held) return entry.held.from === from ? { kind: 'held' } : refused('OTHER', 'another payment waits');
        if (entry.expiresSec <= nowSec) return refused('PAYMENT_FAILED', 'the invoice has expired');
        const balance = balanceMsat(from);
        if (balance < entry.msat) return refused('INSUFFICIENT_BALANCE', `needs ${entry.msat} msat, has ${balance}`);
        if (entry.holdBlocks !== undefined) {
          await write({ type: 'hold', paymentHash, from, untilHeight: height + entry.holdBlocks });
          return { kind: 'held' };
        }
        await write({ type: 'payment', paymentHash, from, atSec: nowSec });
        return { kind: 'paid', entry: { ...entry, payment: { from, atSec: nowSec } } };
      }),
    settleHold: (account, preimage, paymentHash, nowSec) =>
      inTurn(async () => {
        const entry = entries.get(paymentHash);
        if (entry?.account !== account || entry.holdBlocks === undefined) return false;
        if (entry.payment) return entry.preimage === preimage;
        if (entry.held === undefined) return false;
        await write({ type: 'settle', paymentHash, preimage, atSec: nowSec });
        return true;
      }),
    cancelHold: (account, paymentHash) =>
      inTurn(async () => {
        const entry = entries.get(paymentHash);
        if (entry?.account !== account || entry.holdBlocks === undefined || entry.payment) return false;
        if (entry.cancelled === undefined) await write({ type: 'cancel', paymentHash });
        return true;
      }),
    height: () => height,
    mine: (blocks) =>
      inTurn(async () => {
        await write({ type: 'block', height: height + blocks });
        for (const { paymentHash, held } of [...entries.values()])
          if (held !== undefined && held.untilHeight <= height) await write({ type: 'cancel', paymentHash });
        return height;
      }),
    ended: (paymentHash) =>
      new Promise((resolve) => {
        if (entries.get(paymentHash)?.held === undefined) resolve();
        else waiting.set(paymentHash, [...(waiting.get(paymentHash) ?? []), resolve]);
      }),
  };
}

const heldBy = (paymentHash: string): string => `held:${paymentHash}`;

/** Who paid, or has a payment waiting or back. */
export function payerOf({ payment, held, cancelled }: LedgerEntry): string | null {
  return payment?.from ?? held?.from ?? cancelled?.from ?? null;
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
