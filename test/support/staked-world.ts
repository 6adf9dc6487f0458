import { NmktError } from '../../src/errors.js';
import { payFromPot } from '../../src/commands/pot-payer.js';
import type { CustomerEnv, Payer } from '../../src/roles/customer-env.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { openLedger, type Ledger } from '../../src/wallet/ledger.js';
import { sandboxStake } from '../../src/wallet/sandbox-stake.js';
import type { Stake } from '../../src/ports.js';
import { createWorld, type Participant, type World, type WorldOptions } from './market-world.js';
import { memoryJournal } from './memory-journal.js';

/** A keeper of stake, with whom everybody has an account. */
export interface Keeper {
  readonly ledger: Ledger;
  readonly stakeOf: (who: Participant) => Stake;
  /** The customer’s, with its pot. */
  readonly leading: <E extends Pick<CustomerEnv, 'payer' | 'stake'>>(env: E) => E;
  /** What a role of this participant has: it locks at most so much. */
  readonly own: (
    who: Participant,
    maxMsat?: bigint,
  ) => { readonly stake: () => Promise<Stake>; readonly maxMsat: bigint };
}
export interface StakedWorld extends Keeper {
  readonly world: World;
}

export const FUNDS_MSAT = 100_000n;

export async function keeperOf(
  { clock, lightning, customer }: Pick<World, 'clock' | 'lightning' | 'customer'>,
  others: readonly Participant[],
): Promise<Keeper> {
  const ledger = await openLedger(memoryJournal([]));
  // Money that leaves the books here comes up in a wallet there.
  const pay = async (from: string, invoice: string, msat: bigint) => {
    const id = `sent:${from}`;
    if (ledger.findTransfer(id) === undefined) {
      await ledger.transfer({ id, from, to: [{ account: 'sent', msat }], atSec: clock.nowSec(), note: {} });
      lightning.wallet(from, msat);
    }
    const outcome = await lightning.wallet(from).pay(invoice, 0);
    if (outcome.kind !== 'paid') throw new NmktError('payment-failed', outcome.kind, { remedy: 'claim again' });
    return { paymentHash: decodeInvoice(invoice).paymentHash, preimage: outcome.preimage };
  };
  const stakeOf = (who: Participant) => sandboxStake(ledger, who.name, clock, pay);
  for (const who of [customer, ...others]) await ledger.fundOnce(who.name, FUNDS_MSAT);
  const stake = async () => stakeOf(customer);
  return {
    ...{ ledger, stakeOf },
    leading: (env) => ({
      ...env,
      stake,
      payer: {
        ...env.payer!,
        pay: (request: Parameters<Payer['pay']>[0]) =>
          request.pot === undefined
            ? env.payer!.pay(request)
            : payFromPot({ ...request, pot: request.pot }, 'sandbox', stake),
      },
    }),
    own: (who, maxMsat = FUNDS_MSAT) => ({ stake: async () => stakeOf(who), maxMsat }),
  };
}

/** A market whose people each have an account with a keeper of stake. */
export async function stakedWorld(options: WorldOptions): Promise<StakedWorld> {
  const world = await createWorld(options);
  return { world, ...(await keeperOf(world, [...world.trainers, ...world.validators])) };
}
