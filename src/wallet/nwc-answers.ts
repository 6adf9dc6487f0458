import { fromHex, sha256Hex } from '../hash.js';
import type { LookupResult, Network, PayOutcome } from '../ports.js';
import { redact } from './wallet-uri.js';

/** What a wallet says, read with suspicion. */

/** Wallet answers after which no money has moved (NIP-47 error codes). Any other code is no proof. */
export const NOT_MOVED = new Set([
  'QUOTA_EXCEEDED',
  'INSUFFICIENT_BALANCE',
  'RESTRICTED',
  'UNAUTHORIZED',
  'NOT_IMPLEMENTED',
  'RATE_LIMITED',
  'UNSUPPORTED_ENCRYPTION',
]);
/** As wallets call them, to ours; a sandbox wallet answers `regtest`. */
const NETWORKS: Readonly<Record<string, Network>> = {
  mainnet: 'bitcoin',
  bitcoin: 'bitcoin',
  testnet: 'testnet',
  signet: 'signet',
  regtest: 'regtest',
  simnet: 'simnet',
};

export function readPayment(answer: { preimage?: unknown; fees_paid?: unknown }, paymentHash: string): PayOutcome {
  const preimage = readPreimage(answer.preimage, paymentHash);
  if (preimage === undefined)
    return { kind: 'unknown', why: 'the wallet says paid, but its preimage is not the one of the invoice' };
  return { kind: 'paid', preimage, feesMsat: readFees(answer.fees_paid) ?? 0n };
}

/** States not known here say nothing: the payment may be in flight. */
export function readLookup(row: object, paymentHash: string): LookupResult {
  const { invoice } = row as { readonly invoice?: unknown };
  const isText = typeof invoice === 'string' && invoice.length <= MAX_INVOICE_CHARS;
  const found = readState(row, paymentHash);
  return { ...found, ...(isText && found.direction === 'in' && { invoice }) };
}
const MAX_INVOICE_CHARS = 7_089;

function readState(row: object, paymentHash: string): LookupResult {
  const { type, state, preimage, fees_paid, settled_at, settle_deadline } = row as Readonly<Record<string, unknown>>;
  const direction = type === 'outgoing' ? 'out' : type === 'incoming' ? 'in' : 'unknown';
  // Older wallets name no state.
  const named = state ?? (Number(settled_at) > 0 ? 'settled' : undefined);
  if (named === 'accepted') {
    const settleBy = Number.isSafeInteger(settle_deadline) ? (settle_deadline as number) : null;
    return { direction, state: 'pending', held: { settleBy } };
  }
  if (named === 'pending') return { direction, state: 'pending' };
  if (named === 'failed' || named === 'expired') return { direction, state: named };
  if (named !== 'settled') return { direction, state: 'unknown' };
  const proof = readPreimage(preimage, paymentHash);
  if (proof === undefined && typeof preimage === 'string' && preimage !== '') return { direction, state: 'unknown' };
  const feesMsat = readFees(fees_paid);
  return {
    direction,
    state: 'settled',
    ...(proof && { preimage: proof }),
    ...(feesMsat !== undefined && { feesMsat }),
  };
}

export function readNetwork(name: unknown): Network | undefined {
  return typeof name === 'string' && Object.hasOwn(NETWORKS, name) ? NETWORKS[name] : undefined;
}

/** One short line without terminal escapes or secrets. */
export function cleanText(text: unknown, secrets: readonly string[]): string {
  // eslint-disable-next-line no-control-regex -- terminal escapes are what is taken out
  const escapes = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
  return typeof text === 'string' ? redact(text.slice(0, 10_000).replace(escapes, ' '), secrets).slice(0, 200) : '';
}

function readPreimage(value: unknown, paymentHash: string): string | undefined {
  if (typeof value !== 'string' || !/^[0-9a-f]{64}$/i.test(value)) return undefined;
  return sha256Hex(fromHex(value)) === paymentHash ? value.toLowerCase() : undefined;
}

function readFees(value: unknown): bigint | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? BigInt(value as number) : undefined;
}

export function rejected(code: string, message: string): PayOutcome {
  return { kind: 'rejected', code, message };
}
