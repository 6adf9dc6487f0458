import { describe, expect, test } from 'vitest';
import { sha256Hex, type Sha256 } from '../../src/hash.js';
import { initialParams } from '../../src/learning/params.js';
import { encodeParams } from '../../src/learning/safetensors.js';
import type { ParamSet } from '../../src/learning/types.js';
import { paidMsat, type JobState } from '../../src/market/state.js';
import { prng } from '../../src/learning/prng.js';
import type { EventOf } from '../../src/protocol/events.js';
import { createWorld, tinyExamples, type World } from '../support/market-world.js';
import { rogueTrainer, type Forge } from './rogue.js';

const GARBAGE = Uint8Array.from({ length: 500 }, (_, i) => (i * 37) & 255);

/** One float of the data set to NaN, the rest canonical. */
function withNaN(bytes: Uint8Array): Uint8Array {
  const out = Uint8Array.from(bytes);
  out.set([0, 0, 0xc0, 0x7f], out.length - 4);
  return out;
}

const mapped = (params: ParamSet, change: (value: number, index: number) => number): Uint8Array =>
  encodeParams(params.map((tensor) => ({ ...tensor, data: tensor.data.map(change) })));

function noise(params: ParamSet, reach: number): Uint8Array {
  const random = prng(new Uint8Array(32), 'noise');
  return mapped(params, (value) => value + reach * (2 * random.float() - 1));
}

const CHEATS: Record<string, readonly [rule: string, forge: Forge]> = {
  'garbage bytes': ['blob', () => ({ bytes: GARBAGE })],
  'bytes of another hash than it committed to': ['blob', () => ({ updateHash: sha256Hex('something better') })],
  'tensors of other shapes': [
    'shape',
    ({ state }) => ({
      bytes: encodeParams(initialParams({ ...state.job!.content.model, inputs: 23 }, new Uint8Array(32))),
    }),
  ],
  'a NaN': ['blob', ({ honest }) => ({ bytes: withNaN(honest) })],
  'bytes that are not canonical': ['blob', ({ honest }) => ({ bytes: Uint8Array.from([...honest, 0]) })],
  'a seal that holds no key': ['blob', () => ({ sealedText: '{"key":"'.padEnd(200, 'a') })],
  'chunks that it never published': ['blob', () => ({ publishesChunks: false })],
  'the model it was given, unchanged': ['unchanged', ({ base }) => ({ bytes: encodeParams(base) })],
  'a commitment without a reveal': ['no-reveal', () => ({ reveals: false })],
  'a reveal with another salt': ['opening', () => ({ revealed: () => ({ salt: new Uint8Array(32) }) })],
  'a better hash at the reveal than it committed to': [
    'opening',
    () => ({ revealed: () => ({ updateHash: sha256Hex('found later') }) }),
  ],
  'work from another model than the round’s': ['base', () => ({ baseHash: sha256Hex('an old model') })],
  'work from another model, which it admits': [
    'base',
    async ({ base, trainFrom }) => ({
      bytes: await trainFrom(base.map((tensor) => ({ ...tensor, data: tensor.data.map(() => 0.5) }))),
      baseHash: sha256Hex('an old model'),
    }),
  ],
  'work on other data than its shard': [
    'work-floor',
    async ({ base, trainFrom }) => ({ bytes: await trainFrom(base, tinyExamples(12, 'of another market')) }),
  ],
  'a commitment for a shard that is not its own': ['absent', () => ({ shard: 2 })],
  'a commitment after the list of commitments': ['absent', () => ({ commits: 'late' })],
  'two commitments at one place of its chain': ['absent', () => ({ commits: 'twice' })],
  'nothing at all': ['absent', () => null],
  'noise instead of work': ['work-floor', ({ base }) => ({ bytes: noise(base, 3) })],
  'weights that diverged': ['work-floor', ({ base }) => ({ bytes: mapped(base, (value) => value * 1e30 + 1e30) })],
};

async function expectOthersFinished(world: World, cheats: readonly number[]): Promise<void> {
  const state = (await world.read()).state();
  const isCheat = (pubkey: string) => cheats.some((index) => world.trainers[index]!.signer.pubkey === pubkey);
  expect(state.phase).toBe('finished');
  for (const round of state.rounds)
    expect(round.close!.content.accepted.map(({ trainer }) => isCheat(trainer))).toEqual(
      Array(world.terms.trainers - cheats.length).fill(false),
    );
  for (const [index, trainer] of world.trainers.entries()) {
    const wanted = cheats.includes(index) ? 0n : 21_000n * BigInt(world.terms.rounds);
    expect(paidMsat(state, trainer.signer.pubkey)).toBe(wanted);
    expect(world.lightning.balance(trainer.name)).toBe(1_000_000_000n + wanted);
  }
  const { open, keyed } = await world.audit();
  expect([open, keyed]).toEqual([null, null]);
}

