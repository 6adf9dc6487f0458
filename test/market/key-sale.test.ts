import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/hash.js';
import { keyGuiltOf } from '../../src/market/sale-rules.js';
import { guiltOf } from '../../src/market/slashing.js';
import { countedIn, outcomeOf } from '../../src/market/state.js';
import { parseJobEvent, type ContentOf } from '../../src/protocol/events.js';
import { judgeSale, saleChecks } from '../../src/protocol/sale.js';
import { customer, hashOf, people, scriptJob, type ScriptOptions } from '../support/job-script.js';
import { soldBy } from '../support/sale-contents.js';

const terms = { payoutFloorMsat: 1_000n };
const without = (...steps: readonly string[]) => ({
  alter: Object.fromEntries(steps.map((step) => [step, () => null])),
});
const sale = (options: ScriptOptions = {}) =>
  scriptJob({
    trainers: 3,
    validators: 1,
    rounds: 2,
    rail: 'key-sale',
    ...options,
    terms: { ...terms, ...options.terms },
  });

describe('rail key-sale', () => {
  it('ends a round with its sale: the model is made of what was sold', () => {
    const script = sale();
    const { firstBad, phase, rounds, modelHash, job } = script.state;
    expect(firstBad).toBeNull();
    expect(phase).toBe('finished');
    expect(modelHash).toBe(hashOf('model 2'));
    expect(rounds.map((round) => countedIn(job!.content, round).length)).toEqual([3, 3]);
    expect(rounds.map((round) => outcomeOf(round)!.aggregate)).toEqual([hashOf('model 1'), hashOf('model 2')]);
  });

  it('counts without who did not sell, and owes it nothing any more', () => {
    const script = sale({ ...without('receipt/0/1'), until: 'sold/0' });
    const { firstBad, rounds, job, phase } = script.state;
    expect(firstBad).toBeNull();
    expect(phase).toBe('between');
    expect(countedIn(job!.content, rounds[0]!).map(({ shard }) => shard)).toEqual([0, 2]);
    const trainers = rounds[0]!.payouts.filter(({ purpose }) => purpose === 'trainer');
    expect(trainers.map(({ payee }) => payee)).not.toContain(people[1]!.pubkey);
  });

  it('keeps its model when fewer than the quorum sell', () => {
    const script = sale({ ...without('receipt/0/1', 'receipt/0/2'), until: 'sold/0' });
    const { firstBad, modelHash, rounds, job } = script.state;
    expect(firstBad).toBeNull();
    expect(modelHash).toBe(hashOf('model 0'));
    expect(countedIn(job!.content, rounds[0]!)).toEqual([]);
  });

  it('sells until the end of the sale, which comes before the next round, the model and a cancellation', () => {
    expect(sale({ until: 'receipt/0/0' }).state.phase).toBe('selling');
    expect(sale({ ...without('sold/0') }).state.firstBad).toMatchObject({ rule: 'open' });
    const script = sale({ until: 'receipt/0/0' });
    script.say(customer, 'cancel', 'cancel', { reason: '' });
    expect(script.state.firstBad).toMatchObject({ rule: 'cancel' });
  });

  it.each<[string, ScriptOptions['alter'], string]>([
    [
      'a close that says a model before the sale',
      { 'close/0': (close: ContentOf<'close'>) => ({ ...close, aggregate: hashOf('stolen') }) },
      'close',
    ],
    [
      'a sale that leaves out who was paid',
      { 'sold/0': (end: ContentOf<'sold'>) => ({ ...end, sold: end.sold.slice(1) }) },
      'sold',
    ],
    [
      'a sale of another settlement',
      { 'sold/0': (end: ContentOf<'sold'>) => ({ ...end, settlement: end.sold[0]!.submission }) },
      'sold',
    ],
    [
      'a receipt with another preimage than the one that opens the update',
      { 'receipt/0/0': (receipt: ContentOf<'receipt'>) => ({ ...receipt, ...proofOf('another') }) },
      'receipt',
    ],
  ])('freezes over %s', (_, alter, rule) => {
    expect(sale({ alter }).state.firstBad).toMatchObject({ rule });
  });

  it('lets the customer score nothing itself: without validators the round is void', () => {
    const script = sale({ validators: 1, ...without('score-commit/0/0'), rounds: 1 });
    expect(script.state.firstBad).toMatchObject({ rule: 'scores' });
    const voided = sale({ validators: 1, ...without('score-commit/0/0'), rounds: 1, until: 'score-reveals/0' });
    voided.say(customer, 'void', 'void', { round: 0, reason: 'no-quorum' });
    expect(voided.state).toMatchObject({ firstBad: null, phase: 'trained' });
  });

  it('rejects an update whose trainer signed no sale', () => {
    const script = sale({
      rounds: 1,
      until: 'reveals/0',
      alter: { 'reveal/0/1': ({ sale: _, ...rest }: ContentOf<'reveal'>) => rest },
    });
    expect(script.state.firstBad).toBeNull();
  });
});

function proofOf(name: string) {
  const { preimage, sale: hashes } = soldBy({ jobId: hashOf(name) } as never, 9, 9);
  return { preimage: Buffer.from(preimage).toString('hex') as never, paymentHash: hashes.paymentHash };
}

describe('a wrong key', () => {
  const script = sale({ wrongKeys: [2], rounds: 1 });

  it('is proven by four hashes, ends the award, and its update does not count', () => {
    const { firstBad, keyFrauds, rounds, job } = script.state;
    expect(firstBad).toBeNull();
    expect([...keyFrauds.keys()]).toEqual([people[2]!.pubkey]);
    expect(countedIn(job!.content, rounds[0]!).map(({ shard }) => shard)).toEqual([0, 1]);
    const { sale: hashes, ...secrets } = soldBy(script, 0, 2, true);
    expect(saleChecks(hashes, script.jobId, secrets).map(({ ok }) => ok)).toEqual([true, true, true, false]);
  });

  it('condemns its trainer by two events, whoever shows them', () => {
    const [reveal, proof] = ['reveal/0/2', 'key-fraud/0/2'].map((step) => parseJobEvent(script.raw(step)));
    expect(keyGuiltOf([proof!, reveal!])).toEqual({ job: script.jobId, staker: people[2]!.pubkey });
    expect(guiltOf([reveal!, proof!])).toEqual({ job: script.jobId, staker: people[2]!.pubkey });
    expect(guiltOf([parseJobEvent(script.raw('reveal/0/1')), proof!])).toBeNull();
  });

  it('cannot be made up: other secrets than the signed ones prove nothing', () => {
    const { sale: hashes, ...secrets } = soldBy(script, 0, 0);
    expect(judgeSale(hashes, script.jobId, secrets)).toBe('sold');
    for (const name of ['preimage', 'z', 'wrapped'] as const)
      expect(judgeSale(hashes, script.jobId, { ...secrets, [name]: sha256('made up') })).toBe('unproven');
    const honest = sale({ rounds: 1, until: 'receipt/0/2' });
    const { preimage, z, wrapped } = soldBy(honest, 0, 0);
    const content = { round: 0, shard: 0, trainer: people[0]!.pubkey, submission: honest.raw('reveal/0/0').id };
    honest.say(customer, 'key-fraud', 'lie', { ...content, preimage, z, wrapped });
    expect(honest.state.firstBad).toMatchObject({ rule: 'key-fraud' });
  });
});
