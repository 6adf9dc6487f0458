import type { EventId } from '../hash.js';
import type { NostrEvent, PublishOutcome, Relays } from '../ports.js';

/** A relay that loses what it took gets it again so often, then it is left alone. */
const MAX_TRIES = 3;

/** Which relay holds which events, as its own answers say: a relay that was away, or forgets, gets what it lacks. */
export interface Holdings {
  /** After a publish. */
  published(id: EventId, outcomes: readonly PublishOutcome[]): void;
  /** After a complete answer to a request for all events of the job. `ids`: what it contained. */
  answered(relay: string, ids: ReadonlySet<EventId>): void;
  /** Relays that said they stored it, or showed it, and never failed to show it since. */
  holders(id: EventId): readonly string[];
  /**
   * Publishes to one relay what it lacks, in the order given, as long as it answers.
   *
   * @returns events that it said it had stored and did not show
   */
  catchUp(relay: string, events: readonly NostrEvent[]): Promise<number>;
}

interface Known {
  readonly held: Set<EventId>;
  readonly promised: Set<EventId>;
  readonly tries: Map<EventId, number>;
}

export function createHoldings(relays: Pick<Relays, 'publish'>): Holdings {
  const known = new Map<string, Known>();
  const of = (relay: string): Known => {
    const one = known.get(relay) ?? { held: new Set(), promised: new Set(), tries: new Map() };
    known.set(relay, one);
    return one;
  };
  return {
    published(id, outcomes) {
      for (const { relay, state } of outcomes) {
        if (state !== 'stored') continue;
        of(relay).held.add(id);
        of(relay).promised.add(id);
      }
    },
    answered(relay, ids) {
      const { held } = of(relay);
      held.clear();
      for (const id of ids) held.add(id);
    },
    holders: (id) => [...known].filter(([, { held }]) => held.has(id)).map(([relay]) => relay),
    async catchUp(relay, events) {
      const { held, promised, tries } = of(relay);
      let forgotten = 0;
      for (const event of events) {
        const count = tries.get(event.id) ?? 0;
        if (held.has(event.id)) continue;
        if (promised.has(event.id)) forgotten++;
        if (count >= MAX_TRIES) continue;
        const [outcome] = await relays.publish(event, [relay]);
        if (outcome === undefined || outcome.state === 'unreachable') break;
        tries.set(event.id, count + 1);
        // Its word is worth what its next answer shows.
        if (outcome.state === 'stored') promised.add(event.id);
      }
      return forgotten;
    },
  };
}
