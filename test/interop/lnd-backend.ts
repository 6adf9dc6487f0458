import type { Invoice } from '../../src/wallet/bolt11.js';
import {
  hashParam,
  integerParam,
  invoiceParam,
  RequestRefused,
  textParam,
  type Params,
  type WalletBackend,
} from '../../src/wallet/wallet-backend.js';
import { ALREADY_EXISTS, LndRefusal, NOT_FOUND, type LndMessage, type LndRest } from './lnd-rest.js';

/** Blocks before the time lock of a payment ends at which LND gives it back: `invoices.holdexpirydelta` of v0.21.2. */
export const HOLD_EXPIRY_DELTA = 18;
/** Seconds for which LND looks for a route; a payment on its way may take longer. */
const ROUTE_TIMEOUT_SEC = 50;
const MAX_EXPIRY_SEC = 365 * 24 * 60 * 60;
const MAX_DESCRIPTION = 639;

/** A node of LND behind our wallet service. Every account of the service is the whole node. */
export function lndBackend(lnd: LndRest): WalletBackend {
  const methods: Readonly<Record<string, (params: Params) => Promise<object>>> = {
    get_info: async () => ({ ...(await info(lnd)), methods: Object.keys(methods), notifications: [] }),
    get_balance: async () => ({ balance: await balance(lnd) }),
    make_invoice: async (params) => {
      const made = await lnd.post('/v1/invoices', invoiceFields(params));
      return incoming(lnd, Buffer.from(String(made['r_hash']), 'base64').toString('hex'));
    },
    pay_invoice: (params) => pay(lnd, params),
    lookup_invoice: (params) => lookup(lnd, params),
    make_hold_invoice: async (params) => {
      const hash = hashParam(params, 'payment_hash');
      const cltv_expiry = integerParam(params, 'min_cltv_expiry_delta', { min: 18, max: 2_016, absent: 80 });
      await lnd.post('/v2/invoices/hodl', { ...invoiceFields(params), hash: base64(hash), cltv_expiry });
      return incoming(lnd, hash);
    },
    settle_hold_invoice: async (params) => {
      const preimage = base64(hashParam(params, 'preimage'));
      return unlessDone(lnd.post('/v2/invoices/settle', { preimage }));
    },
    cancel_hold_invoice: async (params) => {
      const payment_hash = base64(hashParam(params, 'payment_hash'));
      return unlessDone(lnd.post('/v2/invoices/cancel', { payment_hash }));
    },
  };
  return {
    methods: Object.keys(methods),
    async run(method, params) {
      try {
        return await methods[method]!(params);
      } catch (error) {
        // A refusal is an answer, and proves nothing about money; what is no answer at all is INTERNAL.
        throw error instanceof LndRefusal ? new RequestRefused('OTHER', error.message.slice(0, 200)) : error;
      }
    },
  };
}

async function info(lnd: LndRest): Promise<object> {
  const { alias, color, identity_pubkey, chains, block_height, block_hash } = await lnd.get('/v1/getinfo');
  const [chain] = chains as readonly [{ readonly network: string }];
  return { alias, color, pubkey: identity_pubkey, network: chain.network, block_height, block_hash };
}

/** Msat on our side of all channels. */
async function balance(lnd: LndRest): Promise<number> {
  const { local_balance } = await lnd.get('/v1/balance/channels');
  return Number((local_balance as LndMessage)['msat']);
}

function invoiceFields(params: Params): object {
  const descriptionHash = textParam(params, 'description_hash', /^[0-9a-f]{64}$/, 64);
  const memo = textParam(params, 'description', /^[^]*$/u, MAX_DESCRIPTION);
  return {
    value_msat: String(integerParam(params, 'amount', { min: 1 })),
    expiry: String(integerParam(params, 'expiry', { min: 1, max: MAX_EXPIRY_SEC, absent: 3600 })),
    ...(memo !== undefined && { memo }),
    ...(descriptionHash !== undefined && { description_hash: base64(descriptionHash) }),
  };
}

/** Waits for the end of the payment, of an earlier one too: LND pays a hash once. */
async function pay(lnd: LndRest, params: Params): Promise<object> {
  const invoice = invoiceParam(params['invoice']);
  const { msat, paymentHash } = invoice;
  const amount = params['amount'];
  if (msat === null || (amount !== undefined && amount !== Number(msat)))
    throw new RequestRefused('OTHER', 'this wallet pays the amount of the invoice');
  const isEnded = ({ status }: LndMessage): boolean => status === 'SUCCEEDED' || status === 'FAILED';
  const request = {
    ...{ payment_request: params['invoice'], fee_limit_msat: String(feeLimitMsat(invoice)) },
    ...{ timeout_seconds: ROUTE_TIMEOUT_SEC, no_inflight_updates: true },
  };
  const payment = await lnd.await('/v2/router/send', isEnded, request).catch((error: unknown) => {
    if (!(error instanceof LndRefusal && error.code === ALREADY_EXISTS)) throw error;
    return lnd.await(trackPath(paymentHash), isEnded);
  });
  const { status, payment_preimage, fee_msat, failure_reason } = payment;
  if (status === 'SUCCEEDED') return { preimage: payment_preimage, fees_paid: Number(fee_msat) };
  const isBroke = failure_reason === 'FAILURE_REASON_INSUFFICIENT_BALANCE';
  throw new RequestRefused(isBroke ? 'INSUFFICIENT_BALANCE' : 'PAYMENT_FAILED', String(failure_reason));
}

