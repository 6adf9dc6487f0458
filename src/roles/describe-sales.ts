import type { EventId, Pubkey, Sha256 } from '../hash.js';
import type { JobState, RoundState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import { keyCheck, offerChecks, paymentCheck, saleChecks, type SaleCheck } from '../protocol/sale.js';
import type { SaleHashes, SealedSale } from '../protocol/submission.js';
import type { Signer } from '../ports.js';
import { openSealedSale } from './measure.js';
import { isOwnTrouble } from './patience.js';
import { preimageFor } from './sold-keys.js';

/** The sales of a job on rail `key-sale`, with all that can be checked of them. */
export interface SaleDescription {
  /** From 0, as on the wire. */
  readonly round: number;
  readonly trainer: Pubkey;
  readonly shard: number;
  readonly submission: EventId;
  readonly state: 'offered' | 'claimed' | 'sold' | 'unsold' | 'fraud';
  readonly amountMsat: bigint;
  readonly paymentHash: Sha256;
  readonly receipt: EventId | null;
  readonly keyFraud: EventId | null;
  readonly checks: readonly SaleCheck[];
}

/** Of accepted updates, in order. @param signer  of the customer or a trainer: opens what was sealed between the two */
export async function describeSales(state: JobState, signer: Signer | undefined): Promise<readonly SaleDescription[]> {
  const found: SaleDescription[] = [];
  for (const round of state.rounds)
    for (const { trainer, shard, submission } of round.close?.content.accepted ?? []) {
      const reveal = round.listedReveals.get(shard);
      const sale = reveal?.content.sale;
      if (reveal === undefined || sale === undefined) continue;
      const receipt =
        round.payouts.find(({ payee, purpose }) => payee === trainer && purpose === 'trainer')?.receipt ?? null;
      const proof = state.keyFrauds.get(trainer);
      const keyFraud = proof?.content.submission === submission ? proof : null;
      found.push({
        ...{ round: round.round, trainer, shard, submission, state: stateOf(round, trainer, keyFraud) },
        amountMsat: round.assigned.find((seat) => seat.shard === shard)?.priceMsat ?? 0n,
        paymentHash: sale.paymentHash,
        ...{ receipt: receipt?.id ?? null, keyFraud: keyFraud?.id ?? null },
        checks: await checksOf(state, round, reveal, sale, keyFraud, signer),
      });
    }
  return found;
}

function stateOf(
  { payouts, sold }: RoundState,
  trainer: Pubkey,
  keyFraud: EventOf<'key-fraud'> | null,
): SaleDescription['state'] {
  if (keyFraud !== null) return 'fraud';
  const payout = payouts.find(({ payee, purpose }) => payee === trainer && purpose === 'trainer');
  if (payout?.receipt != null) return 'sold';
  if (sold !== null) return 'unsold';
  return payout?.claim == null ? 'offered' : 'claimed';
}

async function checksOf(
  { job, jobId }: JobState,
  round: RoundState,
  reveal: EventOf<'reveal'>,
  sale: SaleHashes,
  keyFraud: EventOf<'key-fraud'> | null,
  signer: Signer | undefined,
): Promise<readonly SaleCheck[]> {
  const preimage = preimageFor(round, reveal);
  if (keyFraud !== null) return saleChecks(sale, jobId, keyFraud.content);
  const sealed = await opened(signer, job!.author, reveal);
  if (sealed === 'closed') return preimage === null ? [] : [paymentCheck(sale, preimage)];
  if (sealed === null)
    return [{ what: 'what it sealed opens', ok: false, detail: 'expected an offer, got something else' }];
  const before = offerChecks(sale, sealed);
  if (preimage === null) return before;
  return [...before, paymentCheck(sale, preimage), keyCheck(sale, jobId, { ...sealed, preimage })];
}

/** `closed`: to this key; null: it is no offer. */
async function opened(
  signer: Signer | undefined,
  customer: Pubkey,
  reveal: EventOf<'reveal'>,
): Promise<SealedSale | 'closed' | null> {
  const isOurs = signer !== undefined && [customer, reveal.author].includes(signer.pubkey);
  if (!isOurs) return 'closed';
  try {
    return await openSealedSale(signer, reveal, signer.pubkey === customer ? reveal.author : customer);
  } catch (error) {
    if (isOwnTrouble(error)) throw error;
    return null;
  }
}
