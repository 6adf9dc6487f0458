import { describe, expect, test } from 'vitest';
import { sha256, sha256Hex } from '../../src/hash.js';
import { disputes } from '../../src/market/disputes.js';
import type { JobState } from '../../src/market/state.js';
import type { InvoiceRequest, Wallet } from '../../src/ports.js';
import type { InvoiceRule } from '../../src/protocol/claim.js';
import { withoutAmount } from '../support/amountless-invoice.js';
import { createWorld, type CustomerOptions, type TrainerOptions, type World } from '../support/market-world.js';
import { secondAudit } from '../support/second/audit.js';
import { tampering } from './rogue.js';

/** A trainer that did its work, and asks for its money with something else than the invoice that was agreed. */

const SHOES = sha256Hex('shoes');
const NO_INVOICE = { invoice: 'lnbcrt1qqqqqqqqqqqqqqqqqqqq', paymentHash: sha256Hex('none') };

type Made = ReturnType<Wallet['makeInvoice']>;

const asking = (make: (own: Wallet, request: InvoiceRequest, count: number) => Made): TrainerOptions => {
  let count = 0;
  return { wallet: (own) => ({ ...own, makeInvoice: (request) => make(own, request, count++) }) };
};

const writing =
  (world: World) =>
  (changes: Parameters<World['lightning']['makeInvoice']>[2]): TrainerOptions =>
    asking(async (_, request) => world.lightning.makeInvoice(world.trainers[0]!.name, request, changes));

/** Its invoices leave the amount to the payer, as BOLT 11 allows: no digits after the prefix. */
const openEnded = (world: World): TrainerOptions =>
  asking(async (_, request) => {
    const { invoice, paymentHash } = world.lightning.makeInvoice(world.trainers[0]!.name, request);
    return { invoice: withoutAmount(invoice, sha256('fake lightning node')), paymentHash };
  });

/** It shows what another trainer asked for another payout. */
const borrowing = (world: World): TrainerOptions =>
  asking(async (_, request) =>
    world.lightning.makeInvoice(world.trainers[1]!.name, { ...request, descriptionHash: sha256Hex('another payout') }),
  );

/** What the customer says to its user, and the rule that everybody can check. */
const cases: [string, RegExp, InvoiceRule, (world: World) => TrainerOptions][] = [
  ['a hold invoice', /could be held back/, 'hold', (world) => writing(world)({ minFinalCltv: 2_016 })],
  ['an expired invoice', /expires too soon/, 'expiry', (world) => writing(world)({ timestampSec: 1_600_000_000 })],
  ['an invoice that lasts a second', /expires too soon/, 'expiry', (world) => writing(world)({ expirySec: 1 })],
  ['an invoice over a hundredfold', /over another amount/, 'amount', (world) => writing(world)({ msat: 2_100_000n })],
  ['an invoice for shoes', /not for this claim/, 'claim', (world) => writing(world)({ descriptionHash: SHOES })],
  ['an invoice of another network', /another bitcoin network/, 'network', (world) => writing(world)({ prefix: 'bc' })],
  ['a text that is no invoice', /invoice/, 'text', () => asking(async () => NO_INVOICE)],
  ['an invoice without an amount', /names no amount/, 'amount', (world) => openEnded(world)],
  ['an accomplice’s invoice', /not for this claim/, 'claim', (world) => borrowing(world)],
];

const balances = (world: World): bigint[] =>
  world.trainers.map(({ name }) => world.lightning.balance(name) - 1_000_000_000n);
const refusals = (state: JobState): string[] =>
  state.rounds
    .flatMap(({ payouts }) => payouts)
    .flatMap(({ payee, refused }) => refused.map(({ notice }) => `${payee} ${notice.content.rule}`));
const MARKET = { trainers: 3, spares: 1, rounds: 3, job: { award: 'deadline', bidWindow: '60s' } } as const;

