import { describe, expect, test } from 'vitest';
import { fromHex, hex, sha256, sha256Hex } from '../../src/hash.js';
import type { CustomerEnv } from '../../src/roles/customer-env.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { wrapRumor } from '../../src/relay/gift-wrap.js';
import { localSigner } from '../../src/signer.js';
import { createWorld, failure, type CustomerOptions, type World } from '../support/market-world.js';
import { tampering } from './rogue.js';

type Secrets = CustomerEnv['secrets']['train']['secrets'];

/** A customer that grants from other secrets than it published with. */
const granting = (change: (secrets: Secrets) => Partial<Secrets>, seed?: string): CustomerOptions => ({
  adapt: (env) => {
    const { train } = env.secrets;
    const secrets = { ...train.secrets, ...change(train.secrets) };
    return { ...env, secrets: { ...env.secrets, ...(seed && { seed }), train: { ...train, secrets } } };
  },
});

/** A customer that signs other contents than the rules give. */
const signing = (change: Parameters<typeof tampering>[1]): CustomerOptions => ({
  signer: (own) => tampering(own, change),
});

const wrong = hex(sha256('wrong'));

async function answers(world: World): Promise<string[]> {
  const state = (await world.read()).state();
  return world.trainers.map((trainer) => {
    const events = state.chains.get(trainer.signer.pubkey)?.events ?? [];
    return events
      .map((event) => (event.type === 'grant-bad' ? `grant-bad ${event.content.rule}` : event.type))
      .join(', ');
  });
}

describe('a customer that grants', () => {
  const cases: [string, string, CustomerOptions][] = [
    ['a key that is not the shard’s', 'key', granting(() => ({ key: wrong }))],
    ['a locator that the snapshot did not promise', 'hash', granting(({ locator }) => ({ locator: `${locator} ` }))],
    ['another blind of the locator', 'hash', granting(() => ({ blind: wrong }))],
    ['another seed than the job committed to', 'hash', granting(() => ({}), wrong)],
  ];
  for (const [what, rule, customer] of cases)
    test(`${what}: trainers answer grant-bad with rule ${rule}, train nothing and are not called absent`, async () => {
      const world = await createWorld({ trainers: 2 });
      const result = await world.run({ customer });
      expect(await answers(world)).toEqual([`bid, grant-bad ${rule}`, `bid, grant-bad ${rule}`]);
      expect(failure(result.customer).code).toBe('job-closed');
      expect(result.ends).toMatchObject([{ end: 'stopped' }, { end: 'stopped' }]);
      expect(result.state.rounds).toEqual([]);
      const replaced = result.state.chains
        .get(world.customer.signer.pubkey)!
        .events.filter(({ type }) => type === 'replace');
      expect(replaced.map((event) => (event.type === 'replace' ? event.content.reason : ''))).toEqual([
        'grant-bad',
        'grant-bad',
      ]);
    });

  test('what others forge in its name: ignored, the job is not disturbed', async () => {
    const world = await createWorld({ trainers: 2 });
    const stranger = localSigner(sha256('stranger'));
    const relays = world.network.relays();
    for (const trainer of world.trainers)
      for (const grant of [
        { purpose: 'round', job: world.jobId, round: 0, key: wrong, notAfter: world.terms.deadline },
        {
          ...{ purpose: 'shard', job: world.jobId, snapshot: world.snapshot.id, shard: 0, key: wrong, seed: wrong },
          ...{ locator: '{}', blind: wrong, notAfter: world.terms.deadline },
        },
      ]) {
        const rumor = { kind: KINDS.grant, content: JSON.stringify(grant), tags: [] };
        const nowSec = world.clock.nowSec();
        const wrap = await wrapRumor(rumor, stranger, trainer.signer.pubkey, world.customer.random, nowSec);
        await relays.publish(wrap);
      }
    const { state } = await world.run();
    expect(state.phase).toBe('finished');
  });
});

