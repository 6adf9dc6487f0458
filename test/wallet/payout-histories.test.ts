import { expect, test } from 'vitest';
import { sha256, sha256Hex, u32be, type Pubkey } from '../../src/hash.js';
import { prng, type Prng } from '../../src/learning/prng.js';
import { payoutBook } from '../../src/wallet/payout-book.js';
import { payOut, type PayoutOutcome, type PayoutRequest } from '../../src/wallet/payout-journal.js';
import { foldPayouts, type PayoutRecord } from '../../src/wallet/payout-records.js';
import { createSpendGuard } from '../../src/wallet/spend-guard.js';
import { FakeLightning } from '../support/fake-wallet.js';
import { failingJournal, type WriteFault } from '../support/faults/failing-journal.js';
import { lyingWallet, type LookupFault, type PayFault, type WalletPlan } from '../support/faults/lying-wallet.js';
import { memoryJournal } from '../support/memory-journal.js';
import { virtualClock } from '../support/virtual-clock.js';

/**
 * Whole lives of a payout journal under a wallet that loses, delays, repeats and invents what it says, and a process that
 * dies anywhere. Each seed is one history; `npm run stress:money` runs 10,000, NMKT_HISTORIES any number.
 */

const HISTORIES = Number(process.env['NMKT_HISTORIES'] ?? 1000);
const START_SEC = 1_800_000_000;
const DAY_SEC = 86_400;
const START_MSAT = 10_000_000n;
const RESTARTS = 40;

const PAY: readonly PayFault[] = [
  ...['lost-before', 'lost-after', 'late', 'paid-later', 'invented', 'wrong-preimage', 'duplicate'],
  ...['QUOTA_EXCEEDED', 'RATE_LIMITED', 'PAYMENT_FAILED', 'INTERNAL-after', 'crash-before', 'crash-after'],
] as PayFault[];
const LOOKUP: readonly LookupFault[] = [
  ...[
    'failed',
    'not-found',
    'pending',
    'expired',
    'unknown',
    'settled-unproven',
    'settled-wrong',
    'other-side',
    'crash',
  ],
] as LookupFault[];

class Died extends Error {}
const die = (): never => {
  throw new Died('killed');
};

/** One payout with the invoices that its payee may send for it: two that expire after a day, four that do not. */
interface Owed {
  readonly request: Omit<PayoutRequest, 'invoice' | 'voided'>;
  readonly payee: string;
  readonly invoices: readonly { readonly invoice: string; readonly paymentHash: string; readonly expirySec: number }[];
}

const node = new FakeLightning({ nowSec: () => nowSec() });
let nowSec = () => START_SEC;

/** Two payouts to each of two payees, one to a third: made once, used by every history. */
const OWED: readonly Owed[] = [
  ...[0, 1].flatMap((round) => ['anna', 'berta'].map((payee) => ({ round, payee }))),
  { round: 0, payee: 'clara' },
].map(({ round, payee }) => {
  const amountMsat = 300_000n + BigInt(oddMsat(round, payee));
  const descriptionHash = sha256Hex(`claim ${payee} ${round}`);
  const invoices = [1, 1, 90, 90, 90, 90]
    .map((days) => days * DAY_SEC)
    .map((expirySec) => ({
      ...node.makeInvoice(payee, { msat: amountMsat, descriptionHash, expirySec }),
      expirySec,
    }));
  return {
    payee,
    invoices,
    request: {
      ...{ payoutId: sha256Hex(`payout ${payee} ${round}`), planHash: sha256Hex(`plan ${round}`), job: 'job', round },
      ...{ payee: sha256Hex(payee) as string as Pubkey, amountMsat, jobBudgetMsat: START_MSAT, descriptionHash },
      invoiceSigner: node.nodePubkey,
    },
  };
});

/** Amounts differ, so that no sum hides who was paid. */
function oddMsat(round: number, payee: string): number {
  return 7 * round + payee.length;
}

