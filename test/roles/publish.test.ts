import { describe, expect, test } from 'vitest';
import type { UploadRecord } from '../../src/blob/upload-log.js';
import { sha256, sha256Hex } from '../../src/hash.js';
import type { Relays } from '../../src/ports.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { ownLocator, ownShardKey, openShard } from '../../src/roles/epoch.js';
import type { HomeFiles } from '../../src/roles/home-files.js';
import { publishDataset, type PublishPorts } from '../../src/roles/publish.js';
import { localSigner } from '../../src/relay/signer.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import { lyingRelays, silentRelay } from '../support/faults/relay-faults.js';
import { memoryJournal } from '../support/memory-journal.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { TINY_SCHEMA, tinyExamples } from '../support/market-world.js';

const [A, B] = ['wss://a.example', 'wss://b.example'] as const;
const INPUT = {
  schema: TINY_SCHEMA,
  shards: [tinyExamples(600, 'one'), tinyExamples(900, 'two')],
  a: tinyExamples(10, 'a'),
  b: tinyExamples(10, 'b'),
  ...{ name: 'tiny', request: sha256Hex('request'), expirationSec: 1_800_000_000 },
};

function memoryFiles(): { readonly files: HomeFiles; readonly stored: Map<string, Uint8Array> } {
  const stored = new Map<string, Uint8Array>();
  const files: HomeFiles = {
    write: async (name, data) => void stored.set(name, Buffer.from(data as Uint8Array)),
    read: async (name) => stored.get(name),
    readPart: async (name, position, length) =>
      (stored.get(name) ?? new Uint8Array()).subarray(position, position + length),
    readJson: async <T>(name: string) =>
      stored.has(name) ? (JSON.parse(Buffer.from(stored.get(name)!).toString()) as T) : undefined,
    list: async () => [],
    describe: (name) => `/home/${name}`,
  };
  return { files, stored };
}

function world(urls: readonly string[] = [A, B]) {
  const network = memoryNetwork(urls);
  const { files, stored } = memoryFiles();
  const records: UploadRecord[] = [];
  const warned: string[] = [];
  let drawn = 0;
  const sent: string[] = [];
  const counted = (): Relays => {
    const relays = network.relays();
    return {
      urls: relays.urls,
      publish: (event, to) => (
        event.kind === KINDS.chunk && sent.push(`${to![0]!} ${event.id}`),
        relays.publish(event, to)
      ),
      fetch: (filters, options) => relays.fetch(filters, options),
      subscribe: (filters, onEvent) => relays.subscribe(filters, onEvent),
      close: () => relays.close(),
    };
  };
  const ports: PublishPorts = {
    relays: counted(),
    signer: localSigner(sha256('customer')),
    clock: { nowSec: () => 1_770_000_000, nowMs: () => 1_770_000_000_000, wait: () => Promise.resolve() },
    random: (length) =>
      Buffer.concat([sha256(`random ${drawn++}`), sha256('more'), sha256('most')]).subarray(0, length),
    files,
    journal: async () => memoryJournal(records),
    reader: async () => network.relays(),
    progress: { start() {}, update() {}, note() {}, done() {}, warn: (text) => void warned.push(text) },
    signal: new AbortController().signal,
  };
  return { network, ports, stored, records, warned, sent };
}

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
      ownLocator(manifest, secrets),
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
