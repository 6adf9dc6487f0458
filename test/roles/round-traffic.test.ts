import { describe, expect, test } from 'vitest';
import type { EventId, Pubkey } from '../../src/hash.js';
import { foldJob } from '../../src/market/fold.js';
import { paidMsat, type JobState } from '../../src/market/state.js';
import type { NostrEvent } from '../../src/ports.js';
import { parseJobEvent, type JobEvent } from '../../src/protocol/events.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { comparePlan, sideOf, type PlanComparison } from '../../src/roles/compare-plan.js';
import { chunkLoad } from '../../src/roles/event-sizes.js';
import { plannedTraffic } from '../../src/roles/planned-traffic.js';
import { planRound } from '../../src/roles/round-plan.js';
import { ownUpdates, PUBLIC_KNOWLEDGE, type OwnKnowledge } from '../../src/roles/round-traffic.js';
import { foldPayouts } from '../../src/wallet/payout-records.js';
import { createWorld, type Participant, type TrainerOptions, type World } from '../support/market-world.js';

const sizeOfEvent = (event: NostrEvent) => JSON.stringify(event).length;

/** As the home of `who` sees it, or a stranger without one. */
async function compared(
  world: World,
  who?: Participant,
  isCut?: (event: JobEvent) => boolean,
): Promise<PlanComparison> {
  const book = await world.read();
  const state = isCut === undefined ? book.state() : await stateBefore(world, isCut);
  const side = sideOf(state, who?.signer.pubkey ?? null);
  const payouts = foldPayouts(world.customer.payouts);
  const own: OwnKnowledge =
    who === undefined
      ? PUBLIC_KNOWLEDGE
      : {
          sealed: await ownUpdates(state, side, who.signer),
          feesMsat: ({ payout }) => (who === world.customer ? (payouts.get(payout)?.paid?.feesMsat ?? null) : null),
        };
  const sizeOf = (id: EventId) => sizeOfEvent(book.raw(id)!);
  return comparePlan(state, side, world.snapshot.manifest, sizeOf, own);
}

/** Of each chain the events before the first one of which this is true. */
async function stateBefore(world: World, isCut: (event: JobEvent) => boolean): Promise<JobState> {
  const events = (await world.read()).all().map((event) => parseJobEvent(event));
  const cuts = new Map<Pubkey, number>();
  for (const one of events.filter(isCut)) cuts.set(one.author, Math.min(one.seq, cuts.get(one.author) ?? Infinity));
  const kept = events.filter(({ author, seq }) => seq < (cuts.get(author) ?? Infinity));
  return foldJob(world.jobId, kept);
}

/** What the relay has of the rounds: everything since the award that is no grant, no answer to it and not of the final model. */
async function onRelay(world: World, before: ReadonlySet<EventId>): Promise<{ events: number; bytes: number }> {
  const { artifact } = (await world.read()).state();
  const model = chunkLoad(artifact!.content.weights);
  const rest = world.network.events().filter(({ id, kind }) => !before.has(id) && !NOT_OF_ROUNDS.has(kind));
  const outside = rest.filter(
    (event) => event.kind !== KINDS.chunk && !('round' in parsed(event) || 'payout' in parsed(event)),
  );
  const events = rest.length - outside.length - model.events;
  const sum = (list: readonly NostrEvent[]) => list.reduce((bytes, event) => bytes + sizeOfEvent(event), 0);
  return { events, bytes: sum(rest) - sum(outside) - model.bytes };
}
const NOT_OF_ROUNDS = new Set<number>([1059, KINDS.artifactListing, KINDS.backup, 10_050]);
const parsed = (event: NostrEvent): object => parseJobEvent(event).content;

const idsOf = (world: World) => new Set(world.network.events().map(({ id }) => id));

