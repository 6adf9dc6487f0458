import { openLedger, type LedgerRecord } from '../../src/wallet/ledger.js';
import { NOW } from '../relay/samples.js';
import { memoryJournal } from '../support/memory-journal.js';
import type { Random } from './mutate.js';
import { refuse } from './reference/json.js';
import { target } from './target.js';

/** The books of the sandbox, as a crash, a bug or a text editor may leave them. */

const hashOf = (n: number): string => `${n}`.repeat(64);
const invoice = (n: number, msat: bigint) => ({
  ...{ type: 'invoice' as const, paymentHash: hashOf(n), preimage: hashOf(9), account: 'b', msat },
  ...{ invoice: 'lnbc1', createdSec: NOW, expiresSec: NOW + 60 },
});
const held = (n: number) => ({ type: 'hold' as const, paymentHash: hashOf(n), from: 'a', untilHeight: 10 });

const ledger: LedgerRecord[] = [
  { type: 'fund', account: 'a', msat: 1_000n },
  ...[invoice(1, 400n), invoice(2, 400n)],
  { type: 'payment', paymentHash: hashOf(1), from: 'a', atSec: NOW },
  ...[3, 4, 5].map((n) => ({ ...invoice(n, 100n), preimage: '', holdBlocks: 10 })),
  ...[held(3), held(4), held(5)],
  { type: 'block', height: 5 },
  { type: 'settle', paymentHash: hashOf(3), preimage: hashOf(9), atSec: NOW },
  { type: 'cancel', paymentHash: hashOf(4) },
  { type: 'transfer', id: 'lock', from: 'a', to: [{ account: 'c', msat: 50n }], atSec: NOW, note: {} },
];

function mutateBooks(random: Random): LedgerRecord[] {
  const records = [...ledger];
  for (let times = random.below(3); times >= 0; times--) {
    const at = random.below(records.length);
    const record = records[at]!;
    const move = random.below(5);
    if (move === 0) records.splice(random.below(records.length), 0, record);
    else if (move === 1 && records.length > 1) records.splice(at, 1);
    else if (move === 2 && 'msat' in record) records[at] = { ...record, msat: random.pick([-1n, 0n, 10n ** 30n]) };
    else if (move === 3 && 'paymentHash' in record) records[at] = { ...record, paymentHash: hashOf(random.below(6)) };
    else records.unshift(...records.splice(at));
  }
  return records;
}

/** Each msat by hand: with its payer, with its payee, or on its way between them. */
function replay(records: readonly LedgerRecord[]) {
  const has: Record<string, bigint> = {};
  const invoices: Record<string, { readonly msat: bigint; readonly state: 'open' | 'waiting' | 'paid' }> = {};
  const transfers: string[] = [];
  const give = (who: string, msat: bigint): void => void (has[who] = (has[who] ?? 0n) + msat);
  const take = (who: string, msat: bigint): void => {
    give(who, -msat);
    if (has[who]! < 0n) refuse(`${who} has no ${msat} msat`);
  };
  for (const record of records) {
    if (record.type === 'fund') give(record.account, record.msat);
    if (record.type === 'invoice') invoices[record.paymentHash] = { msat: record.msat, state: 'open' };
    if (record.type === 'transfer') {
      if (transfers.includes(record.id)) refuse('twice');
      transfers.push(record.id);
      for (const { account, msat } of record.to) {
        take(record.from, msat);
        give(account, msat);
      }
    }
    if (record.type === 'fund' || record.type === 'invoice' || record.type === 'transfer' || record.type === 'block')
      continue;
    const { msat, state } = invoices[record.paymentHash] ?? refuse('no such invoice');
    if (state === 'paid') refuse('paid before');
    const way = `way ${record.paymentHash}`;
    const ways = { payment: ['a', 'b'], hold: ['a', way], settle: [way, 'b'], cancel: [way, 'a'] };
    const [from, to] = ways[record.type] as [string, string];
    if ((state === 'waiting') !== (from === way) && record.type !== 'cancel') refuse(`${record.type} while ${state}`);
    const isMoving = record.type !== 'cancel' || state === 'waiting';
    if (isMoving) {
      take(from, msat);
      give(to, msat);
    }
    invoices[record.paymentHash] = { msat, state: to === 'b' ? 'paid' : to === way ? 'waiting' : 'open' };
  }
  const all = Object.values(has).reduce((sum, msat) => sum + msat, 0n);
  return [all, has['a'] ?? 0n, has['b'] ?? 0n, has['c'] ?? 0n];
}

export const booksTarget = target('books of the sandbox', ['internal-error'], {
  make: mutateBooks,
  run: async (records) => {
    const books = await openLedger(memoryJournal([...records]));
    return [books.totalMsat(), ...['a', 'b', 'c'].map((who) => books.balanceMsat(who))];
  },
  reference: replay,
});
