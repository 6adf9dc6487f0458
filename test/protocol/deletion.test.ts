import { expect, test } from 'vitest';
import { sha256, sha256Hex, type EventId } from '../../src/hash.js';
import { buildDeletion, buildDeletions, buildVanish, idsPerDeletion } from '../../src/protocol/deletion.js';
import { signEvent } from '../../src/schnorr.js';

const none = { maxMessageBytes: null, maxTags: null };
const ids = (count: number) => Array.from({ length: count }, (_, at) => sha256Hex(`${at}`) as unknown as EventId);

test('a dataset of 100 MB is deleted by three events of 850 ids at most, each within 65,535 bytes', () => {
  const events = buildDeletions(ids(2_084), 4621, idsPerDeletion([none]), 1_770_000_000);
  expect(events.map(({ tags }) => tags.length)).toEqual([851, 851, 385]);
  const frame = JSON.stringify(['EVENT', signEvent(events[0]!, sha256('upload'))]);
  expect(frame.length).toBeLessThan(65_535);
  expect(frame.length).toBeGreaterThan(62_000);
  expect(events.flatMap(({ tags }) => tags.filter(([name]) => name === 'e').map(([, id]) => id))).toEqual(ids(2_084));
  expect(events.every(({ kind, tags }) => kind === 5 && tags.at(-1)!.join() === 'k,4621')).toBe(true);
});

test('the smallest limit that a relay told decides, and none makes thousands of events for all', () => {
  expect(idsPerDeletion([])).toBe(850);
  expect(idsPerDeletion([none, { maxMessageBytes: 131_072, maxTags: 2_000 }])).toBe(850);
  expect(idsPerDeletion([none, { maxMessageBytes: 16_384, maxTags: 2_000 }])).toBe(216);
  expect(idsPerDeletion([{ maxMessageBytes: 16_384, maxTags: 100 }, none])).toBe(99);
  expect(idsPerDeletion([{ maxMessageBytes: 1, maxTags: 1 }])).toBe(50);
  const [event] = buildDeletions(ids(216), 4621, 216, 1);
  expect(JSON.stringify(['EVENT', signEvent(event!, sha256('upload'))]).length).toBeLessThanOrEqual(16_384);
});

test('events and addresses are named with their kinds, and a request to vanish goes to whichever relay gets it', () => {
  const [one, two] = ids(2);
  const event = buildDeletion(
    [
      { id: one!, kind: 4620 },
      { id: two!, kind: 4620 },
    ],
    ['34620:ab:x'],
    7,
  );
  expect(event).toEqual({
    kind: 5,
    created_at: 7,
    tags: [
      ['e', one],
      ['e', two],
      ['a', '34620:ab:x'],
      ['k', '4620'],
      ['k', '34620'],
    ],
    content: '',
  });
  expect(buildVanish(7)).toEqual({ kind: 62, created_at: 7, tags: [['relay', 'ALL_RELAYS']], content: '' });
});
