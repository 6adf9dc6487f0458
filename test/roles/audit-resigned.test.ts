import { describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/hash.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { claimHash, payoutId } from '../../src/protocol/settlement.js';
import { auditPublic, type DecodeInvoice } from '../../src/roles/audit-public.js';
import {
  people,
  PRICE_MSAT,
  scriptJob,
  SNAPSHOTS,
  START_SEC,
  type JobScript,
  type ScriptOptions,
} from '../support/job-script.js';
import { createWorld } from '../support/market-world.js';

/** A customer that signs what does not follow, in a chain without a gap; everybody else then acts on what it signed. */

const honest: ScriptOptions = { trainers: 2, spares: 1, rounds: 1 };
const whole = scriptJob(honest);

/** Of an invoice that a claim may hold. */
const GOOD = { prefix: 'bcrt', timestampSec: START_SEC, expirySec: 30 * 86_400, minFinalCltv: 18 };

/** What the invoices of honest payees say, whatever the customer writes: each names the claim it belongs to. */
function invoicesOf(script: JobScript): DecodeInvoice {
  const told = new Map<string, ReturnType<DecodeInvoice>>();
  for (const step of ['0/0', '0/1'].filter((one) => script.has(`claim/${one}`))) {
    const { author: payee, content } = script.at(`claim/${step}`, 'claim');
    const { invoice, paymentHash } = whole.at(`receipt/${step}`, 'receipt').content;
    const { sealed: _, invoiceHash: __, amountMsat, ...claim } = content;
    const descriptionHash = claimHash({ job: script.jobId, ...claim, payee, amountMsat });
    told.set(invoice, { msat: amountMsat, paymentHash, descriptionHash, ...GOOD });
  }
  return (invoice) => told.get(invoice) ?? null;
}

const snapshots = new Map(SNAPSHOTS.map((event) => [event.id, event]));
const audit = (script: JobScript) =>
  auditPublic(script.state, { snapshots, decode: invoicesOf(script), nowSec: START_SEC + 30 * 86_400 });
const changing = (step: string, change: unknown): JobScript =>
  scriptJob({ ...honest, alter: { [step]: change as never } });

type Settlement = ContentOf<'settlement'>;
type Scores = ContentOf<'scores'>;
type Award = ContentOf<'award'>;
const total = (plan: Settlement['plan']) => plan.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);

describe('the public audit', () => {
  it('passes the honest job', () => {
    expect(whole.state.phase).toBe('finished');
    expect(audit(whole)).toBeNull();
  });

  const attacks: [string, string, string, unknown][] = [
    [
      'leaves out a payment of the plan',
      'settlement/0',
      'settlement',
      (content: Settlement) => ({ ...content, plan: content.plan.slice(1), totalMsat: total(content.plan.slice(1)) }),
    ],
    [
      'adds a payee to the plan',
      'settlement/0',
      'settlement',
      (content: Settlement, script: JobScript) => {
        const payee = people[2]!.pubkey;
        const payout = payoutId(script.jobId, 0, payee, 'trainer');
        const plan = [...content.plan, { payout, payee, purpose: 'trainer' as const, amountMsat: PRICE_MSAT }];
        return { ...content, plan, totalMsat: total(plan) };
      },
    ],
    [
      'pays one payee a msat more and another one less',
      'settlement/0',
      'settlement',
      (content: Settlement) => ({
        ...content,
        plan: content.plan.map((line, i) => ({ ...line, amountMsat: line.amountMsat + (i === 0 ? 1n : -1n) })),
      }),
    ],
    [
      'lowers a score below the floor and accepts all the same',
      'scores/0',
      'close',
      (content: Scores) => ({
        ...content,
        scores: content.scores.map((row, i) =>
          i > 0 ? row : { ...row, ownAfterPpm: row.ownBeforePpm, dPpm: 0, ePpm: -200_000 },
        ),
      }),
    ],
    [
      'claims another E than the losses give',
      'scores/0',
      'scores',
      (content: Scores) => ({ ...content, scores: content.scores.map((row) => ({ ...row, ePpm: row.ePpm + 1 })) }),
    ],
    ['leaves out a score', 'scores/0', 'close', (content: Scores) => ({ ...content, scores: content.scores.slice(1) })],
    [
      'gives the first seat to the second bid',
      'award',
      'award-winners',
      ({ winners: [a, b], ...content }: Award) => ({
        ...content,
        winners: [
          { ...b!, shard: 0 },
          { ...a!, shard: 1 },
        ],
      }),
    ],
    [
      'gives a seat to a spare',
      'award',
      'award-order',
      ({ bids: [a, b, c], ...content }: Award) => ({
        ...content,
        bids: [a, { ...c!, outcome: 'won' }, { ...b!, outcome: 'spare' }],
        winners: content.winners.map((seat) =>
          seat.shard === 0 ? seat : { ...seat, trainer: c!.trainer, bid: c!.bid },
        ),
      }),
    ],
    [
      'awards more than was bid',
      'award',
      'award-winners',
      (content: Award) => ({
        ...content,
        winners: content.winners.map((seat) => ({ ...seat, priceMsat: seat.priceMsat + 1n })),
      }),
    ],
    [
      'publishes a model of another architecture',
      'artifact',
      'artifact',
      (content: ContentOf<'artifact'>) => ({
        ...content,
        model: { ...content.model, inputs: content.model.inputs + 1 },
      }),
    ],
  ];
  it.each(attacks)('fails a customer that %s', (_, step, rule, change) => {
    expect(audit(changing(step, change))).toMatchObject({ rule });
  });

  it('fails a customer that leaves out a receipt, and names the claim it did not pay', () => {
    const script = changing('receipt/0/0', () => null);
    expect(audit(script)).toMatchObject({ rule: 'unpaid', event: script.raw('claim/0/0').id });
  });
});

