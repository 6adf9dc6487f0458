import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventId, Pubkey } from '../../src/hash.js';
import { settlementPlan } from '../../src/market/settlement.js';
import { owedMsat, paidMsat } from '../../src/market/state.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { payoutId } from '../../src/protocol/settlement.js';
import { PRICE_MSAT, customer, hashOf, people, pointerTo, scriptJob, type JobScript } from '../support/job-script.js';

type Settlement = ContentOf<'settlement'>;
type Receipt = ContentOf<'receipt'>;

describe('a settlement', () => {
  const firstLine = (content: Settlement, change: Partial<Settlement['plan'][number]>): Settlement => ({
    ...content,
    plan: content.plan.map((line, i) => (i === 0 ? { ...line, ...change } : line)),
  });

  it.each<[string, (content: Settlement, script: JobScript) => Settlement]>([
    ['another total', (content) => ({ ...content, totalMsat: content.totalMsat - 1n })],
    ['another amount', (content) => firstLine(content, { amountMsat: PRICE_MSAT - 1n })],
    ['another payee', (content) => firstLine(content, { payee: people[7]!.pubkey })],
    ['another payout id', (content) => firstLine(content, { payout: hashOf('payout') })],
    ['an extra line', (content) => ({ ...content, plan: [...content.plan, content.plan[0]!] })],
    ['a line short', (content) => ({ ...content, plan: content.plan.slice(1) })],
    ['lines in another order', (content) => ({ ...content, plan: [...content.plan].reverse() })],
    ['another close', (content, script) => ({ ...content, close: script.raw('scores/0').id })],
    ['another round', (content) => ({ ...content, round: 1 })],
  ])('with %s breaks settlement', (_what, change) => {
    const { state } = scriptJob({ alter: { 'settlement/0': change }, until: 'settlement/0' });
    expect(state).toMatchObject({ phase: 'frozen', firstBad: { rule: 'settlement' } });
    expect(state.rounds[0]!.payouts).toEqual([]);
  });

  it('comes once and after the close', () => {
    const script = scriptJob({ until: 'settlement/0' });
    const content = script.at('settlement/0', 'settlement').content;
    script.say(customer, 'settlement', 'again', content);
    expect(script.state.firstBad).toMatchObject({ event: script.raw('again').id, rule: 'settlement' });
    for (const until of ['award', 'reveals/0']) {
      const early = scriptJob({ until });
      early.say(customer, 'settlement', 'early', content);
      expect(early.state.firstBad).toMatchObject({ rule: 'settlement' });
    }
  });

  it('pays the price of the award, not one set later', () => {
    const { state } = scriptJob({ priceMsat: 1_234n, rounds: 1 });
    expect(state.rounds[0]!.settlement!.content.totalMsat).toBe(3_702n);
    expect(paidMsat(state)).toBe(3_702n);
  });
});

