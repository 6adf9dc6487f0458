import { setTimeout as wait } from 'node:timers/promises';
import { NmktError } from '../errors.js';
import type {
  HoldRequest,
  InvoiceRequest,
  LookupResult,
  Network,
  PayOutcome,
  Wallet,
  WalletBudget,
  WalletInfo,
} from '../ports.js';
import { decodeInvoice } from './bolt11.js';
import { checkHoldInvoice, checkInvoice, prefixOf } from './check-invoice.js';
import { CONNECTION_LOST, openNwcClient, type NwcClient } from './nwc-client.js';
import { cleanText, NOT_MOVED, readLookup, readNetwork, readPayment, rejected } from './nwc-answers.js';
import { parseWalletUri } from './wallet-uri.js';

export interface WalletOptions {
  /** The network of the settings; nothing is paid or asked for on another one. */
  readonly network: Network;
  /** Per attempt, for everything but payments; default 10,000. */
  readonly replyTimeoutMs?: number;
  /** Waits between attempts of what may be repeated (not payments); default 0.25, 1 and 4 s. */
  readonly backoffMs?: readonly number[];
}

/**
 * A wallet behind NIP-47. Connects on first use, over NIP-44 only.
 *
 * @throws NmktError `bad-settings` for a malformed URI or a wallet without NIP-44; from `info`, `balanceMsat` and
 *         `makeInvoice`: `wallet-unreachable`, and `network-mismatch` before an invoice is asked for
 */
export async function connectWallet(uri: string, options: WalletOptions): Promise<Wallet> {
  const parsed = parseWalletUri(uri);
  return new NwcWallet(await openNwcClient(parsed), [uri, parsed.secret], options);
}

class NwcWallet implements Wallet {
  readonly #client: NwcClient;
  readonly #secrets: readonly string[];
  readonly #network: Network;
  readonly #replyTimeoutMs: number;
  readonly #backoffMs: readonly number[];
  readonly #closed = new AbortController();
  #methods: ReadonlySet<string> | undefined;
  #info: WalletInfo | undefined;

  constructor(client: NwcClient, secrets: readonly string[], options: WalletOptions) {
    this.#client = client;
    this.#secrets = secrets;
    this.#network = options.network;
    this.#replyTimeoutMs = options.replyTimeoutMs ?? 10_000;
    this.#backoffMs = options.backoffMs ?? [250, 1_000, 4_000];
  }

  async info(): Promise<WalletInfo> {
    if (this.#info) return this.#info;
    await this.#require('get_info');
    const answer = await this.#ask('get_info', () => this.#client.call((sdk) => sdk.getInfo(), this.#replyTimeoutMs));
    const network = readNetwork(answer.network);
    if (network === undefined) throw this.#wrongNetwork(`the network ${this.#clean(answer.network)}`);
    this.#info = {
      network,
      methods: await this.#announced(),
      alias: this.#clean(answer.alias),
      encryption: 'nip44_v2',
    };
    return this.#info;
  }

