/**
 * Event kinds of `nmkt/1`, a use-case microstandard (NIP-90 is marked unrecommended and asks for exactly that).
 * All were unused in the NIPs and in the registry of kinds on 2026-07.
 * @see https://github.com/nostr-protocol/nips/blob/master/90.md
 */
export const KINDS = {
  snapshot: 4620,
  chunk: 4621,
  round: 4622,
  job: 4623,
  /** A rumor: only ever inside a gift wrap (NIP-59), never published bare. */
  grant: 4624,
  bid: 4625,
  award: 4626,
  submission: 4627,
  notice: 4628,
  score: 4629,
  settlement: 4630,
  stake: 4631,
  artifact: 4632,
  claim: 4633,
  /** A piece of a content that does not fit into one event. */
  part: 4634,
  listing: 34620,
  artifactListing: 34621,
  /** Of a trainer or validator: an advertisement. */
  offer: 34622,
  /** Ephemeral, for other processes of the same key: nobody else reads it. */
  presence: 24620,
  /** NIP-78 application data: secrets sealed to oneself. */
  backup: 30078,
} as const;

/** Kinds that carry `seq` and `prev` and belong to one job. */
export const JOB_KINDS: readonly number[] = [
  KINDS.round,
  KINDS.job,
  KINDS.bid,
  KINDS.award,
  KINDS.submission,
  KINDS.notice,
  KINDS.score,
  KINDS.settlement,
  KINDS.stake,
  KINDS.artifact,
  KINDS.claim,
];

export const PROTOCOL_TAG = 'nmkt';
export const PROTOCOL_VERSION = '1';
