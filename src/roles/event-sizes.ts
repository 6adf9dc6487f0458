import { CHUNK_BYTES, CHUNK_EVENT_BYTES, SEAL_OVERHEAD } from '../blob/chunk.js';
import { INLINE_BLOCK_BYTES } from '../blob/blob.js';
import { indexChunks, INLINE_BYTES } from '../blob/pointer.js';

/** How many events a round takes and how long they are as JSON, where everybody does what the round asks. */

/** Events and their bytes as JSON, on each relay. */
export interface Load {
  readonly events: number;
  readonly bytes: number;
}

export const NOTHING: Load = { events: 0, bytes: 0 };

export const sum = (...loads: readonly Load[]): Load => ({
  events: loads.reduce((all, load) => all + load.events, 0),
  bytes: loads.reduce((all, load) => all + load.bytes, 0),
});

/** Rounded: half a state is shown on average, not ever. */
export const times = ({ events, bytes }: Load, count: number): Load => ({
  events: Math.round(events * count),
  bytes: Math.round(bytes * count),
});

/** Exactly: chunks are equally long, whatever is in them. */
export function chunkLoad({ chunks }: { readonly chunks: number }): Load {
  return times({ events: 1, bytes: CHUNK_EVENT_BYTES }, chunks + indexChunks(chunks));
}

/** At most, where bytes do not shrink when they are packed. Inline a blob is no event, and as long as its base64. */
export function blobLoad(bytes: number, isInline = bytes <= INLINE_BYTES): Load {
  if (bytes === 0) return NOTHING;
  if (!isInline) return chunkLoad({ chunks: Math.ceil(bytes / CHUNK_BYTES) });
  const sealed = Math.ceil(bytes / INLINE_BLOCK_BYTES) * INLINE_BLOCK_BYTES + SEAL_OVERHEAD;
  return { events: 0, bytes: Math.ceil(sealed / 3) * 4 };
}

export interface RoundShape {
  readonly trainers: number;
  readonly isDrawn: boolean;
  readonly isPaid: boolean;
  /** The close carries where the root update lies. */
  readonly hasRoot: boolean;
  /** Hashes that a reveal lists. */
  readonly checkpoints: number;
  readonly validators: number;
  readonly hasFees: boolean;
  /** Rail `key-sale`. */
  readonly isSale: boolean;
}

/** Of one event and of each trainer that it names: at most, what is inline not counted. */
const OPEN = [1_100, 175] as const;
const LIST = [700, 72] as const;
const DRAW = 750;
/** The id of a validator's nonce. */
const NONCE_ID = 70;
const SCORES = [900, 580] as const;
const CLOSE = [1_100, 350] as const;
const ROOT = 450;
const SETTLEMENT = [720, 290] as const;
const SOLD = [1_000, 250] as const;
/** With an invoice of a real node; play money has shorter ones. */
const RECEIPT = 1_950;

/** Round opened, two lists, draw, scores or the lists of those of validators, close; settlement and a receipt for everybody who is paid; the end of a sale. */
export function customerEvents(shape: RoundShape): Load {
  const { trainers, validators, isDrawn, isPaid, hasFees, hasRoot, isSale } = shape;
  const about = ([own, each]: readonly [number, number], count = trainers) => own + each * count;
  const payees = (isPaid ? trainers : 0) + (hasFees ? validators : 0);
  const measured = validators === 0 ? about(SCORES) : 2 * about(LIST, validators);
  const asked = about(OPEN) + 2 * about(LIST) + measured + about(CLOSE) + (hasRoot ? ROOT : 0);
  return {
    events: 4 + (validators === 0 ? 1 : 2) + (isDrawn ? 1 : 0) + (payees > 0 ? 1 + payees : 0) + (isSale ? 1 : 0),
    bytes:
      asked +
      (isSale ? about(SOLD) : 0) +
      (isDrawn ? DRAW + NONCE_ID * validators : 0) +
      (payees > 0 ? about(SETTLEMENT, payees) + RECEIPT * payees : 0),
  };
}

const COMMIT = 840;
/** Of it a third is where a state that is shown lies. */
const REVEAL = 2_800;
const CHECKPOINT = 67;
/** Five hashes, and z beside the wrapped key. */
const OFFER = 600;
const CLAIM = 2_050;
const RECEIVED = 830;

/** Of one trainer: commitment and reveal; claim and thanks. */
export function trainerEvents({ isPaid, isSale, checkpoints }: RoundShape): Load {
  return {
    events: 2 + (isPaid ? 2 : 0),
    bytes: COMMIT + REVEAL + CHECKPOINT * checkpoints + (isSale ? OFFER : 0) + (isPaid ? CLAIM + RECEIVED : 0),
  };
}

const NONCE = 830;
/** What its scores have beside the customer's: commitment, list and salt. */
const OPENING = 270;

/** Of one validator: nonce, commitment and scores; claim and thanks. */
export function validatorEvents({ trainers, isDrawn, hasFees }: RoundShape): Load {
  return {
    events: 2 + (isDrawn ? 1 : 0) + (hasFees ? 2 : 0),
    bytes:
      COMMIT + SCORES[0] + OPENING + SCORES[1] * trainers + (isDrawn ? NONCE : 0) + (hasFees ? CLAIM + RECEIVED : 0),
  };
}

/** The wrapped keys to a round's model, to one trainer or validator, or to an update: for everybody else it belongs to no job. */
export const ROUND_GRANT: Load = { events: 1, bytes: 3_700 };
