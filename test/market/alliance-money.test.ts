import { describe, expect, it } from 'vitest';
import { sha256, sha256Hex, type Sha256 } from '../../src/hash.js';
import { allianceDue, settlementsOf } from '../../src/market/alliance/settle-rules.js';
import { endOf } from '../../src/market/alliance/state.js';
import { invoiceHash } from '../../src/protocol/claim.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { scriptAlliance, type AllianceScript } from '../support/alliance-script.js';
import { customer, hashOf, people, person, type Person } from '../support/job-contents.js';

/** What is owed after the settlement of a round, whoever settled it. */

const [payee, other] = [people[0]!, people[1]!];
const INVOICE = 'lnbcrt210n1anythinganything';
/** Round 0 has ended, and its customer says no more. */
const silent = (): AllianceScript => scriptAlliance({ alter: { 'settlement/0': () => null } });
const settled = (): AllianceScript => scriptAlliance({ alter: { 'open/1': () => null } });

function settle(script: AllianceScript, who: Person, change: Partial<ContentOf<'alliance-settlement'>> = {}) {
  const { plan, carried: _, ...due } = allianceDue(script.state, script.round);
  const content = { round: script.round.round, last: endOf(script.round)!, ...due, plan: [...plan], ...change };
  return script.say(who, 'alliance-settlement', `by/${who.pubkey}`, content)!.id;
}
const byOf = (script: AllianceScript) => settlementsOf(script.state.rounds[0]!).map(({ author }) => author);
const rowOf = (script: AllianceScript, who: Person) =>
  script.state.rounds[0]!.payouts.find((one) => one.payee === who.pubkey)!;

function ask(script: AllianceScript, who: Person, step = 'ask') {
  const { payout, amountMsat, settlement } = rowOf(script, who);
  const sealed = Buffer.alloc(99, 2).toString('base64');
  const content = { settlement: settlement.id, payout, amountMsat, invoiceHash: invoiceHash(INVOICE), sealed };
  return script.say(who, 'claim', step, content)!;
}

function pay(script: AllianceScript, claim: ReturnType<typeof ask>, change: Partial<ContentOf<'receipt'>> = {}) {
  const { settlement, payout, amountMsat } = claim.content;
  const preimage = sha256(`preimage ${claim.id}`);
  return script.say(customer, 'receipt', `receipt/${claim.id}`, {
    ...{ settlement, payout, claim: claim.id, payee: claim.author, amountMsat, invoice: INVOICE },
    ...{ paymentHash: sha256Hex(preimage), preimage: Buffer.from(preimage).toString('hex') as Sha256, ...change },
  })!;
}

describe('a payout of an alliance', () => {
  it('is owed to each payee, claimed, paid and countersigned', () => {
    const script = settled();
    expect(script.state.rounds[0]!.payouts.map(({ amountMsat }) => amountMsat)).toEqual([
      83_334n,
      83_334n,
      83_333n,
      83_333n,
      83_333n,
      83_333n,
    ]);
    const claim = ask(script, payee);
    const receipt = pay(script, claim);
    script.say(payee, 'received', 'received', { ...claim.content, receipt: receipt.id });
    expect(rowOf(script, payee)).toMatchObject({ receipt: { id: receipt.id }, received: { author: payee.pubkey } });
    expect(rowOf(script, other)).toMatchObject({ claim: null, receipt: null });
    expect(script.folded.firstBad).toBeNull();
  });

  it('is receipted once, to its payee, and as it is owed', () => {
    const twice = settled();
    const claim = ask(twice, payee);
    pay(twice, claim);
    twice.say(customer, 'receipt', 'twice', twice.at(`receipt/${claim.id}`, 'receipt').content);
    expect(twice.folded.firstBad?.detail).toMatch(/has a receipt already/);
    for (const [change, why] of [
      [{ payee: other.pubkey }, /promises this payout/],
      [{ amountMsat: 83_333n }, /83334 msat are owed/],
      [{ settlement: hashOf('none') as never }, undefined],
    ] as const) {
      const script = settled();
      pay(script, ask(script, payee), change);
      if (why === undefined) expect(script.folded.missing).toEqual([hashOf('none')]);
      else expect(script.folded.firstBad?.detail).toMatch(why);
    }
  });

  it('is refused, and claimed again', () => {
    const script = settled();
    const claim = ask(script, payee);
    const { payout } = claim.content;
    script.say(customer, 'claim-bad', 'bad', { claim: claim.id, payout, rule: 'amount', invoice: INVOICE, detail: '' });
    expect(rowOf(script, payee)).toMatchObject({ claim: null, refused: [{ claim: { id: claim.id } }] });
    expect(ask(script, payee, 'again').id).toBe(rowOf(script, payee).claim?.id);
  });
});

describe('a customer that falls silent when a round has ended', () => {
  it('is settled by any member, and what it owes can be claimed and paid', () => {
    for (const who of [people[0]!, people[5]!]) {
      const script = silent();
      settle(script, who);
      expect(byOf(script)).toEqual([who.pubkey]);
      pay(script, ask(script, payee));
      expect(rowOf(script, payee).receipt).not.toBeNull();
      expect(script.folded).toMatchObject({ phase: 'decided', firstBad: null });
    }
  });

  it('is not settled by a stranger, before the round has ended, nor by a msat more', () => {
    const script = silent();
    settle(script, person('a stranger'));
    const { plan } = allianceDue(script.state, script.round);
    settle(script, people[0]!, { plan: plan.map((line) => ({ ...line, amountMsat: line.amountMsat + 1n })) });
    settle(script, people[1]!, { last: script.state.rounds[0]!.commits!.list.id });
    expect(script.folded.firstBad).toBeNull();
    expect(byOf(script)).toEqual([]);
  });

  it('comes back, says the same and goes on; the round after it is settled by what is left', () => {
    const script = scriptAlliance({
      alter: { 'settlement/1': () => null },
      after: { 'votes/0': (so) => void settle(so, people[1]!) },
    });
    expect(byOf(script)).toEqual([customer.pubkey, people[1]!.pubkey]);
    const { plan, totalMsat } = allianceDue(script.state, script.round);
    expect([plan.length, totalMsat]).toEqual([6, 500_000n]);
    settle(script, people[2]!);
    expect(script.state.rounds[1]!.others).toHaveLength(1);
    expect(script.folded.firstBad).toBeNull();
  });
});
