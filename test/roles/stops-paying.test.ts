import { describe, expect, test } from 'vitest';
import type { Wallet } from '../../src/ports.js';
import { createWorld } from '../support/market-world.js';

/** Paid in instalments, what either side can lose is what one round pays, whenever the other stops. */

const ROUNDS = 4;
const PRICE_MSAT = 21_000n;
const START_MSAT = 1_000_000_000n;

describe('a customer that stops paying', () => {
  test.each([1, 2, 3])(
    'after %i rounds: each trainer loses one round of work, and trains no other',
    async (paid) => {
      const world = await createWorld({ name: `stops after ${paid}`, trainers: 2, rounds: ROUNDS });
      let left = 2 * paid;
      const wallet = (own: Wallet): Wallet => ({
        ...own,
        pay: async (invoice, timeoutMs) =>
          left-- > 0 ? own.pay(invoice, timeoutMs) : { kind: 'rejected', code: 'QUOTA_EXCEEDED', message: 'no more' },
      });
      const { state } = await world.run({ customer: { wallet } });
      const accepted = state.rounds.filter(({ close }) => close?.content.accepted.length === 2).length;
      expect(accepted).toBe(paid + 1);
      expect(state.rounds[accepted]?.commits.size ?? 0).toBe(0);
      for (const { name, signer } of world.trainers) {
        expect(world.lightning.balance(name) - START_MSAT).toBe(PRICE_MSAT * BigInt(paid));
        const owed = state.rounds
          .flatMap(({ payouts }) => payouts)
          .filter(({ payee, receipt }) => payee === signer.pubkey && receipt === null);
        expect(owed.map(({ amountMsat }) => amountMsat)).toEqual([PRICE_MSAT]);
        expect(owed[0]!.unpaid).not.toBeNull();
      }
      world.clock.advance(1_000);
      expect((await world.audit()).open).toMatchObject({ rule: 'unpaid' });
    },
    60_000,
  );
});