interface Tally {
  unknown: number;
  blocked: number;
  voided: number;
  deaths: number;
  restarts: number;
}

/** What a payee that is still owed does between two runs of the customer: gives up an invoice that it knows to be dead. */
function giveUp(
  owed: Owed,
  records: readonly PayoutRecord[],
  voided: Set<string>,
  random: Prng,
  isSure: boolean,
): void {
  const bound = foldPayouts(records).get(owed.request.payoutId)?.bound;
  if (bound === undefined || voided.has(bound.paymentHash) || (!isSure && random.below(6) > 0)) return;
  const { expirySec } = owed.invoices.find(({ paymentHash }) => paymentHash === bound.paymentHash)!;
  const isExpired = nowSec() > START_SEC + expirySec;
  const left = owed.invoices.filter((one) => one.expirySec > DAY_SEC && !voided.has(one.paymentHash));
  if (left.length < 2 && !isExpired) return;
  if ((isExpired || !isSure) && node.cancel(bound.paymentHash)) voided.add(bound.paymentHash);
}

function checkOutcome(outcome: PayoutOutcome, owed: Owed, records: readonly PayoutRecord[], tally: Tally): void {
  const payouts = foldPayouts(records);
  const mine = payouts.get(owed.request.payoutId);
  if (outcome.kind === 'paid') {
    const made = node.payments.find(({ paymentHash }) => paymentHash === outcome.paymentHash);
    expect(made, 'paid only with money').toMatchObject({ to: owed.payee, msat: owed.request.amountMsat });
    expect(mine!.paid!.preimage).toBe(outcome.preimage);
    return;
  }
  expect(outcome.next, 'says what happens next').toMatch(/looked up first|nothing was paid/);
  if (outcome.kind === 'unknown') {
    tally.unknown++;
    expect(outcome.why.length).toBeGreaterThan(10);
    // A doubt about what another journal may have sent is no payment of this one.
    if (!outcome.why.startsWith('the look-up of'))
      expect(mine!.openSends, 'an unknown payment stays in the books').toBeGreaterThan(0);
  } else if (outcome.code === 'EARLIER_PAYOUT_OPEN') {
    tally.blocked++;
    const open = [...payouts.values()].filter(({ openSends }) => openSends > 0);
    expect(
      open.map(({ payee }) => payee),
      'only by one of the same payee',
    ).toContain(owed.request.payee);
  }
}

