import { describe, expect, it } from 'vitest';
import { sha256, sha256Hex } from '../../src/hash.js';
import type { Network } from '../../src/ports.js';
import { encodeInvoice, type InvoiceFields } from '../../src/wallet/bolt11.js';
import { checkInvoice, type InvoiceTerms } from '../../src/wallet/check-invoice.js';

const nowSec = 1_800_000_000;
const fields: InvoiceFields = {
  prefix: 'bcrt',
  msat: 300_000n,
  timestampSec: nowSec,
  expirySec: 60,
  minFinalCltv: 80,
  paymentHash: sha256Hex('payment'),
  descriptionHash: sha256Hex('claim'),
};
const terms: InvoiceTerms = {
  network: 'sandbox',
  msat: 300_000n,
  descriptionHash: sha256Hex('claim'),
  nowSec,
  usedPaymentHashes: new Set([sha256Hex('another payment')]),
};
const check = (invoice: Partial<InvoiceFields>, changes: Partial<InvoiceTerms> = {}) =>
  checkInvoice(encodeInvoice({ ...fields, ...invoice }, sha256('node')), { ...terms, ...changes });

describe('checkInvoice', () => {
  it('takes an invoice that is exact, at the edge of expiry and hold time', () => {
    const invoice = check({});
    expect(invoice).toMatchObject({ msat: 300_000n, paymentHash: sha256Hex('payment') });
    expect(check({}, { payee: invoice.payee })).toEqual(invoice);
  });

  it.each<[string, Partial<InvoiceFields>, Partial<InvoiceTerms>, RegExp]>([
    ['a millisatoshi more', { msat: 300_001n }, {}, /another amount/],
    ['a millisatoshi less', { msat: 299_999n }, {}, /another amount/],
    ['59 seconds left', { expirySec: 59 }, {}, /expires/],
    ['a final delta of 81 blocks', { minFinalCltv: 81 }, {}, /held back/],
    ['another claim', { descriptionHash: sha256Hex('other') }, {}, /claim/],
    ['a used payment hash', { paymentHash: sha256Hex('another payment') }, {}, /another payout/],
    ['another node', {}, { payee: `02${'11'.repeat(32)}` }, /another node/],
  ])('refuses %s, naming the rule', (_name, invoice, changes, rule) => {
    const refusal = {
      code: 'bad-invoice',
      message: expect.stringMatching(rule),
      expected: expect.any(String),
      got: expect.any(String),
    };
    expect(() => check(invoice, changes)).toThrowError(expect.objectContaining(refusal));
  });

  it('refuses an invoice without a claim hash', () => {
    const { descriptionHash: _, ...bare } = fields;
    const text = encodeInvoice({ ...bare, description: 'coffee' }, sha256('node'));
    expect(() => checkInvoice(text, terms)).toThrow(/claim/);
  });

  it('refuses an invoice that leaves the amount to the payer', () => {
    // The first example of BOLT 11.
    const text =
      'lnbc1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq8rkx3yf5tcsyz3d73gafnh3cax9rn449d9p5uxz9ezhhypd0elx87sjle52x86fux2ypatgddc6k63n7erqz25le42c4u4ecky03ylcqca784w';
    expect(() => checkInvoice(text, { ...terms, network: 'bitcoin' })).toThrow(/no amount/);
  });

  it.each<[Network, InvoiceFields['prefix']]>([
    ['sandbox', 'bcrt'],
    ['regtest', 'bcrt'],
    ['simnet', 'sb'],
    ['signet', 'tbs'],
    ['testnet', 'tb'],
    ['bitcoin', 'bc'],
  ])('pays %s invoices only with the prefix ln%s', (network, prefix) => {
    expect(check({ prefix }, { network }).prefix).toBe(prefix);
    for (const other of ['bc', 'tb', 'tbs', 'bcrt', 'sb'] as const) {
      if (other === prefix) continue;
      expect(() => check({ prefix: other }, { network })).toThrowError(
        expect.objectContaining({ code: 'network-mismatch' }),
      );
    }
  });
});
