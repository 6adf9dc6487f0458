import { fromHex, type EventId } from '../hash.js';
import type { JobState, RoundState } from '../market/state.js';
import type { EventOf } from '../protocol/events.js';
import { judgeSale, stateKeyOf, wrapKey } from '../protocol/sale.js';
import type { SealedSale, SealedUpdate } from '../protocol/submission.js';
import type { Signer } from '../ports.js';
import { openSealedSale, openSealedUpdate, type UpdateKeys } from './measure.js';

/** The customer's keys to updates: sealed to it with the update, or on rail `key-sale` bought. */

/** Of one round; what is not paid for opens for nobody. */
export function updateKeysOf(
  { signer }: { readonly signer: Signer },
  { content }: EventOf<'job'>,
  round: Pick<RoundState, 'payouts'>,
): UpdateKeys {
  if (content.rail !== 'key-sale') return (reveal) => openSealedUpdate(signer, reveal);
  return async (reveal) => {
    const preimage = preimageFor(round, reveal);
    if (preimage === null) throw new RangeError('its key is not paid for');
    return keyFrom(await openSealedSale(signer, reveal), reveal, preimage);
  };
}

/** 32 bytes from the receipt of its payment; null: it has none. */
export function preimageFor(
  { payouts }: Pick<RoundState, 'payouts'>,
  { author }: EventOf<'reveal'>,
): Uint8Array | null {
  const paid = payouts.find(
    ({ payee, purpose, receipt }) => payee === author && purpose === 'trainer' && receipt !== null,
  );
  return paid === undefined ? null : fromHex(paid.receipt!.content.preimage);
}

/** @throws RangeError where the trainer sold another key than it signed a hash of */
function keyFrom(sealed: SealedSale, { job, content }: EventOf<'reveal'>, preimage: Uint8Array): SealedUpdate {
  const { z, wrapped } = sealed;
  if (judgeSale(content.sale!, job, { preimage, z, wrapped }) !== 'sold')
    throw new RangeError('the key that was sold is not the one that its trainer signed');
  return withKey(sealed, wrapKey(wrapped, { job, ciphertext: content.sale!.ciphertext, preimage, z }));
}

/** What opens update and state, from the one key that is sold. */
export function withKey({ pointer, state }: Pick<SealedSale, 'pointer' | 'state'>, key: Uint8Array): SealedUpdate {
  return { key, pointer, state: state === null ? null : { ...state, key: stateKeyOf(key) } };
}

/** Only those updates that somebody may open now, of a round on any rail. */
export function openableIn<R extends Pick<RoundState, 'listedReveals' | 'payouts'>>(
  { job, keyFrauds }: Pick<JobState, 'job' | 'keyFrauds'>,
  round: R,
): R {
  if (job!.content.rail !== 'key-sale') return round;
  const isOpen = (reveal: EventOf<'reveal'>): boolean =>
    preimageFor(round, reveal) !== null && keyFrauds.get(reveal.author)?.content.submission !== reveal.id;
  return { ...round, listedReveals: new Map([...round.listedReveals].filter(([, reveal]) => isOpen(reveal))) };
}

/** More of them would not fit beside the rest. */
const MAX_CHUNKS = 600;

export function spellChunks(ids: readonly EventId[]): Pick<SealedSale, 'chunks'> {
  if (ids.length < 2 || ids.length > MAX_CHUNKS) return {};
  return { chunks: Buffer.from(ids.join(''), 'hex').toString('base64') };
}

/** Of the data chunks, in order; null: they cannot be told before the key is there. @throws RangeError where an offer has to name them and does not */
export function chunkIdsOf({ pointer, chunks }: Pick<SealedSale, 'pointer' | 'chunks'>): readonly EventId[] | null {
  if (pointer.chunks > MAX_CHUNKS) return null;
  if (pointer.chunks < 2) return pointer.ids;
  const spelt = Buffer.from(chunks ?? '', 'base64').toString('hex');
  if (spelt.length !== 64 * pointer.chunks)
    throw new RangeError(`${pointer.chunks} chunks, ${spelt.length / 64} named`);
  return Array.from({ length: pointer.chunks }, (_, at) => spelt.slice(64 * at, 64 * (at + 1)) as EventId);
}
