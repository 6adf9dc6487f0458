import { isNmktError } from '../errors.js';
import { fromHex, hex, sha256Hex, type Bytes, type Sha256 } from '../hash.js';
import type { Clock, RandomBytes } from '../ports.js';
import { encodeInvoice, nodeIdOf, type Invoice } from './bolt11.js';
import { payerOf, type Ledger, type LedgerEntry, type LedgerInvoice } from './ledger.js';
import { sandboxStake } from './sandbox-stake.js';
import { runStakeCall, STAKE_METHOD } from './stake-method.js';
import {
  hashParam,
  integerParam,
  invoiceParam,
  RequestRefused,
  textParam,
  type Params,
  type WalletBackend,
} from './wallet-backend.js';

/** Beside those of NIP-47: blocks pass. */
export const MINE_METHOD = 'nmkt_mine';

/** The NIP-47 methods of the sandbox wallet: https://github.com/nostr-protocol/nips/blob/master/47.md#commands */
export const METHODS = [
  'get_info',
  'get_balance',
  'get_budget',
  'make_invoice',
  'pay_invoice',
  'lookup_invoice',
  'list_transactions',
  'make_hold_invoice',
  'settle_hold_invoice',
  'cancel_hold_invoice',
  STAKE_METHOD,
  MINE_METHOD,
] as const;
type Method = (typeof METHODS)[number];

export interface SandboxBooks {
  readonly ledger: Ledger;
  /** Signs every invoice; kept over restarts. */
  readonly nodeSecret: Bytes;
  readonly clock: Clock;
  readonly random: RandomBytes;
}
interface SandboxNode extends SandboxBooks {
  /** 33 bytes compressed, hex. */
  readonly nodePubkey: string;
}

/** All wallets of a sandbox: an account for each. */
export function sandboxBackend(books: SandboxBooks): WalletBackend {
  const node = { ...books, nodePubkey: nodeIdOf(books.nodeSecret) };
  return { methods: METHODS, run: (method, params, account) => runMethod(method as Method, params, account, node) };
}

const MAX_EXPIRY_SEC = 365 * 24 * 60 * 60;
const MAX_DESCRIPTION = 639;
const FINAL_CLTV = 18;
/** Blocks; what LND asks where nothing is said, and a fortnight. */
const HOLD_CLTV = 80;
const MAX_HOLD_CLTV = 2_016;
/** As LND gives a payment back before its time lock ends, to be safe. */
const HOLD_MARGIN = 12;
const MAX_BLOCKS = 10_000;

/** @throws RequestRefused */
async function runMethod(method: Method, params: Params, account: string, node: SandboxNode): Promise<object> {
  switch (method) {
    case 'get_info':
      return {
        alias: `nmkt sandbox ${account}`,
        color: '#f7931a',
        pubkey: node.nodePubkey,
        network: 'regtest',
        block_height: node.ledger.height(),
        block_hash: '00'.repeat(32),
        methods: METHODS,
        notifications: [],
      };
    case 'get_balance':
      return { balance: Number(node.ledger.balanceMsat(account)) };
    case 'get_budget':
      return {}; // NIP-47: a connection without a budget
    case 'make_invoice':
      return makeInvoice(params, account, node);
    case 'pay_invoice':
      return payInvoice(params, account, node);
    case 'lookup_invoice':
      return lookupInvoice(params, account, node);
    case 'list_transactions':
      return listTransactions(params, account, node);
    case 'make_hold_invoice':
      return makeHoldInvoice(params, account, node);
    case 'settle_hold_invoice':
      return settleHoldInvoice(params, account, node);
    case 'cancel_hold_invoice':
      return cancelHoldInvoice(params, account, node);
    case STAKE_METHOD:
      return stake(params, account, node);
    case MINE_METHOD:
      return { height: await node.ledger.mine(integerParam(params, 'blocks', { min: 1, max: MAX_BLOCKS })) };
  }
}

/** Anything else is the wallet's own trouble. */
const REFUSED_STAKE: readonly string[] = ['payment-failed', 'bad-usage', 'not-ready', 'bad-event'];

