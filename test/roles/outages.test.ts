import { describe, expect, test } from 'vitest';
import { createWorld, type RunResult, type World } from '../support/market-world.js';

const [A, B] = ['wss://a.example', 'wss://b.example'] as const;
const JOB = { name: 'outages', trainers: 2, rounds: 1, relays: [A, B] } as const;
const TEN_MINUTES_MS = 600_000;

interface Outage {
  readonly down: readonly string[];
  /** Just before the so-manieth event of the job is published. */
  readonly before: number;
  /** Missing: never. */
  readonly backAfterMs?: number;
}

interface Run {
  readonly world: World;
  readonly result: RunResult;
  /** False: there were not so many events. */
  readonly wasDown: boolean;
  /** What each process told its user while the relays were away. */
  readonly said: ReadonlyMap<string, readonly string[]>;
  readonly downAtSec: number;
}

async function runWith(outage: Outage | null): Promise<Run> {
  const world = await createWorld(JOB);
  const everybody = [world.customer, ...world.trainers];
  const said = new Map<string, readonly string[]>();
  let count = 0;
  let wasDown = false;
  let downAtSec = 0;
  world.network.onPublish(() => {
    if (outage === null || count++ !== outage.before) return;
    wasDown = true;
    downAtSec = world.clock.nowSec();
    for (const url of outage.down) world.network.setDown(url, true);
    if (outage.backAfterMs === undefined) return;
    const from = everybody.map((who) => who.said.length);
    void world.clock.wait(outage.backAfterMs).then(() => {
      everybody.forEach((who, index) => said.set(who.name, who.said.slice(from[index])));
      for (const url of outage.down) world.network.setDown(url, false);
    });
  });
  return { world, result: await world.run(), wasDown, said, downAtSec };
}

async function undisturbedHash(): Promise<string> {
  return (await runWith(null)).result.state.artifact!.content.weights.sha256;
}

function expectFinished({ world, result }: Run, hash: string, label: string): void {
  const { customer, ends, state } = result;
  if (customer instanceof Error) throw new Error(`${label}: the customer ended`, { cause: customer });
  expect(state.phase, label).toBe('finished');
  expect(state.artifact!.content.weights.sha256, label).toBe(hash);
  expect(state.forks, label).toEqual([]);
  expect(ends, label).toMatchObject([
    { end: 'done', rounds: 1, paidMsat: 21_000n },
    { end: 'done', rounds: 1, paidMsat: 21_000n },
  ]);
  expect(world.lightning.payments.length, label).toBe(2);
}

describe('one of two relays goes away before any event whatsoever', () => {
  for (const down of [A, B])
    for (const backAfterMs of [undefined, TEN_MINUTES_MS])
      test(`${down}, ${backAfterMs === undefined ? 'for good' : 'for ten minutes'}: same model, all paid`, async () => {
        const hash = await undisturbedHash();
        let before = 0;
        for (; ; before++) {
          const outage = { down: [down], before, ...(backAfterMs === undefined ? {} : { backAfterMs }) };
          const run = await runWith(outage);
          if (!run.wasDown) break;
          expectFinished(run, hash, `gone before event ${before}`);
        }
        expect(before).toBeGreaterThan(20);
      }, 120_000);
});

describe('both relays go away before any event whatsoever', () => {
  test('for ten minutes: everybody says what it waits for and until when, then goes on', async () => {
    const hash = await undisturbedHash();
    let before = 0;
    for (; ; before++) {
      const run = await runWith({ down: [A, B], before, backAfterMs: TEN_MINUTES_MS });
      if (!run.wasDown) break;
      expectFinished(run, hash, `gone before event ${before}`);
      for (const [name, lines] of run.said) {
        const mayBeGone = run.result.state.artifact!.createdAt <= run.downAtSec && lines.length === 0;
        if (mayBeGone) continue;
        expect(lines.filter(isWaiting), `${name}, gone before event ${before}: ${lines.join(' | ')}`).not.toEqual([]);
      }
    }
    expect(before).toBeGreaterThan(20);
  }, 120_000);
});

/** What is waited for, and until when, or when it is tried again. */
function isWaiting(line: string): boolean {
  return (
    /waiting for .*until .*\d\d:\d\d:\d\d UTC/.test(line) ||
    /waiting for .*until .* again at \d\d:\d\d:\d\d UTC/.test(line)
  );
}

describe('a trainer is absent while a relay is away', () => {
  const dies = { kill: { after: 1, isKept: false }, restart: false } as const;
  const lossy = { ...JOB, spares: 1, job: { award: 'deadline' } } as const;

  async function replacementAfter(goesDown: (world: World) => void) {
    const world = await createWorld(lossy);
    goesDown(world);
    const { state } = await world.run({ trainers: { 0: dies } });
    expect(state.phase).toBe('finished');
    const replaced = state.chains.get(state.job!.author)!.events.find((event) => event.type === 'replace')!;
    if (replaced.type !== 'replace') throw new TypeError('not a replacement');
    return { world, replaced, lateSec: replaced.createdAt - state.award!.createdAt - world.terms.readyTimeoutSec };
  }

  test('one that was away before the award is not asked: nobody waits for it', async () => {
    const { replaced, lateSec } = await replacementAfter((world) => world.network.setDown(B, true));
    expect(replaced.content).not.toHaveProperty('degraded');
    expect(lateSec).toBe(0);
  });

  test('one that took the award is waited for ten minutes, then the event says that half of them did not answer', async () => {
    const { replaced, lateSec, world } = await replacementAfter((world) => {
      let awarded = false;
      world.network.onPublish((event) => {
        if (awarded) world.network.setDown(B, true);
        awarded ||= event.tags.some(([name, value]) => name === 'phase' && value === 'award');
      });
    });
    expect(replaced.content.degraded).toBe(true);
    expect(lateSec).toBeGreaterThanOrEqual(600);
    expect(lateSec).toBeLessThan(700);
    expect(world.customer.said.join('\n')).toMatch(/warning: waiting for relays: too few .* after \d\d:\d\d:\d\d UTC/);
  });
});
