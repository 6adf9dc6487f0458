import { v2 as nip44 } from 'nostr-tools/nip44';
import { conversationKey } from '../ecdh.js';
import { isNmktError, NmktError } from '../errors.js';
import type { Bytes, Pubkey } from '../hash.js';
import type { Clock, NostrEvent, Relays } from '../ports.js';
import { publicKey, signEvent } from '../schnorr.js';
import { RequestRefused, type Params, type WalletBackend } from './wallet-backend.js';

/** The wallet side of NIP-47, NIP-44 only: https://github.com/nostr-protocol/nips/blob/master/47.md */

const INFO_KIND = 13194;
const REQUEST_KIND = 23194;
const RESPONSE_KIND = 23195;
/** Characters of ciphertext; a request holds little more than an invoice. */
const MAX_CONTENT = 32_768;
/** Request ids remembered: a request that a relay repeats runs once. */
const MAX_SEEN = 10_000;
const START_TIMEOUT_MS = 15_000;

/** What can go wrong between a wallet and its user; for tests. */
export type WalletFault =
  | { readonly kind: 'drop-reply' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'duplicate' }
  /** The method has run; the service stops answering anything. */
  | { readonly kind: 'crash-before-reply' }
  | { readonly kind: 'wrong-preimage' }
  | { readonly kind: 'error'; readonly code: string }
  /** `settled-unproven`: settled, without the preimage. */
  | {
      readonly kind: 'lying-lookup';
      readonly state: 'failed' | 'pending' | 'expired' | 'not-found' | 'settled-unproven';
    };

export interface WalletServiceOptions {
  readonly relays: Relays;
  /** Of the service: signs replies. One service serves all wallets of a backend. */
  readonly secret: Bytes;
  /** The connection key of each wallet to its account. */
  readonly connections: ReadonlyMap<Pubkey, string>;
  readonly backend: WalletBackend;
  readonly clock: Clock;
  /** Those of the backend that are announced and served; all by default. */
  readonly methods?: readonly string[];
  /** The encryption announced; anything but `nip44_v2` only to test how it is refused. */
  readonly announcedEncryption?: string;
  /** Asked once per request. */
  readonly faultFor?: (method: string, account: string) => WalletFault | undefined;
}

export interface WalletService {
  readonly pubkey: Pubkey;
  close(): void;
}

/** Resolves once the relays deliver to it: a request sent now is heard. */
export async function startWalletService(options: WalletServiceOptions): Promise<WalletService> {
  const { relays, secret, connections, backend, announcedEncryption = 'nip44_v2' } = options;
  const { methods = backend.methods } = options;
  const pubkey = publicKey(secret);
  const seen = new Set<string>();
  const keys = new Map([...connections.keys()].map((peer) => [peer, conversationKey(secret, peer)]));
  let isOpen = true;

  const reply = async (request: NostrEvent, body: object, copies = 1): Promise<void> => {
    if (!isOpen) return;
    const content = nip44.encrypt(JSON.stringify(body), keys.get(request.pubkey)!);
    const tags = [
      ['p', request.pubkey],
      ['e', request.id],
    ];
    const created_at = options.clock.nowSec();
    const event = signEvent({ kind: RESPONSE_KIND, created_at, tags, content }, secret, pubkey);
    for (let copy = 0; copy < copies; copy++) await relays.publish(event);
  };

  const serve = async (request: NostrEvent): Promise<void> => {
    const account = connections.get(request.pubkey)!;
    const call = readCall(request, keys.get(request.pubkey)!, methods);
    const fault = options.faultFor?.(call.method, account);
    let body: object;
    try {
      if (call.refusal) throw call.refusal;
      if (fault?.kind === 'error') throw new RequestRefused(fault.code, 'as the test asked');
      const result = await backend.run(call.method, call.params, account);
      body = { result_type: call.method, error: null, result: distort(result, call.method, fault) };
    } catch (error) {
      // Also for our own bugs: without an answer the client waits a minute and cannot tell what happened.
      const { code, message } = error instanceof RequestRefused ? error : internal(error);
      body = { result_type: call.method, error: { code, message }, result: null };
    }
    if (fault?.kind === 'crash-before-reply') close();
    if (fault?.kind === 'drop-reply') return;
    if (fault?.kind === 'delay') await options.clock.wait(fault.ms);
    await reply(request, body, fault?.kind === 'duplicate' ? 2 : 1);
  };

  const onRequest = (request: NostrEvent): void => {
    const isOurs = request.kind === REQUEST_KIND && connections.has(request.pubkey) && tagOf(request, 'p') === pubkey;
    if (!isOpen || !isOurs || seen.has(request.id) || request.content.length > MAX_CONTENT) return;
    if (isExpired(request, options.clock.nowSec())) return;
    if (seen.size >= MAX_SEEN) seen.delete(seen.values().next().value!);
    seen.add(request.id);
    void serve(request);
  };

  const info = signEvent(
    {
      kind: INFO_KIND,
      created_at: options.clock.nowSec(),
      tags: [['encryption', announcedEncryption]],
      content: methods.join(' '),
    },
    secret,
  );
  const announced = await relays.publish(info);
  if (!announced.some(({ state }) => state === 'stored'))
    throw unreachable(relays.urls, 'no relay took its announcement');
  const filters = [
    { kinds: [REQUEST_KIND], '#p': [pubkey] },
    { kinds: [INFO_KIND], authors: [pubkey] },
  ];
  let subscription = { close: (): void => undefined };
  const close = (): void => {
    isOpen = false;
    subscription.close();
  };
  // Requests are ephemeral: one sent before the relay knows our filter is lost. Our own announcement coming back on
  // the same subscription is the sign that it does.
  const listening = new Promise<true>((resolve) => {
    subscription = relays.subscribe(filters, (event) => {
      if (event.kind === INFO_KIND && event.pubkey === pubkey) resolve(true);
      else onRequest(event);
    });
  });
  const timer = new AbortController();
  const isHeard = await Promise.race([listening, options.clock.wait(START_TIMEOUT_MS, timer.signal)]);
  timer.abort();
  if (!isHeard) {
    close();
    throw unreachable(relays.urls, `no relay delivered within ${START_TIMEOUT_MS} ms`);
  }
  return { pubkey, close };
}

