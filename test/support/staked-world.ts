import { NmktError } from '../../src/errors.js';
import { payFromPot } from '../../src/commands/pot-payer.js';
import type { CustomerEnv } from '../../src/roles/customer-env.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { openLedger, type Ledger } from '../../src/wallet/ledger.js';
import { sandboxStake } from '../../src/wallet/sandbox-stake.js';
import type { Stake } from '../../src/ports.js';
import { createWorld, type Participant, type World, type WorldOptions } from './market-world.js';
import { memoryJournal } from './memory-journal.js';

export interface StakedWorld {
  readonly world: World;
  readonly ledger: Ledger;
  readonly stakeOf: (who: Participant) => Stake;
  /** The customer’s, with its pot. */
  readonly leading: (env: CustomerEnv) => CustomerEnv;
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
  // Money that leaves the books here comes up in a wallet there.
  const pay = async (from: string, invoice: string, msat: bigint) => {
    const id = `sent:${from}`;
    if (ledger.findTransfer(id) === undefined) {
      await ledger.transfer({ id, from, to: [{ account: 'sent', msat }], atSec: world.clock.nowSec(), note: {} });
      world.lightning.wallet(from, msat);
    }
    const outcome = await world.lightning.wallet(from).pay(invoice, 0);
    if (outcome.kind !== 'paid') throw new NmktError('payment-failed', outcome.kind, { remedy: 'claim again' });
    return { paymentHash: decodeInvoice(invoice).paymentHash, preimage: outcome.preimage };
  };
  const stakeOf = (who: Participant) => sandboxStake(ledger, who.name, world.clock, pay);
  for (const who of [world.customer, ...world.trainers, ...world.validators])
    await ledger.fundOnce(who.name, FUNDS_MSAT);
  const stake = async () => stakeOf(world.customer);
  return {
    ...{ world, ledger, stakeOf },
    leading: (env) => ({
      ...env,
      stake,
      payer: {
        pay: (request) =>
          request.pot === undefined
            ? env.payer!.pay(request)
            : payFromPot({ ...request, pot: request.pot }, 'sandbox', stake),
      },
    }),
    own: (who, maxMsat = FUNDS_MSAT) => ({ stake: async () => stakeOf(who), maxMsat }),
  };
}
