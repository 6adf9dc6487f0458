import { NmktError } from '../../src/errors.js';
import { sha256 } from '../../src/hash.js';
import type { Clock, PayOutcome, RandomBytes, Wallet } from '../../src/ports.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import type { Ledger } from '../../src/wallet/ledger.js';
import { NOT_MOVED, readLookup, readPayment, rejected } from '../../src/wallet/nwc-answers.js';
import { METHODS, sandboxBackend } from '../../src/wallet/service-methods.js';
import { RequestRefused, type Params } from '../../src/wallet/wallet-backend.js';

/** The sandbox's wallet service over its real books, asked directly instead of over NIP-47: it can go away and come back. */
export interface DiskWallets {
  /** Null: away. */
  serve(ledger: Ledger | null): void;
  wallet(account: string): Wallet;
}

export function diskWallets(clock: Clock, random: RandomBytes): DiskWallets {
  let ledger: Ledger | null = null;
  const nodeSecret = sha256('disk wallets');

  /** @throws NmktError `wallet-unreachable`: it may have done it, or not */
  const ask = async (account: string, method: string, params: Params): Promise<Readonly<Record<string, unknown>>> => {
    const here = ledger;
    if (here === null) throw away('away');
    const backend = sandboxBackend({ ledger: here, nodeSecret, clock, random });
    const answer = await backend.run(method, params, account).catch((error: unknown) => {
      throw error instanceof RequestRefused ? error : away('it went away');
    });
    if (ledger !== here) throw away('it went away before its answer');
    return answer as Readonly<Record<string, unknown>>;
  };

  return {
    serve: (next) => (ledger = next),
    wallet: (account) => ({
      info: async () => ({ network: 'regtest', methods: new Set(METHODS), alias: account, encryption: 'nip44_v2' }),
      budget: async () => null,
      balanceMsat: async () => BigInt((await ask(account, 'get_balance', {}))['balance'] as number),
      async makeInvoice({ msat, descriptionHash, expirySec }) {
        const params = { amount: Number(msat), description_hash: descriptionHash, expiry: expirySec };
        const { invoice, payment_hash } = await ask(account, 'make_invoice', params);
        return { invoice: invoice as string, paymentHash: payment_hash as string };
      },
      async pay(invoice, timeoutMs): Promise<PayOutcome> {
        if (ledger === null) return rejected('UNREACHABLE', 'nothing was sent');
        try {
          // A payment that waits for its payee is answered when that has decided, or never by a service that dies.
          const late = new AbortController();
          const answer = await Promise.race([
            ask(account, 'pay_invoice', { invoice }).finally(() => late.abort()),
            clock.wait(timeoutMs, late.signal),
          ]);
          if (answer === undefined) return { kind: 'unknown', why: 'no answer' };
          return readPayment(answer, decodeInvoice(invoice).paymentHash);
        } catch (error) {
          const { message } = error as Error;
          if (error instanceof RequestRefused && NOT_MOVED.has(error.code)) return rejected(error.code, message);
          return { kind: 'unknown', why: message };
        }
      },
      async lookup(paymentHash) {
        try {
          return readLookup(await ask(account, 'lookup_invoice', { payment_hash: paymentHash }), paymentHash);
        } catch (error) {
          const isMissing = error instanceof RequestRefused && error.code === 'NOT_FOUND';
          return { direction: 'unknown', state: isMissing ? 'not-found' : 'unknown' };
        }
      },
      async makeHoldInvoice({ msat, descriptionHash, expirySec, paymentHash, minFinalCltv }) {
        const { invoice } = await ask(account, 'make_hold_invoice', {
          ...{ amount: Number(msat), description_hash: descriptionHash, expiry: expirySec, payment_hash: paymentHash },
          min_cltv_expiry_delta: minFinalCltv,
        });
        return { invoice: invoice as string };
      },
      settleHold: (preimage) => isDone(ask(account, 'settle_hold_invoice', { preimage })),
      cancelHold: (paymentHash) => isDone(ask(account, 'cancel_hold_invoice', { payment_hash: paymentHash })),
      close: async () => undefined,
    }),
  };
}

function isDone(asked: Promise<unknown>): Promise<boolean> {
  return asked.then(
    () => true,
    (error: unknown) => {
      if (error instanceof RequestRefused && error.code === 'NOT_FOUND') return false;
      throw error;
    },
  );
}

function away(got: string): NmktError {
  return new NmktError('wallet-unreachable', 'the wallet does not answer', { remedy: 'wait', got });
}