describe('a trainer that claims with', () => {
  for (const [what, said, rule, cheat] of cases)
    test(`${what}: named with rule ${rule}, unpaid, replaced by a spare who is paid, and the job finishes`, async () => {
      const world = await createWorld({ name: what, ...MARKET });
      const rogue = world.trainers[0]!;
      const key = rogue.signer.pubkey;
      const { customer, state } = await world.run({ trainers: { 0: cheat(world) } });
      expect(customer).toMatchObject({ phase: 'finished' });
      const named = world.customer.said.filter((line) => line.includes('is not paid yet'));
      expect(named).not.toEqual([]);
      for (const line of named) expect(line.slice(line.indexOf(key.slice(0, 12)))).toMatch(said);
      // Refused three times in public; then it does not ask again by itself.
      expect(refusals(state)).toEqual(Array(3).fill(`${key} ${rule}`));
      expect(rogue.said.filter((line) => line.startsWith('claim-refused'))).toHaveLength(3);
      const unpaid = state.rounds.flatMap(({ payouts }) => payouts).filter(({ receipt }) => receipt === null);
      expect(unpaid.map(({ payee }) => payee)).toEqual([key]);
      // It is owed for its first round and trains no other before: absent, and its shard goes on with the spare.
      expect(state.rounds.map(({ close }) => close?.content.accepted.length)).toEqual([3, 2, 3]);
      expect(balances(world)).toEqual([0n, 63_000n, 63_000n, 21_000n]);
      expect(world.lightning.payments).toHaveLength(7);
      expect(await audits(world)).toEqual([null, 'PASS']);
    });

  test('a bad invoice once, by mistake: refused, claimed again, paid, and it goes on', async () => {
    const world = await createWorld({ ...MARKET, rounds: 2 });
    const once = asking(async (own, request, count) =>
      count === 0 ? world.lightning.makeInvoice('x', { ...request, msat: 1n }) : own.makeInvoice(request),
    );
    const { state } = await world.run({ trainers: { 0: once } });
    expect(refusals(state)).toEqual([`${world.trainers[0]!.signer.pubkey} amount`]);
    expect(balances(world)).toEqual([42_000n, 42_000n, 42_000n, 0n]);
    expect(await audits(world)).toEqual([null, 'PASS']);
  });

  test('an invoice that it does not seal: its word against the customer’s, a dispute and no failure', async () => {
    const world = await createWorld({ ...MARKET, rounds: 1 });
    const signer: TrainerOptions['signer'] = (own) =>
      tampering(own, (phase, content) => (phase === 'claim' ? { ...content, invoiceHash: SHOES } : undefined));
    const { state } = await world.run({ trainers: { 0: { signer } } });
    const key = world.trainers[0]!.signer.pubkey;
    expect(refusals(state)).toEqual(Array(3).fill(`${key} sealed`));
    expect(balances(world)).toEqual([0n, 21_000n, 21_000n, 0n]);
    expect(disputes(state).map(({ trainer, rule }) => `${trainer} ${rule}`)).toEqual(Array(3).fill(`${key} claim-bad`));
    expect(await audits(world)).toEqual([null, 'PASS']);
  });
});

describe('a customer that refuses', () => {
  /** Refuses the first claim that it sees, instead of paying it. */
  const refusing =
    (rule: InvoiceRule): CustomerOptions['adapt'] =>
    (env) => ({
      ...env,
      payer: {
        ...env.payer!,
        pay: async ({ invoice, payout }) => {
          const { id } = payout.claim!;
          const content = { claim: id, payout: payout.payout, rule, invoice, detail: 'no' };
          await env.book.sign('claim-bad', content, [payout.payee]);
          return { kind: 'held', why: 'no', cause: 'refused' };
        },
      },
    });

  test.each(['amount', 'hold', 'reused'] as const)('a good invoice as %s: both audits name it', async (rule) => {
    const world = await createWorld({ trainers: 2, rounds: 1 });
    const { state } = await world.run({ customer: { adapt: refusing(rule) } });
    const [first] = state.rounds.flatMap(({ payouts }) => payouts).flatMap(({ refused }) => refused);
    expect((await world.audit()).open).toMatchObject({ rule: 'claim-bad', event: first!.notice.id });
    const second = secondAudit(world.network.events(), world.jobId, null, world.clock.nowSec());
    expect(second).toMatchObject({ verdict: 'FAIL', event: first!.notice.id });
    expect(world.lightning.payments).toEqual([]);
  });
});

/** Both, as strangers read it. */
async function audits(world: World): Promise<unknown[]> {
  const { open } = await world.audit();
  return [open, secondAudit(world.network.events(), world.jobId, null, world.clock.nowSec()).verdict];
}
