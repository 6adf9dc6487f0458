import type { Pubkey, Sha256 } from '../hash.js';

/** Who opened an update first, and in which round. */
export interface FirstShown {
  readonly round: number;
  readonly trainer: Pubkey;
}

/** One for the whole job, which grows by a round at a time. */
export type ShownLog = Map<Sha256, FirstShown>;

/** What was shown in the rounds before one: a view of the log, since a copy for each round would take rounds times rounds of memory. */
export class ShownBefore {
  constructor(
    private readonly log: ReadonlyMap<Sha256, FirstShown>,
    private readonly round: number,
  ) {}

  get(update: Sha256): FirstShown | undefined {
    const first = this.log.get(update);
    return first !== undefined && first.round < this.round ? first : undefined;
  }
}
