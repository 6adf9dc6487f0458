import type { NostrEvent } from '../ports.js';
import { KINDS } from '../protocol/kinds.js';
import { tagValue } from '../relay/filter.js';

export interface RoundTraffic {
  /** Events that the relay took, and their bytes as JSON. */
  events: number;
  relayBytes: number;
  /** What participants got of the relay, all together. */
  deliveredBytes: number;
  /** Virtual milliseconds, of the relay's clock. */
  openedMs: number;
  closedMs: number | null;
}

/** Which bytes belong to which round: those between its `open` and the next one's. */
export interface Traffic {
  onStored(event: NostrEvent): void;
  onDelivered(event: NostrEvent): void;
  /** Before the first round: dataset, job, bids, award, keys of the shards. */
  readonly setup: RoundTraffic;
  readonly rounds: readonly RoundTraffic[];
}

/** @param customer  whose events open and close the rounds */
export function watchTraffic(customer: string, nowMs: () => number): Traffic {
  const begin = (): RoundTraffic => ({
    ...{ events: 0, relayBytes: 0, deliveredBytes: 0 },
    openedMs: nowMs(),
    closedMs: null,
  });
  const sizes = new WeakMap<NostrEvent, number>();
  const sizeOf = (event: NostrEvent): number => {
    const known = sizes.get(event);
    if (known !== undefined) return known;
    const size = Buffer.byteLength(JSON.stringify(event));
    sizes.set(event, size);
    return size;
  };
  const setup = begin();
  const rounds: RoundTraffic[] = [];
  const now = (): RoundTraffic => rounds.at(-1) ?? setup;
  return {
    setup,
    rounds,
    onStored(event) {
      if (event.kind === KINDS.round && event.pubkey === customer) {
        const phase = tagValue(event, 'phase');
        if (phase === 'open') rounds.push(begin());
        if (phase === 'close' || phase === 'void') now().closedMs = nowMs();
      }
      now().events += 1;
      now().relayBytes += sizeOf(event);
    },
    onDelivered(event) {
      now().deliveredBytes += sizeOf(event);
    },
  };
}
