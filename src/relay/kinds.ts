/** Kinds to which relays and their clients give a meaning of their own. */

/** NIP-09 */
export const DELETION = 5;
/** NIP-59: a signed, encrypted rumor; its wrap; a wrap that is forwarded but not stored. */
export const SEAL = 13;
export const GIFT_WRAP = 1059;
export const EPHEMERAL_GIFT_WRAP = 21_059;
/** NIP-62: everything of a key. */
export const VANISH = 62;
/** NIP-42 */
export const CLIENT_AUTH = 22_242;
/** NIP-46 */
export const NOSTR_CONNECT = 24_133;
