import type { UploadRecord } from '../../src/blob/upload-log.js';
import { sha256, sha256Hex } from '../../src/hash.js';
import type { Relays } from '../../src/ports.js';
import { KINDS } from '../../src/protocol/kinds.js';
import type { HomeFiles } from '../../src/roles/home-files.js';
import type { PublishPorts } from '../../src/roles/publish.js';
import { localSigner } from '../../src/signer.js';
import { seededRandom } from '../relay/samples.js';
import { memoryJournal } from '../support/memory-journal.js';
import { memoryFile } from '../support/memory-file.js';
import { memoryNetwork } from '../support/memory-relays.js';
import { TINY_SCHEMA, tinyExamples } from '../support/market-world.js';

export const [A, B] = ['wss://a.example', 'wss://b.example'] as const;
/** A small dataset: two shards and the two evaluation sets, eight chunks in all. */
export const INPUT = {
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
    edit: async (name) => memoryFile(stored, name),
    remove: async (name) => void stored.delete(name),
    forget: async (name) => void stored.delete(name),
    list: async (folder) => {
      const inside = [...stored.keys()].filter((name) => name.startsWith(`${folder}/`));
      return [...new Set(inside.map((name) => name.slice(folder.length + 1).split('/')[0]!))].sort();
    },
    describe: (name) => `/home/${name}`,
  };
  return { files, stored };
}

/** A customer with two relays and an empty home, all in memory. */
export function world(urls: readonly string[] = [A, B]) {
  const network = memoryNetwork(urls);
  const { files, stored } = memoryFiles();
  const records: UploadRecord[] = [];
  const warned: string[] = [];
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
    random: seededRandom('publish-world'),
    files,
    journal: async () => memoryJournal(records),
    reader: async () => network.relays(),
    progress: { start() {}, update() {}, note() {}, done() {}, warn: (text) => void warned.push(text) },
    signal: new AbortController().signal,
  };
  return { network, ports, stored, records, warned, sent };
}
