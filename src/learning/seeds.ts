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

/** s_0 of a chain of `length` hashes that ends in `secret`: s_{i} = SHA-256("nmkt/1/chain" || s_{i+1}). */
export function chainCommitment(secret: Bytes, length: number): Sha256 {
  let link = secret;
  for (let left = length; left > 0; left--) link = fromHex(sha256Hex('nmkt/1/chain', link));
  return sha256Hex(link);
}

/** Which examples a score is measured on. From the chain's last link, which no draw reveals: fixed by the job, no second choice after the work is seen. */
export function scoringSecret(chain: Bytes): Bytes {
  return hkdfExpand32(chain, 'nmkt/1/scoring');
}
