/** Kinds to which relays and their clients give a meaning of their own. */

export { DELETION, VANISH } from '../protocol/deletion.js';
/** NIP-59: a signed, encrypted rumor; its wrap; a wrap that is forwarded but not stored. */
export const SEAL = 13;
export const GIFT_WRAP = 1059;
export const EPHEMERAL_GIFT_WRAP = 21_059;
/** NIP-42 */
export const CLIENT_AUTH = 22_242;
/** NIP-46 */
export const NOSTR_CONNECT = 24_133;
