import { describe, expect, test } from 'vitest';
import { paidMsat, type JobState } from '../../src/market/state.js';
import type { EventOf } from '../../src/protocol/events.js';
import { describeTrainers } from '../../src/roles/describe-work.js';
import type { JobBook } from '../../src/roles/job-book.js';
import { serveJob, type ServeEnd, type TrainerEnv } from '../../src/roles/trainer.js';
import { createWorld, type TrainerOptions, type World } from '../support/market-world.js';
import { customer, people, scriptJob } from '../support/job-script.js';
import { expectOneChainEach } from './kills.js';

const PRICE = 21_000n;

/** Serves until it has signed that type of event, or its story says so; leaves once the job is there, and serves on. */
function leaving(world: World, index: number, saying: string, when: (state: JobState) => boolean): TrainerOptions {
  const who = world.trainers[index]!;
  return {
    act: async () => {
      const stop = new AbortController();
      const note = (done: string) => done === saying && stop.abort();
      const adapt = (env: TrainerEnv): TrainerEnv => {
        const sign: JobBook['sign'] = async (type, ...rest) => {
          const event = await env.book.sign(type, ...rest);
          note(type);
          return event;
        };
        return { ...env, signal: stop.signal, emit: note, book: { ...env.book, sign } };
      };
      const first = await world.serve(who, { adapt }).catch((error: unknown) => error as Error);
      expect(first).toMatchObject({ code: 'interrupted' });
      return world.serve(who, { act: (env) => resignAndServe(env, when) });
    },
  };
}

async function resignAndServe(env: TrainerEnv, when: (state: JobState) => boolean): Promise<ServeEnd> {
  while (!when(env.book.state())) await env.bell.wait(600_000, env.signal);
  await env.book.sign('resign', { reason: 'moving house' }, [env.book.state().job!.author]);
  return serveJob(env);
}

async function reasons(world: World): Promise<string[]> {
  const { chains } = (await world.read()).state();
  return chains
    .get(world.customer.signer.pubkey)!
    .events.filter((event): event is EventOf<'replace'> => event.type === 'replace')
    .map(({ content }) => `${content.shard}: ${content.reason}, ${content.in === null ? 'nobody' : 'spare'}`);
}

async function expectSound(world: World): Promise<void> {
  expectOneChainEach(world);
  const { open, keyed } = await world.audit();
  expect([open, keyed]).toEqual([null, null]);
}

describe('a trainer that resigns', () => {
  test('in an open round before its commitment is not waited for, is absent there, and a spare takes over', async () => {
    const world = await createWorld({ trainers: 3, spares: 1, job: { award: 'deadline', quorum: 2 } });
    const resigned = leaving(world, 0, 'ready', ({ phase }) => phase === 'committing');
    const { state, ends } = await world.run({ trainers: { 0: resigned } });
    expect(ends).toMatchObject([
      { end: 'lost', why: 'this trainer resigned' },
      { end: 'done', rounds: 2 },
      { end: 'done', rounds: 2 },
      { end: 'done', rounds: 1 },
    ]);
    const [first, second] = state.rounds;
    expect(first!.commitList!.createdAt, 'it did not wait').toBeLessThan(first!.open.content.until - 600);
    expect(first!.close!.content.rejected).toMatchObject([
      { trainer: world.trainers[0]!.signer.pubkey, rule: 'absent', submission: null },
    ]);
    expect(await reasons(world)).toEqual(['0: resigned, spare']);
    expect(second!.close!.content.accepted).toHaveLength(3);
    expect(state.phase).toBe('finished');
    await expectSound(world);
  });

  test('after an accepted round still gets its money, and works no more', async () => {
    const world = await createWorld({ trainers: 2, rounds: 3, job: { quorum: 1 } });
    const resigned = leaving(world, 0, 'accepted', () => true);
    const { state, ends } = await world.run({ trainers: { 0: resigned } });
    expect(ends).toMatchObject([
      { end: 'done', rounds: 1, paidMsat: PRICE },
      { end: 'done', rounds: 3, paidMsat: 3n * PRICE },
    ]);
    expect(state.rounds.map((round) => round.close!.content.accepted.length)).toEqual([2, 1, 1]);
    expect(paidMsat(state)).toBe(4n * PRICE);
    expect(await reasons(world)).toEqual(['0: resigned, nobody']);
    await expectSound(world);
  });

  test('before the award is not awarded, and a second run of the trainer bids no more', async () => {
    const world = await createWorld({ trainers: 2, spares: 1, job: { award: 'deadline' } });
    const resigned = leaving(world, 0, 'bid', () => true);
    const { state, ends } = await world.run({ trainers: { 0: resigned } });
    expect(ends).toMatchObject([{ end: 'lost', why: 'this trainer resigned' }, { end: 'done' }, { end: 'done' }]);
    expect(state.award!.content.bids.map(({ trainer }) => trainer)).not.toContain(world.trainers[0]!.signer.pubkey);
    expect(await world.serve(world.trainers[0]!)).toMatchObject({ end: 'lost', wasOver: true });
    await expectSound(world);
  });

  test('leaves a round below the quorum at once: it is void, and the next one has the spare', async () => {
    const world = await createWorld({ trainers: 2, spares: 1, job: { award: 'deadline', quorum: 2 } });
    const resigned = leaving(world, 1, 'ready', ({ phase }) => phase === 'committing');
    const { state } = await world.run({ trainers: { 1: resigned } });
    const [first, second] = state.rounds;
    expect(first!.voided!.createdAt).toBeLessThan(first!.open.content.until - 600);
    expect(second!.close!.content.accepted).toHaveLength(2);
    expect(state.phase).toBe('finished');
  });

  test('with a commitment in the open round brings that round to its end', async () => {
    const world = await createWorld({ trainers: 2, rounds: 2, job: { quorum: 1 } });
    const resigned = leaving(world, 0, 'commit', () => true);
    const { state, ends } = await world.run({ trainers: { 0: resigned } });
    expect(ends[0]).toMatchObject({ end: 'done', rounds: 1, paidMsat: PRICE });
    expect(state.rounds[0]!.close!.content.accepted).toHaveLength(2);
    expect(state.rounds[1]!.assigned).toHaveLength(1);
    await expectSound(world);
  });
});

describe('in the fold a resignation', () => {
  test('takes the bid of its author back for good', () => {
    const script = scriptJob({ until: 'bid/2' });
    const [bid] = script.state.bids.filter(({ author }) => author === people[0]!.pubkey);
    script.say(people[0]!, 'resign', 'resign', { reason: '' });
    script.say(people[0]!, 'bid', 'again', bid!.content);
    expect(script.state.bids.map(({ author }) => author)).toEqual([people[1]!.pubkey, people[2]!.pubkey]);
  });

  test('shows in who holds a seat, and does not break an award that came before it was seen', () => {
    const script = scriptJob({ after: { 'bid/2': (so) => so.say(people[1]!, 'resign', 'resign', { reason: '' }) } });
    expect(script.state.firstBad).toBeNull();
    expect(script.state.award!.author).toBe(customer.pubkey);
    expect(describeTrainers(script.state).map(({ seat }) => seat)).toEqual(['ready', 'resigned', 'ready']);
  });
});
