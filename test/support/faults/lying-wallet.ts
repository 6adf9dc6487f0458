import type { LookupResult, PayOutcome, Wallet } from '../../../src/ports.js';

/** What a wallet does to one payment, or to one look-up, instead of its duty. */

export type PayFault =
  /** Never asked the network: no money moves, and no answer comes. */
  | 'lost-before'
  /** Paid; the reply is lost. */
  | 'lost-after'
  /** Paid; the reply comes after the caller has given up. */
  | 'late'
  /** Paid as late as this: after the caller has asked for it again. */
  | 'paid-later'
  /** Says paid, moves nothing, and invents a preimage. */
  | 'invented'
  /** Paid; the preimage is not the one of the invoice. */
  | 'wrong-preimage'
  /** Says twice, over two sends, what happened once: asks the network a second time for the same invoice. */
  | 'duplicate'
  /** NIP-47 codes that say nothing moved. */
  | 'QUOTA_EXCEEDED'
  | 'RATE_LIMITED'
  /** Codes that prove nothing; `*-after`: it has paid all the same. */
  | 'PAYMENT_FAILED'
  | 'INTERNAL-after'
  /** The process that asked dies before, or after, the wallet has acted. */
  | 'crash-before'
  | 'crash-after';

export type LookupFault =
  | 'failed'
  | 'not-found'
  | 'pending'
  | 'expired'
  | 'unknown'
  /** Settled, but without a preimage, or with one that is not of this invoice. */
  | 'settled-unproven'
  | 'settled-wrong'
  /** As the payee's side of a node that both share would answer. */
  | 'other-side'
  | 'crash';

export interface WalletPlan {
  /** Taken one per call; `ok` and the rest of the calls are honest. */
  readonly pay: (PayFault | 'ok')[];
  readonly lookup: (LookupFault | 'ok')[];
}

const WRONG = 'ab'.repeat(32);
const unknown = (why: string): PayOutcome => ({ kind: 'unknown', why });

/**
 * A wallet that follows a plan of lies over an honest one.
 *
 * @param die    throws: the process that uses the wallet ends there
 * @param later  runs a payment that the wallet makes long after it was asked
 */
export function lyingWallet(
  honest: Wallet,
  plan: WalletPlan,
  { die, later }: { readonly die: () => never; readonly later: (pay: () => Promise<unknown>) => void },
): Wallet {
  const pay = async (invoice: string, timeoutMs: number): Promise<PayOutcome> => {
    const fault = plan.pay.shift() ?? 'ok';
    const act = () => honest.pay(invoice, timeoutMs);
    switch (fault) {
      case 'ok':
        return act();
      case 'lost-before':
        return unknown('no answer in 65000 ms');
      case 'lost-after':
      case 'late':
        await act();
        return unknown('no answer in 65000 ms');
      case 'paid-later':
        later(act);
        return unknown('no answer in 65000 ms');
      case 'invented':
        return { kind: 'paid', preimage: WRONG, feesMsat: 0n };
      case 'wrong-preimage':
        await act();
        return { kind: 'paid', preimage: WRONG, feesMsat: 0n };
      case 'duplicate':
        await act();
        return act();
      case 'QUOTA_EXCEEDED':
      case 'RATE_LIMITED':
        return { kind: 'rejected', code: fault, message: 'not now' };
      case 'PAYMENT_FAILED':
        return unknown('PAYMENT_FAILED: no route');
      case 'INTERNAL-after':
        await act();
        return unknown('INTERNAL: already paid');
      case 'crash-before':
        return die();
      case 'crash-after':
        await act();
        return die();
    }
  };
  const lookup = async (paymentHash: string): Promise<LookupResult> => {
    const fault = plan.lookup.shift() ?? 'ok';
    switch (fault) {
      case 'ok':
        return honest.lookup(paymentHash);
      case 'crash':
        return die();
      case 'not-found':
      case 'unknown':
        return { direction: 'unknown', state: fault };
      case 'settled-unproven':
        return { direction: 'out', state: 'settled' };
      case 'settled-wrong':
        return { direction: 'out', state: 'settled', preimage: WRONG };
      case 'other-side':
        return { direction: 'in', state: 'pending' };
      default:
        return { direction: 'out', state: fault };
    }
  };
  return { ...honest, pay, lookup };
}

/** Answers every look-up alike for ever: nothing it says ever helps. */
export function stubbornWallet(honest: Wallet, state: LookupFault, isPaying: boolean): Wallet {
  const plan: WalletPlan = { pay: [], lookup: [] };
  const liar = lyingWallet(honest, plan, {
    die: () => {
      throw new Error('a stubborn wallet kills nobody');
    },
    later: () => undefined,
  });
  return {
    ...liar,
    pay: (invoice, timeoutMs) => {
      plan.pay.unshift(isPaying ? 'lost-after' : 'lost-before');
      return liar.pay(invoice, timeoutMs);
    },
    lookup: (paymentHash) => {
      plan.lookup.unshift(state);
      return liar.lookup(paymentHash);
    },
  };
}
