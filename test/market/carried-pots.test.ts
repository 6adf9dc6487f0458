import { describe, expect, it } from 'vitest';
import { sha256, sha256Hex, type Pubkey, type Sha256 } from '../../src/hash.js';
import { carriedIn } from '../../src/market/arena/rank-rules.js';
import { carriedMsat } from '../../src/market/carry.js';
import type { AnyPayout } from '../../src/market/state.js';
import { invoiceHash } from '../../src/protocol/claim.js';
import { scriptAlliance, type AllianceScript } from '../support/alliance-script.js';
import { scriptArena, type ArenaScript } from '../support/arena-script.js';
import type { ChainScript } from '../support/chain-script.js';
import { customer, people } from '../support/job-contents.js';

/** What of a pot is too small to be paid by itself waits, and is paid with the end of the job, to the msat. */

const INVOICE = 'lnbcrt210n1anythinganything';
const sumOf = (payouts: readonly Pick<AnyPayout, 'amountMsat'>[]) =>
  payouts.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
const spell = (payouts: readonly Pick<AnyPayout, 'purpose' | 'amountMsat'>[]) =>
  payouts.map(({ purpose, amountMsat }) => `${purpose} ${amountMsat}`);
const perPayee = (payouts: readonly AnyPayout[]): Map<Pubkey, bigint> => {
  const sums = new Map<Pubkey, bigint>();
  for (const { payee, amountMsat } of payouts) sums.set(payee, (sums.get(payee) ?? 0n) + amountMsat);
  return new Map([...sums].sort());
};

/** Claims a payout, and receipts it. */
function claimAndPay(
  script: Pick<ChainScript<never>, 'say'>,
  { payee, payout, amountMsat, settlement }: AnyPayout,
): void {
  const who = people.find(({ pubkey }) => pubkey === payee)!;
  const sealed = Buffer.alloc(99, 2).toString('base64');
  const asked = { settlement: settlement.id, payout, amountMsat };
  const claim = script.say(who, 'claim', `claim/${payout}`, { ...asked, invoiceHash: invoiceHash(INVOICE), sealed })!;
  const preimage = sha256(`preimage ${claim.id}`);
  script.say(customer, 'receipt', `receipt/${payout}`, {
    ...{ ...asked, claim: claim.id, payee, invoice: INVOICE, paymentHash: sha256Hex(preimage) },
    preimage: Buffer.from(preimage).toString('hex') as Sha256,
  });
}

describe('an alliance', () => {
  const payoutsOf = (script: AllianceScript) => script.state.rounds.map(({ payouts }) => payouts);
  const allOf = (script: AllianceScript) => payoutsOf(script).flat();

  it('lets what is below the floor wait, pays it as carry once it is enough, and all of it in the end', () => {
    // A third of 1,000,000 msat a round, by six: 55,555 msat each.
    const script = scriptAlliance({ terms: { rounds: 3, payoutFloorMsat: 100_000n } });
    expect(script.folded).toMatchObject({ phase: 'finished', firstBad: null });
    const [first, second, third] = payoutsOf(script);
    expect(first).toEqual([]);
    expect(script.at('settlement/0', 'alliance-settlement').content).toMatchObject({ plan: [], totalMsat: 0n });
    expect(new Set(second!.map(({ purpose }) => purpose))).toEqual(new Set(['carry']));
    for (const { amountMsat } of second!) expect(amountMsat).toBeGreaterThanOrEqual(100_000n);
    expect(third!.every(({ purpose }) => purpose !== 'carry')).toBe(true);
    expect(sumOf(allOf(script))).toBe(1_000_000n);
    const plain = scriptAlliance({ terms: { rounds: 3, payoutFloorMsat: 0n } });
    expect(perPayee(allOf(script))).toEqual(perPayee(allOf(plain)));
  });

  it('pays with the last round what waited, each by a payout of its own', () => {
    const script = scriptAlliance({ terms: { payoutFloorMsat: 90_000n } });
    const [first, last] = payoutsOf(script);
    expect([first!.length, last!.length]).toEqual([0, 12]);
    expect(new Set(last!.map(({ payout }) => payout)).size).toBe(12);
    expect(sumOf(last!)).toBe(1_000_000n);
    for (const payout of last!) claimAndPay(script, payout);
    expect(script.folded.firstBad).toBeNull();
    expect(allOf(script).every(({ receipt }) => receipt !== null)).toBe(true);
  });

  it('owes by its cancellation what waited until then, and the customer keeps the rest of the pot', () => {
    const script = scriptAlliance({ terms: { payoutFloorMsat: 90_000n }, alter: { 'open/1': () => null } });
    expect(allOf(script)).toEqual([]);
    script.say(customer, 'cancel', 'cancel', { reason: '' });
    const owed = allOf(script);
    expect(spell(owed)).toEqual([...Array(2).fill('carry 83334'), ...Array(4).fill('carry 83333')]);
    expect(new Set(owed.map(({ settlement }) => settlement.type))).toEqual(new Set(['cancel']));
    for (const payout of owed) claimAndPay(script, payout);
    expect(script.folded).toMatchObject({ phase: 'cancelled', firstBad: null });
    expect(allOf(script).every(({ receipt }) => receipt !== null)).toBe(true);
  });
});

describe('an arena', () => {
  const payoutsOf = (script: ArenaScript) => script.state.stages.map(({ payouts }) => payouts);

  it('lets small shares of the interim stage wait for the final one', () => {
    const script = scriptArena({ terms: { payoutFloorMsat: 30_000n } });
    const plain = scriptArena({ terms: { payoutFloorMsat: 0n } });
    expect(script.folded).toMatchObject({ phase: 'finished', firstBad: null });
    const [interim, final] = payoutsOf(script);
    for (const { amountMsat } of interim!) expect(amountMsat).toBeGreaterThanOrEqual(30_000n);
    const waited = carriedMsat(carriedIn(script.state));
    expect(waited).toBeGreaterThan(0n);
    expect(sumOf(interim!) + waited).toBe(100_000n);
    expect(sumOf(final!.filter(({ purpose }) => purpose === 'carry'))).toBe(waited);
    expect(sumOf(payoutsOf(script).flat())).toBe(1_000_000n);
    expect(perPayee(payoutsOf(script).flat())).toEqual(perPayee(payoutsOf(plain).flat()));
  });

  it('owes by its cancellation what waited until then', () => {
    const script = scriptArena({ terms: { payoutFloorMsat: 30_000n }, alter: { 'list/1': () => null } });
    const before = sumOf(payoutsOf(script).flat());
    script.say(customer, 'cancel', 'cancel', { reason: '' });
    const owed = payoutsOf(script)
      .flat()
      .filter(({ settlement }) => settlement.type === 'cancel');
    expect(sumOf(owed) + before).toBe(100_000n);
    for (const payout of owed) claimAndPay(script, payout);
    expect(script.folded).toMatchObject({ phase: 'cancelled', firstBad: null });
    const left = payoutsOf(script)
      .flat()
      .filter(({ receipt }) => receipt === null);
    expect(left.every(({ settlement }) => settlement.type !== 'cancel')).toBe(true);
  });
});
