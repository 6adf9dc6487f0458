import { expect, test } from 'vitest';
import { rowsOf } from '../../src/market/stake.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { putStake } from '../../src/roles/stake.js';
import { serveJob } from '../../src/roles/trainer.js';
import type { CustomerEnv } from '../../src/roles/customer-env.js';
import type { ContentOf } from '../../src/protocol/events.js';
import type { Participant, TrainerOptions } from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';
import { FUNDS_MSAT, stakedWorld, type StakedWorld } from '../support/staked-world.js';

const STAKED = { trainerStakeSats: 3, keyRelease: 'staked', award: 'deadline', bidWindow: '30s' } as const;

/** Everybody but these locks what is asked. */
function trainersOf({ world, own }: StakedWorld, unstaked: readonly number[]): Record<number, TrainerOptions> {
  return Object.fromEntries(
    world.trainers.flatMap((who, i) =>
      unstaked.includes(i) ? [] : [[i, { adapt: (env) => ({ ...env, stake: own(who) }) } satisfies TrainerOptions]],
    ),
  );
}

test('a job that asks for stake refuses who has none by a named rule, and its two staked trainers get the shards', async () => {
  const market = await stakedWorld({ name: 'asks for stake', trainers: 2, spares: 1, job: STAKED });
  const { world, ledger, leading } = market;
  // The first by key would win without a stake.
  const run = await world.run({
    trainers: trainersOf(market, [0]),
    customer: {
      adapt: leading,
      kill: (start) => (start < 3 ? { after: start, isKept: start !== 1 } : undefined),
    },
  });
  const { state } = run;
  expect(state).toMatchObject({ phase: 'finished', firstBad: null });
  const [poor, ...staked] = world.trainers as [Participant, Participant, Participant];
  expect(run.ends[0]).toMatchObject({ end: 'lost', why: 'the bid was refused: unstaked' });
  const { bids, winners } = state.award!.content;
  const refused = bids.find(({ trainer }) => trainer === poor.signer.pubkey);
  expect(refused).toMatchObject({ outcome: 'refused', rule: 'unstaked' });
  expect(winners.map(({ trainer }) => trainer)).toEqual(staked.map(({ signer }) => signer.pubkey));
  expect(bids.filter(({ outcome }) => outcome === 'won').map(({ stakeMsat }) => stakeMsat)).toEqual([3_000n, 3_000n]);
  expect(rowsOf(state.stakes)).toHaveLength(2);
  for (const { name } of staked) expect(ledger.balanceMsat(name)).toBe(FUNDS_MSAT - 3_000n);
  expect(await world.audit()).toMatchObject({ open: null, keyed: null });
  const keys = encodeAuditKeys(await world.allKeys());
  expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
    verdict: 'PASS',
  });
});

test('who staked too little before adds what is missing, and a second time nothing', async () => {
  const market = await stakedWorld({ name: 'adds to it', trainers: 1, rounds: 1, job: STAKED });
  const { world, ledger, leading, own, stakeOf } = market;
  const [trainer] = world.trainers as [Participant];
  const me = trainer.signer.pubkey;
  const { state } = await world.run({
    customer: { adapt: leading },
    trainers: {
      0: {
        act: async (env) => {
          const wish = { operator: me, amountMsat: 1_000n, role: 'trainer', sigmaPpm: 100_000, isMore: false } as const;
          await putStake(env.book, stakeOf(trainer), me, wish);
          return serveJob({ ...env, stake: own(trainer) });
        },
        kill: (start) => (start < 4 ? { after: start, isKept: start % 2 === 0 } : undefined),
      },
    },
  });
  expect(state).toMatchObject({ phase: 'finished', firstBad: null });
  expect(rowsOf(state.stakes)).toMatchObject([{ operator: me, ownMsat: 3_000n, sigmaPpm: 100_000 }]);
  expect(ledger.balanceMsat(trainer.name)).toBe(FUNDS_MSAT - 3_000n);
});

type Rows = ContentOf<'award'>['bids'];
const lies: Readonly<Record<string, (rows: Rows) => Rows>> = {
  'takes who has none': (rows) =>
    rows.map((row) => (row.rule === undefined ? row : { ...row, rule: undefined, outcome: 'spare' })),
  'counts more than is staked': (rows) =>
    rows.map((row) => (row.stakeMsat === undefined ? row : { ...row, stakeMsat: 9_000n })),
};
test.each(Object.keys(lies))('an award that %s does not follow from the stake tables', async (name) => {
  const market = await stakedWorld({ name, trainers: 2, spares: 1, job: STAKED });
  const { world, leading } = market;
  const lying =
    (env: CustomerEnv): CustomerEnv['book']['sign'] =>
    (type, content, ...rest) => {
      const said = content as ContentOf<'award'>;
      return env.book.sign(type, type === 'award' ? { ...said, bids: lies[name]!(said.bids) } : content, ...rest);
    };
  const { state } = await world.run({
    trainers: trainersOf(market, [0]),
    customer: {
      adapt: (env) => ({ ...leading(env), book: { ...env.book, sign: lying(env) } }),
    },
  });
  expect(state.firstBad).toMatchObject({ rule: 'award-order' });
});