describe('what a round took, beside its plan', () => {
  test('small models, where nobody fails: the events of the plan, its pay, and no more bytes than it says', async () => {
    const world = await createWorld({ name: 'as planned', trainers: 3, rounds: 3, job: { verification: 'floor' } });
    const before = idsOf(world);
    await world.run();
    const { rounds, ...whole } = await compared(world, world.customer);
    expect(rounds).toHaveLength(3);
    for (const { plan, actual } of rounds) {
      // Opened, two lists, scores, close, settlement; of three trainers commitment, reveal, claim, receipt and thanks.
      expect([plan!.events, actual!.events]).toEqual([21, 21]);
      expect([plan!.msat, actual!.msat]).toEqual([63_000n, 63_000n]);
      expect(actual!.bytesUp).toBeLessThanOrEqual(plan!.bytesUp!);
      expect(actual!.bytesUp).toBeGreaterThan(plan!.bytesUp! / 2);
      expect(actual!.bytesDown).toBeLessThanOrEqual(plan!.bytesDown!);
      expect(actual!.bytesDown).toBeGreaterThan(plan!.bytesDown! / 2);
    }
    expect(whole.planSoFar).toEqual(whole.plan);
    const { bytesUp, bytesDown, events, feesMsat } = whole.actual!;
    expect({ events, bytes: bytesUp! + bytesDown! }).toEqual(await onRelay(world, before));
    const fees = [...foldPayouts(world.customer.payouts).values()].map(({ paid }) => paid!.feesMsat);
    expect(feesMsat).toBe(fees.reduce((sum, fee) => sum + fee, 0n));
    // Nothing of it is secret but the fees.
    expect(await compared(world)).toEqual({
      ...whole,
      actual: { ...whole.actual, feesMsat: null },
      rounds: rounds.map(({ plan, actual }) => ({ plan, actual: { ...actual, feesMsat: null } })),
    });
  });

  test('of a job with validators: their events, and their fees', async () => {
    const terms = { verification: 'floor', validators: 3, validatorFeeSats: 2 } as const;
    const world = await createWorld({ name: 'with validators', trainers: 2, rounds: 2, validators: 3, job: terms });
    const before = idsOf(world);
    const { state } = await world.run();
    expect(state.rounds.map(({ verdict }) => verdict!.from)).toEqual(['validators', 'validators']);
    const { rounds, actual } = await compared(world, world.customer);
    for (const round of rounds) {
      // Opened, four lists, close, settlement, five receipts; of each trainer and each validator two events of work and two of pay.
      expect([round.plan!.events, round.actual!.events]).toEqual([32, 32]);
      expect([round.plan!.msat, round.actual!.msat]).toEqual([48_000n, 48_000n]);
      for (const way of ['bytesUp', 'bytesDown'] as const) {
        expect(round.actual![way]).toBeLessThanOrEqual(round.plan![way]!);
        expect(round.actual![way]).toBeGreaterThan(round.plan![way]! / 2);
      }
    }
    const relay = await onRelay(world, before);
    expect({ events: actual!.events, bytes: actual!.bytesUp! + actual!.bytesDown! }).toEqual(relay);
  });

  test('models and states in chunks: the customer knows all, a trainer its part, strangers what lies open', async () => {
    const world = await createWorld({
      ...{ name: 'in chunks', trainers: 3, rounds: 2, classes: 600, rail: 'none' },
      job: { codec: 'f16', verification: 'spot', spotRate: 1, segments: 3 },
    });
    const before = idsOf(world);
    await world.run();
    const { planSoFar, actual } = await compared(world, world.customer);
    const relay = await onRelay(world, before);
    expect({ events: actual!.events, bytes: actual!.bytesUp! + actual!.bytesDown! }).toEqual(relay);
    expect(actual!.bytesUp).toBeLessThanOrEqual(planSoFar!.bytesUp!);
    expect([planSoFar!.msat, actual!.msat, actual!.feesMsat]).toEqual([0n, 0n, 0n]);

    const parts = await Promise.all(world.trainers.map((who) => compared(world, who)));
    for (const part of parts) {
      expect(part.planFor).toBe('trainer');
      expect(part.actual!.bytesUp).toBeLessThanOrEqual(part.planSoFar!.bytesUp! + 3 * 64_412);
      // The base, and every event of the customer and of the two others.
      expect(part.actual!.bytesDown).toBeLessThanOrEqual(part.planSoFar!.bytesDown!);
    }
    // What trainers sent is what the customer got.
    expect(parts.reduce((sum, part) => sum + part.actual!.bytesUp!, 0)).toBe(actual!.bytesDown);

    const stranger = await compared(world);
    expect(stranger.actual).toMatchObject({ bytesUp: actual!.bytesUp, bytesDown: null, events: null, feesMsat: 0n });
    expect(stranger.actual!.seconds).toBe(actual!.seconds);
  });

  test('while a round runs: what has come, no seconds yet, and not in the sum; before the first one nothing', async () => {
    const world = await createWorld({ name: 'still running', trainers: 2, rounds: 2, job: { verification: 'floor' } });
    await world.run();
    const late = world.trainers[1]!.signer.pubkey;
    const running = await compared(
      world,
      world.customer,
      ({ type, author, content }) =>
        'round' in content && content.round === 1 && type !== 'open' && (type !== 'commit' || author === late),
    );
    const [first, second] = running.rounds;
    expect(running.actual).toEqual(first!.actual);
    expect(running.planSoFar).toEqual(first!.plan);
    expect(running.plan!.events).toBe(2 * first!.plan!.events!);
    // The opening and one commitment.
    expect(second!.actual).toMatchObject({ events: 2, seconds: null, msat: 0n });
    expect(second!.actual!.bytesDown).toBeLessThan(1_000);

    const early = await compared(world, world.customer, ({ type }) => type === 'award');
    expect(early.rounds).toEqual([]);
    expect(early.plan).toMatchObject({ events: running.plan!.events, seconds: null, msat: 84_000n });
    expect(early.actual).toEqual({ bytesUp: 0, bytesDown: 0, events: 0, seconds: 0, msat: 0n, feesMsat: 0n });
  });

  test('a void round took its time and its events, and nothing was paid for it', async () => {
    const world = await createWorld({ name: 'void', trainers: 2, rounds: 2, job: { quorum: 2, roundTimeout: '15m' } });
    const sleeper: TrainerOptions = { kill: { after: 2, isKept: false }, restartAfterSec: 2_400 };
    const { state } = await world.run({ trainers: { 1: sleeper } });
    expect(state.rounds[0]!.voided).not.toBeNull();
    const { rounds, actual, planSoFar } = await compared(world, world.customer);
    const [first, second] = rounds;
    expect(first!.actual).toMatchObject({ seconds: 1_800, msat: 0n, feesMsat: 0n });
    // Nobody revealed: the customer got one commitment.
    expect(first!.actual!.bytesDown).toBeLessThan(1_000);
    // It waited there, too: what has come meanwhile is announced.
    expect(second!.actual!.events).toBeGreaterThan(second!.plan!.events!);
    expect(second!.actual!.msat).toBe(42_000n);
    expect(actual!.msat).toBe(paidMsat(state));
    expect(planSoFar!.msat).toBe(84_000n);
  });

  test('without the dataset nothing is planned, and what came is told all the same', async () => {
    const world = await createWorld({ name: 'no manifest', trainers: 2, rounds: 1 });
    const { state } = await world.run();
    const told = comparePlan(state, sideOf(state, 'ab'.repeat(32) as Pubkey), null, () => 1_000, PUBLIC_KNOWLEDGE);
    expect(told).toMatchObject({ planFor: 'customer', plan: null, planSoFar: null, rounds: [{ plan: null }] });
    expect(told.actual!.msat).toBe(42_000n);
  });
});

