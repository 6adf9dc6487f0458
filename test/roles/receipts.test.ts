import { beforeAll, describe, expect, it } from 'vitest';
import { paymentsIn, type ProvenPayment } from '../../src/commands/money-events.js';
import { asLines } from '../../src/commands/proof-file.js';
import { sha256Hex } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { invoiceHash } from '../../src/protocol/claim.js';
import { EVENT_TYPES, parseJobEvent, type ContentOf, type EventOf } from '../../src/protocol/events.js';
import { signEvent } from '../../src/schnorr.js';
import { createAllianceWorld } from '../support/alliance-world.js';
import { createWorld, type World } from '../support/market-world.js';

const linesOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as NostrEvent);

describe('the receipts of a job', () => {
  let world: World;
  let payments: readonly ProvenPayment[];
  let file: readonly NostrEvent[];
  beforeAll(async () => {
    world = await createWorld({ name: 'receipts', trainers: 2, rounds: 2, priceSats: 21 });
    await world.run();
    payments = paymentsIn(world.network.events());
    file = linesOf(asLines(payments.find(({ proof }) => proof.facts.round === 0)!.events));
  });
  const failed = ({ proof }: ProvenPayment) => proof.checks.find(({ result }) => result === 'failed');
  const isOf = (type: string) => (event: NostrEvent) => parseJobEvent(event).type === type;

  it('prove each payment, from five events alone', () => {
    expect(payments).toHaveLength(4);
    expect(payments.map(({ proof }) => proof.isProven)).toEqual([true, true, true, true]);
    expect(file).toHaveLength(5);
    const [one, ...others] = paymentsIn(file);
    expect(others).toEqual([]);
    expect(one!.proof.checks.map(({ result }) => result)).toEqual(Array.from({ length: 8 }, () => 'ok'));
    expect(one!.proof.facts).toMatchObject({
      ...{ job: world.jobId, customer: world.customer.signer.pubkey, network: 'sandbox', round: 0 },
      ...{ purpose: 'trainer', amountMsat: 21_000n },
    });
    expect(world.trainers.map(({ signer }) => signer.pubkey)).toContain(one!.proof.facts.payee);
    const { preimage, paymentHash } = one!.proof.facts;
    expect(sha256Hex(Buffer.from(preimage!, 'hex'))).toBe(paymentHash);
  });

  it('prove nothing without any one of them, but for the countersignature', () => {
    for (const [type, check] of [
      ['job', 'job'],
      ['settlement', 'plan'],
      ['claim', 'claim'],
    ] as const) {
      const [one] = paymentsIn(file.filter((event) => !isOf(type)(event)));
      expect([one!.proof.isProven, failed(one!)?.check]).toEqual([false, check]);
    }
    expect(paymentsIn(file.filter((event) => !isOf('receipt')(event)))).toEqual([]);
    const [one] = paymentsIn(file.filter((event) => !isOf('received')(event)));
    expect([one!.proof.isProven, one!.proof.checks.at(-1)?.result]).toEqual([true, 'absent']);
  });

  /** As the customer would sign it. */
  function withReceipt(change: (content: ContentOf<'receipt'>) => ContentOf<'receipt'>, by = world.customer) {
    const raw = file.find(isOf('receipt'))!;
    const { job, seq, prev, content } = parseJobEvent(raw) as EventOf<'receipt'>;
    const other = EVENT_TYPES.receipt.build({ job, seq, prev }, change(content), raw.created_at);
    const all = [...file.filter((event) => event !== raw), signEvent(other, by.secret)];
    return paymentsIn(all)[0]!;
  }

  it('prove nothing where they say anything else', async () => {
    const { wallet, signer } = world.customer;
    const own = await wallet.makeInvoice({ msat: 21_000n, descriptionHash: sha256Hex('own'), expirySec: 86_400 });
    const lies: [Parameters<typeof withReceipt>[0], string][] = [
      [(content) => ({ ...content, preimage: sha256Hex('guess') }), 'preimage'],
      [(content) => ({ ...content, paymentHash: sha256Hex('guess') }), 'preimage'],
      [(content) => ({ ...content, amountMsat: 22_000n }), 'payout'],
      [(content) => ({ ...content, payee: signer.pubkey }), 'payout'],
      [(content) => ({ ...content, payout: sha256Hex('other') }), 'payout'],
      // An invoice of its own, whose preimage it knows.
      [(content) => ({ ...content, invoice: own.invoice }), 'claim'],
    ];
    for (const [change, check] of lies) expect(failed(withReceipt(change))?.check).toBe(check);
    expect(failed(withReceipt((content) => content, world.trainers[0]))?.check).toBe('receipt');
    expect(withReceipt((content) => content).proof.isProven).toBe(true);
  });

  it('prove nothing by an invoice that the payee asked with and that is not for this payout', async () => {
    const raw = file.find(isOf('claim'))!;
    const { job, seq, prev, content, author } = parseJobEvent(raw) as EventOf<'claim'>;
    const payee = world.trainers.find(({ signer }) => signer.pubkey === author)!;
    const { invoice } = await payee.wallet.makeInvoice({
      ...{ msat: 21_000n, descriptionHash: sha256Hex('another payout'), expirySec: 90_000 },
    });
    const claim = signEvent(
      EVENT_TYPES.claim.build({ job, seq, prev }, { ...content, invoiceHash: invoiceHash(invoice) }, raw.created_at),
      payee.secret,
    );
    const receipt = file.find(isOf('receipt'))!;
    const paid = parseJobEvent(receipt) as EventOf<'receipt'>;
    const other = signEvent(
      EVENT_TYPES.receipt.build(paid, { ...paid.content, claim: claim.id, invoice }, receipt.created_at),
      world.customer.secret,
    );
    const all = [...file.filter((event) => event !== raw && event !== receipt), claim, other];
    expect(failed(paymentsIn(all)[0]!)).toMatchObject({ check: 'invoice', detail: 'it breaks the rule claim' });
  });
});

it('the receipts of an alliance are proven alike', async () => {
  const world = await createAllianceWorld({ members: 5, job: { rounds: 1 } });
  await world.run();
  const payments = paymentsIn(world.network.events());
  expect(payments.length).toBe(5);
  expect(payments.filter(({ proof }) => !proof.isProven)).toEqual([]);
});