async function stake(params: Params, account: string, node: SandboxNode): Promise<object> {
  const { ledger, clock } = node;
  try {
    const pay = async (from: string, invoice: string, msat: bigint) => {
      const { preimage } = await payInvoice({ invoice, amount: Number(msat) }, from, node);
      return { paymentHash: invoiceParam(invoice).paymentHash, preimage };
    };
    return await runStakeCall(sandboxStake(ledger, account, clock, pay), params);
  } catch (error) {
    if (!isNmktError(error) || !REFUSED_STAKE.includes(error.code)) throw error;
    const got = error.got === undefined ? '' : `: ${error.got}`;
    throw new RequestRefused(error.code.toUpperCase().replaceAll('-', '_'), `${error.message}${got}`);
  }
}

async function makeInvoice(params: Params, account: string, node: SandboxNode): Promise<object> {
  const preimage = node.random(32);
  return addInvoice(params, account, node, {
    ...{ paymentHash: sha256Hex(preimage), preimage: hex(preimage), minFinalCltv: FINAL_CLTV },
  });
}

/** https://github.com/nostr-protocol/nips/blob/master/47.md: the payee knows the preimage, and takes the money when it wants to. */
async function makeHoldInvoice(params: Params, account: string, node: SandboxNode): Promise<object> {
  const paymentHash = hashParam(params, 'payment_hash') as Sha256;
  if (node.ledger.find(paymentHash) !== undefined) throw new RequestRefused('OTHER', 'that payment hash is in use');
  const limits = { min: FINAL_CLTV, max: MAX_HOLD_CLTV, absent: HOLD_CLTV };
  const minFinalCltv = integerParam(params, 'min_cltv_expiry_delta', limits);
  return addInvoice(params, account, node, {
    ...{ paymentHash, preimage: '', minFinalCltv, holdBlocks: Math.max(1, minFinalCltv - HOLD_MARGIN) },
  });
}

async function settleHoldInvoice(params: Params, account: string, { ledger, clock }: SandboxNode): Promise<object> {
  const preimage = hashParam(params, 'preimage');
  const isSettled = await ledger.settleHold(account, preimage, sha256Hex(fromHex(preimage)), clock.nowSec());
  if (isSettled) return {};
  throw new RequestRefused('NOT_FOUND', 'no payment waits for that preimage');
}

async function cancelHoldInvoice(params: Params, account: string, { ledger }: SandboxNode): Promise<object> {
  const paymentHash = hashParam(params, 'payment_hash');
  if (await ledger.cancelHold(account, paymentHash)) return {};
  throw new RequestRefused('NOT_FOUND', 'no hold invoice of this wallet is open under that hash');
}

async function addInvoice(
  params: Params,
  account: string,
  node: SandboxNode,
  kind: Pick<LedgerInvoice, 'preimage' | 'holdBlocks'> & Pick<Invoice, 'paymentHash' | 'minFinalCltv'>,
): Promise<object> {
  const amount = integerParam(params, 'amount', { min: 1 });
  const expirySec = integerParam(params, 'expiry', { min: 1, max: MAX_EXPIRY_SEC, absent: 3600 });
  const description = textParam(params, 'description', /^[^]*$/u, MAX_DESCRIPTION);
  const descriptionHash = textParam(params, 'description_hash', /^[0-9a-f]{64}$/, 64) as Sha256 | undefined;
  const { paymentHash, minFinalCltv, preimage, holdBlocks } = kind;
  const createdSec = node.clock.nowSec();
  const invoice = encodeInvoice(
    {
      ...{ prefix: 'bcrt', msat: BigInt(amount), timestampSec: createdSec, expirySec, paymentHash, minFinalCltv },
      paymentSecret: hex(node.random(32)),
      // A writer gives one of the two; the hash says more.
      ...(descriptionHash ? { descriptionHash } : { description: description ?? '' }),
    },
    node.nodeSecret,
  );
  await node.ledger.addInvoice({
    ...{ paymentHash, preimage, account, msat: BigInt(amount), invoice },
    ...(holdBlocks !== undefined && { holdBlocks }),
    ...(description !== undefined && { description }),
    ...(descriptionHash && { descriptionHash }),
    createdSec,
    expiresSec: createdSec + expirySec,
  });
  return transaction(node.ledger.find(paymentHash)!, 'incoming', createdSec, node);
}

