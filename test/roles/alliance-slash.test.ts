import { expect, test } from 'vitest';
import { sha256, type EventId } from '../../src/hash.js';
import { stratifiedSplit } from '../../src/learning/partition.js';
import { subset } from '../../src/learning/examples.js';
import { lostVotes } from '../../src/market/alliance/lost-votes.js';
import { decodeReceiptInvoice } from '../../src/commands/find-job.js';
import { auditAlliancePublic } from '../../src/roles/alliance/audit-public.js';
import type { MemberEnv } from '../../src/roles/alliance/env.js';
import { contrary } from '../support/contrary.js';
import { createAllianceWorld, type Part } from '../support/alliance-world.js';
import { tinyExamples, TINY_SCHEMA, type Kill, type Participant } from '../support/market-world.js';
import { FUNDS_MSAT, keeperOf } from '../support/staked-world.js';

/** As trainings do. */
const takingTime = (env: MemberEnv): MemberEnv => ({
  ...env,
  async engine() {
    const engine = await env.engine();
    const train = engine.train.bind(engine);
    return { ...engine, train: async (...given) => (await env.clock.wait(5_000), train(...given)) };
  },
});

const STAKE_SATS = 10;
const ROUNDS = 3;
const rows = tinyExamples(600, 'alliance that slashes');
const parts = stratifiedSplit(rows.labels as Int32Array, [...new Array<number>(12).fill(1 / 12)], sha256('parts')).map(
  (of) => subset(rows, of),
);

async function run(kills: (who: number | 'customer') => Kill | undefined = () => undefined) {
  const world = await createAllianceWorld({
    ...{ name: 'slashing', members: 6, schema: TINY_SCHEMA },
    data: (i) => ({ train: parts[i]!, test: parts[i + 6]! }),
    job: { rounds: ROUNDS, proposers: 2, trainerStakeSats: STAKE_SATS, allianceSlash: 0.25, tolerance: 0.05 },
  });
  const keeper = await keeperOf(world, world.members);
  const killed = (who: number | 'customer') => {
    const kill = kills(who);
    return kill === undefined ? {} : { kill };
  };
  const member = (i: number): Part<MemberEnv> => ({
    ...killed(i),
    adapt: (env) => {
      const staked = takingTime({ ...env, stake: keeper.own(world.members[i]!) });
      return i === 0 ? contrary(staked) : staked;
    },
  });
  const { folded } = await world.run({
    customer: { adapt: keeper.leading, ...killed('customer') },
    members: Object.fromEntries(world.members.map((_, i) => [i, member(i)])),
  });
  return { world, keeper, folded };
}

const killed = { after: 9, isKept: true };
const cases: [string, Kill | undefined][] = [
  ['', undefined],
  [', also where everybody is killed', killed],
];

test.each(cases)(
  'a voter that contradicts most stake loses a share of its own, to the msat%s',
  async (_name, kill) => {
    const { world, keeper, folded } = await run(() => kill);
    const { state, phase, firstBad, forks } = folded;
    expect([phase, firstBad, forks]).toEqual(['finished', null, []]);
    const liar = world.members[0]!;
    const lost = lostVotes(state!);
    expect(lost.length).toBeGreaterThan(0);
    expect(new Set(lost.map(({ vote }) => vote.author))).toEqual(new Set([liar.signer.pubkey]));
    // Told in time: those of the last round come after all is settled.
    const inTime = lost.filter(({ round }) => round < ROUNDS - 1).map(({ part }) => part.name);
    expect(inTime.length).toBeGreaterThan(0);
    expect(state!.stakes.slashes.map(({ part }) => part!.name)).toEqual(expect.arrayContaining(inTime));

    // 2,500 msat a vote: 250 for its reporter.
    const isReporter = (who: Participant, vote: EventId): boolean =>
      state!.sound.get(who.signer.pubkey)!.some((one) => one.type === 'slash' && one.content.evidence.includes(vote));
    for (const who of world.members) {
      const reported = lost.filter(({ vote }) => isReporter(who, vote.id)).length;
      expect(keeper.ledger.balanceMsat(who.name), who.name).toBe(FUNDS_MSAT - 10_000n + 250n * BigInt(reported));
    }
    const [lock] = [...state!.stakes.locks].find(([, { owner }]) => owner === liar.signer.pubkey)!;
    const taken = (await keeper.stakeOf(liar).find(lock))!.taken;
    expect(taken.map(({ part, amountMsat }) => [part, amountMsat])).toEqual(
      lost.map(({ part }) => [part.name, 2_500n]),
    );

    const { slashes, settlement } = state!.rounds[ROUNDS - 1]!;
    const sumOf = (purpose: string) =>
      settlement!.content.plan.reduce((sum, line) => (line.purpose === purpose ? sum + line.amountMsat : sum), 0n);
    const promised = sumOf('bonus');
    expect(promised).toBe(slashes.reduce((sum, { potMsat }) => sum + potMsat, 0n));
    expect(promised).toBeGreaterThan(0n);
    expect(keeper.ledger.balanceMsat(`pot:${world.jobId}`)).toBe(2_250n * BigInt(lost.length) - promised);
    const paid = world.members.reduce((sum, who) => sum + world.lightning.balance(who.name) - 1_000_000_000n, 0n);
    expect(paid).toBe(1_000_000n - sumOf('refund') + promised);
    expect(auditAlliancePublic(folded, { decode: decodeReceiptInvoice, nowSec: world.clock.nowSec() })).toBeNull();
  },
  60_000,
);
