import { expect } from 'vitest';
import { JOB_KINDS } from '../../src/protocol/kinds.js';
import { isNmktError } from '../../src/errors.js';
import { tagValue } from '../../src/protocol/envelope.js';
import {
  createWorld,
  Killed,
  type Kill,
  type RunOptions,
  type RunResult,
  type World,
} from '../support/market-world.js';

const JOB = { name: 'kills', trainers: 2, rounds: 2, priceSats: 21 } as const;
const START_MSAT = 1_000_000_000n;

/** Weights of the job when nobody is disturbed. */
export async function undisturbedHash(): Promise<string> {
  const world = await createWorld(JOB);
  return (await world.run()).state.artifact!.content.weights.sha256;
}

/** No author signed two events with one seq, and none is missing. */
export function expectOneChainEach(world: Pick<World, 'network'>): void {
  const seqs = new Map<string, number[]>();
  for (const event of world.network.events()) {
    if (!JOB_KINDS.includes(event.kind)) continue;
    seqs.set(event.pubkey, [...(seqs.get(event.pubkey) ?? []), Number(tagValue(event, 'seq'))]);
  }
  for (const [author, found] of seqs)
    expect(
      found.sort((a, b) => a - b),
      author,
    ).toEqual(found.map((_, index) => index));
}

/** One model, one chain each, one payment for each accepted round: as if nobody had been disturbed. */
async function expectUndisturbed(world: World, result: RunResult, wanted: string, label: string): Promise<void> {
  const { customer, ends, state } = result;
  if (customer instanceof Error) throw new Error(`${label}: the customer ended`, { cause: customer });
  expect(customer, label).not.toBeInstanceOf(Killed);
  expect(ends, label).toMatchObject([
    { end: 'done', rounds: 2, paidMsat: 42_000n },
    { end: 'done', rounds: 2, paidMsat: 42_000n },
  ]);
  expect(state.phase, label).toBe('finished');
  expect(state.artifact!.content.weights.sha256, label).toBe(wanted);
  expect(state.forks, label).toEqual([]);
  expectOneChainEach(world);
  expect(
    state.rounds.flatMap((round) => round.payouts).filter((payout) => payout.received === null),
    label,
  ).toEqual([]);
  expect(world.lightning.payments.length, label).toBe(4);
  expect(world.lightning.balance('customer'), label).toBe(START_MSAT - 84_000n);
  for (const trainer of world.trainers) expect(world.lightning.balance(trainer.name), label).toBe(START_MSAT + 42_000n);
  expect((await world.audit()).open, label).toBeNull();
}

/** Everybody dies after so many durable writes of every start: each start gets one step further. */
export async function killAlways(after: number, isKept: boolean, wanted: string): Promise<void> {
  let kills = 0;
  const role = { kill: (): Kill => ({ after, isKept }), onKilled: () => kills++ };
  const world = await createWorld(JOB);
  const result = await world.run({ customer: role, trainers: { 0: role, 1: role } });
  await expectUndisturbed(world, result, wanted, 'killed always');
  expect(kills).toBeGreaterThan(20);
}

/**
 * Ctrl-C at every durable write of a role, one run per write: it stops with `interrupted`, and the same command goes on as if nothing
 * had happened.
 *
 * @param minStops  there are at least so many writes, or the test tests nothing
 */
export async function interruptEverywhere(
  who: 'customer' | 'trainer',
  wanted: string,
  minStops: number,
): Promise<void> {
  let stops = 0;
  for (let after = 1; ; after++) {
    const stop = new AbortController();
    let starts = 0;
    const role = {
      onWrite: (writes: number) => void (writes === after && stop.abort()),
      restartOn(error: unknown) {
        if (!isNmktError(error, 'interrupted')) return false;
        expect(error.remedy, `stopped after write ${after}`).toContain('run the same command again');
        stops++;
        return true;
      },
      adapt: <Env extends { readonly signal: AbortSignal }>(env: Env): Env =>
        starts++ === 0 ? { ...env, signal: stop.signal } : env,
    };
    const world = await createWorld(JOB);
    const options: RunOptions = who === 'customer' ? { customer: role } : { trainers: { 0: role } };
    const result = await world.run(options);
    if (!stop.signal.aborted) break;
    await expectUndisturbed(world, result, wanted, `stopped after write ${after}`);
  }
  expect(stops).toBeGreaterThanOrEqual(minStops);
}

/**
 * Kills a role at every durable write of a run, one run per write, and starts it again with the same home: the job must
 * end as if nothing had happened.
 *
 * @param wanted    model hash of the undisturbed run
 * @param isKept    the fatal record is on disk, only the process never learned it; else it is lost
 * @param minKills  there are at least so many writes, or the test tests nothing
 */
export async function killEverywhere(
  who: 'customer' | 'trainer',
  isKept: boolean,
  wanted: string,
  minKills: number,
): Promise<void> {
  let kills = 0;
  for (; ; kills++) {
    const kill: Kill = { after: kills, isKept };
    let wasKilled = false;
    const role = {
      kill,
      onKilled: () => (wasKilled = true),
    };
    const world = await createWorld(JOB);
    const options: RunOptions = who === 'customer' ? { customer: role } : { trainers: { 0: role } };
    const result = await world.run(options);
    if (!wasKilled) break;
    await expectUndisturbed(world, result, wanted, `killed at write ${kills}`);
  }
  expect(kills).toBeGreaterThanOrEqual(minKills);
}
