import { sha256, u32be, type Bytes } from '../hash.js';

/** Which relays hold a chunk when not all hold all: rendezvous hashing (Thaler, Ravishankar 1998), so nobody keeps a table. */

/** A chunk's place in its blob: data chunks from 0, index chunks after them. */
export interface Place {
  /** 32 bytes. */
  readonly context: Bytes;
  readonly part: number;
  readonly index: number;
}

/** Is this relay one of those that should have the chunk? */
export type Holds = (relay: string, index: number) => boolean;

/**
 * The `copies` relays with the highest SHA-256("nmkt/1/place" || context || u32 part || u32 index || url), as bytes. A relay that
 * comes or goes moves only the chunks that it takes or leaves.
 *
 * @param relays  normalised URLs, each once; their order does not count
 * @param copies  of `relays`; more are all
 */
export function holdersOf(
  relays: readonly string[],
  { context, part, index }: Place,
  copies: number,
): readonly string[] {
  if (copies >= relays.length) return relays;
  const ranked = relays.map((relay) => ({
    relay,
    rank: sha256('nmkt/1/place', context, u32be(part), u32be(index), relay),
  }));
  return ranked
    .sort((a, b) => Buffer.compare(b.rank, a.rank))
    .slice(0, copies)
    .map(({ relay }) => relay);
}

/** @param copies  undefined: every relay holds everything @returns undefined then */
export function placement(
  relays: readonly string[],
  copies: number | undefined,
  placeOf: (index: number) => Place | undefined,
): Holds | undefined {
  if (copies === undefined || copies >= relays.length) return undefined;
  const known = new Map<number, readonly string[]>();
  return (relay, index) => {
    let holders = known.get(index);
    if (holders === undefined) {
      const place = placeOf(index);
      holders = place === undefined ? relays : holdersOf(relays, place, copies);
      known.set(index, holders);
    }
    return holders.includes(relay);
  };
}
