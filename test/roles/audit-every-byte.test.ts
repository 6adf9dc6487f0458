import { beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/hash.js';
import { prng } from '../../src/learning/prng.js';
import type { NostrEvent } from '../../src/ports.js';
import { tagValue } from '../../src/protocol/envelope.js';
import { JOB_KINDS, KINDS } from '../../src/protocol/kinds.js';
import { isAuthentic, isUnescaped } from '../../src/relay/event-json.js';
import { parseSignedEvent } from '../../src/relay/event-shape.js';
import type { AuditKeys, AuditLevel } from '../../src/roles/audit.js';
import { createBell } from '../../src/roles/bell.js';
import { openBook } from '../../src/roles/job-book.js';
import { signEvent } from '../../src/schnorr.js';
import { createWorld, type World } from '../support/market-world.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { rewriteJob, type Change } from '../support/rewrite-job.js';
import { madeUpStates, rogueTrainer } from './rogue.js';

/** A paid job with spot checks, a proven fraud and the spare that replaced it: nothing of it can be changed or left out. */

const LATER_SEC = 7 * 86_400;
let world: World;
let keys: AuditKeys;
/** All but gift wraps. */
let events: readonly NostrEvent[];

beforeAll(async () => {
  const options = {
    trainers: 3,
    spares: 1,
    rounds: 2,
    job: { quorum: 2, award: 'deadline', bidWindow: '60s' },
  } as const;
  world = await createWorld({ name: 'every byte', ...options });
  const { state } = await world.run({ trainers: { 1: { act: rogueTrainer(madeUpStates) } } });
  expect([state.phase, state.frauds.size]).toEqual(['finished', 1]);
  keys = await world.allKeys();
  events = world.network.events().filter(({ kind }) => kind !== 1059);
  expect(await audit(events, 'data')).toBeNull();
});

const nameOf = ({ kind, tags }: NostrEvent): string => [kind, tagValue({ tags }, 'phase')].filter(Boolean).join('/');
const find = (name: string): NostrEvent => events.find((event) => nameOf(event) === name)!;

async function audit(told: readonly NostrEvent[], upTo: AuditLevel) {
  const network = memoryNetwork();
  const relays = network.relays();
  for (const event of told) await relays.publish(event);
  const book = await openBook(world.jobId, { relays, clock: world.clock, bell: createBell(world.clock) });
  book.close();
  const nowSec = world.clock.nowSec() + LATER_SEC;
  return (await world.auditAll({ book, relays, nowSec, upTo, keys: async () => keys })).found;
}

/** As a dump is read, line by line. */
function isRead(line: Buffer): boolean {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line);
    return isAuthentic(parseSignedEvent(JSON.parse(text)), isUnescaped(text));
  } catch {
    return false;
  }
}

describe('a byte changed', () => {
  it('anywhere in any event makes it none: every byte, of signatures and chunks a sample', () => {
    const random = prng(sha256('every byte'), 'places');
    let tries = 0;
    for (const event of events) {
      const line = Buffer.from(JSON.stringify(event));
      expect(isRead(line)).toBe(true);
      const [from, to] = [line.indexOf('"sig":"') + 7, line.indexOf('"sig":"') + 7 + 128];
      const share = event.kind === KINDS.chunk ? 400 / line.length : 1;
      for (let at = 0; at < line.length; at++) {
        const isSignature = at >= from && at < to;
        if (random.float() >= (isSignature ? 6 / 128 : share)) continue;
        const other = Buffer.from(line);
        other[at] = line[at]! ^ (1 << random.below(8));
        if (isRead(other)) expect.fail(`${nameOf(event)}: byte ${at} of ${line.toString()}`);
        tries++;
      }
    }
    expect(tries).toBeGreaterThan(80_000);
  }, 120_000);
});

/** Who may be blamed when an event is gone: itself, who cites it, the one whose blob it is part of. */
function blamed(event: NostrEvent): readonly string[] {
  const blob = keys.updates.find(({ pointer, state }) =>
    [...pointer.ids, ...(state?.pointer.ids ?? [])].includes(event.id as never),
  );
  const { train, a, b } = keys.data!;
  const { dataset, evalA, evalB } = world.terms;
  const snapshots = [
    [train, dataset],
    [a, evalA.snapshot],
    [b, evalB.snapshot],
  ] as const;
  const holders = snapshots.filter(([{ locator }]) => locator.includes(event.id)).map(([, id]) => id);
  return [event.id, ...(blob === undefined ? [] : [blob.submission]), ...holders];
}

