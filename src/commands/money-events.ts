import { NmktError } from '../errors.js';
import type { EventId, Sha256 } from '../hash.js';
import { proveReceipt, type ReceiptProof } from '../market/receipt-proof.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { parseJobEvents } from '../protocol/events.js';
import { partsOf } from '../protocol/parts.js';
import type { NostrEvent } from '../ports.js';
import { decodeReceiptInvoice } from './find-job.js';

/** The signed events that a payment is proven by, of a job of any kind. */

export interface ProvenPayment {
  readonly receipt: EventOf<'receipt'>;
  readonly proof: ReceiptProof;
  /** As published, with their parts: enough to prove it again. */
  readonly events: readonly NostrEvent[];
}

/** Every receipt among events of jobs, in the order of time, then of ids. @param raw  their signatures checked */
export function paymentsIn(raw: readonly NostrEvent[]): readonly ProvenPayment[] {
  const events = new Map(parseJobEvents(raw).map((event) => [event.id, event]));
  const byId = new Map(raw.map((event) => [event.id, event]));
  const received = new Map<EventId, EventOf<'received'>>();
  for (const event of events.values()) {
    if (event.type !== 'received') continue;
    const receipt = events.get(event.content.receipt);
    if (receipt?.type === 'receipt' && receipt.content.payee === event.author) received.set(receipt.id, event);
  }
  return [...events.values()]
    .filter((event): event is EventOf<'receipt'> => event.type === 'receipt')
    .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
    .map((receipt) => {
      const { settlement, claim } = receipt.content;
      const ids = [receipt.job, settlement, claim, receipt.id, received.get(receipt.id)?.id];
      const cited = ids.flatMap((id): JobEvent[] => {
        const event = id === undefined ? undefined : events.get(id);
        return event === undefined ? [] : [event];
      });
      const published = cited.flatMap(({ id }) => withParts(byId.get(id)!, byId));
      return { receipt, proof: proveReceipt(cited, decodeReceiptInvoice), events: published };
    });
}

/** As published: an event after the parts of its content. */
export function withParts(event: NostrEvent, byId: ReadonlyMap<string, NostrEvent>): NostrEvent[] {
  return [...(partsOf(event) ?? []).flatMap((id) => byId.get(id) ?? []), event];
}

/** @throws NmktError `bad-usage` */
export function requireOneFormat(isCsv: boolean, isJson: boolean): void {
  if (!isCsv || !isJson) return;
  throw new NmktError('bad-usage', '--csv and --json exclude each other', {
    expected: 'one of the two',
    got: 'both',
    remedy: 'leave one out',
  });
}

/** Of a payout or a hash, as a person may name it. */
export const short = (id: EventId | Sha256 | string): string => `${id.slice(0, 12)}…`;
