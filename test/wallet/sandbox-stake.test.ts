import { describe, expect, it } from 'vitest';
import { isNmktError } from '../../src/errors.js';
import { lockId } from '../../src/protocol/stake.js';
import { openLedger, type LedgerRecord } from '../../src/wallet/ledger.js';
import { COOLDOWN_SEC, sandboxStake } from '../../src/wallet/sandbox-stake.js';
import { hashOf, people, scriptJob } from '../support/job-script.js';
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
    expect(made).toEqual({ ...request, state: 'locked', freeAt: null });
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
