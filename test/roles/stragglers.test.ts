import { expect, test } from 'vitest';
import { createWorld, type TrainerOptions } from '../support/market-world.js';

/** Fifteen minutes more than a round waits, in one round. */
const lateIn = (round: number): TrainerOptions => ({
  adapt: (env) => ({
    ...env,
    engine: async () => {
      const engine = await env.engine();
      return {
        ...engine,
        train: async (request, onProgress, signal, onState) => {
          if (env.book.state().rounds.length - 1 === round) await env.clock.wait(1_200_000, signal);
          return engine.train(request, onProgress, signal, onState);
        },
      };
    },
  }),
});

test('a straggler costs a round its update and nothing else: the next one has it, with the residual of its last accepted', async () => {
  const world = await createWorld({
    ...{ name: 'straggler', trainers: 3, rounds: 3, rows: 18 },
    job: { codec: 'topk', keep: 0.2, quorum: 2, roundTimeout: '5m' },
  });
  const { state, ends } = await world.run({ trainers: { 0: lateIn(1) } });
  const [late, ...others] = world.trainers.map(({ signer }) => signer.pubkey);
  expect(state.phase).toBe('finished');
  expect(state.rounds.map(({ close }) => close!.content.accepted.map(({ shard }) => shard))).toEqual([
    [0, 1, 2],
    [1, 2],
    [0, 1, 2],
  ]);
  expect(state.rounds[1]!.close!.content.rejected).toMatchObject([{ shard: 0, trainer: late, rule: 'absent' }]);
  expect(state.rounds[1]!.payouts.map(({ payee }) => payee)).toEqual(others);
  // It gave up what could not count any more: nothing of that round was signed.
  const own = state.chains.get(late!)!.events;
  expect(
    own.filter(({ type }) => type === 'commit').map(({ content }) => (content as { round: number }).round),
  ).toEqual([
    0,
    2, // prettier-ignore
  ]);
  const residual = (round: number) => state.rounds[round]!.listedReveals.get(0)!.content.residual!;
  expect(residual(2).before).toBe(residual(0).after);
  expect(ends[0]).toMatchObject({ end: 'done', rounds: 2 });
  expect(await world.audit()).toMatchObject({ open: null, keyed: null });
});
