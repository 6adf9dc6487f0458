import { expect, test } from 'vitest';
import { sha256Hex, type EventId } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { parseJobEvents } from '../../src/protocol/events.js';
import { JOB } from '../../src/protocol/job.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { cut, joined, partsOf } from '../../src/protocol/parts.js';
import { localSigner } from '../../src/signer.js';
import { createBell } from '../../src/roles/bell.js';
import { openBook, type SignedRecord } from '../../src/roles/job-book.js';
import { customer, people, START_SEC, TERMS } from '../support/job-contents.js';
import { memoryJournal } from '../support/memory-journal.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { virtualClock } from '../support/virtual-clock.js';

/** What does not fit into one event of 64 KB travels in parts, and counts when all of them are there. */

const RELAY = 'wss://memory.example';
/** 1,000 ids of 64 digits with their quotes and commas: 67,000 characters. */
const IDS = Array.from({ length: 1_000 }, (_, i) => sha256Hex(`id ${i}`) as string as EventId);
const LIST = { round: 0, of: 'commit', ids: IDS, until: START_SEC + 60 } as const;

async function world(records: SignedRecord[] = []) {
  const network = memoryNetwork([RELAY]);
  const signer = localSigner(customer.secret);
  const job = await signer.sign(JOB.build({ job: null, seq: 0, prev: null }, TERMS, START_SEC));
  await network.relays().publish(job);
  const clock = virtualClock(START_SEC);
  const open = (secret = customer.secret, own = records) =>
    openBook(job.id, {
      ...{ relays: network.relays(), clock, bell: createBell(clock) },
      ...{ signer: localSigner(secret), journal: memoryJournal(own) },
    });
  return { network, job, open, records };
}
/** As it was signed: job, first part, second part, list. */
function inOrder(events: readonly NostrEvent[]) {
  const list = events.find(({ kind }) => kind === KINDS.round)!;
  const parts = partsOf(list)!.map((wanted) => events.find(({ id }) => id === wanted)!);
  return [events.find(({ kind }) => kind === KINDS.job)!, parts[0]!, parts[1]!, list] as const;
}
const listed = (book: Awaited<ReturnType<typeof openBook>>) =>
  book
    .state()
    .chains.get(customer.pubkey)!
    .events.flatMap((event) => (event.type === 'list' ? [event.content.ids.length] : []));

test('every event stays below the 65,536 bytes that common relays take, and a reader gets the whole content', async () => {
  const { network, open } = await world();
  const book = await open();
  const list = await book.sign('list', LIST);
  const sent = inOrder(network.events());
  expect(sent.map(({ kind }) => kind)).toEqual([KINDS.job, KINDS.part, KINDS.part, KINDS.round]);
  for (const event of sent) expect(JSON.stringify(event).length).toBeLessThan(65_536);
  const reader = await open(people[0]!.secret, []);
  expect(listed(reader)).toEqual([1_000]);
  expect(reader.state().chains.get(customer.pubkey)!.events[1]!.contentHash).toBe(list.contentHash);
  // A dump is whole.
  expect(parseJobEvents(reader.all()).map(({ type }) => type)).toEqual(['job', 'list']);
});

test('parts may come in any order, before or after the event that names them', async () => {
  const { network, open } = await world();
  await (await open()).sign('list', LIST);
  const [job, one, two, list] = inOrder(network.events());
  for (const order of [
    [job, list, two, one],
    [two, list, one, job],
    [list, one, job, two],
  ]) {
    const later = memoryNetwork([RELAY]);
    const clock = virtualClock(START_SEC);
    await later.relays().publish(order[0]!);
    const book = await openBook(job.id, { relays: later.relays(), clock, bell: createBell(clock) });
    for (const event of order.slice(1)) {
      await later.relays().publish(event);
      await book.refresh();
    }
    expect(listed(book)).toEqual([1_000]);
  }
});

test('killed after the first part, the customer signs again, and what was left over counts for nothing', async () => {
  const { network, open, records } = await world();
  await (await open()).sign('list', LIST);
  const [first] = records;
  const again = await world([first!]);
  const book = await again.open();
  expect(listed(book)).toEqual([]);
  await book.sign('list', { ...LIST, until: START_SEC + 90 });
  expect(listed(book)).toEqual([1_000]);
  expect(book.state().forks).toEqual([]);
  expect(network.events()).toHaveLength(4);
});

test('killed before the relay had the event, it publishes the same bytes', async () => {
  const { network, open, records } = await world();
  const book = await open();
  network.setDown(RELAY, true);
  const list = await book.sign('list', LIST);
  book.close();
  network.setDown(RELAY, false);
  await open();
  expect(network.events().map(({ id }) => id)).toEqual(
    expect.arrayContaining([list.id, ...records.map(({ event }) => event.id)]),
  );
  expect(records).toHaveLength(3);
});

test('what another home of the key signed comes into the journal with its parts', async () => {
  const { open } = await world();
  await (await open()).sign('list', LIST);
  const kept: SignedRecord[] = [];
  await open(customer.secret, kept);
  expect(kept.map(({ event }) => event.kind)).toEqual([KINDS.part, KINDS.part, KINDS.round]);
});

test('parts of another author, another order and another content are refused', async () => {
  const { network, open } = await world();
  await (await open()).sign('list', LIST);
  const [, one, two, list] = inOrder(network.events());
  const at = (parts: readonly NostrEvent[]) => (id: EventId) => parts[[one.id, two.id].indexOf(id)];
  expect(JSON.parse(joined(list, at([one, two]))!)).toEqual(LIST);
  expect(joined(list, at([one]))).toBeNull();
  expect(() => joined(list, at([two, one]))).toThrow(/not valid/);
  expect(() => joined(list, at([one, { ...two, pubkey: people[0]!.pubkey }]))).toThrow(/not valid/);
  expect(() => joined(list, at([one, { ...two, content: `${two.content} ` }]))).toThrow(/not valid/);
  expect(() => joined(list, at([one, { ...two, kind: KINDS.round }]))).toThrow(/not valid/);
  const said = JSON.parse(list.content) as object;
  for (const wrong of [
    { parts: [one.id, one.id] },
    { parts: [one.id] },
    { size: 64_000 },
    { size: 48_000 * 64 + 1 },
    { sha256: 'x' },
  ])
    expect(() => partsOf({ ...list, content: JSON.stringify({ ...said, ...wrong }) })).toThrow(/not valid/);
});

test('pieces break between characters, and what fits stays as it is', () => {
  const template = { kind: 1, created_at: 0, tags: [], content: `${'a'.repeat(47_999)}${'💡'.repeat(10_000)}` };
  const pieces = cut(template)!.parts.map(({ content }) => content);
  expect(pieces.map(({ length }) => length)).toEqual([47_999, 20_000]);
  expect(pieces.join('')).toBe(template.content);
  expect(cut({ ...template, content: 'a'.repeat(64_000) })).toBeNull();
  expect(() => cut({ ...template, content: 'a'.repeat(48_000 * 64 + 1) })).toThrow(RangeError);
});
