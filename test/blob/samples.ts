import { createCipheriv } from 'node:crypto';
import { sha256, type Bytes } from '../../src/hash.js';
import { labelContext, uploadSecret } from '../../src/blob/keys.js';
import { pack } from '../../src/blob/pack.js';
import type { SealOptions } from '../../src/blob/blob.js';
import type { FetchResult, NostrEvent, Relays } from '../../src/ports.js';

/** Bytes that do not compress: the ChaCha20 key stream of a seed. */
export function noise(length: number, seed = 'noise'): Bytes {
  return new Uint8Array(createCipheriv('chacha20', sha256(seed), Buffer.alloc(16)).update(Buffer.alloc(length)));
}

/** Noise whose packed form has exactly `packed` bytes. */
export function noisePackedTo(packed: number): Bytes {
  for (let length = packed; length > packed - 64; length--) {
    if (pack(noise(length)).length === packed) return noise(length);
  }
  throw new Error(`no noise packs to ${packed} bytes`);
}

export const KEY = sha256('blob key');
export const CONTEXT = labelContext('round|job|3|base');

export const OPTIONS: SealOptions = {
  key: KEY,
  uploadSecret: uploadSecret(sha256('blob secret')),
  context: CONTEXT,
  part: 7,
  baseTimeSec: 1_750_000_000,
  expirationSec: 1_760_000_000,
  inline: 'allow',
};

/** The same relays, except that every answer passes through `change`. */
export function answering(relays: Relays, change: (events: readonly NostrEvent[]) => readonly NostrEvent[]): Relays {
  return {
    urls: relays.urls,
    publish: (event, urls) => relays.publish(event, urls),
    subscribe: (filters, onEvent) => relays.subscribe(filters, onEvent),
    close: () => relays.close(),
    fetch: async (filters, options): Promise<FetchResult> => {
      const result = await relays.fetch(filters, options);
      return { ...result, events: change(result.events) };
    },
  };
}

export function flip(bytes: Bytes, at: number, bit: number): Bytes {
  const changed = Uint8Array.from(bytes);
  changed[at]! ^= 1 << bit;
  return changed;
}
