import { expect, test } from 'vitest';
import { rowsOf } from '../../src/market/stake.js';
import { createBell } from '../../src/roles/bell.js';
import { openBook } from '../../src/roles/job-book.js';
import { putStake, takeBack } from '../../src/roles/stake.js';
import { openLedger } from '../../src/wallet/ledger.js';
import { sandboxStake } from '../../src/wallet/sandbox-stake.js';
import { createWorld, type Participant, type World } from '../support/market-world.js';
import { memoryJournal } from '../support/memory-journal.js';

async function bookOf(world: World, { signer, events }: Participant) {
  const { clock, network, jobId } = world;
  const ports = { relays: network.relays(), clock, bell: createBell(clock), signer, journal: memoryJournal(events) };
  return openBook(jobId, ports);
}

test('a trainer stakes, another stands behind it, and a customer killed at its tables counts both, once; every audit passes', async () => {
  const world = await createWorld({ trainers: 2, spares: 1, rounds: 2, priceSats: 21 });
  const ledger = await openLedger(memoryJournal([]));
  const [operator, , delegator] = world.trainers as [Participant, Participant, Participant];
  for (const who of [operator, delegator]) {
    await ledger.fundOnce(who.name, 10_000n);
    const book = await bookOf(world, who);
    const stake = sandboxStake(ledger, who.name, world.clock);
    const wish = {
      operator: operator.signer.pubkey,
      amountMsat: 3_000n,
      role: 'trainer',
      sigmaPpm: 400_000,
      isMore: false,
    } as const;
    const made = await putStake(book, stake, who.signer.pubkey, wish);
    expect(await putStake(book, stake, who.signer.pubkey, wish)).toEqual({ ...made, isNew: false });
    book.close();
  }
  const reader = sandboxStake(ledger, 'customer', world.clock);
  const result = await world.run({
    customer: {
      adapt: (env) => ({ ...env, stake: async () => reader }),
      kill: (start) => (start < 3 ? { after: start, isKept: start !== 1 } : undefined),
    },
  });
  const { state } = result;
  expect(state).toMatchObject({ phase: 'finished', firstBad: null, stakes: { interval: 0 } });
  expect(rowsOf(state.stakes)).toEqual([
    { operator: operator.signer.pubkey, role: 'trainer', ownMsat: 3_000n, delegatedMsat: 3_000n, sigmaPpm: 400_000 },
  ]);
  const spine = state.chains.get(world.customer.signer.pubkey)!.events;
  expect(spine.filter(({ type }) => type === 'stake-table')).toHaveLength(1);
  expect(await world.audit()).toMatchObject({ open: null, keyed: null });

  const book = await bookOf(world, delegator);
  const stake = sandboxStake(ledger, delegator.name, world.clock);
  const [lock] = await takeBack(book, stake, delegator.signer.pubkey);
  expect(lock).toMatchObject({ state: 'leaving', amountMsat: 3_000n });
  expect(await takeBack(book, stake, delegator.signer.pubkey)).toEqual([lock]);
  expect(
    book
      .state()
      .chains.get(delegator.signer.pubkey)!
      .events.filter(({ type }) => type === 'withdraw'),
  ).toHaveLength(1);
  book.close();
});
