import type { Wallet } from '../../src/ports.js';

/** The same wallet, but for how it pays. */
export function payingBy(wallet: Wallet, pay: Wallet['pay']): Wallet {
  return {
    info: () => wallet.info(),
    budget: () => wallet.budget(),
    balanceMsat: () => wallet.balanceMsat(),
    makeInvoice: (request) => wallet.makeInvoice(request),
    pay,
    lookup: (hash) => wallet.lookup(hash),
    makeHoldInvoice: (request) => wallet.makeHoldInvoice(request),
    settleHold: (preimage) => wallet.settleHold(preimage),
    cancelHold: (hash) => wallet.cancelHold(hash),
    close: () => wallet.close(),
  };
}
