import { expect, test } from 'vitest';
import { explainPayout } from '../../src/market/explain.js';
import { potOf } from '../../src/market/pot.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { describeStakes } from '../../src/roles/describe-stakes.js';
import { slashFederated } from '../../src/roles/slash.js';
import type { TrainerEnv } from '../../src/roles/trainer.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { createBell } from '../../src/roles/bell.js';
import { openBook } from '../../src/roles/job-book.js';
import type { Participant } from '../support/market-world.js';
import { memoryJournal } from '../support/memory-journal.js';
import { hashOf } from '../support/job-script.js';
import { secondAudit } from '../support/second/audit.js';
import { FUNDS_MSAT, stakedWorld } from '../support/staked-world.js';

const STAKED = { trainerStakeSats: 3, keyRelease: 'staked', award: 'deadline', bidWindow: '30s' } as const;
type Sign = TrainerEnv['book']['sign'];

/** Something happens around what it signs. */
function signing(env: TrainerEnv, around: (type: string, content: unknown, sign: () => Promise<unknown>) => unknown) {
  const sign = ((type, ...rest) => around(type, rest[0], () => env.book.sign(type, ...rest))) as Sign;
  return { ...env, book: { ...env.book, sign } };
}

test('a staked trainer that commits twice to one seat loses its stake: a tenth to who reports it, the rest to those that worked, to the msat', async () => {
  const market = await stakedWorld({ name: 'commits twice', trainers: 3, rounds: 2, priceSats: 21, job: STAKED });
  const { world, ledger, own, stakeOf, leading } = market;
  const [cheat, reporter, worker] = world.trainers as [Participant, Participant, Participant];
  const run = await world.run({
    customer: {
      adapt: leading,
      kill: (start) => (start < 4 ? { after: 12 + start, isKept: start % 2 === 0 } : undefined),
    },
    trainers: {
      0: {
        adapt: (env) =>
          signing({ ...env, stake: own(cheat) }, async (type, content, sign) => {
            const made = await sign();
            const said = content as ContentOf<'commit'>;
            const again = { ...said, commitment: hashOf('another update') };
            if (type === 'commit' && said.round === 0) await env.book.sign('commit', again, []);
            return made;
          }),
      },
      1: {
        adapt: (env) =>
          signing({ ...env, stake: own(reporter) }, async (type, content, sign) => {
            if (type === 'reveal' && (content as ContentOf<'reveal'>).round === 1) {
              const stake = stakeOf(reporter);
              const me = reporter.signer.pubkey;
              const [found] = await slashFederated(env.book, stake, me);
              expect(found).toMatchObject({ guilty: cheat.signer.pubkey, refused: null, lock: { state: 'slashed' } });
              const [again, ...others] = await slashFederated(env.book, stake, me);
              expect([again!.event, others]).toEqual([found!.event, []]);
            }
            return sign();
          }),
      },
      2: { adapt: (env) => ({ ...env, stake: own(worker) }) },
    },
  });
  const { state } = run;
  expect(state).toMatchObject({ phase: 'finished', firstBad: null });
  expect(state.stakes.slashes).toMatchObject([
    { guilty: cheat.signer.pubkey, reporter: reporter.signer.pubkey, reporterMsat: 300n, potMsat: 2_700n },
  ]);
  const lines = state.rounds.map(({ settlement }) => settlement!.content.plan);
  expect(lines[0]!.map(({ purpose }) => purpose)).toEqual(['trainer', 'trainer', 'trainer']);
  const bonus = lines[1]!.filter(({ purpose }) => purpose === 'bonus');
  expect(bonus.map(({ payee, amountMsat }) => [payee, amountMsat])).toEqual([
    [reporter.signer.pubkey, 1_350n],
    [worker.signer.pubkey, 1_350n],
  ]);
  expect(potOf({ slashes: state.stakes.slashes, lines: lines.flat() })).toEqual({
    slashedMsat: 2_700n,
    promisedMsat: 2_700n,
  });
  expect(state.rounds.flatMap(({ payouts }) => payouts).every(({ received }) => received !== null)).toBe(true);
  expect([cheat, reporter, worker].map(({ name }) => ledger.balanceMsat(name))).toEqual([
    FUNDS_MSAT - 3_000n,
    FUNDS_MSAT - 3_000n + 300n,
    FUNDS_MSAT - 3_000n,
  ]);
  expect(ledger.balanceMsat(`pot:${world.jobId}`)).toBe(0n);
  const paid = (who: Participant) => world.lightning.balance(who.name) - 1_000_000_000n;
  expect([cheat, reporter, worker].map(paid)).toEqual([42_000n, 43_350n, 43_350n]);
  expect(paid(world.customer)).toBe(-126_000n);
  expect(describeStakes(state)).toMatchObject({
    staked: [{ countedMsat: 3_000n }, { countedMsat: 3_000n }],
    slashed: [{ guilty: cheat.signer.pubkey, potMsat: 2_700n }],
    pot: { slashedMsat: 2_700n, promisedMsat: 2_700n, leftMsat: 0n },
  });
  const explained = explainPayout(state, bonus[0]!.payout)!;
  expect(explained.causes[0]).toMatchObject({ adds: { msat: 1_350n } });
  expect(explained.causes[0]!.events.map(({ type }) => type)).toContain('slash');
  expect(await world.audit()).toMatchObject({ open: null, keyed: null });
  const keys = encodeAuditKeys(await world.allKeys());
  expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
    verdict: 'PASS',
  });
});

test('nothing is slashed without signatures that condemn, by the customer, or by whom they condemn', async () => {
  const market = await stakedWorld({ name: 'all honest', trainers: 2, rounds: 1, job: STAKED });
  const { world, own, stakeOf, leading, ledger } = market;
  const adapt = (who: Participant) => ({ adapt: (env: TrainerEnv) => ({ ...env, stake: own(who) }) });
  const { state } = await world.run({
    customer: { adapt: leading },
    trainers: { 0: adapt(world.trainers[0]!), 1: adapt(world.trainers[1]!) },
  });
  expect(state).toMatchObject({ phase: 'finished', stakes: { slashes: [] } });
  const { clock, network, jobId } = world;
  for (const who of [world.customer, ...world.trainers]) {
    const ports = { relays: network.relays(), clock, bell: createBell(clock), signer: who.signer };
    const book = await openBook(jobId, { ...ports, journal: memoryJournal(who.events) });
    const found = slashFederated(book, stakeOf(who), who.signer.pubkey);
    if (who === world.customer) await expect(found).rejects.toMatchObject({ code: 'bad-usage' });
    else expect(await found).toEqual([]);
    book.close();
  }
  expect(ledger.balanceMsat(`pot:${jobId}`)).toBe(0n);
});
