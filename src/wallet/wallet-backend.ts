import { decodeInvoice, type Invoice } from './bolt11.js';

/** What a wallet service asks for its answers: a Lightning node, or the books of a sandbox. */
export interface WalletBackend {
  /** Announced and served. */
  readonly methods: readonly string[];
  /**
   * Does one request for the account of a connection.
   *
   * @returns the `result` of the method: https://github.com/nostr-protocol/nips/blob/master/47.md#commands
   * @throws  RequestRefused; anything else is told as `INTERNAL`, which proves nothing about money
   */
  run(method: string, params: Params, account: string): Promise<object>;
}

export type Params = Readonly<Record<string, unknown>>;

/** What the wallet answers with an error code of NIP-47. */
export class RequestRefused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** @throws RequestRefused `OTHER` */
export function invoiceParam(value: unknown): Invoice {
  if (typeof value !== 'string') throw new RequestRefused('OTHER', 'invoice is not a string');
  try {
    return decodeInvoice(value);
  } catch (error) {
    throw new RequestRefused('OTHER', (error as Error).message);
  }
}

/** @throws RequestRefused `OTHER` */
export function integerParam(
  params: Params,
  name: string,
  rule: { min: number; max?: number; absent?: number },
): number {
  const value = params[name] ?? rule.absent;
  const max = rule.max ?? Number.MAX_SAFE_INTEGER;
  if (Number.isSafeInteger(value) && (value as number) >= rule.min && (value as number) <= max) return value as number;
  throw new RequestRefused('OTHER', `${name} is not an integer from ${rule.min} to ${max}`);
}

/** @throws RequestRefused `OTHER` */
export function textParam(params: Params, name: string, form: RegExp, maxLength: number): string | undefined {
  const value = params[name];
  // Clients send empty strings for what they leave out.
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string' && value.length <= maxLength && form.test(value)) return value;
  throw new RequestRefused('OTHER', `${name} is malformed`);
}

/** 64 hex digits. @throws RequestRefused `OTHER` */
export function hashParam(params: Params, name: string): string {
  const value = textParam(params, name, /^[0-9a-f]{64}$/, 64);
  if (value === undefined) throw new RequestRefused('OTHER', `${name} is needed`);
  return value;
}
