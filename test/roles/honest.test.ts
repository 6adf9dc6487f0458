import { describe, expect, test } from 'vitest';
import { fromHex, sha256Hex, type Sha256 } from '../../src/hash.js';
import { initialParams } from '../../src/learning/params.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import { initialisationSeed, trainingSeed } from '../../src/learning/seeds.js';
import type { ParamSet } from '../../src/learning/types.js';
import { acceptedRounds, paidMsat } from '../../src/market/state.js';
import { decodeInvoice } from '../../src/wallet/bolt11.js';
import { createWorld, type RunResult, type TrainerOptions, type World } from '../support/market-world.js';

/** Every model of the job by the textbook: train each shard from the global model, then the mean by rows, rounded once. */
async function oracle(world: World): Promise<ParamSet> {
  const seed = fromHex(world.secrets.seed);
  let global = initialParams(world.terms.model, initialisationSeed(seed));
  for (let round = 0; round < world.terms.rounds; round++) {
    const updates: { rows: number; params: ParamSet }[] = [];
    for (const [shard, examples] of world.split.shards.entries()) {
      const request = { model: world.terms.model, weights: global, examples, hyper: world.terms.hyper };
      const { pubkey } = world.trainers[shard]!.signer;
      const { weights } = await world.engine.train({ ...request, seed: trainingSeed(seed, round, shard, pubkey) });
      updates.push({ rows: examples.rows, params: weights });
    }
    const rows = updates.reduce((sum, update) => sum + update.rows, 0);
    global = global.map((tensor, t) => ({
      ...tensor,
      data: tensor.data.map((_, i) => {
        let sum = 0;
        for (const update of updates) sum += update.rows * update.params[t]!.data[i]!;
        return Math.fround(sum / rows);
      }),
    }));
  }
  return global;
}

const hashOf = (params: ParamSet): Sha256 => sha256Hex(encodeParams(params));

async function finished(options: Parameters<typeof createWorld>[0]): Promise<{ world: World; result: RunResult }> {
  const world = await createWorld(options);
  const result = await world.run();
  if (result.customer instanceof Error) throw result.customer;
  for (const end of result.ends) if (end instanceof Error) throw end;
  return { world, result };
}