describe('a settlement plan', () => {
  const job = hashOf('job') as string as EventId;
  const keys = people.map(({ pubkey }) => pubkey);
  const work = fc.array(fc.record({ trainer: fc.constantFrom(...keys), priceMsat: fc.bigInt(0n, 10n ** 15n) }), {
    maxLength: 20,
  });

  it('has one line per payee, in order of keys, and sums to every price, in any order', () => {
    fc.assert(
      fc.property(
        work.chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length }))),
        ([rows, shuffled]) => {
          const { plan, totalMsat } = settlementPlan(job, 3, rows);
          expect(settlementPlan(job, 3, shuffled)).toEqual({ plan, totalMsat });
          expect(totalMsat).toBe(rows.reduce((sum, row) => sum + row.priceMsat, 0n));
          expect(plan.map(({ payee }) => payee)).toEqual([...new Set(plan.map(({ payee }) => payee))].sort());
          for (const line of plan) {
            const theirs = rows.filter((row) => row.trainer === line.payee);
            expect(line.amountMsat).toBe(theirs.reduce((sum, row) => sum + row.priceMsat, 0n));
            expect(line.amountMsat > 0n).toBe(true);
            expect(line.payout).toBe(payoutId(job, 3, line.payee, 'trainer'));
          }
        },
      ),
    );
  });

  it('adds up two shards of one trainer and leaves out who works for nothing', () => {
    const [a, b, c] = keys as [Pubkey, Pubkey, Pubkey];
    const { plan, totalMsat } = settlementPlan(job, 0, [
      { trainer: b, priceMsat: 5n },
      { trainer: c, priceMsat: 0n },
      { trainer: a, priceMsat: 7n },
      { trainer: b, priceMsat: 6n },
    ]);
    expect(plan.map(({ payee, amountMsat }) => [payee, amountMsat])).toEqual([
      [a, 7n],
      [b, 11n],
    ]);
    expect(totalMsat).toBe(18n);
  });

  it('gives every job, round, payee and purpose a payout id of its own', () => {
    const [a, b] = keys as [Pubkey, Pubkey];
    const ids = [
      payoutId(job, 0, a, 'trainer'),
      payoutId(job, 1, a, 'trainer'),
      payoutId(job, 0, b, 'trainer'),
      payoutId(job, 0, a, 'bonus'),
      payoutId(hashOf('other') as string as EventId, 0, a, 'trainer'),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('a receipt', () => {
  it.each<[string, (receipt: Receipt, script: JobScript) => Receipt]>([
    ['another amount', (receipt) => ({ ...receipt, amountMsat: receipt.amountMsat - 1n })],
    ['a preimage of another hash', (receipt) => ({ ...receipt, preimage: hashOf('x') })],
    ['another payee', (receipt) => ({ ...receipt, payee: people[1]!.pubkey })],
    ['an unknown payout', (receipt) => ({ ...receipt, payout: hashOf('x') })],
    ['an unknown settlement', (receipt) => ({ ...receipt, settlement: hashOf('x') as string as EventId })],
    ['another event as claim', (receipt, script) => ({ ...receipt, claim: script.raw('reveal/0/0').id })],
  ])('with %s breaks receipt', (_what, change) => {
    const { state } = scriptJob({ alter: { 'receipt/0/0': change }, until: 'receipt/0/0' });
    expect(state.firstBad).toMatchObject({ rule: 'receipt' });
    expect(owedMsat(state, people[0]!.pubkey)).toBe(PRICE_MSAT);
  });

  it('on a claim of another amount or of another payee breaks receipt', () => {
    const less = scriptJob({
      alter: { 'claim/0/0': (claim: ContentOf<'claim'>) => ({ ...claim, amountMsat: 1n }) },
      until: 'receipt/0/0',
    });
    expect(less.state.firstBad).toMatchObject({ rule: 'receipt' });
    const theirs = scriptJob({
      alter: { 'receipt/0/1': (receipt: Receipt, so: JobScript) => ({ ...receipt, claim: so.raw('claim/0/0').id }) },
      until: 'receipt/0/1',
    });
    expect(theirs.state.firstBad).toMatchObject({ rule: 'receipt' });
  });

  it('over another amount than the settlement’s breaks receipt although payee and customer agree on it', () => {
    const less = <C extends object>(content: C) => ({ ...content, amountMsat: 1n });
    const { state } = scriptJob({ alter: { 'claim/0/0': less, 'receipt/0/0': less }, until: 'receipt/0/0' });
    expect(state.firstBad).toMatchObject({ rule: 'receipt' });
  });

  it('counts once per payout', () => {
    const script = scriptJob({ until: 'receipt/0/0' });
    script.say(customer, 'receipt', 'again', script.at('receipt/0/0', 'receipt').content);
    expect(script.state.firstBad).toMatchObject({ event: script.raw('again').id, rule: 'receipt' });
  });

  it('may come late: after later rounds and after the model', () => {
    const script = scriptJob({ alter: { 'receipt/0/0': () => null } });
    expect(script.state.phase).toBe('finished');
    expect(owedMsat(script.state, people[0]!.pubkey)).toBe(PRICE_MSAT);
    const honest = scriptJob().at('receipt/0/0', 'receipt').content;
    script.say(customer, 'receipt', 'late', { ...honest, claim: script.raw('claim/0/0').id });
    expect(script.state).toMatchObject({ phase: 'finished', firstBad: null });
    expect(owedMsat(script.state, people[0]!.pubkey)).toBe(0n);
  });
});

describe('the state of a payout', () => {
  const settled = () => scriptJob({ alter: { 'receipt/0/0': () => null }, until: 'claim/0/0' });
  const payout = (script: JobScript) =>
    script.state.rounds[0]!.payouts.find(({ payee }) => payee === people[0]!.pubkey)!;

  it('names the newest claim over the amount owed that was not given up', () => {
    const script = settled();
    const claim = script.at('claim/0/0', 'claim');
    expect(payout(script).claim!.id).toBe(claim.id);
    script.say(people[0]!, 'claim', 'wrong', { ...claim.content, amountMsat: claim.content.amountMsat + 1n });
    expect(payout(script).claim!.id).toBe(claim.id);
    const newer = script.say(people[0]!, 'claim', 'newer', claim.content)!;
    expect(payout(script).claim!.id).toBe(newer.id);
    const gone = { claim: newer.id, payout: claim.content.payout, paymentHash: hashOf('h'), reason: 'expired' };
    script.say(people[0]!, 'claim-void', 'gone', gone);
    expect(payout(script).claim!.id).toBe(claim.id);
  });

  it('takes no claim from anybody else', () => {
    const script = scriptJob({ until: 'settlement/0' });
    const line = script.at('settlement/0', 'settlement').content.plan.find((one) => one.payee === people[0]!.pubkey)!;
    script.say(people[1]!, 'claim', 'theft', {
      settlement: script.raw('settlement/0').id,
      payout: line.payout,
      amountMsat: line.amountMsat,
      invoiceHash: hashOf('invoice'),
      sealed: Buffer.alloc(99).toString('base64'),
    });
    expect(payout(script).claim).toBeNull();
  });

  it('knows the countersignature and the mark of an unpaid claim', () => {
    const script = settled();
    const { settlement, payout: id, amountMsat } = script.at('claim/0/0', 'claim').content;
    const claim = script.raw('claim/0/0').id;
    script.say(people[0]!, 'unpaid', 'unpaid', { settlement, payout: id, claim, amountMsat });
    expect(payout(script).unpaid!.id).toBe(script.raw('unpaid').id);
    const paid = scriptJob({ rounds: 1 });
    expect(payout(paid).received!.id).toBe(paid.raw('received/0/0').id);
  });
});

describe('the end of a job', () => {
  type Artifact = ContentOf<'artifact'>;

  it.each<[string, (artifact: Artifact) => Artifact]>([
    ['another model', (artifact) => ({ ...artifact, weights: pointerTo(hashOf('another')) })],
    ['another number of rounds', (artifact) => ({ ...artifact, rounds: 3 })],
    ['a trainer short', (artifact) => ({ ...artifact, trainers: artifact.trainers.slice(1) })],
    [
      'more accepted rounds than there were',
      (artifact) => ({ ...artifact, trainers: artifact.trainers.map((row) => ({ ...row, rounds: 3 })) }),
    ],
  ])('with %s breaks artifact', (_what, change) => {
    const { state } = scriptJob({ alter: { artifact: change } });
    expect(state).toMatchObject({ phase: 'frozen', artifact: null, firstBad: { rule: 'artifact' } });
  });

  it('comes after the last round is settled', () => {
    const { content } = scriptJob().at('artifact', 'artifact');
    for (const until of ['award', 'settlement/0', 'open/1', 'close/1']) {
      const script = scriptJob({ until });
      const weights = pointerTo(script.state.modelHash ?? script.modelHash);
      script.say(customer, 'artifact', 'early', { ...content, weights });
      expect(script.state.firstBad).toMatchObject({ rule: 'artifact' });
    }
  });

  it('is final: nothing but receipts follows the model or a cancellation', () => {
    const done = scriptJob();
    done.say(customer, 'cancel', 'more', { reason: '' });
    expect(done.state.firstBad).toMatchObject({ rule: 'after-end' });
    const cancelled = scriptJob({ until: 'claim/0/0' });
    cancelled.say(customer, 'cancel', 'cancel', { reason: 'enough' });
    expect(cancelled.state).toMatchObject({ phase: 'cancelled', firstBad: null });
    const receipt = { ...done.at('receipt/0/0', 'receipt').content, claim: cancelled.raw('claim/0/0').id };
    cancelled.say(customer, 'receipt', 'receipt', receipt);
    expect(cancelled.state.firstBad).toBeNull();
    cancelled.say(customer, 'artifact', 'more', done.at('artifact', 'artifact').content);
    expect(cancelled.state.firstBad).toMatchObject({ rule: 'after-end' });
  });

  it.each([
    ['award', undefined],
    ['open/0', undefined],
    ['commit/0/2', undefined],
    ['close/0', 'cancel'],
    ['settlement/0', undefined],
    ['open/1', undefined],
    ['close/1', 'cancel'],
    ['settlement/1', undefined],
  ])('cannot be a cancellation before accepted work is settled: after %s it breaks %s', (until, rule) => {
    const script = scriptJob({ until });
    script.say(customer, 'cancel', 'cancel', { reason: '' });
    expect(script.state.firstBad?.rule).toBe(rule);
    expect(script.state.phase).toBe(rule === undefined ? 'cancelled' : 'frozen');
  });

  it('keeps a closed round owed when the customer cancels instead of settling it, and settles nothing after a cancellation', () => {
    const settlement = scriptJob({ until: 'settlement/0' }).at('settlement/0', 'settlement').content;
    const early = scriptJob({ until: 'close/0' });
    early.say(customer, 'cancel', 'cancel', { reason: 'too early' });
    expect(early.state.firstBad).toMatchObject({ rule: 'cancel', detail: 'round 0 is not settled' });
    expect(early.state.cancelled).toBeNull();
    const late = scriptJob({ until: 'open/0' });
    late.say(customer, 'cancel', 'cancel', { reason: '' });
    late.say(customer, 'settlement', 'settlement', settlement);
    expect(late.state.firstBad).toMatchObject({ rule: 'after-end' });
  });

  it('cannot be a cancellation while updates are shown that may be accepted: a customer could read them for nothing', () => {
    for (const until of ['commits/0', 'reveal/0/2', 'reveals/0', 'scores/0']) {
      const script = scriptJob({ until });
      script.say(customer, 'cancel', 'cancel', { reason: '' });
      expect(script.state.firstBad, until).toMatchObject({ rule: 'cancel' });
    }
    const tooFew = { 'commit/0/1': () => null, 'commit/0/2': () => null };
    const hidden = { 'reveal/0/1': () => null, 'reveal/0/2': () => null };
    for (const [alter, until] of [
      [tooFew, 'commits/0'],
      [hidden, 'reveals/0'],
    ] as const) {
      const script = scriptJob({ alter, until });
      script.say(customer, 'cancel', 'cancel', { reason: '' });
      expect(script.state, until).toMatchObject({ phase: 'cancelled', firstBad: null });
    }
  });
});
