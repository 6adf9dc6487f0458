import type { Pubkey, Sha256 } from '../hash.js';
import type { EventOf } from '../protocol/events.js';

/** What a codec with error feedback leaves for the next update of the same trainer and shard, as hashes. */

export interface SeatOf {
  readonly trainer: Pubkey;
  readonly shard: number;
}
export type KeptResiduals = ReadonlyMap<string, Sha256>;

export const seatName = ({ shard, trainer }: SeatOf): string => `${shard}:${trainer}`;

/** Of the last accepted update of this trainer and shard; null: zeros, as for a successor. */
export function residualBefore(kept: KeptResiduals, seat: SeatOf): Sha256 | null {
  return kept.get(seatName(seat)) ?? null;
}

/** After a round: those of its accepted updates replace the older ones. A void or rejected update leaves nothing behind. */
export function residualsAfter(
  kept: KeptResiduals,
  round: {
    readonly close: EventOf<'close'> | null;
    readonly listedReveals: ReadonlyMap<number, EventOf<'reveal'>>;
  },
): KeptResiduals {
  const next = new Map(kept);
  for (const seat of round.close?.content.accepted ?? []) {
    const residual = round.listedReveals.get(seat.shard)?.content.residual;
    if (residual !== undefined) next.set(seatName(seat), residual.after);
  }
  return next;
}
