import { expect } from 'vitest';
import { isNmktError, type ErrorCode } from '../../src/errors.js';
import { sha256, type Sha256 } from '../../src/hash.js';
import { prng } from '../../src/learning/prng.js';
import type { JobState } from '../../src/market/state.js';
import { JOB_KINDS } from '../../src/protocol/kinds.js';
import { unpaidPayouts } from '../../src/roles/customer-decide.js';
import {
  isWorthRepeating,
  openDiskGround,
  SERVICES,
  type Crash,
  type DiskGround,
  type DiskTrouble,
} from '../support/disk-ground.js';
import { createWorld, type RunResult, type World } from '../support/market-world.js';
import type { SimDisk } from '../support/sim-disk.js';
import { wasmEngine } from '../support/wasm-engine.js';

/**
 * A job of two trainers and three rounds on disks that forget, with the real WebAssembly engine, the relay's real log, real
 * books and invoices. Crashes are drawn from a seed; the job must end as the undisturbed one did.
 */

export const MACHINES = ['customer', 'trainer 0', 'trainer 1', ...SERVICES] as const;
/** How it pays; on `key-sale` a validator scores, which does not crash. */
export type CrashRail = 'instalments' | 'key-sale';
const ROUNDS = 3;
const PRICE_MSAT = 21_000n;
const START_MSAT = 1_000_000_000n;
/** Longer than all that one seed keeps machines down. */
const PATIENT = {
  bidWindow: '1h',
  readyTimeout: '1h',
  roundTimeout: '1h',
  revealTimeout: '1h',
  payWithin: '2h',
} as const;

export interface Undisturbed {
  readonly rail: CrashRail;
  /** Everything just after the job was posted. */
  readonly disks: Map<string, SimDisk>;
  readonly model: Sha256;
  /** Changes each machine makes on its disk from there to the end. */
  readonly steps: ReadonlyMap<string, number>;
}

async function worldOn(ground: DiskGround, rail: CrashRail): Promise<World> {
  const shape = { name: 'crashes', trainers: 2, rounds: ROUNDS, priceSats: Number(PRICE_MSAT / 1000n), rail };
  const validators = rail === 'key-sale' ? 1 : 0;
  return createWorld({ ...shape, validators, ground, job: { acceptedEngines: 'wasm', validators, ...PATIENT } });
}

async function run(world: World, restartOn = isWorthRepeating): Promise<RunResult> {
  const role = { restartOn, restartAfterSec: 1 };
  // Payouts are left, says its exit status: trainers whose wallet was away for long claim later.
  const customer = { ...role, isToBeContinued: (state: JobState) => unpaidPayouts(state).length > 0 };
  return world.run({ customer, trainers: { 0: role, 1: role }, validators: { 0: role } });
}

export async function undisturbed(rail: CrashRail = 'instalments'): Promise<Undisturbed> {
  const ground = await openDiskGround(await wasmEngine(), 'undisturbed');
  const world = await worldOn(ground, rail);
  const disks = ground.copyDisks('posted');
  ground.arm([]);
  const result = await run(world);
  const model = result.state.artifact!.content.weights.sha256;
  await expectDone(world, ground, result, model);
  return { rail, disks, model, steps: new Map(MACHINES.map((name) => [name, ground.steps(name)])) };
}

/** One to three crashes. Steps differ a little from run to run: the first crash is drawn from those that surely come. */
export function drawCrashes(seed: number, steps: Undisturbed['steps']): readonly Crash[] {
  const random = prng(sha256('crashes', `${seed}`), 'draw');
  const pick = <T>(...of: readonly T[]): T => of[random.below(of.length)]!;
  return Array.from({ length: pick(1, 1, 2, 3) }, (_, index) => {
    const machine = pick(...MACHINES);
    const drawnFrom = steps.get(machine)!;
    return {
      machine,
      at: random.below(index === 0 ? Math.ceil(0.9 * drawnFrom) : drawnFrom),
      when: pick<Crash['when']>('before', 'during', 'after'),
      cut: pick<Crash['cut']>('kill', 'power'),
      isForAll: random.below(6) === 0,
      downSec: pick(0, 1, 7, 45),
    };
  }).map((crash) => (crash.isForAll ? { ...crash, cut: 'power' as const } : crash));
}

