import { beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/hash.js';
import { prng, type Prng } from '../../src/learning/prng.js';
import type { NostrEvent } from '../../src/ports.js';
import { tagValue } from '../../src/protocol/envelope.js';
import { JOB_KINDS, KINDS } from '../../src/protocol/kinds.js';
import { AUDIT_LEVELS, encodeAuditKeys, type AuditKeys, type AuditLevel } from '../../src/roles/audit.js';
import { createBell } from '../../src/roles/bell.js';
import { openBook } from '../../src/roles/job-book.js';
import {
  createWorld,
  slowTrainer,
  type RunOptions,
  type TrainerOptions,
  type World,
  type WorldOptions,
} from '../support/market-world.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { statesOf, type States } from '../support/retold-spots.js';
import {
  changes,
  isReadable,
  rewriteJob,
  spellPath,
  withChange,
  type Path,
  type Retold,
} from '../support/rewrite-job.js';
import { secondAudit } from '../support/second/audit.js';
import { madeUpStates, rogueTrainer } from './rogue.js';

/**
 * Whoever lies consistently: one field of one event is another, and everybody after signs what follows from it. The audit and
 * the second one, written apart, must say the same of every such job, and fail all but what no audit can see.
 */

const LATER_SEC = 7 * 86_400;

interface Told {
  readonly world: World;
  readonly events: readonly NostrEvent[];
  readonly keys: AuditKeys;
  readonly states: States;
}

async function tellStory(options: WorldOptions, run: RunOptions = { trainers: { 1: slowTrainer } }): Promise<Told> {
  const world = await createWorld(options);
  await world.run(run);
  const events = world.network.events().filter(({ kind }) => kind !== 1059);
  return { world, events, keys: await world.allKeys(), states: await statesOf(world) };
}

/** At a level, by both audits. */
async function auditTwice({ world, keys: all }: Told, { events, idOf, states }: Retold, level: AuditLevel) {
  const network = memoryNetwork();
  const relays = network.relays();
  for (const event of events) await relays.publish(event);
  const book = await openBook(world.jobId, { relays, clock: world.clock, bell: createBell(world.clock) });
  book.close();
  const nowSec = world.clock.nowSec() + LATER_SEC;
  const { data, heads: _, ...open } = all;
  const updates = open.updates.map((update) => {
    const submission = idOf(update.submission);
    const state = states?.get(submission);
    return { ...update, submission, ...(state !== undefined && { state }) };
  });
  const keys = level === 'public' ? undefined : { ...open, updates, ...(level === 'data' && { data }) };
  const { found } = await world.auditAll({ book, relays, nowSec, keys: async () => keys });
  const second = secondAudit(events, world.jobId, keys === undefined ? null : encodeAuditKeys(keys), nowSec);
  return { found, second };
}

/** By both: they must agree. */
async function isUnnoticed(told: Told, retold: Retold, level: AuditLevel, name: string): Promise<boolean> {
  const { found: first, second } = await auditTwice(told, retold, level);
  const saw = `${name}: ${first?.rule} ${first?.detail} / ${second.why}`;
  expect(second.verdict, saw).toBe(first === null ? 'PASS' : 'FAIL');
  // What is missing both name; one of them what fails for want of it.
  if (second.why !== 'missing' && first?.rule !== 'missing') expect(second.event, saw).toBe(first?.event ?? null);
  return first === null;
}

const nameOf = ({ kind, tags }: NostrEvent): string => [kind, tagValue({ tags }, 'phase')].filter(Boolean).join('/');
const isJobEvent = ({ kind }: NostrEvent): boolean => JOB_KINDS.includes(kind) && kind !== KINDS.job;

/** Changes that pass, as kind/phase and field; every verdict is the same twice. */
async function unnoticed(told: Told, level: AuditLevel, isTried: (event: NostrEvent) => boolean): Promise<string[]> {
  const found = new Set<string>();
  let tries = 0;
  for (const event of told.events.filter((one) => isJobEvent(one) && isTried(one))) {
    const content = JSON.parse(event.content) as unknown;
    for (const [path, other] of changes(content)) {
      const name = `${nameOf(event)} ${spellPath(path)}${Array.isArray(other) ? `[${other.length > lengthAt(content, path) ? '+' : '-'}]` : ''}`;
      const changed = JSON.stringify(withChange(content, path, other));
      if (!isReadable({ ...event, content: changed })) continue;
      tries++;
      const retold = await rewriteJob(told.world, told.events, event.id, () => ({ content: changed }), told.states);
      if (await isUnnoticed(told, retold, level, name)) found.add(name);
    }
  }
  expect(tries).toBeGreaterThan(20);
  return [...found].sort();
}

function lengthAt(value: unknown, [head, ...rest]: Path): number {
  return head === undefined ? (value as unknown[]).length : lengthAt((value as Record<string, unknown>)[head], rest);
}

const byCustomer = (told: Told, level: AuditLevel) =>
  unnoticed(told, level, ({ pubkey }) => pubkey === told.world.customer.signer.pubkey);
const byTrainers = (told: Told, level: AuditLevel) =>
  unnoticed(told, level, ({ pubkey }) => pubkey !== told.world.customer.signer.pubkey);
const small = {
  trainers: 2,
  spares: 1,
  rounds: 1,
  rows: 8,
  inputs: 12,
  job: { award: 'deadline', bidWindow: '60s' },
} as const;

/** Receipts that it trusts; longer than promised; what it did not see, or twice; what a model was measured on: its own word. */
const WORD = [
  ...['4622/close engine', '4622/list until', '4622/open until', '4622/seen ids[+]', '4622/seen ids[-]'],
  ...['4626/award bids.*.attempts', '4632 engine'],
];
/** At a price of nothing. */
const TRUST = '4626/award bids.*.successes';
const MEASURED = [
  ...[
    '4622/close accuracyPpm',
    '4622/close lossPpm',
    '4629/reveal scores.*.lossPpm',
    '4629/reveal scores.*.otherSePpm',
  ],
  ...['4629/reveal scores.*.ownSePpm', '4632 accuracyPpm', '4632 lossPpm'],
];
const blob = (name: string) => ['chunks', 'commit', 'packed', 'root', 'size'].map((field) => `${name}.${field}`);
const SEALED = ['4622/open inline', '4632 inline', ...blob('4622/open base'), ...blob('4632 weights')];
/** Sealed to the customer; or nothing rests on it. */
const TRAINERS = [
  ...['4625/bid capacity', '4625/bid expires', '4625/bid throughput'],
  ...['4627/reveal sealed', '4628/ready award', '4628/ready grant', '4628/ready shard'],
];

describe('a free job told again with one field changed', () => {
  let told: Told;
  beforeAll(async () => void (told = await tellStory({ ...small, name: 'retold', rail: 'none' })));

  it('by its customer: with the data both audits fail all but its word', async () => {
    expect(await byCustomer(told, 'data')).toEqual([...WORD, TRUST].sort());
  }, 120_000);

  it('by its customer: with the keys they fail all but its word and what it measured', async () => {
    expect(await byCustomer(told, 'keys')).toEqual([...WORD, TRUST, ...MEASURED, '4626/award winners.*.grant'].sort());
  }, 120_000);

  it('by a trainer: with the data they fail all but what is sealed or nothing rests on', async () => {
    expect(await byTrainers(told, 'data')).toEqual([...TRAINERS].sort());
  }, 120_000);
});

describe('a paid job told again with one field changed', () => {
  let told: Told;
  beforeAll(async () => void (told = await tellStory({ ...small, name: 'retold and paid' })));

  it('by its customer: from signed events alone both audits fail all but its word, what it measured and what is sealed', async () => {
    expect(await byCustomer(told, 'public')).toEqual(
      [...WORD, ...MEASURED, ...SEALED, '4626/award winners.*.grant'].sort(),
    );
  }, 120_000);

  it('by a trainer: from signed events alone they fail all but what is sealed or nothing rests on', async () => {
    expect(await byTrainers(told, 'public')).toEqual(
      [
        ...[...TRAINERS, '4627/reveal inline', '4633/claim sealed'],
        ...['4628/received amountMsat', '4628/received payout', '4628/received receipt'],
      ].sort(),
    );
  }, 120_000);
});

describe('a job with a proven fraud told again with one field changed', () => {
  it('by its customer: from signed events alone both audits fail all but its words, what it measured and what is sealed', async () => {
    const told = await tellStory(
      { ...small, name: 'retold fraud', trainers: 3, rounds: 2, rail: 'none', job: { ...small.job, quorum: 2 } },
      { trainers: { 1: { act: rogueTrainer(madeUpStates) } } },
    );
    expect(told.events.map(nameOf)).toContain('4628/fraud');
    // What comes before its draw would move it, and nobody went through the states that it made up.
    const names = ['4622/draw', '4622/close', '4628/fraud', '4626/replace'];
    const isTried = (event: NostrEvent) => names.includes(nameOf(event)) && tagValue(event, 'round') !== '1';
    expect(await unnoticed(told, 'public', isTried)).toEqual([
      ...['4622/close accuracyPpm', '4622/close engine', '4622/close lossPpm', '4622/close rejected.*.detail'],
      '4626/replace in.grant',
    ]);
  }, 120_000);
});

/** So many seeded jobs, each told again so many times. */
const [JOBS, TELLINGS] = [Number(process.env['NMKT_TAMPER'] ?? 4), 12];

describe('a random job', () => {
  const pick = <T>(random: Prng, list: readonly T[]): T => list[random.below(list.length)]!;

  /** Of one to four trainers, some of which stop for ever after a while. */
  function randomJob(random: Prng, name: string): [WorldOptions, RunOptions] {
    const trainers = 1 + random.below(4);
    const spares = random.below(2);
    const stopping = (): TrainerOptions =>
      random.float() < 0.3
        ? { kill: { after: 1 + random.below(12), isKept: random.float() < 0.5 }, restart: false }
        : {};
    const options: WorldOptions = {
      ...{ name, trainers, spares, rounds: 1 + random.below(3), rows: 6 + random.below(6) / trainers, inputs: 12 },
      ...{ rail: pick(random, ['none', 'instalments']), priceSats: 1 + random.below(50) },
      job: {
        award: pick(random, ['full', 'deadline']),
        strictLoss: random.float() < 0.3,
        access: pick(random, ['open', 'customer']),
        verification: pick(random, ['spot', 'spot', 'floor']),
      },
    };
    return [
      options,
      { trainers: Object.fromEntries(Array.from({ length: trainers + spares }, (_, i) => [i, stopping()])) },
    ];
  }

  it.each(Array.from({ length: JOBS }, (_, i) => i))(
    '%i and what liars make of it: both audits agree at all levels',
    async (seed) => {
      const random = prng(sha256('random job', `${seed}`), 'choices');
      const told = await tellStory(...randomJob(random, `random ${seed}`));
      const same: Retold = { events: told.events, idOf: (id) => id };
      for (const level of AUDIT_LEVELS)
        expect(await isUnnoticed(told, same, level, `honest ${seed} ${level}`)).toBe(true);
      const targets = told.events.filter(isJobEvent);
      for (let telling = 0; telling < TELLINGS; telling++) {
        const event = pick(random, targets);
        const content = JSON.parse(event.content) as unknown;
        const [path, other] = pick(random, [...changes(content)]);
        const isLeftOut = random.float() < 0.15;
        const changed = JSON.stringify(withChange(content, path, other));
        if (!isLeftOut && !isReadable({ ...event, content: changed })) continue;
        const change = () => (isLeftOut ? null : { content: changed });
        const retold = await rewriteJob(told.world, told.events, event.id, change, told.states);
        const name = `${seed}/${telling} ${isLeftOut ? 'without ' : ''}${nameOf(event)} ${spellPath(path)}`;
        await isUnnoticed(told, retold, pick(random, AUDIT_LEVELS), name);
      }
    },
    120_000,
  );
});
