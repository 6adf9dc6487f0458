import type { AnyPayout } from '../market/state.js';
import type { InvoiceRequest } from '../ports.js';

/** What differs between rails for who is paid; absent: a plain invoice, which its wallet takes the payment of by itself. */
export interface PayeeRail {
  /** The same again for the same payout. @throws NmktError as the wallet */
  invoice(payout: AnyPayout, request: InvoiceRequest): Promise<string>;
  /** Takes a payment that waits. @returns when to look again, and what hinders it */
  collect(payout: AnyPayout): Promise<Later>;
}

export interface Later {
  /** Told to the user; null: all is as it should be. */
  readonly why: string | null;
  readonly waitSec: number;
}
