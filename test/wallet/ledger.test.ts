import { appendFile, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openJournal } from '../../src/journal/file-journal.js';
import { openLedger, type Ledger, type LedgerRecord } from '../../src/wallet/ledger.js';
import { memoryJournal } from '../support/memory-journal.js';
import { temporaryFolder } from '../support/run-nmkt.js';

const nowSec = 1_800_000_000;
const invoice = (name: string, account: string, msat: bigint) => ({
  paymentHash: name,
  preimage: `preimage of ${name}`,
  account,
  msat,
  invoice: `lnbcrt ${name}`,
  createdSec: nowSec,
  expiresSec: nowSec + 60,
});

async function funded(records: LedgerRecord[] = []): Promise<Ledger> {
  const ledger = await openLedger(memoryJournal(records));
  await ledger.fundOnce('a', 1_000n);
  return ledger;
}

describe('the sandbox ledger', () => {
  it('pays once per invoice, and tells the payer the same again', async () => {
    const ledger = await funded();
    await ledger.addInvoice(invoice('i', 'b', 300n));
    const first = await ledger.pay('a', 'i', nowSec);
    expect(first).toMatchObject({ kind: 'paid', entry: { preimage: 'preimage of i' } });
    expect(await ledger.pay('a', 'i', nowSec + 999)).toEqual(first);
    expect([ledger.balanceMsat('a'), ledger.balanceMsat('b')]).toEqual([700n, 300n]);
    expect(await ledger.pay('b', 'i', nowSec)).toMatchObject({ kind: 'refused', code: 'OTHER' });
  });

  it('refuses what is unknown, expired or above the balance', async () => {
    const ledger = await funded();
    await ledger.addInvoice(invoice('dear', 'b', 1_001n));
    expect(await ledger.pay('a', 'none', nowSec)).toMatchObject({ code: 'PAYMENT_FAILED' });
    expect(await ledger.pay('a', 'dear', nowSec)).toMatchObject({ code: 'INSUFFICIENT_BALANCE' });
    expect(await ledger.pay('a', 'dear', nowSec + 60)).toMatchObject({ code: 'PAYMENT_FAILED' });
    expect(ledger.balanceMsat('a')).toBe(1_000n);
  });

  it('funds an account once, also after a restart', async () => {
    const records: LedgerRecord[] = [];
    await funded(records);
    const again = await funded(records);
    expect(again.balanceMsat('a')).toBe(1_000n);
  });

  it('conserves the total and goes on unchanged after a restart at any point', async () => {
    const accounts = fc.constantFrom('a', 'b', 'c');
    const move = fc.record({
      from: accounts,
      to: accounts,
      msat: fc.bigInt({ min: 1n, max: 700n }),
      twice: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(move, { maxLength: 20 }), async (moves) => {
        const records: LedgerRecord[] = [];
        const ledger = await funded(records);
        for (const [index, { from, to, msat, twice }] of moves.entries()) {
          await ledger.addInvoice(invoice(String(index), to, msat));
          await Promise.all(Array.from({ length: twice ? 2 : 1 }, () => ledger.pay(from, String(index), nowSec)));
          expect(ledger.totalMsat()).toBe(1_000n);
          const restarted = await openLedger(memoryJournal(records));
          for (const name of ['a', 'b', 'c']) expect(restarted.balanceMsat(name)).toBe(ledger.balanceMsat(name));
        }
      }),
    );
  });

  it('keeps its books in a file of mode 0600 and drops a torn last line', async () => {
    const path = join(temporaryFolder(), 'ledger.jsonl');
    const journal = await openJournal<LedgerRecord>(path);
    const ledger = await openLedger(journal);
    await ledger.fundOnce('a', 2n ** 60n);
    await ledger.addInvoice(invoice('i', 'b', 300n));
    await journal.close();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await appendFile(path, '{"type":"payment","paymentHa');
    const second = await openJournal<LedgerRecord>(path);
    const restarted = await openLedger(second);
    expect(restarted.balanceMsat('a')).toBe(2n ** 60n);
    expect(await restarted.pay('a', 'i', nowSec)).toMatchObject({ kind: 'paid' });
    await second.close();
    expect((await readFile(path, 'utf8')).trimEnd().split('\n')).toHaveLength(3);
  });

  it('refuses books that do not add up', async () => {
    const payment: LedgerRecord = { type: 'payment', paymentHash: 'i', from: 'b', atSec: nowSec };
    const records: LedgerRecord[] = [{ type: 'invoice', ...invoice('i', 'a', 1n) }, payment];
    await expect(openLedger(memoryJournal(records))).rejects.toMatchObject({ code: 'internal-error' });
  });

  it('gives a payment that waits back at its block, also over a restart, and keeps the height', async () => {
    const records: LedgerRecord[] = [];
    const ledger = await funded(records);
    await ledger.addInvoice({ ...invoice('h', 'b', 300n), preimage: '', holdBlocks: 10 });
    expect(await ledger.pay('a', 'h', nowSec)).toEqual({ kind: 'held' });
    const over = ledger.ended('h');
    expect([ledger.balanceMsat('a'), ledger.balanceMsat('b'), ledger.totalMsat()]).toEqual([700n, 0n, 1_000n]);
    expect(await ledger.mine(9)).toBe(9);
    const again = await openLedger(memoryJournal(records));
    expect([again.height(), again.find('h')?.held]).toEqual([9, { from: 'a', untilHeight: 10 }]);
    await ledger.mine(1);
    await over;
    expect([ledger.balanceMsat('a'), ledger.find('h')?.cancelled]).toEqual([1_000n, { from: 'a' }]);
    expect(await ledger.settleHold('b', 'p', 'h', nowSec)).toBe(false);
    expect(await ledger.pay('a', 'h', nowSec)).toMatchObject({ kind: 'refused', code: 'PAYMENT_FAILED' });
    const last = await openLedger(memoryJournal(records));
    expect([last.balanceMsat('a'), last.height()]).toEqual([1_000n, 10]);
  });
});
