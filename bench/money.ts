import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/config/clock.js';
import { hex, sha256, sha256Hex, type Pubkey } from '../src/hash.js';
import { openJournal } from '../src/journal/file-journal.js';
import type { Journal, Wallet } from '../src/ports.js';
import { startRelay } from '../src/relay/embedded.js';
import { connectRelays } from '../src/relay/pool.js';
import { PAYEES_AT_ONCE } from '../src/roles/side-by-side.js';
import { publicKey } from '../src/schnorr.js';
import { openLedger, type LedgerRecord } from '../src/wallet/ledger.js';
import { connectWallet } from '../src/wallet/nwc.js';
import { payoutBook } from '../src/wallet/payout-book.js';
import { payOut, type PayoutRequest, type PayoutTools } from '../src/wallet/payout-journal.js';
import type { PayoutRecord } from '../src/wallet/payout-records.js';
import { sandboxBackend } from '../src/wallet/service-methods.js';
import { startWalletService } from '../src/wallet/service.js';
import { createSpendGuard } from '../src/wallet/spend-guard.js';
import { formatWalletUri } from '../src/wallet/wallet-uri.js';
import type { BenchResult } from './run.js';

const SINGLE = 40;
const MANY = 200;
/** A payment over Lightning takes a second or more. */
const SLOW = 20;
const SLOW_MS = 1_000;
const MSAT = 21_000n;
const EXPIRY_SEC = 90_000;

