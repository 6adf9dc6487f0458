import { describe, expect, test } from 'vitest';
import { KINDS } from '../../src/protocol/kinds.js';
import { locatedIn, ownLocator, ownShardKey, openShard } from '../../src/roles/epoch.js';
import { publishDataset } from '../../src/roles/publish.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import { lyingRelays, silentRelay } from '../support/faults/relay-faults.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { A, B, INPUT, world } from './publish-world.js';

describe('publishing a dataset', () => {
  test('puts every chunk on every relay, and a second run sends nothing and finds the same', async () => {
    const { ports, sent, network, warned } = world();
    const first = await publishDataset(INPUT, ports);
    expect(sent.length).toBe(2 * first.record.chunks);
    expect(first.relays.map(({ stored }) => stored)).toEqual([first.record.chunks, first.record.chunks]);
    expect(await publishDataset(INPUT, ports)).toEqual(first);
    expect(sent.length).toBe(2 * first.record.chunks);
    expect(warned).toEqual([]);
    const { manifest } = parseSnapshot(first.record.train.event);
    const { secrets } = first.record.train;
    const shard = await openShard(
      network.relays(),
      manifest,
      locatedIn(ownLocator(manifest, secrets), 1),
      1,
      ownShardKey(manifest, secrets, 1),
    );
    expect(shard).toEqual(INPUT.shards[1]);
  });

  test('names a relay that says to store and does not, and goes on with the other', async () => {
    const { ports, network, warned, sent } = world();
    network.setFault(A, lyingRelays['stores nothing']!);
    const { record } = await publishDataset(INPUT, ports);
    expect(warned).toEqual([
      `${A} said to have all chunks and does not give some of them back: they are sent again`,
      expect.stringContaining(`${A} does not give back ${record.chunks} of ${record.chunks} chunks`),
    ]);
    expect(sent.length).toBe(3 * record.chunks);
  });

  test('fails when no relay gives back what it said to store', async () => {
    const { ports, network } = world([A]);
    network.setFault(A, lyingRelays['stores nothing']!);
    await expect(publishDataset(INPUT, ports)).rejects.toThrow(
      expect.objectContaining({ code: 'relay-refused', got: expect.stringContaining(A) }),
    );
    expect(network.events().some(({ kind }) => kind === KINDS.snapshot)).toBe(false);
  });

  test('says so when a relay answers no reader', async () => {
    const { ports, network, warned } = world();
    const reader = memoryNetwork([A, B]);
    reader.setFault(A, silentRelay);
    const { record } = await publishDataset(INPUT, ports);
    for (const event of network.events()) await reader.relays().publish(event, [B]);
    await publishDataset(INPUT, { ...ports, reader: async () => reader.relays() });
    expect(warned).toEqual([`${A} does not answer a reader: nothing is known of what it stored`]);
    expect(record.chunks).toBeGreaterThan(3);
  });

  test('goes on with a dataset of an nmkt that kept sealed events', async () => {
    const { ports, network, stored, records, sent } = world();
    const { record } = await publishDataset(INPUT, ports);
    const chunks = network.events(A).filter(({ kind }) => kind === KINDS.chunk);
    for (const name of [...stored.keys()]) if (name.startsWith(`datasets/${INPUT.request}/`)) stored.delete(name);
    records.length = 0;
    stored.set(
      `datasets/${INPUT.request}.chunks`,
      Buffer.from(chunks.map((event) => `${JSON.stringify(event)}\n`).join('')),
    );
    expect((await publishDataset(INPUT, ports)).record).toEqual(record);
    expect(sent.length).toBe(4 * record.chunks);
    stored.delete(`datasets/${INPUT.request}.chunks`);
    await expect(publishDataset(INPUT, ports)).rejects.toThrow(
      expect.objectContaining({
        code: 'bad-settings',
        remedy: `remove /home/datasets/${INPUT.request}.json and publish again`,
      }),
    );
  });

  test('misses a packed file before it sends other bytes', async () => {
    const { ports, stored, records, sent } = world();
    await publishDataset(INPUT, ports);
    records.length = 0;
    sent.length = 0;
    stored.set(`datasets/${INPUT.request}/train-0.br`, new Uint8Array(10));
    await expect(publishDataset(INPUT, ports)).rejects.toThrow(
      expect.objectContaining({ code: 'bad-settings', expected: `/home/datasets/${INPUT.request}/train-0.br` }),
    );
    expect(sent).toEqual([]);
  });
});
