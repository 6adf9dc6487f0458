import { z } from 'zod';
import type { Pubkey } from '../hash.js';
import { bidOpenedAs } from '../market/sealed-bids.js';
import type { JobState } from '../market/state.js';
import type { RandomBytes, Signer } from '../ports.js';
import type { ContentOf, EventOf } from '../protocol/events.js';
import { bidCommitment, parseSealedBid, sealedBidContent, type SealedBidContent } from '../protocol/sealed-bid.js';
import { isOwnTrouble } from './patience.js';

/** Sealing a bid to the customer, and opening it: both sides of a NIP-44 conversation can. */

export async function sealBid(
  { signer, random }: { readonly signer: Signer; readonly random: RandomBytes },
  { jobId, job }: JobState,
  bid: ContentOf<'bid'>,
): Promise<ContentOf<'sealed-bid'>> {
  const content: SealedBidContent = { ...bid, salt: random(32) };
  const text = JSON.stringify(z.encode(sealedBidContent, content));
  const sealed = await signer.encrypt(job!.author, text);
  return { commitment: bidCommitment(jobId, signer.pubkey, content), sealed };
}

/** @returns null where it holds no bid, or another than it commits to @throws what the own signer does */
export async function unsealBid(
  signer: Signer,
  peer: Pubkey,
  event: EventOf<'sealed-bid'>,
): Promise<SealedBidContent | null> {
  try {
    const content = parseSealedBid(await signer.decrypt(peer, event.content.sealed));
    return bidOpenedAs(event, content) === null ? null : content;
  } catch (error) {
    if (isOwnTrouble(error)) throw error;
    return null;
  }
}

/** The own bid of a job, sealed or not, as if it were open. */
export async function ownBid(state: JobState, signer: Signer): Promise<EventOf<'bid'> | undefined> {
  const isOwn = ({ author }: { readonly author: Pubkey }) => author === signer.pubkey;
  const sealed = state.sealedBids.find(isOwn);
  const open = state.bids.find(isOwn);
  if (open !== undefined || sealed === undefined || state.job === null) return open;
  const content = await unsealBid(signer, state.job.author, sealed);
  return content === null ? undefined : (bidOpenedAs(sealed, content) ?? undefined);
}