/** Payouts by NIP-47 over a relay on this machine: sockets, NIP-44, signed invoices, journals on disk, the sandbox's books. */
export async function bench(): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), 'nmkt-bench-money-'));
  const relay = await startRelay({ port: 0, dir: join(folder, 'relay') });
  const relays = connectRelays([relay.url], { network: 'sandbox' });
  const books = await openJournal<LedgerRecord>(join(folder, 'ledger.jsonl'));
  const ledger = await openLedger(books);
  await ledger.fundOnce('customer', 100_000_000n);
  const secret = sha256('bench wallet service');
  const connectionOf = (name: string) => sha256('bench connection', name);
  let drawn = 0;
  const random = (length: number) => sha256('bench random', `${drawn++}`).subarray(0, length);
  const sandbox = { ledger, nodeSecret: sha256('bench node'), clock: systemClock, random };
  let isSlow = false;
  const service = await startWalletService({
    ...{ relays, secret, clock: systemClock, backend: sandboxBackend(sandbox) },
    connections: new Map(['customer', 'trainer'].map((name) => [publicKey(connectionOf(name)), name])),
    faultFor: (method) => (isSlow && method === 'pay_invoice' ? { kind: 'delay', ms: SLOW_MS } : undefined),
  });
  const walletOf = (name: string): Promise<Wallet> =>
    connectWallet(
      formatWalletUri({ walletPubkey: publicKey(secret), relays: [relay.url], secret: hex(connectionOf(name)) }),
      { network: 'sandbox' },
    );
  const [customer, trainer] = [await walletOf('customer'), await walletOf('trainer')];
  const journals: Journal<PayoutRecord>[] = [];
  try {
    const invoicesOf = (name: string, count: number) => inParallel(count, (i) => invoice(trainer, `${name} ${i}`));
    const plain = await invoicesOf('plain', SINGLE);
    const alone = await invoicesOf('alone', SINGLE);
    const turns = await invoicesOf('turns', MANY);
    const together = await invoicesOf('together', MANY);
    const slow = await invoicesOf('slow', SLOW);
    const slowTogether = await invoicesOf('slow together', SLOW);
    await customer.info();
    const plainMs = await timed(plain, async ({ invoice: text }) => {
      const outcome = await customer.pay(text, 10_000);
      if (outcome.kind !== 'paid') throw new Error(outcome.kind);
    });
    const tools = async (name: string): Promise<PayoutTools> => {
      const journal = await openJournal<PayoutRecord>(join(folder, `${name}.jsonl`));
      journals.push(journal);
      return {
        ...{ wallet: customer, network: 'sandbox', guard: createSpendGuard({}), clock: systemClock },
        book: payoutBook(journal),
      };
    };
    const one = await tools('alone');
    const aloneMs = await timed(alone, (asked, i) => payOne(one, asked, `alone ${i}`));
    const inTurn = (name: string, all: readonly Asked[]) =>
      whole(async () => {
        const own = await tools(name);
        for (const [i, asked] of all.entries()) await payOne(own, asked, `${name} ${i}`);
      });
    const atOnce = (name: string, all: readonly Asked[]) =>
      whole(async () => {
        const own = await tools(name);
        await inParallel(all.length, (i) => payOne(own, all[i]!, `${name} ${i}`));
      });
    const turnsMs = await inTurn('turns', turns);
    const togetherMs = await atOnce('together', together);
    isSlow = true;
    const slowMs = await inTurn('slow', slow);
    const slowTogetherMs = await atOnce('slow together', slowTogether);
    const before = ledger.balanceMsat('trainer');
    const isExact = before === MSAT * BigInt(2 * (SINGLE + MANY + SLOW));
    const row = (what: string, ms: number, count: number) => ({
      ...{
        what,
        payouts: count,
        'ms each': ms / count,
        'ms at most': '-',
        'to a plain payment': ms / count / median(plainMs),
      },
    });
    const each = (what: string, ms: readonly number[]) => ({
      ...row(what, median(ms), 1),
      ...{ payouts: ms.length, 'ms at most': Math.max(...ms).toFixed(0) },
    });
    return {
      rows: [
        each('a plain pay_invoice', plainMs),
        each('a payout: journal, guard, preimage', aloneMs),
        row('payouts one after the other', turnsMs, MANY),
        row(`payouts, ${PAYEES_AT_ONCE} at once`, togetherMs, MANY),
        row('the same in turn, by a wallet that takes a second', slowMs, SLOW),
        row(`${PAYEES_AT_ONCE} at once, by a wallet that takes a second`, slowTogetherMs, SLOW),
      ],
      targets: [
        target(
          'one payout, at most',
          '<= 250 ms',
          `${Math.max(...aloneMs).toFixed(0)} ms`,
          Math.max(...aloneMs) <= 250,
        ),
        target('200 payouts', '<= 15 s', `${(togetherMs / 1_000).toFixed(1)} s`, togetherMs <= 15_000),
        target('every msat', 'once', isExact ? 'once' : `${before} msat`, isExact),
      ],
    };
  } finally {
    await Promise.all([customer.close(), trainer.close()]);
    service.close();
    await relays.close();
    await relay.close();
    for (const journal of [books, ...journals]) await journal.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const target = (name: string, wanted: string, got: string, ok: boolean) => ({ name, target: wanted, got, ok });

interface Asked {
  readonly invoice: string;
  readonly descriptionHash: PayoutRequest['descriptionHash'];
}

async function invoice(wallet: Wallet, name: string): Promise<Asked> {
  const descriptionHash = sha256Hex('claim', name);
  const made = await wallet.makeInvoice({ msat: MSAT, descriptionHash, expirySec: EXPIRY_SEC });
  return { invoice: made.invoice, descriptionHash };
}

/** Each to a payee of its own, as in a round. */
async function payOne(tools: PayoutTools, asked: Asked, name: string): Promise<void> {
  const outcome = await payOut(
    {
      ...asked,
      ...{ payoutId: sha256Hex('payout', name), planHash: sha256Hex('plan'), job: 'bench', round: 0 },
      ...{ payee: sha256Hex('payee', name) as string as Pubkey, amountMsat: MSAT, jobBudgetMsat: 10n ** 12n },
      claimed: [asked.invoice],
    },
    tools,
  );
  if (outcome.kind !== 'paid') throw new Error(outcome.kind);
}

async function inParallel<T>(count: number, work: (i: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const i = next++;
      done[i] = await work(i);
    }
  };
  await Promise.all(Array.from({ length: PAYEES_AT_ONCE }, worker));
  return done;
}

async function timed<T>(items: readonly T[], work: (item: T, i: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (const [i, item] of items.entries()) times.push(await whole(() => work(item, i)));
  return times;
}

async function whole(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
