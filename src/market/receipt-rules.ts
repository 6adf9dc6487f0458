import { fromHex, sha256Hex, type EventId, type Sha256 } from '../hash.js';
import { invoiceHash } from '../protocol/claim.js';
import type { EventOf, JobEvent } from '../protocol/events.js';
import { broken, type Broken } from './draft.js';
import type { AnyPayout } from './state.js';

/** What a customer says of claims in an arena or an alliance: that it paid one, or that it cannot. */

export interface Receipting {
  readonly byId: ReadonlyMap<EventId, JobEvent>;
  /** By payout, which names what it is of. */
  readonly receipts: ReadonlyMap<Sha256, EventOf<'receipt'>>;
  /** By claim. */
  readonly refusedClaims: ReadonlyMap<EventId, EventOf<'claim-bad'>>;
}
type Taken<S> = S | Broken | { readonly lacks: readonly EventId[] };

/** @param line  what the settlement that it cites promises for its payout; undefined: nothing, or it counts for nothing */
export function takeReceipt<S extends Receipting>(
  state: S,
  event: EventOf<'receipt'>,
  line: Pick<AnyPayout, 'payee' | 'amountMsat'> | undefined,
): Taken<S> {
  const { settlement, payout, claim: claimId, payee, amountMsat, preimage, paymentHash } = event.content;
  if (!state.byId.has(settlement)) return { lacks: [settlement] };
  if (line?.payee !== payee) return broken('receipt', 'no settlement promises this payout');
  if (state.receipts.has(payout)) return broken('receipt', `payout ${payout} has a receipt already`);
  if (amountMsat !== line.amountMsat)
    return broken('receipt', `${line.amountMsat} msat are owed, ${amountMsat} receipted`);
  if (sha256Hex(fromHex(preimage)) !== paymentHash)
    return broken('receipt', 'the preimage does not hash to the payment hash');
  const claim = state.byId.get(claimId);
  if (claim === undefined) return { lacks: [claimId] };
  if (
    claim.type !== 'claim' ||
    claim.author !== payee ||
    claim.content.payout !== payout ||
    claim.content.settlement !== settlement ||
    claim.content.amountMsat !== amountMsat
  )
    return broken('receipt', 'the claim it cites is not the payee’s claim of this payout');
  return { ...state, receipts: new Map([...state.receipts, [payout, event]]) };
}

export function takeRefusal<S extends Receipting>(state: S, event: EventOf<'claim-bad'>): Taken<S> {
  const { claim: id, payout, invoice } = event.content;
  if (state.refusedClaims.has(id)) return broken('claim-bad', 'the claim was refused before');
  const claim = state.byId.get(id);
  if (claim === undefined) return { lacks: [id] };
  if (claim.type !== 'claim' || claim.content.payout !== payout)
    return broken('claim-bad', 'it names no claim of this payout');
  if (invoice !== null && invoiceHash(invoice) !== claim.content.invoiceHash)
    return broken('claim-bad', 'it shows another invoice than the claim’s');
  if (state.receipts.get(payout)?.content.claim === id) return broken('claim-bad', 'the claim is paid');
  return { ...state, refusedClaims: new Map([...state.refusedClaims, [id, event]]) };
}
