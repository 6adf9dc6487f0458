import { describe, expect, it } from 'vitest';
import { isNmktError } from '../../src/errors.js';
import { lostVotes } from '../../src/market/alliance/lost-votes.js';
import type { Stake } from '../../src/ports.js';
import { lockId } from '../../src/protocol/stake.js';
import { openLedger, type LedgerRecord } from '../../src/wallet/ledger.js';
import { COOLDOWN_SEC, sandboxStake } from '../../src/wallet/sandbox-stake.js';
import { encodeStakeCall, runStakeCall, stakeAnswer } from '../../src/wallet/stake-method.js';
import { scriptAlliance, type AllianceScript } from '../support/alliance-script.js';
import { customer, hashOf, people, scriptJob, type Person } from '../support/job-script.js';
import { memoryJournal } from '../support/memory-journal.js';
import { virtualClock } from '../support/virtual-clock.js';

const script = scriptJob({ rounds: 1, until: 'commit/0/2' });
const { pubkey: staker } = people[0]!;
const job = script.jobId;
const lock = lockId(job, staker, staker, 0);
const request = { lock, job, staker, amountMsat: 1_005n };
const first = script.raw('commit/0/0');
const { open } = script.at('commit/0/0', 'commit').content;
const second = script.write(
  people[0]!,
  'commit',
  { round: 0, shard: 0, open, commitment: hashOf('x') },
  { seq: 3, prev: first.id },
);

async function books(records: LedgerRecord[] = []) {
  const ledger = await openLedger(memoryJournal(records));
  for (const account of ['t', 'u']) await ledger.fundOnce(account, 2_000n);
  const clock = virtualClock();
  const of = (account: string) => sandboxStake(ledger, account, clock);
  return { ledger, clock, mine: of('t'), theirs: of('u') };
}
const failsWith = (code: string) => (error: unknown) => isNmktError(error, code as never);

describe('stake in the sandbox', () => {
  it('is locked once, however often it is asked for, also after a restart', async () => {
    const records: LedgerRecord[] = [];
    const { ledger, mine, theirs } = await books(records);
    const made = await mine.lock(request);
    expect(made).toEqual({ ...request, taken: [], state: 'locked', freeAt: null });
    expect(await mine.lock(request)).toEqual(made);
    expect([ledger.balanceMsat('t'), ledger.totalMsat()]).toEqual([995n, 4_000n]);
    const again = await books(records);
    expect(await again.mine.find(lock)).toEqual(made);
    expect(again.ledger.balanceMsat('t')).toBe(995n);
    await expect(theirs.lock(request)).rejects.toSatisfy(failsWith('bad-usage'));
    await expect(mine.lock({ ...request, lock: hashOf('other'), amountMsat: 996n })).rejects.toSatisfy(
      failsWith('payment-failed'),
    );
  });

  it('comes back to its owner after the cooldown, and not before', async () => {
    const { ledger, clock, mine, theirs } = await books();
    await mine.lock(request);
    await expect(theirs.release(lock)).rejects.toSatisfy(failsWith('bad-usage'));
    expect(await mine.release(lock)).toMatchObject({ state: 'leaving', freeAt: clock.nowSec() + COOLDOWN_SEC });
    await expect(mine.release(lock)).rejects.toSatisfy(failsWith('not-ready'));
    clock.advance(COOLDOWN_SEC * 1000);
    expect(await mine.release(lock)).toMatchObject({ state: 'released' });
    expect(await mine.release(lock)).toMatchObject({ state: 'released' });
    expect(ledger.balanceMsat('t')).toBe(2_000n);
    expect(await theirs.slash(lock, [first, second])).toMatchObject({ state: 'released' });
    expect(ledger.balanceMsat('u')).toBe(2_000n);
  });

  it('is slashed for two commitments to one seat, also while it leaves: 10 % to the reporter, the rest to the pot', async () => {
    const { ledger, mine, theirs } = await books();
    await mine.lock(request);
    await mine.release(lock);
    expect(await theirs.slash(lock, [first, second])).toMatchObject({ state: 'slashed' });
    await theirs.slash(lock, [second, first]);
    expect([ledger.balanceMsat('u'), ledger.balanceMsat(`pot:${job}`), ledger.totalMsat()]).toEqual([
      2_100n,
      905n,
      4_000n,
    ]);
    expect(await mine.release(lock)).toMatchObject({ state: 'slashed' });
  });

  it.each([
    ['one event', [first]],
    ['the same event twice', [first, first]],
    ['a forged signature', [first, { ...second, sig: '0'.repeat(128) }]],
    ['commitments of two trainers', [first, script.raw('commit/0/1')]],
    ['commitments of somebody else', [script.raw('commit/0/1'), script.raw('commit/0/1')]],
    ['an absence', []],
    ['events of different places', [first, script.raw('ready/0')]],
  ])('stays where it is for %s', async (_name, evidence) => {
    const { mine, theirs } = await books();
    await mine.lock(request);
    await expect(theirs.slash(lock, evidence)).rejects.toSatisfy(failsWith('bad-event'));
    expect(await mine.find(lock)).toMatchObject({ state: 'locked' });
  });
});

