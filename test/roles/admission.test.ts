import { describe, expect, it, test } from 'vitest';
import { hex, sha256 } from '../../src/hash.js';
import { conductViolation } from '../../src/market/conduct.js';
import { leadingZeroBits } from '../../src/market/proof-of-work.js';
import { encodeAuditKeys } from '../../src/roles/audit.js';
import { MAX_OWN_POW, mine } from '../../src/roles/proof-of-work.js';
import { signEvent } from '../../src/schnorr.js';
import { customer, grantOf, people, PRICE_MSAT, scriptJob } from '../support/job-script.js';
import { createWorld, slowTrainer, type World } from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';

async function expectSound(world: World): Promise<void> {
  expect(await world.auditAll()).toMatchObject({ level: 'data', found: null });
  const keys = encodeAuditKeys(await world.allKeys());
  expect(secondAudit(world.network.events(), world.jobId, keys, world.clock.nowSec())).toMatchObject({
    verdict: 'PASS',
  });
}

describe('proof of work', () => {
  it.each([
    ['f'.repeat(64), 0],
    [`7${'f'.repeat(63)}`, 1],
    [`1${'0'.repeat(63)}`, 3],
    [`00002${'0'.repeat(59)}`, 18],
    ['0'.repeat(64), 256],
  ])('in %s is %s bits', (id, bits) => {
    expect(leadingZeroBits(id)).toBe(bits);
  });

  it('is mined into the id that is signed, and says what it aimed at', async () => {
    const template = { kind: 4625, created_at: 1_760_000_000, tags: [['t', 'nmkt']], content: '{"a":"\\"1"}' };
    const mined = await mine(template, people[0]!.pubkey, 9);
    expect(leadingZeroBits(signEvent(mined, people[0]!.secret).id)).toBeGreaterThanOrEqual(9);
    expect(mined.tags.at(-1)).toEqual(['nonce', expect.stringMatching(/^\d+$/), '9']);
    await expect(mine(template, people[0]!.pubkey, MAX_OWN_POW + 1)).rejects.toMatchObject({ code: 'too-large' });
  });
});

test('a job that asks for work on bids takes those that show it, and refuses others by name', async () => {
  const world = await createWorld({
    ...{ name: 'mined', trainers: 1, spares: 1, rounds: 1 },
    job: { minBidPow: 10, award: 'deadline', bidWindow: '30s' },
  });
  const [, lazy] = world.trainers;
  const { state } = await world.run({
    trainers: {
      1: {
        adapt: (env) => ({
          ...env,
          // Its nonce is cut off before it is signed.
          signer: { ...env.signer },
          book: {
            ...env.book,
            sign: async (type, content, people, createdAt) => {
              if (type !== 'bid') return env.book.sign(type, content, people, createdAt);
              const { EVENT_TYPES } = await import('../../src/protocol/events.js');
              for (let at = world.clock.nowSec(); ; at++) {
                const template = EVENT_TYPES.bid.build({ job: world.jobId, seq: 0, prev: null }, content as never, at);
                const event = await env.signer.sign(template);
                if (leadingZeroBits(event.id) >= 10) continue;
                await world.network.relays().publish(event);
                return EVENT_TYPES.bid.parse(event) as never;
              }
            },
          },
        }),
      },
    },
  });
  const rows = state.award!.content.bids;
  expect(rows.map(({ outcome, rule }) => [outcome, rule])).toEqual([
    ['won', undefined],
    ['refused', 'proof-of-work'],
  ]);
  expect(rows[1]!.trainer).toBe(lazy!.signer.pubkey);
  expect(leadingZeroBits(rows[0]!.bid)).toBeGreaterThanOrEqual(10);
  await expectSound(world);
});

test('with keyRelease known nobody gets a shard without a receipt, early or late', async () => {
  const world = await createWorld({
    ...{ name: 'closed shop', trainers: 1, spares: 1, rounds: 1 },
    job: { keyRelease: 'known', award: 'deadline', bidWindow: '30s', deadline: '10m' },
  });
  const known = world.trainers[1]!.signer.pubkey;
  const earlier = [
    {
      head: hex(sha256('head')) as never,
      terms: { network: 'sandbox', rail: 'instalments' } as const,
      standing: new Map([[known, { attempts: 1, successes: 1 }]]),
    },
  ];
  const { state } = await world.run({ customer: { adapt: (env) => ({ ...env, earlier }) } });
  expect(state.award!.content.bids.map(({ trainer, rule }) => [trainer === known, rule])).toEqual([
    [true, undefined],
    [false, 'unknown-key'],
  ]);
  await expectSound(world);
});

test('a customer that takes keys it follows only refuses others by name, and gives them no free seat later', async () => {
  const world = await createWorld({
    ...{ name: 'followed', trainers: 2, spares: 1, rounds: 2 },
    job: { quorum: 1, award: 'deadline', bidWindow: '30s' },
  });
  const [friend, stranger, late] = world.trainers.map(({ signer }) => signer.pubkey);
  const { state } = await world.run({
    customer: { adapt: (env) => ({ ...env, followed: new Set([friend!]) }) },
    trainers: { 0: slowTrainer, 2: { startAfterSec: 100 } },
  });
  expect(state.award!.content.bids.map(({ trainer, rule }) => [trainer, rule])).toEqual([
    [friend, undefined],
    [stranger, 'web-of-trust'],
  ]);
  expect(state.bids.some(({ author }) => author === late)).toBe(true);
  expect(state.rounds.map(({ assigned }) => assigned.map(({ trainer }) => trainer))).toEqual([[friend], [friend]]);
  await expectSound(world);
});

test('a shard gets no more holders than the job promised, and the audit names the customer that gave it one more', async () => {
  const world = await createWorld({
    ...{ name: 'holders', trainers: 1, spares: 1, rounds: 2 },
    job: { maxHolders: 1, award: 'deadline', bidWindow: '30s', roundTimeout: '5m', quorum: 1 },
  });
  const { state } = await world.run({ trainers: { 0: { kill: { after: 2, isKept: true }, restart: false } } });
  expect(state.replacements).toBe(0);

  const script = scriptJob({ trainers: 1, spares: 1, until: 'award', terms: { maxHolders: 1 } });
  script.say(customer, 'replace', 'replace', {
    ...{ shard: 0, out: people[0]!.pubkey, reason: 'grant-bad' },
    in: {
      ...{ trainer: people[1]!.pubkey, bid: script.raw('bid/1').id, priceMsat: PRICE_MSAT },
      grant: grantOf(people[1]!, 0),
    },
  });
  expect(script.state.firstBad).toBeNull();
  expect(conductViolation(script.state)).toMatchObject({ rule: 'holders', event: script.raw('replace').id });
});