async function liveThrough(seed: number, tally: Tally): Promise<void> {
  const random = prng(sha256('payout history', u32be(seed)), 'history');
  const pick = <T>(all: readonly T[]): T => all[random.below(all.length)]!;
  const some = <T>(most: number, all: readonly T[], okIn: number): (T | 'ok')[] =>
    Array.from({ length: random.below(most + 1) }, () => (random.below(okIn) === 0 ? 'ok' : pick(all)));
  const clock = virtualClock(START_SEC);
  nowSec = () => clock.nowSec();
  node.reset();
  const owed = random
    .shuffle(OWED.length)
    .slice(0, 1 + random.below(4))
    .reduce<Owed[]>((all, index) => [...all, OWED[index]!], []);
  const plan: WalletPlan = { pay: some(8, PAY, 4), lookup: some(8, LOOKUP, 4) };
  const writes: WriteFault[] = some<WriteFault>(12, ['ok', 'ok', 'lost', 'kept'], 4);
  const later: (() => Promise<unknown>)[] = [];
  const honest = node.wallet('customer', START_MSAT);
  const wallet = lyingWallet(honest, plan, { die, later: (pay) => void later.push(pay) });
  const records: PayoutRecord[] = [];
  const voided = new Set<string>();
  /** In every other history the customer names all claims, as the product does, so that a lost journal is noticed. */
  const isClaimed = seed % 2 === 0;
  const claims = new Map<Owed, Set<string>>();
  const money = () => ['customer', 'anna', 'berta', 'clara'].reduce((sum, who) => sum + node.balance(who), 0n);

  for (let restart = 0; restart < RESTARTS; restart++) {
    tally.restarts++;
    const isHealed = plan.pay.length + plan.lookup.length + writes.length === 0;
    for (const one of owed) giveUp(one, records, voided, random, isHealed || restart > RESTARTS / 2);
    // A process that has died does nothing more, whatever the others of its payouts were about.
    let isDead = false;
    const dead = (): never => {
      isDead = true;
      tally.deaths++;
      return die();
    };
    const journal = failingJournal(memoryJournal(records), writes, dead);
    const mortal = {
      ...journal,
      append: (record: PayoutRecord) => (isDead ? Promise.reject(new Died('dead')) : journal.append(record)),
      read: () => (isDead ? Promise.reject(new Died('dead')) : journal.read()),
    };
    const book = payoutBook(mortal);
    const attempts = owed.map(async (one) => {
      const usable = one.invoices.filter(
        ({ paymentHash, expirySec }) => !voided.has(paymentHash) && nowSec() < START_SEC + expirySec - 60,
      );
      const { invoice } = pick(usable);
      const claimed = claims.get(one) ?? new Set<string>();
      claims.set(one, claimed.add(invoice));
      try {
        const outcome = await payOut(
          { ...one.request, invoice, voided, ...(isClaimed && { claimed: [...claimed] }) },
          {
            wallet: { ...wallet, pay: (text, ms) => (isDead ? die() : wallet.pay(text, ms)) },
            ...{ network: 'sandbox', book, guard: createSpendGuard({}), clock },
          },
        );
        if (!isDead) checkOutcome(outcome, one, records, tally);
        return outcome.kind === 'paid';
      } catch (error) {
        if (!(error instanceof Died)) throw error;
        isDead = true;
        return false;
      }
    });
    const isPaid = await Promise.all(attempts);
    expect(money(), 'no msat appears or is lost').toBe(START_MSAT);
    for (const payee of ['anna', 'berta', 'clara']) {
      const due = owed.reduce((sum, one) => (one.payee === payee ? sum + one.request.amountMsat : sum), 0n);
      expect(node.balance(payee), `${payee} is never paid twice`).toBeLessThanOrEqual(due);
    }
    const sent = new Set(records.flatMap((record) => (record.type === 'bound' ? record.paymentHash : [])));
    for (const { paymentHash } of node.payments) expect(sent.has(paymentHash), 'bound before it was sent').toBe(true);
    for (const pay of later.splice(0)) await pay();
    if (isPaid.every(Boolean) && !isDead) break;
    clock.advance(random.below(8) === 0 ? 2 * DAY_SEC * 1000 : random.below(600) * 1000);
  }

  tally.voided += voided.size;
  for (const payee of ['anna', 'berta', 'clara']) {
    const due = owed.reduce((sum, one) => (one.payee === payee ? sum + one.request.amountMsat : sum), 0n);
    expect(node.balance(payee), `${payee} has what it is owed`).toBe(due);
  }
  expect(node.payments).toHaveLength(owed.length);
  expect([...foldPayouts(records).values()].every(({ paid }) => paid !== undefined)).toBe(true);
}

test(
  `pays nobody twice and nobody less, over ${HISTORIES} histories of crashes, lost, late and repeated replies and lies`,
  async () => {
    const tally: Tally = { unknown: 0, blocked: 0, voided: 0, deaths: 0, restarts: 0 };
    for (let seed = 0; seed < HISTORIES; seed++) {
      try {
        await liveThrough(seed, tally);
      } catch (error) {
        throw new Error(`history ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
    const found = `${HISTORIES} histories: ${JSON.stringify(tally)}; 0 paid twice, 0 msat lost, 0 left unknown\n`;
    if (HISTORIES > 1_000) process.stderr.write(found);
    // Or the histories test nothing.
    for (const [what, count] of Object.entries(tally)) expect(count, what).toBeGreaterThan(HISTORIES / 40);
  },
  Math.max(240_000, HISTORIES * 100),
);
