import type { Clock, NostrEvent, Progress, Relays, Signer } from '../ports.js';
import { KINDS, PROTOCOL_TAG } from '../protocol/kinds.js';
import { buildHandler, buildOffer, parseOffer, type Offer, type OfferContent } from '../protocol/offer.js';

/** Publishing an offer and keeping it alive; finding those of others. */

/** Longer than two renewals: one may fail. */
export const OFFER_SEC = 7_200;
const RENEW_SEC = 3_000;

export interface OfferPorts {
  readonly relays: Relays;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly progress: Progress;
}

/** Publishes the offer and renews it until `signal`; a killed process leaves one that expires. Nothing else waits for it or fails with it. */
export async function keepOffer(
  { relays, signer, clock, progress }: OfferPorts,
  offer: Omit<OfferContent, 'expires'>,
  signal: AbortSignal,
): Promise<void> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    try {
      const now = clock.nowSec();
      const content = { ...offer, expires: now + OFFER_SEC };
      if (isFirst) await relays.publish(await signer.sign(buildHandler(content, now)));
      const outcomes = await relays.publish(await signer.sign(buildOffer(content, now)));
      if (!outcomes.some(({ state }) => state === 'stored'))
        progress.warn(`no relay took the offer: ${outcomes[0]?.message ?? 'none answered'}; again in 50 minutes`);
      else if (isFirst) progress.note('published an offer: customers find it with nmkt offers (--no-offer to refuse)');
    } catch (error) {
      if (signal.aborted) return;
      progress.warn(`the offer is not published: ${(error as Error).message}; again in 50 minutes`);
    }
    await clock.wait(RENEW_SEC * 1_000, signal);
  }
}

/** What to look for; absent: anything. */
export interface OfferSearch {
  readonly role?: OfferContent['role'];
  readonly network?: OfferContent['network'];
  /** A rung, or the beginning of an engine id. */
  readonly engine?: string;
  readonly model?: OfferContent['models'][number];
  readonly params?: number;
  readonly maxMsat?: bigint;
  readonly throughput?: number;
}

/** Offers that hold now, one per key and role (the newest, at equal times the lowest id), cheapest first, ties by throughput and key. */
export function currentOffers(events: readonly NostrEvent[], search: OfferSearch, nowSec: number): readonly Offer[] {
  const newest = new Map<string, Offer>();
  for (const event of events) {
    const offer = readable(event);
    if (offer === null) continue;
    const key = `${offer.author}/${offer.content.role}`;
    const known = newest.get(key);
    const isNewer =
      known === undefined ||
      offer.createdAt > known.createdAt ||
      (offer.createdAt === known.createdAt && offer.id < known.id);
    if (isNewer) newest.set(key, offer);
  }
  return [...newest.values()]
    .filter(({ content }) => content.expires > nowSec && fits(content, search))
    .sort(
      (a, b) =>
        compare(a.content.leastMsat, b.content.leastMsat) ||
        b.content.throughput - a.content.throughput ||
        compare(a.author, b.author),
    );
}

const compare = <T extends bigint | string>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

function readable(event: NostrEvent): Offer | null {
  try {
    return parseOffer(event);
  } catch {
    return null; // what breaks the protocol offers nothing
  }
}

function fits(
  offer: OfferContent,
  { role, network, engine, model, params, maxMsat, throughput }: OfferSearch,
): boolean {
  return (
    (role === undefined || offer.role === role) &&
    (network === undefined || offer.network === network) &&
    (engine === undefined || offer.engine === engine || offer.engine.startsWith(`${engine}/`)) &&
    (model === undefined || offer.models.includes(model)) &&
    (params === undefined || offer.maxParams >= params) &&
    (maxMsat === undefined || offer.leastMsat <= maxMsat) &&
    (throughput === undefined || offer.throughput >= throughput)
  );
}

/** @returns the events, and who answered */
export async function fetchOffers(
  relays: Relays,
  role: OfferContent['role'] | undefined,
): Promise<{ readonly events: readonly NostrEvent[]; readonly answered: readonly string[] }> {
  const { events, answered } = await relays.fetch([
    { kinds: [KINDS.offer], '#t': [PROTOCOL_TAG], ...(role && { '#d': [role] }) },
  ]);
  return { events, answered };
}
