import { describe, expect, it } from 'vitest';
import { NmktError } from '../../src/errors.js';
import type { Sha256 } from '../../src/hash.js';
import { rowsOf } from '../../src/market/stake.js';
import type { Stake, StakeLock } from '../../src/ports.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { lockId } from '../../src/protocol/stake.js';
import { dueTable, INTERVAL_SEC, publishTable } from '../../src/roles/customer-stakes.js';
import { SILENT } from '../../src/simulate/participant.js';
import { customer, people, scriptJob, START_SEC, type Person } from '../support/job-script.js';

const [operator, delegator, liar] = people as [Person, Person, Person];

function market() {
  const script = scriptJob({ until: 'award' });
  const locks = new Map<Sha256, StakeLock>();
  const lock = (who: Person, behind: Person, amountMsat: bigint, isReal = true) => {
    const name = lockId(script.jobId, who.pubkey, behind.pubkey, 0);
    const made = {
      lock: name,
      job: script.jobId,
      staker: who.pubkey,
      amountMsat,
      taken: [],
      state: 'locked',
      freeAt: null,
    } as const;
    if (isReal) locks.set(name, made);
    return { lock: name, amountMsat };
  };
  const stake = { find: async (name) => locks.get(name) ?? null } as Stake;
  const book = {
    state: () => script.state,
    sign: async (_type: string, content: ContentOf<'stake-table'>) =>
      script.say(customer, 'stake-table', `table/${content.interval}`, content),
  } as never;
  const publish = async (now: number, by: Stake = stake) => {
    const due = dueTable(script.state, now);
    if (due !== null) await publishTable({ book, progress: SILENT }, by, due, now);
    return due;
  };
  return { script, lock, publish };
}
const hours = (n: number) => START_SEC + n * INTERVAL_SEC + 1;

describe('the customer’s stake tables', () => {
  it('name what is locked, once an hour, and follow a withdrawal', async () => {
    const { script, lock, publish } = market();
    expect(dueTable(script.state, hours(0))).toBeNull();
    script.say(operator, 'stake', 's', { ...lock(operator, operator, 3_000n), role: 'trainer', sigmaPpm: 0 });
    script.say(delegator, 'delegate', 'd', { ...lock(delegator, operator, 1_000n), operator: operator.pubkey });
    script.say(liar, 'stake', 'l', { ...lock(liar, liar, 9_000n, false), role: 'trainer', sigmaPpm: 0 });
    await publish(hours(0));
    const row = { operator: operator.pubkey, role: 'trainer' as const, ownMsat: 3_000n, sigmaPpm: 0 };
    expect(script.at('table/0', 'stake-table').content.rows).toEqual([{ ...row, delegatedMsat: 1_000n }]);
    expect(dueTable(script.state, hours(0) + 60)).toBeNull();

    script.say(delegator, 'withdraw', 'w', { of: script.raw('d').id });
    await publish(hours(2));
    expect(rowsOf(script.state.stakes)).toEqual([{ ...row, delegatedMsat: 0n }]);
    expect(script.state).toMatchObject({ firstBad: null, stakes: { interval: 2 } });
    expect(script.state.stakes.worked.get(operator.pubkey)).toMatchObject({ own: 6_000n });
  });

  it('are none where nothing is locked, and wait for a wallet that is away', async () => {
    const { script, lock, publish } = market();
    script.say(operator, 'stake', 's', { ...lock(operator, operator, 3_000n), role: 'trainer', sigmaPpm: 0 });
    const away = () => Promise.reject(new NmktError('wallet-unreachable', 'away', { remedy: 'wait' }));
    await publish(hours(0), { find: away } as unknown as Stake);
    expect(script.has('table/0')).toBe(false);
    await publish(hours(1));
    expect(script.has('table/1')).toBe(true);
  });

  it('name stakes before delegations, whatever their authors’ keys say', async () => {
    const { script, lock, publish } = market();
    script.say(operator, 'delegate', 'd', { ...lock(operator, liar, 500n), operator: liar.pubkey });
    script.say(liar, 'stake', 's', { ...lock(liar, liar, 9_000n), role: 'validator', sigmaPpm: 0 });
    await publish(hours(0));
    expect(script.at('table/0', 'stake-table').content.events).toEqual([script.raw('s').id, script.raw('d').id]);
  });
});
