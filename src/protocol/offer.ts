import { z } from 'zod';
import type { EventId, Pubkey } from '../hash.js';
import type { EventTemplate, NostrEvent } from '../ports.js';
import { engineId } from './bid.js';
import { badEvent, checkEnvelope, checkPhase, encodeContent, parseContent, tagValue } from './envelope.js';
import { KINDS, PROTOCOL_TAG, PROTOCOL_VERSION } from './kinds.js';
import { NETWORKS } from './network.js';
import { int, msat, relayUrl, unixSec } from './scalars.js';

/** Who works, on what and for how much: an advertisement, replaced by its author; a bid is the promise. */

export const OFFER_ROLES = ['trainer', 'validator'] as const;
export const OFFERED_MODELS = ['logreg', 'mlp', 'cnn', 'gpt', 'lstm', 'sequential'] as const;

const offerContent = z.object({
  role: z.enum(OFFER_ROLES),
  network: z.enum(NETWORKS),
  engine: engineId,
  /** Examples per second of a dense model 784-128-10 in batches of 32, as measured; 0: not measured. */
  throughput: int(0, 1_000_000_000),
  /** Asked per accepted round and shard at least. */
  leastMsat: msat,
  /** Asked per 10^12 operations of a round, where that is more; null: nothing. */
  tflopMsat: msat.nullable(),
  /** Dearer by this share for each job that it works on. */
  perJobPpm: int(0, 10_000_000),
  models: z.array(z.enum(OFFERED_MODELS)).min(1).max(16),
  maxParams: int(1, 1_000_000_000_000),
  maxBytes: int(1, 2 ** 40),
  /** Longest training of one round. */
  maxSeconds: int(1, 31_536_000),
  shards: int(1, 1_024),
  expires: unixSec,
  relays: z.array(relayUrl).min(1).max(8),
});
export type OfferContent = z.output<typeof offerContent>;

export interface Offer {
  readonly id: EventId;
  readonly author: Pubkey;
  readonly createdAt: number;
  readonly content: OfferContent;
}

/** Kind 34622 under the role as address; relays forget it when it expires (NIP-40). */
export function buildOffer(content: OfferContent, createdAt: number): EventTemplate {
  return {
    kind: KINDS.offer,
    created_at: createdAt,
    tags: [
      ['d', content.role],
      ['t', PROTOCOL_TAG],
      ['v', PROTOCOL_VERSION],
      ['expiration', String(content.expires)],
    ],
    content: encodeContent(offerContent, content),
  };
}

/** @throws NmktError `bad-event` or `unsupported-version` */
export function parseOffer(event: NostrEvent): Offer {
  checkEnvelope(event, KINDS.offer);
  checkPhase(event, null);
  const content = parseContent(event, offerContent);
  const [address, expiration] = [tagValue(event, 'd') ?? '', tagValue(event, 'expiration') ?? ''];
  if (address !== content.role) throw badEvent(event, `d ${content.role}`, address);
  if (expiration !== String(content.expires)) throw badEvent(event, `expiration ${content.expires}`, expiration);
  return { id: event.id, author: event.pubkey, createdAt: event.created_at, content };
}

/** NIP-89: clients that meet a job (kind 4623) find who handles it. @see https://github.com/nostr-protocol/nips/blob/master/89.md */
export const HANDLER = 31_990;

export function buildHandler({ role }: OfferContent, createdAt: number): EventTemplate {
  const about =
    role === 'trainer' ? 'trains models on shards of datasets, paid by round' : 'scores what trainers submit';
  return {
    kind: HANDLER,
    created_at: createdAt,
    tags: [
      ['d', `${PROTOCOL_TAG}-${role}`],
      ['k', String(KINDS.job)],
      ['t', PROTOCOL_TAG],
    ],
    content: JSON.stringify({ name: `nmkt ${role}`, about }),
  };
}
