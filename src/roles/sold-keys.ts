import { fromHex } from '../hash.js';
import type { RoundState } from '../market/state.js';
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
  { content }: EventOf<'job'>,
  round: R,
): R {
  if (content.rail !== 'key-sale') return round;
  const listedReveals = new Map([...round.listedReveals].filter(([, reveal]) => preimageFor(round, reveal) !== null));
  return { ...round, listedReveals };
}
