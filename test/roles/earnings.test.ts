import { describe, expect, test } from 'vitest';
import { localSigner } from '../../src/signer.js';
import {
  customerNamedIn,
  earningsOf,
  earningsOfJournal,
  ownInvoices,
  sumEarnings,
  type Earning,
} from '../../src/roles/earnings.js';
import { createWorld } from '../support/market-world.js';
import {
  customer,
  people,
  PRICE_MSAT,
  scriptJob,
  START_SEC,
  TERMS,
  type ScriptOptions,
} from '../support/job-script.js';

const me = people[1]!.pubkey;
const NONE = new Map();
const SOON = START_SEC + 100;

function told(options: ScriptOptions, now = SOON): [Earning['state'], bigint][] {
  return earningsOf(scriptJob(options).state, me, NONE, now).earnings.map(({ state, msat }) => [state, msat]);
}
const claimedAt = (options: ScriptOptions) => scriptJob(options).raw('claim/0/1').created_at;

describe('earnings of a job', () => {
  test('are the rounds that were accepted, paid once the own wallet confirmed them', () => {
    const script = scriptJob();
    const earned = earningsOf(script.state, me, NONE, SOON);
    expect(earned).toMatchObject({ job: script.jobId, customer: customer.pubkey, title: 'digits', rounds: 2 });
    expect(earned.earnings).toEqual(
      [0, 1].map((round) => {
        const { content, createdAt } = script.at(`receipt/${round}/1`, 'receipt');
        const { paymentHash, preimage } = content;
        return { round, msat: PRICE_MSAT, state: 'paid', paymentHash, preimage, paidAt: createdAt };
      }),
    );
    expect(sumEarnings(earned.earnings)).toEqual({ owedMsat: 0n, paidMsat: 2n * PRICE_MSAT, lateMsat: 0n });
  });

  test('are owed from the close on, also before anybody settles it, and late when that takes longer than a round', () => {
    const options = { until: 'close/0' };
    const due = scriptJob(options).raw('close/0').created_at + TERMS.roundTimeoutSec;
    expect(told({ until: 'scores/0' })).toEqual([]);
    expect(told(options, due - 1)).toEqual([['owed', PRICE_MSAT]]);
    expect(told(options, due)).toEqual([['late', PRICE_MSAT]]);
  });

  test('are late when a claim is older than the job allows, or was marked; not while nothing is claimed', () => {
    const claimed = { until: 'claim/0/1' };
    expect(told({ until: 'settlement/0' }, START_SEC + 10 ** 9)).toEqual([['owed', PRICE_MSAT]]);
    expect(told(claimed, claimedAt(claimed) + TERMS.payWithinSec - 1)).toEqual([['owed', PRICE_MSAT]]);
    expect(told(claimed, claimedAt(claimed) + TERMS.payWithinSec)).toEqual([['late', PRICE_MSAT]]);
    const marked = scriptJob(claimed);
    const { settlement, payout, amountMsat } = marked.at('claim/0/1', 'claim').content;
    marked.say(people[1]!, 'unpaid', 'unpaid', { settlement, payout, claim: marked.raw('claim/0/1').id, amountMsat });
    const [late] = earningsOf(marked.state, me, NONE, SOON).earnings;
    expect(late).toMatchObject({ state: 'late', paidAt: null });
    expect(sumEarnings([late!])).toEqual({ owedMsat: PRICE_MSAT, paidMsat: 0n, lateMsat: PRICE_MSAT });
  });

  test('are not paid by a receipt alone: its invoice must be the one this trainer sent', () => {
    const script = scriptJob({ alter: { 'received/0/1': () => null }, until: 'receipt/0/2' });
    const states = (invoice: string) => {
      const invoices = new Map([[script.raw('claim/0/1').id, invoice]]);
      return earningsOf(script.state, me, invoices as never, SOON).earnings.map(({ state }) => state);
    };
    expect(states('lnbcrt1another')).toEqual(['owed']);
    expect(states(script.at('receipt/0/1', 'receipt').content.invoice)).toEqual(['paid']);
  });

  test('know the invoices of their own claims, and only those', async () => {
    const world = await createWorld({ trainers: 2, rounds: 1 });
    const { state } = await world.run();
    const [first, second] = world.trainers;
    const { payouts } = state.rounds[0]!;
    const mine = payouts.find(({ payee }) => payee === first!.signer.pubkey)!;
    const invoices = await ownInvoices(state, first!.signer);
    expect([...invoices]).toEqual([[mine.claim!.id, mine.receipt!.content.invoice]]);
    const { earnings } = earningsOf(state, second!.signer.pubkey, NONE, world.clock.nowSec());
    expect(earnings).toMatchObject([{ state: 'paid', msat: 21_000n }]);
    expect(customerNamedIn(first!.events.map(({ event }) => event))).toBe(world.customer.signer.pubkey);
    expect(customerNamedIn([])).toBeNull();
    expect(await ownInvoices(scriptJob().state, localSigner(people[1]!.secret))).toEqual(new Map());
  });

  test('are still told by the own journal when no relay has the job', () => {
    const script = scriptJob({ alter: { 'received/1/1': () => null } });
    const own = script.parsed.filter(({ author }) => author === me);
    const earned = earningsOfJournal(script.jobId, own, customer.pubkey);
    expect(earned).toMatchObject({ phase: 'unknown', rounds: 2, customer: customer.pubkey });
    expect(sumEarnings(earned.earnings)).toEqual({ owedMsat: PRICE_MSAT, paidMsat: PRICE_MSAT, lateMsat: 0n });
  });
});