describe('an honest job', () => {
  test('finishes, pays every accepted round, and both audits pass', async () => {
    const { world, result } = await finished({ trainers: 3, rounds: 3, priceSats: 21 });
    const { state } = result;
    expect(state.phase).toBe('finished');
    expect(result.ends).toMatchObject(world.trainers.map(() => ({ end: 'done', rounds: 3, paidMsat: 63_000n })));
    expect(state.rounds.map((round) => round.close?.content.accepted.length)).toEqual([3, 3, 3]);
    expect(paidMsat(state)).toBe(9n * 21_000n);
    for (const payout of state.rounds.flatMap((round) => round.payouts)) {
      expect(payout.received).not.toBeNull();
      expect(payout.unpaid).toBeNull();
    }
    const { open, keyed } = await world.audit();
    expect([open, keyed]).toEqual([null, null]);
  });

  test('has receipts whose preimages hash to the payment hashes of signed invoices, each for its own claim', async () => {
    const { world, result } = await finished({ trainers: 2, rounds: 2 });
    const receipts = result.state.rounds.flatMap((round) => round.payouts.map((payout) => payout.receipt!.content));
    expect(receipts).toHaveLength(4);
    for (const receipt of receipts) {
      const invoice = decodeInvoice(receipt.invoice);
      expect(invoice.payee).toBe(world.lightning.nodePubkey);
      expect(sha256Hex(fromHex(receipt.preimage))).toBe(receipt.paymentHash);
      expect(invoice.paymentHash).toBe(receipt.paymentHash);
      expect(invoice.msat).toBe(receipt.amountMsat);
    }
    expect(new Set(receipts.map((receipt) => receipt.paymentHash)).size).toBe(4);
    expect(new Set(receipts.map((receipt) => decodeInvoice(receipt.invoice).descriptionHash)).size).toBe(4);
  });

  test('moves the prices and nothing else: no msat appears or is lost', async () => {
    const { world } = await finished({ trainers: 3, rounds: 2, priceSats: 7 });
    const start = 1_000_000_000n;
    expect(world.totalMsat()).toBe(4n * start);
    expect(world.lightning.balance('customer')).toBe(start - 6n * 7_000n);
    for (const trainer of world.trainers) expect(world.lightning.balance(trainer.name)).toBe(start + 14_000n);
    expect(world.lightning.payments).toHaveLength(6);
  });

  test('gives the model that an independent recomputation gives, byte for byte', async () => {
    const { world, result } = await finished({ trainers: 3, rounds: 3 });
    expect(result.state.artifact!.content.weights.sha256).toBe(hashOf(await oracle(world)));
  });

  test('gives the same model for the same seed, data and keys, in another run at another time', async () => {
    const runs = await Promise.all([
      finished({ name: 'twin', startSec: 1_800_000_000 }),
      finished({ name: 'twin', startSec: 1_900_000_000 }),
    ]);
    const [first, second] = runs.map(({ result }) => result.state.artifact!.content.weights.sha256);
    expect(second).toBe(first);
    expect(runs[0].world.jobId).not.toBe(runs[1].world.jobId);
    const { result: other } = await finished({ name: 'other' });
    expect(other.state.artifact!.content.weights.sha256).not.toBe(first);
  });

  test('leaves a model that learned: better on data that no trainer saw', async () => {
    const { world, result } = await finished({ trainers: 4, rounds: 3, rows: 40 });
    const initial = initialParams(world.terms.model, initialisationSeed(fromHex(world.secrets.seed)));
    const before = await world.engine.evaluate(world.terms.model, initial, world.split.b);
    const { lossPpm, accuracyPpm } = result.state.artifact!.content;
    expect(lossPpm).toBeLessThan(before.loss * 1e6);
    expect(accuracyPpm).toBeGreaterThan(before.accuracy! * 1e6);
  });

  test('after the whole bid window the cheapest bids win, and each is paid its own price', async () => {
    const world = await createWorld({ trainers: 2, spares: 1, job: { award: 'deadline', bidWindow: '60s' } });
    const asking = (priceMsat: bigint): TrainerOptions => ({
      adapt: (env) => ({ ...env, terms: { ...env.terms, priceMsat, maxExposureMsat: priceMsat } }),
    });
    const { state, ends } = await world.run({
      trainers: { 0: asking(20_000n), 1: asking(9_001n), 2: asking(12_345n) },
    });
    expect(state.phase).toBe('finished');
    expect(state.award!.content.winners.map(({ priceMsat }) => priceMsat)).toEqual([9_001n, 12_345n]);
    expect(paidMsat(state)).toBe(2n * (9_001n + 12_345n));
    expect(ends[0]).toMatchObject({ end: 'lost' });
  });
});

describe('small and free jobs', () => {
  test('rail none: trains, publishes, and no money is mentioned', async () => {
    const { world, result } = await finished({ rail: 'none', rounds: 2 });
    expect(result.state.phase).toBe('finished');
    expect(result.state.rounds.every((round) => round.settlement === null && round.payouts.length === 0)).toBe(true);
    expect(world.lightning.payments).toEqual([]);
    expect(result.ends).toMatchObject(world.trainers.map(() => ({ end: 'done', rounds: 2, paidMsat: 0n })));
    const { open, keyed } = await world.audit();
    expect([open, keyed]).toEqual([null, null]);
  });

  test('one shard, one trainer, one round', async () => {
    const { world, result } = await finished({ trainers: 1, rounds: 1 });
    expect(result.state.phase).toBe('finished');
    expect(result.state.artifact!.content.weights.sha256).toBe(hashOf(await oracle(world)));
    expect(acceptedRounds(result.state, world.trainers[0]!.signer.pubkey)).toBe(1);
    expect((await world.audit()).keyed).toBeNull();
  });

  test('several relays, one of them dead from the start', async () => {
    const world = await createWorld({ relays: ['wss://a.example', 'wss://b.example'] });
    world.network.setDown('wss://b.example', true);
    const { customer, state } = await world.run();
    expect(customer).not.toBeInstanceOf(Error);
    expect(state.phase).toBe('finished');
  });

  test('a second run of both roles on a finished job signs and pays nothing', async () => {
    const { world } = await finished({});
    const before = world.network.events().length;
    const { customer, ends, state } = await world.run();
    expect(customer).not.toBeInstanceOf(Error);
    expect(ends.map((end) => (end instanceof Error ? end : end?.end))).toEqual(['done', 'done']);
    expect(state.phase).toBe('finished');
    expect(world.network.events()).toHaveLength(before);
    expect(world.lightning.payments).toHaveLength(4);
  });
});