/** What nmkt reserves for fees: a hundredth, at least 10 sat. */
function feeLimitMsat({ msat }: Invoice): bigint {
  const share = msat! / 100n;
  return share > 10_000n ? share : 10_000n;
}

/** The payer's side first: it is the one that moved money. */
async function lookup(lnd: LndRest, params: Params): Promise<object> {
  const hash =
    params['invoice'] === undefined ? hashParam(params, 'payment_hash') : invoiceParam(params['invoice']).paymentHash;
  const payment = await unlessMissing(lnd.await(trackPath(hash), () => true));
  if (payment) return outgoing(payment);
  return incoming(lnd, hash);
}

function outgoing(payment: LndMessage): object {
  const { status, payment_preimage, payment_hash, fee_msat, value_msat, payment_request, creation_time_ns } = payment;
  const isPaid = status === 'SUCCEEDED';
  return {
    type: 'outgoing',
    state: isPaid ? 'settled' : status === 'FAILED' ? 'failed' : 'pending',
    ...(isPaid && { preimage: payment_preimage }),
    ...{ invoice: payment_request, payment_hash, amount: Number(value_msat), fees_paid: Number(fee_msat) },
    created_at: Math.floor(Number(creation_time_ns) / 1e9),
  };
}

/** @throws RequestRefused `NOT_FOUND` */
async function incoming(lnd: LndRest, hash: string): Promise<object> {
  const invoice = await unlessMissing(lnd.get(`/v1/invoice/${hash}`));
  if (!invoice) throw new RequestRefused('NOT_FOUND', 'this node neither made nor paid such an invoice');
  const { state, r_preimage, payment_request, value_msat, settle_date } = invoice;
  const [createdSec, expirySec] = [Number(invoice['creation_date']), Number(invoice['expiry'])];
  const isExpired = createdSec + expirySec <= Date.now() / 1000;
  const named: Readonly<Record<string, string>> = {
    OPEN: isExpired ? 'expired' : 'pending',
    ACCEPTED: 'accepted',
    SETTLED: 'settled',
    CANCELED: 'failed',
  };
  return {
    type: 'incoming',
    state: named[String(state)],
    ...(state === 'ACCEPTED' && { settle_deadline: settleDeadline(invoice) }),
    ...(state === 'SETTLED' && {
      preimage: Buffer.from(String(r_preimage), 'base64').toString('hex'),
      settled_at: Number(settle_date),
    }),
    ...{ invoice: payment_request, payment_hash: hash, amount: Number(value_msat), fees_paid: 0 },
    ...{ created_at: createdSec, expires_at: createdSec + expirySec },
  };
}

/** The block at which LND gives the first part of the payment back, to be safe from a channel that is closed by force. */
function settleDeadline({ htlcs }: LndMessage): number {
  const parts = htlcs as readonly { readonly state: string; readonly expiry_height: number }[];
  const waiting = parts.filter(({ state }) => state === 'ACCEPTED').map(({ expiry_height }) => expiry_height);
  return Math.min(...waiting) - HOLD_EXPIRY_DELTA;
}

/**
 * Settles or cancels. That there is nothing to settle or cancel, LND says in words alone:
 * https://github.com/lightningnetwork/lnd/blob/v0.21.2-beta/invoices/errors.go
 */
async function unlessDone(answer: Promise<LndMessage>): Promise<object> {
  try {
    await answer;
    return {};
  } catch (error) {
    const isNothing =
      /unable to locate invoice|no existing invoices|invoice still open|invoice already (settled|canceled)/;
    if (!(error instanceof LndRefusal && isNothing.test(error.message))) throw error;
    throw new RequestRefused('NOT_FOUND', error.message.slice(0, 200));
  }
}

async function unlessMissing(answer: Promise<LndMessage>): Promise<LndMessage | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof LndRefusal && error.code === NOT_FOUND) return undefined;
    throw error;
  }
}

/** The path takes bytes in the alphabet for URLs, padded. */
function trackPath(hash: string): string {
  return `/v2/router/track/${base64(hash).replaceAll('+', '-').replaceAll('/', '_')}`;
}

function base64(hexText: string): string {
  return Buffer.from(hexText, 'hex').toString('base64');
}