  async balanceMsat(): Promise<bigint> {
    await this.#require('get_balance');
    const { balance } = await this.#ask('get_balance', () =>
      this.#client.call((sdk) => sdk.getBalance(), this.#replyTimeoutMs),
    );
    if (!Number.isSafeInteger(balance)) throw this.#unreachable('get_balance', 'a balance that is not an integer');
    return BigInt(balance);
  }

  async budget(): Promise<WalletBudget | null> {
    await this.#require('get_budget');
    const answer = (await this.#ask('get_budget', () =>
      this.#client.call((sdk) => sdk.getBudget(), this.#replyTimeoutMs),
    )) as { used_budget?: unknown; total_budget?: unknown };
    const { used_budget: used = 0, total_budget: total } = answer;
    if (total === undefined || total === null) return null;
    const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
    if (!isCount(used) || !isCount(total)) throw this.#unreachable('get_budget', 'a budget that is not an integer');
    return { usedMsat: BigInt(used as number), totalMsat: BigInt(total as number) };
  }

  async makeInvoice({ msat, descriptionHash, expirySec }: InvoiceRequest) {
    await this.#require('make_invoice');
    await this.#requireNetwork();
    if (msat <= 0n || msat > BigInt(Number.MAX_SAFE_INTEGER))
      throw new RangeError(`not a payable amount: ${msat} msat`);
    const request = { amount: Number(msat), description_hash: descriptionHash, expiry: expirySec };
    const { invoice } = await this.#ask('make_invoice', () =>
      this.#client.call((sdk) => sdk.makeInvoice(request), this.#replyTimeoutMs),
    );
    // The payer will check the same: better to hear it here, from the own wallet.
    const nowSec = Math.floor(Date.now() / 1000);
    const terms = { network: this.#network, msat, descriptionHash, nowSec, usedPaymentHashes: new Set<string>() };
    const { paymentHash } = checkInvoice(String(invoice), terms);
    return { invoice, paymentHash };
  }

  async pay(invoice: string, timeoutMs: number): Promise<PayOutcome> {
    const deadline = Date.now() + timeoutMs;
    let paymentHash: string;
    try {
      const decoded = decodeInvoice(invoice);
      if (decoded.prefix !== prefixOf(this.#network))
        return rejected('NETWORK_MISMATCH', `an ln${decoded.prefix} invoice`);
      paymentHash = decoded.paymentHash;
      await this.#require('pay_invoice');
      if ((await this.#announced()).has('get_info')) await this.#requireNetwork();
    } catch (error) {
      // Nothing was sent yet.
      return rejected(
        error instanceof NmktError ? error.code.toUpperCase().replaceAll('-', '_') : 'OTHER',
        this.#describe(error),
      );
    }
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.#client.call(
          (sdk) => sdk.payInvoice({ invoice }),
          Math.max(1, deadline - Date.now()),
        );
        return readPayment(answer, paymentHash);
      } catch (error) {
        const outcome = this.#payError(error);
        const backoff = this.#backoffMs[attempt] ?? this.#backoffMs.at(-1) ?? 1_000;
        const isUnsent = error instanceof this.#client.sdk.Nip47NetworkError;
        if (!isUnsent || this.#closed.signal.aborted || Date.now() + backoff >= deadline) return outcome;
        await this.#pause(backoff);
      }
    }
  }

  async lookup(paymentHash: string): Promise<LookupResult> {
    try {
      await this.#require('lookup_invoice');
      const row = await this.#ask('lookup_invoice', () =>
        this.#client.call((sdk) => sdk.lookupInvoice({ payment_hash: paymentHash }), this.#replyTimeoutMs),
      );
      return readLookup(row, paymentHash);
    } catch (error) {
      const isMissing = (error as { cause?: { code?: unknown } }).cause?.code === 'NOT_FOUND';
      return { direction: 'unknown', state: isMissing ? 'not-found' : 'unknown' };
    }
  }

  async makeHoldInvoice({ msat, descriptionHash, expirySec, paymentHash, minFinalCltv }: HoldRequest) {
    await this.#require('make_hold_invoice');
    await this.#requireNetwork();
    if (msat <= 0n || msat > BigInt(Number.MAX_SAFE_INTEGER))
      throw new RangeError(`not a payable amount: ${msat} msat`);
    // The SDK's type lacks the time lock, and its client passes it on.
    const request = {
      ...{ amount: Number(msat), description_hash: descriptionHash, expiry: expirySec, payment_hash: paymentHash },
      min_cltv_expiry_delta: minFinalCltv,
    };
    const { invoice } = await this.#ask('make_hold_invoice', () =>
      this.#client.call((sdk) => sdk.makeHoldInvoice(request), this.#replyTimeoutMs),
    );
    const terms = { network: this.#network, msat, descriptionHash, nowSec: Math.floor(Date.now() / 1000) };
    checkHoldInvoice(String(invoice), { ...terms, paymentHash, minFinalCltv });
    return { invoice };
  }

  async settleHold(preimage: string): Promise<boolean> {
    await this.#require('settle_hold_invoice');
    return this.#isDone('settle_hold_invoice', (sdk) => sdk.settleHoldInvoice({ preimage }));
  }

  async cancelHold(paymentHash: string): Promise<boolean> {
    await this.#require('cancel_hold_invoice');
    return this.#isDone('cancel_hold_invoice', (sdk) => sdk.cancelHoldInvoice({ payment_hash: paymentHash }));
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#client.close();
  }

  /** May be asked again: a wallet that knows of nothing under that hash says so. */
  async #isDone(method: string, request: Parameters<NwcClient['call']>[0]): Promise<boolean> {
    try {
      await this.#ask(method, () => this.#client.call(request, this.#replyTimeoutMs));
      return true;
    } catch (error) {
      if ((error as { cause?: { code?: unknown } }).cause?.code === 'NOT_FOUND') return false;
      throw error;
    }
  }

  #payError(error: unknown): PayOutcome {
    const { Nip47WalletError, Nip47NetworkError, Nip47UnsupportedEncryptionError } = this.#client.sdk;
    const why = this.#describe(error);
    if (error instanceof Nip47NetworkError) return rejected('UNREACHABLE', why);
    if (error instanceof Nip47UnsupportedEncryptionError) return rejected('UNSUPPORTED_ENCRYPTION', why);
    if (error instanceof Nip47WalletError && NOT_MOVED.has(error.code)) return rejected(error.code, why);
    return { kind: 'unknown', why };
  }

  /** Repeats what is safe to repeat while the wallet or its relay is away. */
  async #ask<T>(method: string, request: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await request();
      } catch (error) {
        const backoff = this.#backoffMs[attempt];
        if (!this.#isPassing(error) || backoff === undefined || this.#closed.signal.aborted) {
          throw this.#unreachable(method, this.#describe(error), error);
        }
        await this.#pause(backoff);
      }
    }
  }

  /** Would a later attempt help? An answer of the wallet stands, unless it says that it is busy. */
  #isPassing(error: unknown): boolean {
    const code = error instanceof this.#client.sdk.Nip47WalletError ? error.code : undefined;
    return code === undefined || code === 'RATE_LIMITED' || code === CONNECTION_LOST;
  }

  async #pause(ms: number): Promise<void> {
    await wait(ms, undefined, { signal: this.#closed.signal }).catch(() => undefined);
  }

  async #announced(): Promise<ReadonlySet<string>> {
    if (this.#methods) return this.#methods;
    const { encryptions, capabilities } = await this.#ask('its announcement (kind 13194)', () =>
      this.#client.announcement(),
    );
    if (!encryptions.includes('nip44_v2')) {
      throw new NmktError('bad-settings', 'the wallet does not speak NIP-44', {
        remedy:
          'use a wallet service that announces the encryption nip44_v2: NIP-04 can be read and altered too easily',
        expected: 'nip44_v2',
        got: this.#clean(encryptions.join(' ')),
      });
    }
    return (this.#methods = new Set(capabilities));
  }

  async #require(method: string): Promise<void> {
    const methods = await this.#announced();
    if (methods.has(method)) return;
    throw new NmktError('bad-settings', `the wallet connection does not allow ${method}`, {
      remedy: `make a connection in the wallet that allows ${method}, and set it in NMKT_WALLET`,
      expected: method,
      got: this.#clean([...methods].join(' ')),
    });
  }

  async #requireNetwork(): Promise<void> {
    const { network } = await this.info();
    if (prefixOf(network) !== prefixOf(this.#network)) throw this.#wrongNetwork(network);
  }

  #wrongNetwork(got: string): NmktError {
    return new NmktError('network-mismatch', 'the wallet is on another bitcoin network than the settings', {
      remedy: 'set NMKT_NETWORK to the network of the wallet, or connect another wallet',
      expected: this.#network,
      got,
    });
  }

  #unreachable(method: string, got: string, cause?: unknown): NmktError {
    const code = (cause as { code?: unknown } | undefined)?.code;
    return new NmktError('wallet-unreachable', `the wallet did not answer ${method}`, {
      remedy: 'see that the wallet service and its relay are up and the connection is not revoked, then run it again',
      expected: `an answer to ${method}`,
      got,
      // Not the SDK's error itself: its message can hold a whole answer.
      cause: typeof code === 'string' ? { code: this.#clean(code) } : undefined,
    });
  }

  #describe(error: unknown): string {
    const { Nip47ResponseValidationError } = this.#client.sdk;
    if (error instanceof Nip47ResponseValidationError) return 'an answer without the expected fields';
    const code = (error as { code?: unknown }).code;
    return this.#clean(`${typeof code === 'string' ? `${code}: ` : ''}${(error as Error).message}`);
  }

  #clean(text: unknown): string {
    return cleanText(text, this.#secrets);
  }
}
