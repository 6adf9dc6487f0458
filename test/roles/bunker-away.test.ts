import { expect, test } from 'vitest';
import { NmktError } from '../../src/errors.js';
import { paidMsat } from '../../src/market/state.js';
import type { RandomBytes, Signer } from '../../src/ports.js';
import { createWorld, failure, namedRandom } from '../support/market-world.js';

/** A remote signer whose answer is lost one time in three: it did what it was asked, and nobody hears of it. */
function forgetful(own: Signer, random: RandomBytes): { readonly signer: Signer; readonly lost: () => number } {
  let lost = 0;
  const through = async <T>(answer: Promise<T>): Promise<T> => {
    const value = await answer;
    if (random(1)[0]! >= 85) return value;
    lost++;
    throw new NmktError('bunker-unreachable', 'the bunker did not answer in 60 s', { remedy: 'start it' });
  };
  return {
    signer: {
      pubkey: own.pubkey,
      sign: (template) => through(own.sign(template)),
      encrypt: (peer, text) => through(own.encrypt(peer, text)),
      decrypt: (peer, payload) => through(own.decrypt(peer, payload)),
    },
    lost: () => lost,
  };
}

test('a bunker that is away one time in three loses no work, no payment, and makes no fork', async () => {
  const world = await createWorld({ trainers: 2, rounds: 2 });
  const lost: (() => number)[] = [];
  const signer = (own: Signer): Signer => {
    const made = forgetful(own, namedRandom(own.pubkey));
    lost.push(made.lost);
    return made.signer;
  };
  const { state, ends, customer } = await world.run({ customer: { signer }, trainers: { 0: { signer } } });
  if (customer instanceof Error) throw customer;
  expect(lost.map((count) => count() > 3)).toEqual([true, true]);
  expect(state.rounds.map((round) => round.close?.content.rejected)).toEqual([[], []]);
  expect(state.rounds.map((round) => round.close?.content.accepted.length)).toEqual([2, 2]);
  expect(ends).toMatchObject([
    { end: 'done', rounds: 2, paidMsat: 42_000n },
    { end: 'done', rounds: 2, paidMsat: 42_000n },
  ]);
  expect(paidMsat(state)).toBe(84_000n);
  expect([...state.chains.values()].map((chain) => chain.fork)).toEqual([null, null, null]);
  expect(await world.audit()).toMatchObject({ open: null, keyed: null });
});

test('a bunker that refuses to open updates ends the run; the trainers are not blamed for it', async () => {
  const world = await createWorld({ trainers: 2, rounds: 1 });
  const no = () =>
    Promise.reject(new NmktError('bunker-refused', 'the bunker refused nip44_decrypt', { remedy: 'allow it' }));
  const leading = world.run({ customer: { signer: (own) => ({ ...own, decrypt: no }) } });
  const { customer, state } = await leading;
  expect(failure(customer)).toMatchObject({ code: 'bunker-refused' });
  expect(state.rounds[0]!.close).toBeNull();
});
