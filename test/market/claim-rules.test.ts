import { describe, expect, it } from 'vitest';
import { brokenInvoiceRule, type InvoiceFacts } from '../../src/market/claim-rules.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { customer, hashOf, people, scriptJob, type JobScript } from '../support/job-script.js';

const INVOICE = `lnbcrt210n1${hashOf('0/0')}`;
const claimed = (until = 'claim/0/0') => scriptJob({ until });

function refuse(script: JobScript, change: Partial<ContentOf<'claim-bad'>> = {}): JobScript {
  const { payout } = script.at('claim/0/0', 'claim').content;
  const claim = script.raw('claim/0/0').id;
  script.say(customer, 'claim-bad', 'refused', {
    claim,
    payout,
    rule: 'hold',
    invoice: INVOICE,
    detail: 'no',
    ...change,
  });
  return script;
}
const first = (script: JobScript) => script.state.rounds[0]!.payouts.find(({ payee }) => payee === people[0]!.pubkey)!;

describe('a refused claim', () => {
  it('is no claim any more, until the payee claims again', () => {
    const script = refuse(claimed());
    expect(script.state.firstBad).toBeNull();
    expect(first(script)).toMatchObject({ claim: null, refused: [{ notice: { content: { rule: 'hold' } } }] });
    const again = script.say(people[0]!, 'claim', 'again', script.at('claim/0/0', 'claim').content)!;
    expect(first(script).claim!.id).toBe(again.id);
  });

  it.each<[string, Partial<ContentOf<'claim-bad'>>]>([
    ['with another invoice', { invoice: `lnbcrt210n1${hashOf('0/1')}` }],
    ['of another payout', { payout: hashOf('payout') }],
  ])('%s breaks claim-bad', (_, change) => {
    expect(refuse(claimed(), change).state.firstBad).toMatchObject({ rule: 'claim-bad' });
  });

  it('that is none breaks claim-bad', () => {
    const script = claimed();
    const settlement = script.raw('settlement/0').id;
    expect(refuse(script, { claim: settlement }).state.firstBad).toMatchObject({ rule: 'claim-bad' });
  });

  it('twice, or after its receipt, breaks claim-bad', () => {
    const twice = refuse(claimed());
    twice.say(customer, 'claim-bad', 'twice', twice.at('refused', 'claim-bad').content);
    expect(twice.state.firstBad).toMatchObject({ rule: 'claim-bad', event: twice.raw('twice').id });
    expect(refuse(claimed('receipt/0/0')).state.firstBad).toMatchObject({ rule: 'claim-bad' });
  });

  it('may come after the end of the job', () => {
    const script = refuse(scriptJob({ alter: { 'receipt/0/0': () => null } }));
    expect(script.state).toMatchObject({ phase: 'finished', firstBad: null });
  });
});

describe('an invoice', () => {
  const good: InvoiceFacts = {
    ...{ prefix: 'bcrt', msat: 21_000n, paymentHash: hashOf('p'), descriptionHash: hashOf('claim') },
    ...{ timestampSec: 1_000, expirySec: 86_400, minFinalCltv: 80 },
  };
  const terms = {
    ...({ network: 'sandbox', amountMsat: 21_000n, descriptionHash: hashOf('claim'), claimedAt: 4_600 } as const),
    receipted: new Set([hashOf('other')]),
  };

  it('as agreed breaks nothing, at the edges of time and delta', () => {
    // 1,000 + 86,400 is 4,600 + 82,800.
    expect(brokenInvoiceRule(good, terms)).toBeNull();
  });

  it.each<[string, Partial<InvoiceFacts>]>([
    ['network', { prefix: 'bc', msat: 1n }],
    ['amount', { msat: null, descriptionHash: null }],
    ['amount', { msat: 21_001n }],
    ['claim', { descriptionHash: null, expirySec: 0 }],
    ['expiry', { expirySec: 86_399, minFinalCltv: 81 }],
    ['hold', { minFinalCltv: 81, paymentHash: hashOf('other') }],
    ['reused', { paymentHash: hashOf('other') }],
  ])('breaks %s first: %o', (rule, change) => {
    expect(brokenInvoiceRule({ ...good, ...change }, terms)).toBe(rule);
  });

  it('that is none breaks text', () => expect(brokenInvoiceRule(null, terms)).toBe('text'));
});