type Path = readonly (string | number)[];

/** Every place of a content with another value of the same kind; of lists also without the first, and the first twice. */
function* changes(value: unknown, path: Path = []): Generator<readonly [Path, unknown]> {
  if (typeof value === 'bigint') yield [path, value + 1n];
  else if (typeof value === 'number') yield [path, value + 1];
  else if (typeof value === 'string') yield [path, /^[0-9a-f]{64}$/.test(value) ? sha256Hex(value) : `${value}x`];
  else if (Array.isArray(value)) {
    if (value.length > 0)
      yield* [[path, value.slice(1)] as const, [path, [value[0], ...(value as unknown[])]] as const];
    for (const [i, item] of value.entries()) yield* changes(item, [...path, i]);
  } else if (typeof value === 'object' && value !== null)
    for (const [name, field] of Object.entries(value)) yield* changes(field, [...path, name]);
}

function withChange(value: unknown, [head, ...rest]: Path, other: unknown): unknown {
  if (head === undefined) return other;
  if (Array.isArray(value)) return value.map((item: unknown, i) => (i === head ? withChange(item, rest, other) : item));
  return { ...(value as object), [head]: withChange((value as Record<string, unknown>)[head], rest, other) };
}

/** Fields that may change without anything public contradicting them, numbers of a list as *. */
function unnoticed(step: string): string[] {
  const content = whole.at(step, 'job').content;
  const found = new Set<string>();
  for (const [path, other] of changes(content)) {
    let script: JobScript;
    try {
      script = changing(step, (value: unknown) => withChange(value, path, other));
    } catch {
      continue; // the schema of the event refuses it
    }
    if (audit(script) === null) found.add(path.map((part) => (typeof part === 'number' ? '*' : part)).join('.'));
  }
  return [...found].sort();
}

describe('what a customer signs and nothing public contradicts', () => {
  const blob = (name: string) => ['chunks', 'commit', 'packed', 'root', 'size'].map((field) => `${name}.${field}`);
  it.each<[string, string[]]>([
    // Its own word: receipts it trusts. Grants are sealed; their takers answer.
    ['award', ['bids.*.attempts', 'winners.*.grant']],
    // The first base is checked with the seed, all blobs with their keys.
    ['open/0', ['base.sha256', ...blob('base'), 'until']],
    // Longer than promised harms nobody. What it did not see is not promised.
    ['seen/0', ['ids']],
    ['commits/0', ['until']],
    ['reveals/0', []],
    // Measurements, as long as D, E, acceptance and money follow from them; a ppm more before can leave D as it was.
    [
      'scores/0',
      [
        'engine',
        ...['lossPpm', 'otherBeforePpm', 'otherSePpm', 'ownBeforePpm', 'ownSePpm'].map((field) => `scores.*.${field}`),
      ],
    ],
    // The aggregate is checked with the keys of the updates.
    ['close/0', ['accuracyPpm', 'aggregate', 'lossPpm']],
    ['settlement/0', []],
    ['receipt/0/0', []],
    ['artifact', ['accuracyPpm', 'lossPpm', ...blob('weights')]],
  ])('in its %s: exactly these fields', (step, fields) => {
    expect(unnoticed(step)).toEqual([...fields].sort());
  });
});

describe('the audit with keys', () => {
  const small = { trainers: 2, rounds: 1, rail: 'none' } as const;

  it('fails a customer that weighs a shard by another size than its dataset says', async () => {
    const world = await createWorld({ name: 'weights', ...small });
    const { manifest } = world.snapshot;
    const shards = manifest.shards.map((shard, i) => ({ ...shard, examples: shard.examples - (i === 0 ? 1 : 0) }));
    const { state } = await world.run({
      customer: {
        adapt: (env) => ({
          ...env,
          data: { ...env.data, train: { ...env.data.train, manifest: { ...manifest, shards } } },
        }),
      },
    });
    expect(state.phase).toBe('finished');
    const { open, keyed } = await world.audit();
    expect(open).toBeNull();
    expect(keyed).toMatchObject({ rule: 'aggregate', event: state.rounds[0]!.close!.id });
  });

  it('need not be asked about a model that comes with another schema than its dataset', async () => {
    const world = await createWorld({ name: 'schema', ...small });
    const { manifest } = world.snapshot;
    const schema = { ...manifest.schema, classes: ['c', 'b', 'a'] };
    const { state } = await world.run({
      customer: {
        adapt: (env) => ({
          ...env,
          data: { ...env.data, train: { ...env.data.train, manifest: { ...manifest, schema } } },
        }),
      },
    });
    expect((await world.audit()).open).toMatchObject({ rule: 'schema', event: state.artifact!.id });
  });
});
