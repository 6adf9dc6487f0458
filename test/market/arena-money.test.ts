import { describe, expect, it } from 'vitest';
import type { EventId } from '../../src/hash.js';
import { arenaPlan, ranksOf } from '../../src/market/arena/rank-rules.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { ask, invoiceOf, pay } from '../support/arena-money.js';
import { scriptArena, type ArenaScript } from '../support/arena-script.js';
import { customer, hashOf, people, type Person } from '../support/job-contents.js';

/** What is owed after the settlement of a stage, by claims, receipts and countersignatures. */

const [payee, other] = [people[0]!, people[1]!];
const rowOf = (script: ArenaScript, who: Person, at = 0) =>
  script.state.stages[at]!.payouts.find((one) => one.payee === who.pubkey)!;

/** Stage 0 is settled; stage 1 has not begun. */
const settled = (): ArenaScript => scriptArena({ alter: { 'list/1': () => null } });
const settlement = (script: ArenaScript) => script.at('settlement/0', 'arena-settlement').id;

/** Settled by `who`, while the customer said nothing since the table. */
function settledBy(who: Person): { readonly script: ArenaScript; readonly id: EventId } {
  const script = scriptArena({ alter: { 'ranking/0': () => null } });
  const ranks = [...ranksOf(script.stage, script.state.job.content.arena.seats)];
  const ranking = script.say(who, 'ranking', 'ranking', { stage: 0, table: script.stage.table!.id, ranks })!.id;
  const { plan, totalMsat } = arenaPlan(script.state, { ...script.stage, ranks });
  return {
    script,
    id: script.say(who, 'arena-settlement', 'by', { stage: 0, ranking, plan: [...plan], totalMsat })!.id,
  };
}

describe('a payout of an arena', () => {
  it('is owed to each payee of the plan, and nothing to the customer', () => {
    const { payouts } = settled().state.stages[0]!;
    // A tenth of 1,000,000 msat is the interim part; all of its payees claimed nothing yet.
    expect(payouts.reduce((sum, { amountMsat }) => sum + amountMsat, 0n)).toBe(100_000n);
    expect(payouts.some(({ payee: who }) => who === customer.pubkey)).toBe(false);
    expect(payouts.every(({ claim, receipt }) => claim === null && receipt === null)).toBe(true);
  });

  it('is claimed, paid and countersigned', () => {
    const script = settled();
    const claim = ask(script, payee, settlement(script));
    expect(rowOf(script, payee)).toMatchObject({ claim: { id: claim.id }, receipt: null });
    const receipt = pay(script, claim);
    script.say(payee, 'received', 'received', { ...claim.content, receipt: receipt.id });
    expect(rowOf(script, payee)).toMatchObject({ receipt: { id: receipt.id }, received: { author: payee.pubkey } });
    expect(rowOf(script, other)).toMatchObject({ claim: null, receipt: null });
    expect(script.folded.firstBad).toBeNull();
  });

  it('is claimed by a settlement of a participant, and paid by it', () => {
    const { script, id } = settledBy(people[5]!);
    const claim = ask(script, payee, id);
    expect(rowOf(script, payee).settlement.id).toBe(id);
    pay(script, claim);
    expect(script.folded.firstBad).toBeNull();
    expect(rowOf(script, payee).receipt?.content.claim).toBe(claim.id);
  });

  it('is refused once, and claimed again', () => {
    const script = settled();
    const first = ask(script, payee, settlement(script));
    const { payout } = first.content;
    const refusal = { claim: first.id, payout, rule: 'amount' as const, invoice: invoiceOf('ask'), detail: 'too much' };
    script.say(customer, 'claim-bad', 'bad', refusal);
    expect(rowOf(script, payee)).toMatchObject({ claim: null, refused: [{ claim: { id: first.id } }] });
    const second = ask(script, payee, settlement(script), 'again');
    expect(rowOf(script, payee).claim?.id).toBe(second.id);
  });
});

it.each<[string, Partial<ContentOf<'receipt'>>]>([
  ['another amount', { amountMsat: 1n }],
  ['another preimage', { preimage: hashOf('no preimage') }],
  ['another payee', { payee: other.pubkey }],
  ['another payout', { payout: hashOf('no payout') }],
])('a receipt with %s breaks a rule of the customer', (_, change) => {
  const script = settled();
  pay(script, ask(script, payee, settlement(script)), change);
  expect(script.folded).toMatchObject({ phase: 'frozen', firstBad: { rule: 'receipt' } });
});

it('a second receipt of one payout breaks a rule', () => {
  const script = settled();
  const claim = ask(script, payee, settlement(script));
  pay(script, claim);
  pay(script, claim);
  expect(script.folded.firstBad?.rule).toBe('receipt');
});