/** @returns crashes that happened */
export async function crashAndFinish(
  seed: number,
  { rail, disks, model, steps }: Undisturbed,
): Promise<readonly Crash[]> {
  const crashes = drawCrashes(seed, steps);
  const ground = await openDiskGround(await wasmEngine(), `${seed}`, disks);
  try {
    const world = await worldOn(ground, rail);
    ground.arm(crashes);
    await expectDone(world, ground, await run(world), model);
    expect(ground.crashes.length).toBeGreaterThan(0);
    return ground.crashes;
  } catch (cause) {
    throw new Error(
      `${rail}, seed ${seed}, which repeats with NMKT_CRASH_SEED=${seed} npx vitest run test/roles/crash.test.ts\n` +
        `drawn: ${JSON.stringify(crashes)}\nhappened: ${JSON.stringify(ground.crashes)}\n${(cause as Error).message}`,
      { cause },
    );
  }
}

/** The disk of one machine takes nothing for a while; whoever ends because of it says so, and goes on with the same command. */
export async function failAndFinish(seed: number, { rail, disks, model, steps }: Undisturbed): Promise<DiskTrouble> {
  const random = prng(sha256('failing disks', `${seed}`), 'draw');
  const pick = <T>(...of: readonly T[]): T => of[random.below(of.length)]!;
  const machine = MACHINES[seed % MACHINES.length]!;
  const trouble: DiskTrouble = {
    machine,
    at: random.below(Math.floor(0.9 * steps.get(machine)!)),
    code: pick('ENOSPC', 'ENOSPC', 'EDQUOT', 'EIO'),
    afterBytes: pick(0, 1, 100, 1000),
    forSec: pick(0, 0, 4, 20),
  };
  const wanted: ErrorCode = trouble.code === 'EIO' ? 'disk-failed' : 'disk-full';
  const ground = await openDiskGround(await wasmEngine(), `failing ${seed}`, disks);
  try {
    const world = await worldOn(ground, rail);
    ground.arm([], [trouble]);
    const errors: unknown[] = [];
    const result = await run(world, (error) => errors.push(error) > 0 && isNmktError(error, wanted));
    await expectDone(world, ground, result, model);
    expect(ground.failures).toBeGreaterThan(0);
    // What a home cannot keep ends its command; services say no and go on.
    const isHome = !(SERVICES as readonly string[]).includes(machine);
    expect(errors.length > 0, `${errors.length} commands ended`).toBe(isHome);
    return trouble;
  } catch (cause) {
    throw new Error(`NMKT_CRASH_SEED=${seed}: ${JSON.stringify(trouble)}\n${(cause as Error).message}`, { cause });
  }
}

/** One model, one chain each, one payment for each accepted round, and nothing on any disk that says otherwise. */
async function expectDone(world: World, ground: DiskGround, result: RunResult, model: Sha256): Promise<void> {
  const { customer, ends, state } = result;
  if (customer instanceof Error) throw new Error('the customer did not finish', { cause: customer });
  const done = { end: 'done', rounds: ROUNDS, paidMsat: PRICE_MSAT * BigInt(ROUNDS) };
  expect(ends).toMatchObject([done, done]);
  expect(state.phase).toBe('finished');
  expect(state.artifact!.content.weights.sha256).toBe(model);
  expect(state.forks).toEqual([]);
  expect(state.rounds.map((round) => round.close?.content.accepted.length)).toEqual([2, 2, 2]);
  const payouts = state.rounds.flatMap((round) => round.payouts);
  expect(payouts.filter(({ received }) => received === null)).toEqual([]);
  expect((await world.auditAll({ upTo: 'public' })).found).toBeNull();

  const remains = await ground.autopsy(world.jobId);
  const paid = remains.ledger.filter((record) => record.type === 'payment' || record.type === 'settle');
  expect(new Set(paid.map(({ paymentHash }) => paymentHash)).size).toBe(2 * ROUNDS);
  expect(paid.map(({ paymentHash }) => paymentHash).sort()).toEqual(
    payouts.map(({ receipt }) => receipt!.content.paymentHash as string).sort(),
  );
  expect(remains.balanceMsat('customer')).toBe(START_MSAT - PRICE_MSAT * BigInt(2 * ROUNDS));
  for (const { name } of world.trainers)
    expect(remains.balanceMsat(name)).toBe(START_MSAT + PRICE_MSAT * BigInt(ROUNDS));
  expect(remains.totalMsat).toBe(BigInt(3 + world.validators.length) * START_MSAT);

  for (const { name, signer } of [world.customer, ...world.trainers]) {
    // Signed bytes are durable before anybody else has them; here everything was published, each event once.
    const journal = remains.journal.get(name)!;
    const chain = remains.relay.filter(
      ({ pubkey, kind, id }) => pubkey === signer.pubkey && JOB_KINDS.includes(kind) && id !== world.jobId,
    );
    expect([...journal].sort(), name).toEqual(chain.map(({ id }) => id).sort());
    expect(new Set(journal).size, name).toBe(journal.length);
  }
}