async function payInvoice(
  params: Params,
  account: string,
  node: SandboxNode,
): Promise<{ readonly preimage: string; readonly fees_paid: number }> {
  const invoice = invoiceParam(params['invoice']);
  if (invoice.prefix !== 'bcrt')
    throw new RequestRefused('OTHER', `this wallet pays lnbcrt only, not ln${invoice.prefix}`);
  if (invoice.payee !== node.nodePubkey) {
    throw new RequestRefused('OTHER', 'the invoice is signed by a node outside of this sandbox');
  }
  const amount = params['amount'];
  if (amount !== undefined && (!Number.isSafeInteger(amount) || BigInt(amount as number) !== invoice.msat)) {
    throw new RequestRefused('OTHER', 'the amount differs from the one of the invoice');
  }
  const send = () => node.ledger.pay(account, invoice.paymentHash, node.clock.nowSec());
  let outcome = await send();
  // The call stays open until its payee has decided; whoever asked may look it up meanwhile.
  while (outcome.kind === 'held') {
    await node.ledger.ended(invoice.paymentHash);
    outcome = await send();
  }
  if (outcome.kind === 'refused') throw new RequestRefused(outcome.code, outcome.message);
  return { preimage: outcome.entry.preimage, fees_paid: 0 };
}

function lookupInvoice(params: Params, account: string, node: SandboxNode): object {
  const asked = textParam(params, 'payment_hash', /^[0-9a-f]{64}$/, 64);
  if (asked === undefined && params['invoice'] === undefined) {
    throw new RequestRefused('OTHER', 'payment_hash or invoice is needed');
  }
  const entry = node.ledger.find(asked ?? invoiceParam(params['invoice']).paymentHash);
  // The payer's side first: it is the one that moved money.
  if (entry !== undefined && payerOf(entry) === account)
    return transaction(entry, 'outgoing', node.clock.nowSec(), node);
  if (entry?.account === account) return transaction(entry, 'incoming', node.clock.nowSec(), node);
  throw new RequestRefused('NOT_FOUND', 'this wallet neither made nor paid such an invoice');
}

function listTransactions(params: Params, account: string, node: SandboxNode): object {
  const from = integerParam(params, 'from', { min: 0, absent: 0 });
  const until = integerParam(params, 'until', { min: 0, absent: Number.MAX_SAFE_INTEGER });
  const limit = integerParam(params, 'limit', { min: 0, absent: 50, max: 500 });
  const offset = integerParam(params, 'offset', { min: 0, absent: 0 });
  const type = textParam(params, 'type', /^(incoming|outgoing)$/, 8);
  const nowSec = node.clock.nowSec();
  const transactions = node.ledger
    .entriesOf(account)
    .flatMap((entry) => [
      ...(payerOf(entry) === account ? [transaction(entry, 'outgoing', nowSec, node)] : []),
      ...(entry.account === account ? [transaction(entry, 'incoming', nowSec, node)] : []),
    ])
    .filter((row) => row.created_at >= from && row.created_at <= until)
    .filter(
      (row) => (type === undefined || row.type === type) && (params['unpaid'] === true || row.state === 'settled'),
    )
    .sort((a, b) => b.created_at - a.created_at)
    .slice(offset, offset + limit);
  return { transactions };
}

/** The preimage shows only once somebody has paid for it. */
function transaction(entry: LedgerEntry, type: 'incoming' | 'outgoing', nowSec: number, { ledger }: SandboxNode) {
  const { payment, held, cancelled } = entry;
  const waits = type === 'incoming' ? 'accepted' : 'pending';
  const open = entry.expiresSec <= nowSec ? 'expired' : 'pending';
  return {
    type,
    state: payment ? 'settled' : cancelled ? 'failed' : held ? waits : open,
    ...(held && type === 'incoming' && { settle_deadline: held.untilHeight, block_height: ledger.height() }),
    invoice: entry.invoice,
    ...(entry.description !== undefined && { description: entry.description }),
    ...(entry.descriptionHash !== undefined && { description_hash: entry.descriptionHash }),
    ...(payment && { preimage: entry.preimage, settled_at: payment.atSec }),
    payment_hash: entry.paymentHash,
    amount: Number(entry.msat),
    fees_paid: 0,
    created_at: entry.createdSec,
    expires_at: entry.expiresSec,
  };
}