test('planned seconds are those of the slowest seat, by its bid; unknown where a bid names no speed', async () => {
  const world = await createWorld({ name: 'speeds', trainers: 2, rounds: 1 });
  const { state } = await world.run();
  const at = (...speeds: readonly number[]) => {
    const chains = new Map(
      [...state.chains].map(([author, chain]) => {
        const speed = speeds[world.trainers.findIndex(({ signer }) => signer.pubkey === author)] ?? 0;
        const events = chain.events.map((event) =>
          event.type === 'bid' ? { ...event, content: { ...event.content, throughput: speed } } : event,
        );
        return [author, { ...chain, events }];
      }),
    );
    const changed = { ...state, chains };
    return comparePlan(changed, { role: 'customer' }, world.snapshot.manifest, () => 0, PUBLIC_KNOWLEDGE).plan!.seconds;
  };
  // 8 epochs of 12 examples in batches of 4.
  expect(at(96, 48)).toBe(2);
  expect(at(96, 9_600)).toBe(1);
  expect(at(96, 0)).toBeNull();
});

test('the plans of all seats together are what the customer is to get and to pay', async () => {
  const world = await createWorld({ name: 'parts', trainers: 3, rounds: 1, job: { verification: 'floor' } });
  const { terms } = world;
  const plan = planRound(terms, [12, 12, 12]);
  const me = { role: 'trainer', pubkey: world.trainers[0]!.signer.pubkey } as const;
  const customer = plannedTraffic(terms, plan, { role: 'customer' }, true);
  const [one, two] = [1, 2].map((seats) => plannedTraffic(terms, plan, me, true, seats));
  expect(one!.bytesUp! + two!.bytesUp!).toBe(customer.bytesDown);
  expect(one!.msat! + two!.msat!).toBe(customer.msat);
  // Who has two seats reads the customer and one other.
  expect(two!.bytesDown).toBe(customer.bytesUp! + one!.bytesUp!);
});