const isAbsence = (rule: string): boolean => rule === 'absent' || rule === 'no-reveal';

/** `shard: reason, spare or nobody` of each replacement. */
function replacements({ chains, job }: JobState): string[] {
  return chains
    .get(job!.author)!
    .events.filter((event): event is EventOf<'replace'> => event.type === 'replace')
    .map(({ content }) => `${content.shard}: ${content.reason}, ${content.in === null ? 'nobody' : 'spare'}`);
}

const rulesOf = (closes: readonly (EventOf<'close'> | null)[]): string[][] =>
  closes.map((close) => close!.content.rejected.map(({ rule }) => rule));

describe('a trainer that submits', () => {
  for (const [what, [rule, forge]] of Object.entries(CHEATS)) {
    test(`${what}: named by rule ${rule}, unpaid, replaced by a spare who is paid, and the job finishes`, async () => {
      const world = await createWorld({ trainers: 3, spares: 1, rounds: 2, job: { quorum: 2, award: 'deadline' } });
      const { state, ends, customer } = await world.run({ trainers: { 1: { act: rogueTrainer(forge) } } });
      if (customer instanceof Error) throw customer;
      const cheat = world.trainers[1]!.signer.pubkey;
      expect(rulesOf(state.rounds.map((round) => round.close))).toEqual([[rule], []]);
      expect(state.rounds[0]!.close!.content.rejected[0]!.trainer).toBe(cheat);
      const line = new RegExp(`^warning: round 1: ${cheat.slice(0, 12)}… is not paid: ${rule} \\(.+\\)$`);
      expect(world.customer.said).toEqual(expect.arrayContaining([expect.stringMatching(line)]));
      expect(paidMsat(state, cheat)).toBe(0n);
      expect(world.lightning.balance(world.trainers[1]!.name)).toBe(1_000_000_000n);
      // What the work floor finds a spot check may prove as well: that depends on the draw.
      const reason = state.frauds.has(cheat) ? 'fraud' : isAbsence(rule) ? 'absent' : 'rejected';
      expect(replacements(state)).toEqual([`1: ${reason}, spare`]);
      if (state.frauds.has(cheat)) expect(rule).toBe('work-floor');
      expect(ends[0]).toMatchObject({ end: 'done', rounds: 2, paidMsat: 42_000n });
      expect(ends[3]).toMatchObject({ end: 'done', rounds: 1, paidMsat: 21_000n });
      expect(state.phase).toBe('finished');
      const { open, keyed } = await world.audit();
      expect([open, keyed]).toEqual([null, null]);
    });
  }

  test('the same forgery round after round, without a spare: named each time, and the others finish the job', async () => {
    const world = await createWorld({ trainers: 3, rounds: 2, job: { quorum: 2 } });
    const { state } = await world.run({ trainers: { 1: { act: rogueTrainer(() => ({ bytes: GARBAGE })) } } });
    expect(rulesOf(state.rounds.map((round) => round.close))).toEqual([['blob'], ['copy']]);
    await expectOthersFinished(world, [1]);
  });

  test('its own update of an earlier round, byte by byte: a copy, seen from the signed events alone', async () => {
    const kept: Uint8Array[] = [];
    const replay = rogueTrainer(({ round, honest }) => {
      kept.push(honest);
      return round.round < 2 ? {} : { bytes: kept[0]! };
    });
    const world = await createWorld({ trainers: 3, spares: 1, rounds: 4, job: { quorum: 2, award: 'deadline' } });
    const { state, ends } = await world.run({ trainers: { 1: { act: replay } } });
    const cheat = world.trainers[1]!.signer.pubkey;
    expect(rulesOf(state.rounds.map((round) => round.close))).toEqual([[], [], ['copy'], []]);
    expect(state.rounds[2]!.close!.content.rejected).toMatchObject([
      { trainer: cheat, detail: `the bytes that ${cheat.slice(0, 16)} showed in round 1` },
    ]);
    expect(paidMsat(state, cheat)).toBe(42_000n);
    expect(replacements(state)).toEqual(['1: rejected, spare']);
    expect(ends[3]).toMatchObject({ end: 'done', rounds: 1, paidMsat: 21_000n });
    const { open, keyed } = await world.audit();
    expect([state.phase, open, keyed]).toEqual(['finished', null, null]);
  });

  test('the update that an accomplice showed in an earlier round: a copy, though it has never sent these bytes', async () => {
    let shared: Uint8Array | undefined;
    const first = rogueTrainer(({ round, honest }) => {
      if (round.round === 0) shared = honest;
      return {};
    });
    const second = rogueTrainer(({ round }) => (round.round === 0 ? {} : { bytes: shared! }));
    const world = await createWorld({ trainers: 3, rounds: 2, job: { quorum: 2 } });
    const { state } = await world.run({ trainers: { 0: { act: first }, 2: { act: second } } });
    expect(rulesOf(state.rounds.map((round) => round.close))).toEqual([[], ['copy']]);
    const { trainer, detail } = state.rounds[1]!.close!.content.rejected[0]!;
    expect(trainer).toBe(world.trainers[2]!.signer.pubkey);
    expect(detail).toBe(`the bytes that ${world.trainers[0]!.signer.pubkey.slice(0, 16)} showed in round 1`);
    expect((await world.audit()).open).toBeNull();
  });

  test('two commitments at one place: the audit shows both as a fork, and the customer says so at once', async () => {
    const world = await createWorld({ trainers: 3, rounds: 1, job: { quorum: 2 } });
    const { state } = await world.run({ trainers: { 1: { act: rogueTrainer(() => ({ commits: 'twice' })) } } });
    const cheat = world.trainers[1]!.signer.pubkey;
    expect(state.forks).toMatchObject([{ author: cheat, seq: 2 }]);
    expect(state.forks[0]!.ids).toHaveLength(2);
    const fork = `warning: ${cheat.slice(0, 12)}… signed two events with seq 2: it counts as absent from there on`;
    expect(world.customer.said).toContain(fork);
  });

  test('the same bytes as its accomplice: both are copies, nobody else is', async () => {
    const world = await createWorld({ trainers: 4, rounds: 1, job: { quorum: 2 } });
    const shared = rogueTrainer(({ base }) => ({ bytes: noise(base, 0.01) }));
    const { state } = await world.run({ trainers: { 0: { act: shared }, 3: { act: shared } } });
    expect(rulesOf(state.rounds.map((round) => round.close))).toEqual([['copy', 'copy']]);
    await expectOthersFinished(world, [0, 3]);
  });

  test('a hash that an honest trainer revealed before: it does not open, and the honest one is no copy', async () => {
    const world = await createWorld({ trainers: 3, rounds: 1, job: { quorum: 2 } });
    const victim = 0; // its shard
    const thief = rogueTrainer(() => ({
      revealed: (round) => {
        const seen: Sha256 | undefined = round.reveals.get(victim)?.content.updateHash;
        return { updateHash: seen ?? sha256Hex('too early') };
      },
    }));
    const { state } = await world.run({ trainers: { 2: { act: thief } } });
    expect(rulesOf(state.rounds.map((round) => round.close))).toEqual([['opening']]);
    await expectOthersFinished(world, [2]);
  });

  test('rejected work loses its shard to a spare, who is paid from then on', async () => {
    const world = await createWorld({ trainers: 2, spares: 1, rounds: 3, job: { quorum: 1, award: 'deadline' } });
    const { state, ends } = await world.run({ trainers: { 0: { act: rogueTrainer(() => ({ bytes: GARBAGE })) } } });
    expect(rulesOf(state.rounds.map((round) => round.close))).toEqual([['blob'], [], []]);
    expect(ends[0]).toMatchObject({ end: 'lost', why: 'the shard went to a spare' });
    expect(ends[2]).toMatchObject({ end: 'done', rounds: 2, paidMsat: 42_000n });
  });

  test('cheats only: every round is void, nobody is paid, the customer still ends', async () => {
    const world = await createWorld({ trainers: 2, rounds: 2, job: { quorum: 1 } });
    const act = rogueTrainer(() => ({ bytes: GARBAGE }));
    const { customer, state } = await world.run({ trainers: { 0: { act }, 1: { act } } });
    if (customer instanceof Error) throw customer;
    expect(state.rounds.map((round) => round.voided !== null)).toEqual([true, true]);
    expect(world.lightning.payments).toEqual([]);
    expect((await world.audit()).keyed).toBeNull();
  });
});

test('honest work of every shard passes the work floor, round after round', async () => {
  const world = await createWorld({ name: 'long', trainers: 3, rounds: 5, rail: 'none' });
  const { state } = await world.run();
  expect(rulesOf(state.rounds.map((round) => round.close))).toEqual([[], [], [], [], []]);
});