describe('a customer that breaks a rule in public', () => {
  const cases: [string, string, CustomerOptions][] = [
    [
      'its settlement pays less than the award promised',
      'settlement',
      signing((phase, content) => (phase === '4630' ? { ...content, totalMsat: '1', plan: [] } : undefined)),
    ],
    [
      'its close rejects work that its own scores pass',
      'close',
      signing((phase, content) => {
        if (phase !== 'close') return undefined;
        const [first, ...rest] = content['accepted'] as Record<string, unknown>[];
        return { ...content, accepted: rest, rejected: [{ ...first, rule: 'work-floor', detail: 'no' }] };
      }),
    ],
    [
      'its award goes to the dearer bid',
      'award-winners',
      signing((phase, content) => {
        if (phase !== 'award') return undefined;
        const [a, b, ...rest] = content['winners'] as { shard: number }[];
        return { ...content, winners: [{ ...b, shard: a!.shard }, { ...a, shard: b!.shard }, ...rest] };
      }),
    ],
    [
      'its scores claim another D than its losses give',
      'scores',
      signing((_, content) => {
        const rows = content['scores'];
        return Array.isArray(rows)
          ? { ...content, scores: rows.map((row) => ({ ...(row as object), dPpm: 1 })) }
          : undefined;
      }),
    ],
  ];
  for (const [what, rule, customer] of cases)
    test(`${what}: trainers stop, it cannot go on, and the audit names rule ${rule}`, async () => {
      const world = await createWorld({ trainers: 3, rounds: 1, job: { quorum: 2 } });
      const result = await world.run({ customer });
      expect(failure(result.customer).code).toBe('audit-failed');
      for (const end of result.ends) expect(end).toMatchObject({ end: 'stopped', why: expect.stringContaining(rule) });
      expect((await world.audit()).open).toMatchObject({ rule });
      expect(world.lightning.payments).toEqual([]);
    });

  test('its list leaves out a commitment that it has seen: trainers stop, and the audit names the omission', async () => {
    const world = await createWorld({ trainers: 3, rounds: 1, job: { quorum: 1 } });
    const victim = world.trainers[0]!.signer.pubkey;
    const customer = signing((phase, content) => {
      if (phase !== 'list' || content['of'] !== 'commit') return undefined;
      const mine = world.network.events().filter((event) => event.pubkey === victim);
      const ids = (content['ids'] as string[]).filter((id) => !mine.some((event) => event.id === id));
      return { ...content, ids };
    });
    const silent = { kill: { after: 2, isKept: false }, restart: false };
    const result = await world.run({ customer, trainers: { 2: silent } });
    expect(failure(result.customer).code).toBe('audit-failed');
    expect(result.ends.slice(0, 2)).toMatchObject([
      { end: 'stopped', why: expect.stringContaining('omission') },
      { end: 'stopped', why: expect.stringContaining('omission') },
    ]);
    expect((await world.audit()).open).toMatchObject({ rule: 'omission' });
  });

  test('it signs two events with one number: the job is frozen there, and both signatures prove it', async () => {
    const world = await createWorld({ trainers: 2, rounds: 1 });
    const { customer } = world;
    const fork = async (): Promise<void> => {
      const open = customer.events.find(({ event }) => event.kind === KINDS.round)!.event;
      const twin = await customer.signer.sign({ ...open, created_at: open.created_at + 1 });
      await world.network.relays().publish(twin);
    };
    const result = await world.run({
      customer: { adapt: (env) => ({ ...env, onStep: (step) => void (step === 'open' && fork()) }) },
    });
    expect(failure(result.customer).code).toMatch(/audit-failed|forked/);
    expect((await world.audit()).open).toMatchObject({ rule: 'fork' });
    for (const end of result.ends) expect(end).toMatchObject({ end: 'stopped' });
  });
});

describe('a customer that cheats where only keys can see it', () => {
  test('its aggregate is not the mean of what it accepted: the audit with keys names it', async () => {
    const world = await createWorld({ trainers: 2, rounds: 1 });
    const initial = (await world.run({ customer: 'absent', trainers: { 0: 'absent', 1: 'absent' } })).state;
    expect(initial.rounds).toEqual([]);
    let base = '';
    const customer = signing((phase, content) => {
      if (phase === 'open') base = (content['base'] as { sha256: string }).sha256;
      return phase === 'close' ? { ...content, aggregate: base } : undefined;
    });
    const { state } = await world.run({ customer });
    expect(state.phase).toBe('finished');
    const { open, keyed } = await world.audit();
    expect(open).toBeNull();
    expect(keyed).toMatchObject({ rule: 'aggregate', event: state.rounds[0]!.close!.id });
  });

  test('it says that good work did not open: the audit with keys opens it', async () => {
    const world = await createWorld({ trainers: 3, rounds: 1, job: { quorum: 2 } });
    const customer = signing((phase, content) => {
      if (phase !== 'close') return undefined;
      const [first, ...rest] = content['accepted'] as Record<string, unknown>[];
      return { ...content, accepted: rest, rejected: [{ ...first, rule: 'blob', detail: 'no' }] };
    });
    const { state } = await world.run({ customer });
    expect(state.phase).toBe('finished');
    const { open, keyed } = await world.audit();
    expect(open).toBeNull();
    expect(keyed).toMatchObject({ rule: 'acceptance', event: state.rounds[0]!.close!.id });
  });

  test('its receipt shows an invoice of another claim: the public audit names the receipt', async () => {
    const world = await createWorld({ trainers: 2, rounds: 1 });
    let first: Record<string, unknown> | undefined;
    const customer = signing((phase, content) => {
      if (phase !== 'receipt') return undefined;
      first ??= content;
      const { invoice, paymentHash, preimage } = first;
      return { ...content, invoice, paymentHash, preimage };
    });
    await world.run({ customer });
    expect((await world.audit()).open).toMatchObject({ rule: 'receipt' });
    expect(sha256Hex(fromHex(String(first!['preimage'])))).toBe(first!['paymentHash']);
  });
});
