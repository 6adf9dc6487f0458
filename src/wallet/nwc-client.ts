import type * as Sdk from '@getalby/sdk/nwc';
import { WebSocket } from 'ws';
import { fromHex, type Pubkey } from '../hash.js';
import type { EventTemplate, NostrEvent } from '../ports.js';
import { hasValidSignature } from '../schnorr.js';
import { localSigner } from '../signer.js';
import { quietly } from './quiet-sdk.js';
import type { WalletUri } from './wallet-uri.js';

/** The error code of a request that ended here: the connection went, or the client was closed. */
export const CONNECTION_LOST = 'NMKT_CONNECTION_LOST';

export interface WalletAnnouncement {
  readonly encryptions: readonly string[];
  readonly capabilities: readonly string[];
}

/** The SDK's client with its loose ends tied: silent, ends requests when the connection goes, leaves no timer behind. */
export interface NwcClient {
  readonly sdk: typeof Sdk;
  /** Kind 13194. */
  announcement(): Promise<WalletAnnouncement>;
  /** Rejects with an error class of the SDK, or an Error when nothing came in `timeoutMs`. */
  call<T>(request: (client: Sdk.NWCClient) => Promise<T>, timeoutMs: number): Promise<T>;
  close(): Promise<void>;
}

const RESPONSE_KIND = 23195;

export async function openNwcClient({ walletPubkey, relays, secret }: WalletUri): Promise<NwcClient> {
  // The SDK keeps the WebSocket it finds when it loads; Node 20 has none.
  if (!('WebSocket' in globalThis)) Object.assign(globalThis, { WebSocket });
  const sdk = await import('@getalby/sdk/nwc');
  const client = quietly(() => new sdk.NWCClient({ walletPubkey, relayUrls: [...relays], secret }));
  // NIP-44 for good: the SDK would ask the relay again, and a relay that replays an old announcement could make it
  // fall back to NIP-04.
  const own = localSigner(fromHex(secret));
  Object.assign(client, {
    _encryptionType: 'nip44_v2',
    // The SDK's own compute the shared key anew for each request and each answer, all in JavaScript: a third to a half of a payment. This
    // one keeps it, from the first use on: by then the wallet has signed its announcement, so its key is one.
    encrypt: (wallet: Pubkey, text: string) => own.encrypt(wallet, text),
    decrypt: (wallet: Pubkey, sealed: string) => own.decrypt(wallet, sealed),
    signEvent: (template: EventTemplate) => own.sign(template),
  });
  Object.assign(client.pool, { verifyEvent: isValid });

  const pending = new Set<() => Promise<void>>();
  const subscribe = client.pool.subscribe.bind(client.pool);
  client.pool.subscribe = (urls, filter, params) => {
    if (!filter.kinds?.includes(RESPONSE_KIND)) return subscribe(urls, filter, params);
    let isDone = false;
    const finish = (): boolean => {
      const isFirst = !isDone;
      isDone = true;
      pending.delete(end);
      return isFirst;
    };
    const deliver = async (event: { content: string }): Promise<void> => {
      // A reply that does not open would be an unhandled rejection; the caller's timeout reports it.
      await Promise.resolve(params.onevent?.(event as never)).catch(() => undefined);
    };
    // The SDK clears its timers only on a reply: give it one, sealed with the key that both sides share.
    const end = async (): Promise<void> => {
      if (!finish()) return;
      const lost = { error: { code: CONNECTION_LOST, message: 'the connection to the relay was lost' } };
      const content = (await client.encrypt(walletPubkey, JSON.stringify(lost))) as string;
      await deliver({ content });
    };
    pending.add(end);
    const closer = subscribe(urls, filter, {
      ...params,
      onevent: (event) => {
        if (finish()) void deliver(event);
      },
      onclose: () => void end(),
    });
    return {
      close: (reason?: string) => {
        finish();
        return closer.close(reason);
      },
    };
  };

  const call = <T>(request: (client: Sdk.NWCClient) => Promise<T>, timeoutMs: number): Promise<T> =>
    withTimeout(
      quietly(() => request(client)),
      timeoutMs,
    );
  return {
    sdk,
    call,
    announcement: () => call((sdkClient) => sdkClient.getWalletServiceInfo(), 10_000),
    async close() {
      await Promise.all([...pending].map((end) => end()));
      quietly(() => client.close());
    },
  };
}

/** The SDK has no word for methods that are no wallet's but the sandbox's, and sends them. Rejects as its other requests. */
export function sandboxRequest(
  client: Sdk.NWCClient,
  method: string,
  params: object,
  timeoutMs: number,
): Promise<unknown> {
  const sending = client as unknown as {
    executeNip47Request(
      method: string,
      params: object,
      isAnswer: (result: unknown) => boolean,
      options: object,
    ): Promise<unknown>;
  };
  const isAnswer = (result: unknown): boolean => typeof result === 'object';
  return sending.executeNip47Request(method, params, isAnswer, { replyTimeout: timeoutMs });
}

/** Of whatever a relay sends. */
function isValid(event: NostrEvent): boolean {
  try {
    return hasValidSignature(event);
  } catch {
    return false;
  }
}

async function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
