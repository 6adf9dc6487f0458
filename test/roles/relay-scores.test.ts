import { describe, expect, test } from 'vitest';
import { isBackupName } from '../../src/backup/names.js';
import { publishDataset } from '../../src/roles/publish.js';
import { bestFirst, noteRelays, observed, readRelayScores, scoreOf } from '../../src/roles/relay-scores.js';
import { lyingRelays } from '../support/faults/relay-faults.js';
import { A, B, INPUT, world } from './publish-world.js';

const FILE = 'relay-scores.json';
const good = { relay: A, kept: 20, failed: 0, lost: 0 };

describe('scores of relays', () => {
  test('a lost chunk weighs as ten refused ones, and who is unknown stands between good and bad', () => {
    expect(scoreOf(undefined)).toBe(0.5);
    expect(scoreOf({ kept: 8, failed: 0, lost: 0 })).toBe(0.9);
    expect(scoreOf({ kept: 8, failed: 0, lost: 1 })).toBe(scoreOf({ kept: 8, failed: 10, lost: 0 }));
    const scores = observed(new Map(), [good, { relay: B, kept: 20, failed: 0, lost: 5 }], 7);
    expect(bestFirst([B, 'wss://new.example', A], scores)).toEqual([A, 'wss://new.example', B]);
    expect(bestFirst(['wss://x.example', 'wss://y.example'], scores)).toEqual(['wss://x.example', 'wss://y.example']);
  });

  test('what happened long ago fades, and no more than 256 relays are remembered', () => {
    let scores = observed(new Map(), [{ ...good, lost: 100 }], 1);
    for (let day = 2; day < 20; day++) scores = observed(scores, [{ ...good, kept: 9_000 }], day);
    expect(scores.get(A)!.lost).toBeLessThan(0.1);
    expect(scores.get(A)!.kept).toBeLessThanOrEqual(10_000);
    for (let at = 0; at < 300; at++) scores = observed(scores, [{ ...good, relay: `wss://${at}.example` }], 100 + at);
    expect([scores.size, scores.has(A), scores.has('wss://44.example'), scores.has('wss://43.example')]).toEqual([
      ...[256, false],
      ...[true, false],
    ]);
  });

  test('are kept in the home, and a damaged file begins anew with a warning', async () => {
    const { ports, stored, warned } = world();
    await noteRelays(ports.files, [good], 7, ports.progress);
    await noteRelays(ports.files, [good], 8, ports.progress);
    expect([...(await readRelayScores(ports.files))]).toEqual([[A, { kept: 40, failed: 0, lost: 0, seenAt: 8 }]]);
    for (const text of ['null', '{"relays":[["a",{"kept":-1}]]}', '[]', '{"relays":[7]}']) {
      stored.set(FILE, Buffer.from(text));
      warned.length = 0;
      expect((await readRelayScores(ports.files, ports.progress)).size).toBe(0);
      expect(warned).toEqual([`/home/${FILE} is damaged: what is known of relays begins anew`]);
    }
    expect(isBackupName(FILE)).toBe(false);
  });
});

test('publishing remembers a relay that did not keep its word, and warns of it the next time', async () => {
  const { ports, network, warned } = world();
  network.setFault(A, lyingRelays['stores nothing']!);
  const { record } = await publishDataset(INPUT, ports);
  const scores = await readRelayScores(ports.files);
  expect([scores.get(A)!.lost, scores.get(B)!.lost]).toEqual([record.chunks, 0]);
  network.setFault(A, null);
  warned.length = 0;
  await publishDataset(INPUT, ports);
  expect(warned[0]).toBe(`${A} lost ${record.chunks} chunks of this home before: do not count on it alone`);
});
