import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/hash.js';
import { JOB_KINDS } from '../../src/protocol/kinds.js';
import { localSigner } from '../../src/signer.js';
import { createWorld, type World } from '../support/market-world.js';

/** Publishes under its own key what everybody else signs, as soon as it sees it, and rubbish beside it. */
function parrot(world: World): () => Promise<number> {
  const stranger = localSigner(sha256('parrot'));
  const relays = world.network.relays();
  const done: Promise<unknown>[] = [];
  const say = async (template: Parameters<typeof stranger.sign>[0]) => relays.publish(await stranger.sign(template));
  const subscription = relays.subscribe([{ '#e': [world.jobId], kinds: JOB_KINDS }], (event) => {
    if (event.pubkey === stranger.pubkey) return;
    const { kind, tags, content, created_at } = event;
    done.push(say({ kind, tags, content, created_at }));
    done.push(say({ kind, tags: [...tags, ['x']], content: '{"__proto__":1}', created_at }));
    done.push(say({ kind, tags: tags.filter(([name]) => name !== 'seq'), content: content.slice(1), created_at }));
  });
  return async () => {
    subscription.close();
    await Promise.all(done);
    return done.length;
  };
}

describe('a stranger', () => {
  test('that repeats everything under its own key, and rubbish: changes nothing', async () => {
    const world = await createWorld({ name: 'loud', trainers: 2, rounds: 2 });
    const stop = parrot(world);
    const { state, ends } = await world.run();
    expect(await stop()).toBeGreaterThan(60);
    expect(state.phase).toBe('finished');
    expect(ends).toMatchObject([
      { end: 'done', rounds: 2, paidMsat: 42_000n },
      { end: 'done', rounds: 2, paidMsat: 42_000n },
    ]);
    const quiet = await createWorld({ name: 'loud', trainers: 2, rounds: 2 });
    const alone = await quiet.run();
    expect(state.artifact!.content.weights.sha256).toBe(alone.state.artifact!.content.weights.sha256);
    expect((await world.audit()).keyed).toBeNull();
  });
});

describe('a wallet of the customer', () => {
  test('that loses answers: payments are looked up and made once', async () => {
    const world = await createWorld({ trainers: 2, rounds: 2 });
    world.customer.faults.pay = ['lost-after', 'lost-before', 'wrong-preimage', 'lost-before'];
    const { state } = await world.run();
    expect(state.phase).toBe('finished');
    expect(state.rounds.flatMap((round) => round.payouts).every(({ received }) => received !== null)).toBe(true);
    expect(world.lightning.payments).toHaveLength(4);
    expect(world.lightning.balance('customer')).toBe(1_000_000_000n - 84_000n);
    expect((await world.audit()).open).toBeNull();
  });

  test('that refuses for a while: the same claims are paid later', async () => {
    const world = await createWorld({ trainers: 2, rounds: 1 });
    world.customer.faults.pay = ['rejected', 'rejected', 'rejected'];
    const { state } = await world.run();
    expect(state.phase).toBe('finished');
    expect(state.rounds[0]!.payouts.every(({ receipt }) => receipt !== null)).toBe(true);
    expect(world.lightning.payments).toHaveLength(2);
  });
});
