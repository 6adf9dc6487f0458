import { z } from 'zod';
import {
  fromHex,
  hkdfExpand32,
  sha256Hex as hashHex,
  u32be,
  type Bytes,
  type EventId,
  type Pubkey,
  type Sha256,
} from '../../hash.js';
import { engineId } from '../bid.js';
import { eventType } from '../envelope.js';
import { KINDS } from '../kinds.js';
import { blobPointer, inlineBlob } from '../pointer.js';
import { bytes32, eventId, sha256Hex } from '../scalars.js';
import { allianceRound, allianceRoundTag } from './round.js';

/** What a proposer trained on its own data. Its commitment is a `commit` of shard 0, whose `open` is the draw of roles. */

/** `list` is that of commitments; the blob opens with `proposalKey`. */
export const PROPOSAL = eventType(
  'proposal',
  KINDS.submission,
  'proposal',
  z.object({
    round: allianceRound,
    list: eventId,
    commit: eventId,
    salt: bytes32,
    model: sha256Hex,
    engine: engineId,
    pointer: blobPointer,
    inline: inlineBlob.optional(),
  }),
  allianceRoundTag,
);

/** SHA-256("nmkt/1/proposal" || job || u32 round || proposer || model hash || salt): one for another round, or of another, opens nothing. */
export function proposalCommitment(of: {
  readonly job: EventId;
  readonly round: number;
  readonly proposer: Pubkey;
  readonly model: Sha256;
  readonly salt: Bytes;
}): Sha256 {
  return hashHex(
    'nmkt/1/proposal',
    ...[fromHex(of.job), u32be(of.round), fromHex(of.proposer), fromHex(of.model), of.salt],
  );
}

/** Expand(group key, "nmkt/1/proposal/key", u32 round, proposer): each blob has a key of its own, and who has the group's opens all. */
export function proposalKey(group: Bytes, round: number, proposer: Pubkey): Bytes {
  return hkdfExpand32(group, 'nmkt/1/proposal/key', u32be(round), fromHex(proposer));
}
