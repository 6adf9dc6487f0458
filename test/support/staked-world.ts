import { openLedger, type Ledger } from '../../src/wallet/ledger.js';
import { sandboxStake } from '../../src/wallet/sandbox-stake.js';
import type { Stake } from '../../src/ports.js';
import { createWorld, type Participant, type World, type WorldOptions } from './market-world.js';
import { memoryJournal } from './memory-journal.js';

export interface StakedWorld {
  readonly world: World;
  readonly ledger: Ledger;
  readonly stakeOf: (who: Participant) => Stake;
  /** What a role of this participant has: it locks at most so much. */
  readonly own: (
    who: Participant,
    maxMsat?: bigint,
  ) => { readonly stake: () => Promise<Stake>; readonly maxMsat: bigint };
}

export const FUNDS_MSAT = 100_000n;

/** A market whose people each have an account with a keeper of stake. */
export async function stakedWorld(options: WorldOptions): Promise<StakedWorld> {
  const world = await createWorld(options);
  const ledger = await openLedger(memoryJournal([]));
  const stakeOf = (who: Participant) => sandboxStake(ledger, who.name, world.clock);
  for (const who of [world.customer, ...world.trainers, ...world.validators])
    await ledger.fundOnce(who.name, FUNDS_MSAT);
  return {
    ...{ world, ledger, stakeOf },
    own: (who, maxMsat = FUNDS_MSAT) => ({ stake: async () => stakeOf(who), maxMsat }),
  };
}
