import { expect, test } from 'vitest';
import { JOB } from '../../src/protocol/job.js';
import { localSigner } from '../../src/signer.js';
import { createBell } from '../../src/roles/bell.js';
import { openBook, type SignedRecord } from '../../src/roles/job-book.js';
import { memoryJournal } from '../support/memory-journal.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { customer, ENGINE, people, START_SEC, TERMS } from '../support/job-contents.js';
import { virtualClock } from '../support/virtual-clock.js';

const RELAY = 'wss://memory.example';

/** A trainer's book on a job that is on the relay. */
async function trainersBook(records: SignedRecord[]) {
  const network = memoryNetwork([RELAY]);
  const link = { job: null, seq: 0, prev: null };
  const job = await localSigner(customer.secret).sign(JOB.build(link, TERMS, START_SEC));
  await network.relays().publish(job);
  const clock = virtualClock(START_SEC);
  const open = () =>
    openBook(job.id, {
      ...{ relays: network.relays(), clock, bell: createBell(clock) },
      ...{ signer: localSigner(people[0]!.secret), journal: memoryJournal(records) },
    });
  const published = () => network.events().map(({ id }) => id);
  return { network, open, published };
}

const BID = { priceMsat: 21_000n, capacity: 1, engine: ENGINE, throughput: 0, expires: TERMS.deadline };

test('what an outage kept back is published before the next own event', async () => {
  const { network, open, published } = await trainersBook([]);
  const book = await open();
  network.setDown(RELAY, true);
  const bid = await book.sign('bid', BID);
  expect(published()).not.toContain(bid.id);
  network.setDown(RELAY, false);
  const withdrawn = await book.sign('withdrawn', { reason: 'busy' });
  expect(withdrawn.prev).toBe(bid.id);
  expect(published()).toEqual(expect.arrayContaining([bid.id, withdrawn.id]));
  expect(await book.retryUnpublished()).toBe(0);
});

test('what an outage kept back is counted, and published by the next run from its journal', async () => {
  const records: SignedRecord[] = [];
  const { network, open, published } = await trainersBook(records);
  const first = await open();
  network.setDown(RELAY, true);
  const bid = await first.sign('bid', BID);
  const withdrawn = await first.sign('withdrawn', { reason: 'busy' });
  expect(await first.retryUnpublished()).toBe(2);
  first.close();
  network.setDown(RELAY, false);
  await open();
  expect(published()).toEqual(expect.arrayContaining([bid.id, withdrawn.id]));
  expect(records.map(({ event }) => event.id)).toEqual([bid.id, withdrawn.id]);
});