describe('a lock behind a voter of an alliance that slashes', () => {
  const alliance = { allianceSlashPpm: 300_000 };
  const rounds = 4;
  const stake = { trainerMsat: 1n, validatorMsat: 0n, delegatedPpm: 1_000_000, maxDelegated: 4, intervalSec: 3_600 };
  const stakeAll = (script: AllianceScript): void => {
    const stakes = script.members.map((who, i) =>
      script.say(who, 'stake', `stake/${i}`, {
        ...{ lock: lockId(script.jobId, who.pubkey, who.pubkey, 0), amountMsat: 1_005n, role: 'trainer', sigmaPpm: 0 },
      })!,
    );
    const rows = stakes
      .map(({ author }) => ({
        operator: author,
        role: 'trainer' as const,
        ownMsat: 1_005n,
        delegatedMsat: 0n,
        sigmaPpm: 0,
      }))
      .sort((a, b) => (a.operator < b.operator ? -1 : 1));
    script.say(customer, 'stake-table', 'table', { interval: 0, events: stakes.map(({ id }) => id), rows });
  };
  // One of the six votes against all others whenever it is drawn to vote.
  const liar = people[0]!;
  const told = scriptAlliance({
    terms: { rounds, stake },
    alliance,
    losses: (voter) => (voter === liar.pubkey ? [8, 9] : [9, 8]),
    after: { job: stakeAll },
  });
  const lost = lostVotes(told.state);
  const shown = lost.map(({ list }) => {
    const ids = new Set([told.jobId, list.id, ...list.content.ids]);
    return told.events.filter(({ id }) => ids.has(id));
  });

  it('loses a share for each round, once, and gives back what is left', async () => {
    expect(lost.length).toBeGreaterThan(1);
    const { ledger, clock } = await books();
    const of = (who: Person) => sandboxStake(ledger, who.pubkey, clock);
    for (const who of told.members) {
      await ledger.fundOnce(who.pubkey, 1_005n);
      const name = lockId(told.jobId, who.pubkey, who.pubkey, 0);
      await of(who).lock({ lock: name, job: told.jobId, staker: who.pubkey, amountMsat: 1_005n });
    }
    const name = lockId(told.jobId, liar.pubkey, liar.pubkey, 0);
    const reporter = sandboxStake(ledger, 't', clock);
    for (const evidence of [...shown, ...shown]) await reporter.slash(name, evidence);
    // 30 % of 1,005, rounded down; a tenth of each, rounded down, to who reports.
    const taken = lost.map(({ part }) => ({ part: part.name, amountMsat: 301n }));
    expect(await reporter.find(name)).toMatchObject({ taken, state: 'locked', amountMsat: 1_005n });
    const n = BigInt(lost.length);
    expect([ledger.balanceMsat('t'), ledger.balanceMsat(`pot:${told.jobId}`)]).toEqual([2_000n + 30n * n, 271n * n]);
    await of(liar).release(name);
    clock.advance(COOLDOWN_SEC * 1000);
    expect(await of(liar).release(name)).toMatchObject({ state: 'released' });
    expect([ledger.balanceMsat(liar.pubkey), ledger.totalMsat()]).toEqual([1_005n - 301n * n, 4_000n + 6n * 1_005n]);
    expect(await reporter.slash(name, shown[0]!)).toMatchObject({ state: 'released' });
  });

  it('goes over the wire as it is', async () => {
    const { mine } = await books();
    const made = { ...(await mine.lock(request)), taken: [{ part: 'vote/0', amountMsat: 301n }] };
    const keeper = { find: async () => made } as unknown as Stake;
    const call = encodeStakeCall({ do: 'find', lock });
    const answer: unknown = JSON.parse(JSON.stringify(await runStakeCall(keeper, JSON.parse(JSON.stringify(call)))));
    expect(stakeAnswer(answer).found).toEqual(made);
  });

  it('is not taken from where voters that locked nothing say so', async () => {
    const { ledger, mine } = await books();
    const name = lockId(told.jobId, liar.pubkey, liar.pubkey, 0);
    await mine.lock({ lock: name, job: told.jobId, staker: liar.pubkey, amountMsat: 1_005n });
    const reporter = sandboxStake(ledger, 'u', virtualClock());
    await expect(reporter.slash(name, shown[0]!)).rejects.toSatisfy(failsWith('bad-event'));
  });
});
