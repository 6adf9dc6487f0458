import { fromHex, hkdfExpand32, hmacSha256, sha256Hex, u32be, type Bytes, type Pubkey, type Sha256 } from '../hash.js';

/**
 * All randomness of training follows from the job's 32-byte seed, never from an event id or a time: the same seed, data and
 * accepted set give the same model in another run, and honest bytes of two trainers always differ.
 */

/** What the job publishes; the seed itself travels in the grants. */
export function seedCommitment(seed: Bytes): Sha256 {
  return sha256Hex('nmkt/1/seed', seed);
}

export function initialisationSeed(seed: Bytes): Bytes {
  return hkdfExpand32(seed, 'nmkt/1/init');
}

/** HMAC(HMAC(seed, "round" || u32 round), u32 shard || trainer). */
export function trainingSeed(seed: Bytes, round: number, shard: number, trainer: Pubkey): Bytes {
  return hmacSha256(hmacSha256(seed, 'round', u32be(round)), u32be(shard), fromHex(trainer));
}

/** HMAC(HMAC(seed, "round" || u32 round), "root"): of the customer's own training, for rules that need one. */
export function rootSeed(seed: Bytes, round: number): Bytes {
  return hmacSha256(hmacSha256(seed, 'round', u32be(round)), 'root');
}

/** s_{i - steps} from s_i: s_i = SHA-256("nmkt/1/chain" || s_{i+1}). */
function downChain(link: Bytes, steps: number): Bytes {
  let at = link;
  for (let left = steps; left > 0; left--) at = fromHex(sha256Hex('nmkt/1/chain', at));
  return at;
}

/** What the job publishes of a chain s_0 ... s_length that ends in `secret`: SHA-256(s_0). */
export function chainCommitment(secret: Bytes, length: number): Sha256 {
  return sha256Hex(downChain(secret, length));
}

/** s_round, which the draw of that round reveals; `length` as committed, round < length. */
export function chainElement(secret: Bytes, length: number, round: number): Bytes {
  return downChain(secret, length - round);
}

/** Is this s_round of the committed chain? */
export function isChainElement(s: Bytes, round: number, commitment: Sha256): boolean {
  return sha256Hex(downChain(s, round)) === commitment;
}

/** Which examples a score is measured on. From the chain's last link, which no draw reveals: fixed by the job, no second choice after the work is seen. */
export function scoringSecret(chain: Bytes): Bytes {
  return hkdfExpand32(chain, 'nmkt/1/scoring');
}
