import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { sha256Hex, type EventId, type Pubkey } from '../../src/hash.js';
import type { NostrEvent, Relays } from '../../src/ports.js';
import { BID } from '../../src/protocol/bid.js';
import { JOB } from '../../src/protocol/job.js';
import { READY } from '../../src/protocol/notice.js';
import { localSigner } from '../../src/signer.js';
import { createBell } from '../../src/roles/bell.js';
import { openBook } from '../../src/roles/job-book.js';
import { customer, ENGINE, START_SEC, TERMS } from '../support/job-contents.js';
import { virtualClock } from '../support/virtual-clock.js';

const FLOOD = 30_000;
const MIB = 1 << 20;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
function heapBytes(): number {
  gc();
  return process.memoryUsage().heapUsed;
}

/** A job whose only relay lets a test say what comes; it delivers what the pool would have checked. */
async function floodedBook() {
  const job = await localSigner(customer.secret).sign(JOB.build({ job: null, seq: 0, prev: null }, TERMS, START_SEC));
  const url = 'wss://flooded.example';
  let deliver: (event: NostrEvent) => void = () => undefined;
  const relays: Relays = {
    urls: [url],
    publish: async () => [],
    fetch: async () => ({ events: [job], answered: [url], silent: [] }),
    subscribe: (_, onEvent) => {
      deliver = onEvent;
      return { close: () => undefined };
    },
    close: async () => undefined,
  };
  const clock = virtualClock(START_SEC);
  const book = await openBook(job.id, { relays, clock, bell: createBell(clock) });
  return { book, job, deliver: (event: NostrEvent) => deliver(event) };
}

let counter = 0;
function bidOf(job: EventId, author: string, priceMsat: bigint, padding = 0): NostrEvent {
  const bid = { priceMsat, capacity: 1, engine: ENGINE, throughput: 0, expires: TERMS.deadline };
  const template = BID.build({ job, seq: 0, prev: null }, bid, START_SEC);
  return {
    ...template,
    tags: [...template.tags, ...Array.from({ length: padding }, (_, i) => ['x', `${i} `.padEnd(500, 'y')])],
    id: sha256Hex(`event ${counter++}`) as string as EventId,
    pubkey: sha256Hex(author) as string as Pubkey,
    sig: '0'.repeat(128),
  };
}

test(`${FLOOD} bids of strangers cost no more memory than the bound, and the cheapest stay`, async () => {
  const { book, job, deliver } = await floodedBook();
  deliver(bidOf(job.id, 'honest and early', 21_000n));
  const before = heapBytes();
  for (let i = 0; i < FLOOD; i++) deliver(bidOf(job.id, `stranger ${i}`, 10n ** 9n + BigInt(i), 4));
  deliver(bidOf(job.id, 'honest and late', 22_000n));
  const grownMib = (heapBytes() - before) / MIB;
  const bids = book.state().bids.map(({ content }) => content.priceMsat);
  expect(bids).toEqual(expect.arrayContaining([21_000n, 22_000n]));
  expect(book.all().length).toBeLessThanOrEqual(4_096 + 1);
  expect(grownMib).toBeLessThan(48);
}, 60_000);

test('one key fills no more than its share, and no event but a bid crowds one out', async () => {
  const { book, job, deliver } = await floodedBook();
  const ready = { award: job.id, shard: 0, grant: sha256Hex('grant') };
  for (let seq = 0; seq < 100; seq++) {
    const template = READY.build({ job: job.id, seq, prev: seq === 0 ? null : job.id }, ready, START_SEC);
    const id = sha256Hex(`ready ${seq}`) as string as EventId;
    deliver({ ...template, id, pubkey: sha256Hex('talker') as string as Pubkey, sig: '0'.repeat(128) });
  }
  expect(book.all()).toHaveLength(1 + 8);
  for (let i = 0; i < 4_096; i++) deliver(bidOf(job.id, `bidder ${i}`, 21_000n));
  expect(book.all()).toHaveLength(1 + 4_096);
  expect(book.state().bids).toHaveLength(4_096);
});

test('what nobody can read is counted to a thousand', async () => {
  const { book, job, deliver } = await floodedBook();
  for (let i = 0; i < 3_000; i++) deliver({ ...bidOf(job.id, `babbler ${i}`, 1n), content: 'no bid' });
  expect(book.unreadable()).toHaveLength(1_000);
  expect(book.all()).toHaveLength(1);
});
