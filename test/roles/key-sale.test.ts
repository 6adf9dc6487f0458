import { describe, expect, it } from 'vitest';
import { sha256Hex, fromHex } from '../../src/hash.js';
import { countedIn } from '../../src/market/state.js';
import { createWorld, type RunOptions, type World, type WorldOptions } from '../support/market-world.js';

/** Jobs whose updates are opened by payments, with validators that score for the customer. */

const FEE_MSAT = 5_000n;
const PRICE_MSAT = 21_000n;

function world(name: string, options: WorldOptions = {}): Promise<World> {
  return createWorld({
    ...{ name: `key-sale ${name}`, trainers: 2, validators: 1, rounds: 2, rail: 'key-sale', ...options },
    job: { validators: options.validators ?? 1, validatorFeeSats: Number(FEE_MSAT / 1_000n), ...options.job },
  });
}

async function finished(market: World, options: RunOptions = {}) {
  const result = await market.run(options);
  expect(result.state.firstBad).toBeNull();
  expect(result.state.phase).toBe('finished');
  return result;
}

describe('rail key-sale', () => {
  it('trains, scores, sells and averages: the same model as paid in instalments', async () => {
    const market = await world('a job');
    const { state, ends, scorers } = await finished(market);
    expect(ends).toMatchObject([1, 2].map(() => ({ end: 'done', rounds: 2, paidMsat: 2n * PRICE_MSAT })));
    expect(scorers).toMatchObject([{ end: 'done', rounds: 2, paidMsat: 2n * FEE_MSAT }]);
    expect(state.rounds.map((round) => countedIn(state.job!.content, round).length)).toEqual([2, 2]);
    for (const { payouts, listedReveals } of state.rounds)
      for (const reveal of listedReveals.values()) {
        const { receipt } = payouts.find(({ payee }) => payee === reveal.author)!;
        expect(sha256Hex(fromHex(receipt!.content.preimage))).toBe(reveal.content.sale!.paymentHash);
      }
    expect((await market.auditAll()).found).toBeNull();
    const plain = await world('a job', { rail: 'instalments' });
    const other = await finished(plain);
    expect(state.modelHash).toBe(other.state.modelHash);
  });
});
