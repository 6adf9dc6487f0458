import { z } from 'zod';
import { NmktError } from '../errors.js';
import {
  fromHex,
  sha256,
  sha256Hex as hashHex,
  u32be,
  u64be,
  type EventId,
  type Pubkey,
  type Sha256,
} from '../hash.js';
import { engineId, namedLock } from './bid.js';
import { eventType } from './envelope.js';
import { parseJson } from './json.js';
import { KINDS } from './kinds.js';
import { bytes32, int, msat, nip44Payload, sha256Hex, unixSec } from './scalars.js';

/** A bid of a job with `bids` `sealed`: nobody but the customer reads it before the award opens it, and nobody can change it. */
export const SEALED_BID = eventType(
  'sealed-bid',
  KINDS.bid,
  'sealed',
  z.object({ commitment: sha256Hex, sealed: nip44Payload, lock: namedLock }),
);

/** What an award shows of a sealed bid besides its price. */
export const openedBid = z.object({
  capacity: int(1, 1_024),
  engine: engineId,
  throughput: int(0, 1_000_000_000),
  expires: unixSec,
  salt: bytes32,
});
export type OpenedBid = z.output<typeof openedBid>;

/** Plaintext of `sealed`: JSON with every field of a bid, and the salt. */
export const sealedBidContent = openedBid.extend({ priceMsat: msat });
export type SealedBidContent = z.output<typeof sealedBidContent>;

/** @throws NmktError `bad-event` */
export function parseSealedBid(text: string): SealedBidContent {
  const result = z.safeDecode(sealedBidContent, parseJson(text) as z.input<typeof sealedBidContent>);
  if (result.success) return result.data;
  throw new NmktError('bad-event', 'a sealed bid holds no bid', {
    expected: result.error.issues[0]?.message ?? 'a bid',
    got: `${text.length} characters`,
    remedy: 'nothing: it is refused',
  });
}

/** SHA-256("nmkt/1/bid" || job || trainer || u64 price || u32 capacity || SHA-256(engine) || u32 throughput || u64 expires || salt). */
export function bidCommitment(job: EventId, trainer: Pubkey, bid: SealedBidContent): Sha256 {
  return hashHex(
    'nmkt/1/bid',
    fromHex(job),
    fromHex(trainer),
    u64be(bid.priceMsat),
    u32be(bid.capacity),
    sha256(bid.engine),
    u32be(bid.throughput),
    u64be(BigInt(bid.expires)),
    bid.salt,
  );
}
