import { expect, test } from 'vitest';
import { baseChain, differencesOf } from '../../src/market/base-chain.js';
import type { JobState, RoundState } from '../../src/market/state.js';
import { MAX_DIFFERENCES } from '../../src/protocol/round.js';
import { createWorld, failure, type CustomerOptions, type World } from '../support/market-world.js';

/** Global models that travel as differences to the model of the round before. */

const PASS = { open: null, keyed: null };
const SPARSE = { codec: 'topk', keep: 0.05, verification: 'floor' } as const;
const worldOf = (name: string, rounds: number, more: Partial<Parameters<typeof createWorld>[0]> = {}): Promise<World> =>
  createWorld({ ...{ name, trainers: 2, rounds, rail: 'none', rows: 18, classes: 30 }, job: SPARSE, ...more });
const isDifference = ({ open }: RoundState): boolean => open.content.difference !== undefined;
const kinds = ({ rounds }: JobState): string => rounds.map((round) => (isDifference(round) ? 'd' : 'W')).join('');

test('the first model of a job is whole, and one after eight differences; both audits come to the same models', async () => {
  const world = await worldOf('chain', 12);
  const { state } = await world.run();
  expect(state.phase).toBe('finished');
  expect(kinds(state)).toBe('WddddddddWdd');
  for (const { open } of state.rounds.filter(isDifference))
    expect(open.content.base.packed).toBeLessThan(state.rounds[0]!.open.content.base.packed / 2);
  expect(state.rounds.map((_, at) => differencesOf(state.rounds.slice(0, at + 1))).at(8)).toBe(MAX_DIFFERENCES);
  expect(await world.audit()).toMatchObject(PASS);
  expect(await world.auditAll()).toMatchObject({ found: null });
});

test('who takes over a shard in the middle follows the differences back', async () => {
  const world = await worldOf('late', 6, { spares: 1, job: { ...SPARSE, quorum: 1, roundTimeout: '5m' } });
  const { state } = await world.run({ trainers: { 0: { kill: { after: 12, isKept: true }, restart: false } } });
  expect(state.phase).toBe('finished');
  const late = world.trainers[2]!.signer.pubkey;
  const first = state.rounds.findIndex(({ listedReveals }) =>
    [...listedReveals.values()].some(({ author }) => author === late),
  );
  expect(first).toBeGreaterThan(0);
  expect(baseChain(state.rounds.slice(0, first + 1)).length).toBeGreaterThan(1);
  expect(state.rounds[first]!.close!.content.accepted.map(({ trainer }) => trainer)).toContain(late);
  expect(await world.audit()).toMatchObject(PASS);
});

test('a home that loses the model of the round before fetches it again', async () => {
  const world = await worldOf('forgetful', 5);
  const { files, said } = world.trainers[0]!;
  let lost = 0;
  const onWrite = () => {
    for (const name of [...files.keys()]) if (name.endsWith('/base.safetensors') && files.delete(name)) lost++;
  };
  const { state } = await world.run({ trainers: { 0: { onWrite } } });
  expect(lost).toBeGreaterThan(1);
  expect(said.join('\n')).not.toContain('wrong-key');
  expect(state.rounds.flatMap(({ close }) => close!.content.rejected)).toEqual([]);
});

test.each(['f32', 'int4', 'topk'] as const)(
  'states shown for spot checks travel as differences too: %s',
  async (codec) => {
    const job = { codec, verification: 'spot', spotRate: 1, segments: 3, acceptedEngines: 'cpu' } as const;
    const world = await worldOf(`states ${codec}`, 3, { job });
    const { state } = await world.run();
    expect(state.frauds.size).toBe(0);
    const shown = (await world.allKeys()).updates.flatMap(({ state: one }) => (one === null ? [] : [one.coding]));
    expect(shown.length).toBeGreaterThan(0);
    expect(new Set(shown)).toEqual(new Set(['ordered-words']));
    expect(await world.audit()).toMatchObject(PASS);
    expect(await world.auditAll()).toMatchObject({ found: null });
  },
);

test('a customer that was killed and lost its models goes on with a whole one', async () => {
  const world = await worldOf('lost', 5);
  const { files } = world.customer;
  const { state } = await world.run({
    customer: {
      kill: (start) => (start < 4 ? { after: 9 + 3 * start, isKept: start % 2 === 0 } : undefined),
      onKilled: () => [...files.keys()].filter((name) => name.includes('model-')).forEach((name) => files.delete(name)),
    },
  });
  expect(state.phase).toBe('finished');
  expect(kinds(state).slice(1)).toMatch(/W/);
  expect(await world.audit()).toMatchObject(PASS);
});

/** Announces something else than it published. */
const announcing = (change: (content: Record<string, unknown>) => Record<string, unknown>): CustomerOptions => ({
  adapt: (env) => ({
    ...env,
    book: {
      ...env.book,
      sign: ((type: 'open', content: Record<string, unknown>, people: []) =>
        env.book.sign(
          type,
          (type === 'open' && content['difference'] !== undefined ? change(content) : content) as never,
          people,
        )) as never,
    },
  }),
});

test('a difference to another model than that of the round before breaks the rules: nobody trains on', async () => {
  const world = await worldOf('wrong base', 3);
  const other = 'ab'.repeat(32);
  const customer = announcing((content) => ({
    ...content,
    difference: { ...(content['difference'] as object), to: other },
  }));
  const { state, customer: led, ends } = await world.run({ customer });
  expect(failure(led).code).toBe('audit-failed');
  expect(state.firstBad).toMatchObject({ rule: 'open', detail: expect.stringContaining(other) as string });
  for (const end of ends) expect(end).toMatchObject({ end: 'stopped' });
});

test('a difference that does not open stops its trainers with what is wrong, and the audit names the event', async () => {
  const world = await worldOf('wrong bytes', 3, { job: { ...SPARSE, roundTimeout: '2m', deadline: '1h' } });
  const customer = announcing((content) => ({
    ...content,
    difference: { ...(content['difference'] as object), sha256: 'ab'.repeat(32) },
  }));
  const { state, ends } = await world.run({ customer });
  for (const end of ends) expect(failure(end).code).toBe('hash-mismatch');
  const { keyed } = await world.audit();
  expect(keyed).toMatchObject({ rule: 'blob', event: state.rounds[1]!.open.id });
});
