import type { EventId, Pubkey } from '../hash.js';
import type { NostrEvent } from '../ports.js';
import type { JobEvent } from '../protocol/events.js';
import type { JobTerms } from '../protocol/job.js';

/** Anybody may publish events that name a job: what strangers can make a participant remember is bounded. */

/** Of everybody but the customer, the own key, the bidders that the award names and who took over a seat. */
const MAX_STRANGE_EVENTS = 4_096;
const MAX_STRANGE_CHARS = 16 << 20;
const MAX_EVENTS_OF_STRANGER = 8;
/** Of such a bidder, and so many more for each round. */
const MAX_EVENTS_OF_BIDDER = 64;
const MAX_EVENTS_PER_ROUND = 24;
/** For each further shard: a commitment and a reveal, or an answer to a grant, with as many to spare. */
const MAX_EVENTS_PER_SEAT = 4;

export interface BookLimits {
  /** Is it to be kept? @param evict  is told which other event has to go for it */
  admit(event: NostrEvent, one: Admitted, evict: (id: EventId) => void): boolean;
  /** Its bidders are no strangers any more, nor who works in an arena. */
  awarded(bidders: ReadonlySet<Pubkey>, terms: Pick<JobTerms, 'rounds' | 'shardsPerTrainer'>): void;
}

/** What is asked about: an event of the job, or a part of one. */
type Admitted = JobEvent | { readonly type: 'part'; readonly id: EventId; readonly author: Pubkey };

interface Strange {
  readonly id: EventId;
  readonly author: Pubkey;
  readonly chars: number;
  /** Null: no bid. A bid above the ceiling wins nothing, and goes first among bids. */
  readonly priceMsat: bigint | null;
}

/** Of a sealed bid nobody but its customer knows what it asks. */
const SEALED_MSAT = 0n;

/**
 * @param isTrusted  the customer and the own key: never bounded
 * @param isSealed   whether the job takes sealed bids
 */
export function createBookLimits(isTrusted: (author: Pubkey) => boolean, isSealed: () => boolean): BookLimits {
  const strange = new Map<EventId, Strange>();
  const counts = new Map<Pubkey, number>();
  let chars = 0;
  let known: { readonly bidders: ReadonlySet<Pubkey>; readonly most: number } | null = null;

  const forget = (one: Strange): void => {
    strange.delete(one.id);
    chars -= one.chars;
    const left = counts.get(one.author)! - 1;
    if (left === 0) counts.delete(one.author);
    else counts.set(one.author, left);
  };
  /** What counts least: no bid, then the dearest, then the latest to come. */
  const worst = (): Strange => {
    let found: Strange | null = null;
    for (const one of strange.values()) if (found === null || isWorse(one, found)) found = one;
    return found!;
  };

  return {
    admit(event, one, evict) {
      if (isTrusted(one.author)) return true;
      const count = counts.get(one.author) ?? 0;
      if (known?.bidders.has(one.author) === true) {
        if (count >= known.most) return false;
        counts.set(one.author, count + 1);
        return true;
      }
      if (count >= MAX_EVENTS_OF_STRANGER) return false;
      const openMsat = one.type === 'bid' ? one.content.priceMsat : null;
      const bidMsat = isSealed() ? (one.type === 'sealed-bid' ? SEALED_MSAT : null) : openMsat;
      // A validator asks what the job says, and so does a trainer of an arena.
      const priceMsat = one.type === 'register' || one.type === 'submit' ? 0n : bidMsat;
      const next = { id: one.id, author: one.author, chars: sizeOf(event), priceMsat };
      strange.set(one.id, next);
      counts.set(one.author, count + 1);
      chars += next.chars;
      while (strange.size > MAX_STRANGE_EVENTS || chars > MAX_STRANGE_CHARS) {
        const out = worst();
        forget(out);
        if (out === next) return false;
        evict(out.id);
      }
      return true;
    },
    awarded(bidders, { rounds, shardsPerTrainer = 1 }) {
      const more = MAX_EVENTS_PER_SEAT * (shardsPerTrainer - 1);
      known = { bidders, most: MAX_EVENTS_OF_BIDDER + more + (MAX_EVENTS_PER_ROUND + more) * rounds };
      for (const one of [...strange.values()]) {
        if (!bidders.has(one.author)) continue;
        strange.delete(one.id);
        chars -= one.chars;
      }
    },
  };
}

function isWorse(a: Strange, b: Strange): boolean {
  if (a.priceMsat === null || b.priceMsat === null) return a.priceMsat === null;
  return a.priceMsat >= b.priceMsat;
}

function sizeOf({ content, tags }: NostrEvent): number {
  return content.length + tags.reduce((sum, tag) => sum + tag.reduce((chars, value) => chars + value.length, 0), 0);
}