interface Call {
  readonly method: string;
  readonly params: Params;
  readonly refusal?: RequestRefused;
}

function readCall(request: NostrEvent, key: Bytes, methods: readonly string[]): Call {
  const unread = (code: string, message: string): Call => {
    return { method: 'unknown', params: {}, refusal: new RequestRefused(code, message) };
  };
  // No tag means NIP-04.
  if (tagOf(request, 'encryption') !== 'nip44_v2')
    return unread('UNSUPPORTED_ENCRYPTION', 'this wallet takes nip44_v2 only');
  let value: unknown;
  try {
    value = JSON.parse(nip44.decrypt(request.content, key));
  } catch {
    return unread('OTHER', 'the request does not open or is not JSON');
  }
  if (!isRecord(value) || typeof value['method'] !== 'string') return unread('OTHER', 'the request names no method');
  const method = value['method'].slice(0, 64);
  const params = value['params'] ?? {};
  if (!methods.includes(method)) {
    return { method, params: {}, refusal: new RequestRefused('NOT_IMPLEMENTED', `${method} is not implemented`) };
  }
  if (!isRecord(params)) return { method, params: {}, refusal: new RequestRefused('OTHER', 'params is not an object') };
  return { method, params };
}

function distort(result: object, method: string, fault: WalletFault | undefined): object {
  if (fault?.kind === 'wrong-preimage') return { ...result, preimage: 'ab'.repeat(32) };
  if (fault?.kind !== 'lying-lookup' || method !== 'lookup_invoice') return result;
  if (fault.state === 'not-found') throw new RequestRefused('NOT_FOUND', 'no such payment');
  const state = fault.state === 'settled-unproven' ? 'settled' : fault.state;
  return { ...result, state, preimage: undefined, settled_at: undefined };
}

function isExpired(event: NostrEvent, nowSec: number): boolean {
  const expiration = tagOf(event, 'expiration');
  return expiration !== undefined && !(Number(expiration) > nowSec);
}

function unreachable(urls: readonly string[], got: string): NmktError {
  return new NmktError('relay-unreachable', 'the wallet service cannot be reached over its relays', {
    remedy: 'see that a relay listens there, then start again',
    expected: `${urls.join(' ')} to take and deliver events`,
    got,
  });
}

function tagOf(event: NostrEvent, name: string): string | undefined {
  return event.tags.find((tag) => tag[0] === name)?.[1];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A full disk is told by name: whoever runs the sandbox can free some space. */
function internal(error: unknown): { readonly code: string; readonly message: string } {
  const isDisk = isNmktError(error, 'disk-full') || isNmktError(error, 'disk-failed');
  return { code: 'INTERNAL', message: isDisk ? `the books take no entry: ${error.code}` : 'internal error' };
}
