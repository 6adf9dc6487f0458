import { fromHex, sha256Hex, type EventId } from '../../hash.js';
import type { ArenaPlanLine } from '../../protocol/arena/ranking.js';
import type { EventOf } from '../../protocol/events.js';
import { invoiceHash } from '../../protocol/claim.js';
import { broken } from '../draft.js';
import { indexEvents } from '../event-index.js';
import { payoutReader } from '../payouts.js';
import { settledByOthers, settlementsOf } from './lapse.js';
import type { ArenaPayout, ArenaStage, ArenaState, Step } from './state.js';

/** What is paid of the settlements of an arena: the same claims, receipts and refusals as of a federated job. */

/** The stage that a settlement pays; it may be a participant's that says the same as the customer's would. */
function settledStage(state: ArenaState, id: EventId): ArenaStage | undefined {
  return (
    state.stages.find(({ settlement }) => settlement?.id === id) ??
    state.stages.find((stage) => settledByOthers(state, stage).some((settlement) => settlement.id === id))
  );
}

function lineOf(state: ArenaState, { settlement, payout }: EventOf<'receipt'>['content']): ArenaPlanLine | undefined {
  const promised = state.byId.get(settlement);
  if (promised?.type !== 'arena-settlement' || settledStage(state, settlement) === undefined) return undefined;
  return promised.content.plan.find((line) => line.payout === payout && line.purpose !== 'refund');
}

export function applyArenaReceipt(state: ArenaState, event: EventOf<'receipt'>): Step<ArenaState> {
  const { settlement, payout, claim: claimId, payee, amountMsat, preimage, paymentHash } = event.content;
  if (!state.byId.has(settlement)) return { lacks: [settlement] };
  const line = lineOf(state, event.content);
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

export function applyArenaClaimBad(state: ArenaState, event: EventOf<'claim-bad'>): Step<ArenaState> {
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

/** What each stage owes, in the order of its plan; stages that nobody settled owe nothing yet. */
export function arenaPayouts(state: ArenaState): (stage: ArenaStage) => readonly ArenaPayout[] {
  const payoutOf = payoutReader<EventOf<'arena-settlement'>>({ ...state, index: indexEvents(state.sound) });
  return (stage) => {
    const settlements = settlementsOf(stage);
    return (settlements[0]?.content.plan ?? []).flatMap((line) => {
      const { purpose } = line;
      if (purpose === 'refund') return [];
      return [payoutOf(settlements, { ...line, purpose }, state.receipts.get(line.payout) ?? null)];
    });
  };
}