describe('an event left out', () => {
  it('is named, or the one whose blob it is part of: nothing but the two listings goes unmissed', async () => {
    const unnoticed: string[] = [];
    for (const event of events) {
      const found = await audit(
        events.filter((other) => other !== event),
        JOB_KINDS.includes(event.kind) ? 'keys' : 'data',
      );
      if (found === null) unnoticed.push(nameOf(event));
      else expect(blamed(event), `${nameOf(event)}: ${found.rule} ${found.detail}`).toContain(found.event);
    }
    // For browsing: they repeat the snapshot and the artifact, which count.
    expect(unnoticed.sort()).toEqual(['34620', '34621']);
  }, 240_000);
});

describe('from signed events alone the audit fails a liar with all keys that', () => {
  /** Changes a content consistently in everything after it. @returns what the audit finds, and the changed event's id */
  async function retold(event: NostrEvent, change: (content: never) => unknown) {
    const other: Change = ({ content }) => ({ content: JSON.stringify(change(JSON.parse(content) as never)) });
    const { events: told, idOf } = await rewriteJob(world, events, event.id, other);
    return { found: await audit(told, 'public'), id: idOf(event.id) };
  }
  interface Rows {
    readonly plan: { payee: string; amountMsat: string }[];
    readonly scores: { dPpm: number; ownAfterPpm: number }[];
    readonly winners: { priceMsat: string }[];
    readonly totalMsat: string;
    readonly s: string;
  }

  it.each<[string, string, (content: Rows) => unknown]>([
    ['adds a payee', '4630', (all) => ({ ...all, plan: [...all.plan, { ...all.plan[0]!, payee: '0'.repeat(64) }] })],
    [
      'pays more',
      '4630',
      (all) => ({ ...all, plan: all.plan.map((row) => ({ ...row, amountMsat: '1' })), totalMsat: '2' }),
    ],
    ['leaves a payee out', '4630', ({ plan, ...all }) => ({ ...all, plan: plan.slice(1) })],
    [
      'changes a score',
      '4629/reveal',
      ({ scores, ...all }) => ({
        ...all,
        scores: scores.map((row, i) => (i === 0 ? { ...row, ownAfterPpm: row.ownAfterPpm + 1_000 } : row)),
      }),
    ],
    [
      'changes a price in the award',
      '4626/award',
      ({ winners, ...all }) => ({
        ...all,
        winners: winners.map((row) => ({ ...row, priceMsat: `${BigInt(row.priceMsat) + 1n}` })),
      }),
    ],
    [
      'opens another element of the chain',
      '4622/draw',
      (all) => ({ ...all, s: all.s.replace(/^./, all.s.startsWith('0') ? '1' : '0') }),
    ],
  ])('%s: names its event', async (_, name, change) => {
    const { found, id } = await retold(find(name), change);
    expect(found).toMatchObject({ event: id });
  });

  it('leaves out a payment: names the claim that is not paid', async () => {
    // Of the last round: no draw comes after it that its absence could move.
    const settlement = events.find((event) => nameOf(event) === '4630' && tagValue(event, 'round') === '1')!;
    const receipt = events.find((event) => nameOf(event) === '4628/receipt' && event.content.includes(settlement.id))!;
    const { events: told, idOf } = await rewriteJob(world, events, receipt.id, () => null);
    const { claim } = JSON.parse(receipt.content) as { claim: never };
    expect(await audit(told, 'public')).toMatchObject({ event: idOf(claim), rule: 'unpaid' });
  });

  it('changes the weight of a shard in every average: names the snapshot that the job pins', async () => {
    const snapshot = events.find(({ id }) => id === world.terms.dataset)!;
    const content = snapshot.content.replace(
      /"examples":(\d+)/,
      (_, count: string) => `"examples":${Number(count) + 1}`,
    );
    expect(content).not.toBe(snapshot.content);
    const { kind, created_at, tags } = snapshot;
    const other = signEvent({ kind, created_at, tags, content }, world.customer.secret);
    const told = events.map((event) => (event === snapshot ? other : event));
    expect(await audit(told, 'public')).toMatchObject({ event: snapshot.id, rule: 'missing' });
  });
});
