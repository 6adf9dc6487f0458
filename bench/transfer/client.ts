import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { request } from 'node:http';
import { finalizeEvent, nip44 } from 'nostr-tools';
import { Relay, useWebSocketImplementation } from 'nostr-tools/relay';
import WebSocket from 'ws';
import { contentKey, labelContext, uploadSecret } from '../../src/blob/keys.js';
import { lazyBlob } from '../../src/blob/lazy-blob.js';
import { keepRecent, type ChunkSource } from '../../src/blob/source.js';
import { fetchFromAll, listChunks, uploadBlob } from '../../src/blob/transfer.js';
import { openUploadLog, type UploadRecord } from '../../src/blob/upload-log.js';
import { openJournal } from '../../src/journal/file-journal.js';
import { parseBlobPointer } from '../../src/blob/blob.js';
import { sha256, type Sha256 } from '../../src/hash.js';
import { connectRelays } from '../../src/relay/pool.js';

/**
 * One measurement in a process of its own: `JSON` of what to do as argument, `JSON` of the figures on stdout. Bytes are a
 * ChaCha20 key stream, which does not compress; MB are 1e6 of them.
 */
export interface ClientTask {
  readonly what: 'publish' | 'sealed' | 'fetch' | 'naive' | 'naive-fetch' | 'put' | 'get';
  readonly url: string;
  /** A file of that many bytes, already packed. */
  readonly file: string;
  readonly bytes: number;
  /** Names the keys: another one makes other events. */
  readonly seed: string;
  /** Where the pointer of a published blob goes, and comes from. */
  readonly pointer?: string;
  /** Keeps what is stored in this file, and goes on with what it says. */
  readonly log?: string;
  /** Ends itself with kill -9 when so much of all is stored. */
  readonly killAt?: number;
}
export interface ClientFigures {
  readonly seconds: number;
  /** Of the processor, all threads of this process. */
  readonly cpuSeconds: number;
  readonly maxRssMB: number;
  readonly events?: number;
  /** Events sent to the relay. */
  readonly sent?: number;
}

const task = JSON.parse(process.argv[2]!) as ClientTask;
const { what, url, bytes, seed } = task;
const secret = sha256(`bench ${seed}`);
const [key, context] = [contentKey(secret), labelContext('bench')];
const file = openSync(task.file, 'r');

function read(position: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  readSync(file, out, 0, length, position);
  return out;
}

/** As from a home: opened for each read. */
async function readPart(position: number, length: number): Promise<Buffer> {
  const opened = await open(task.file);
  const { buffer } = await opened.read(Buffer.allocUnsafe(length), 0, length, position).finally(() => opened.close());
  return buffer;
}

function blob() {
  const now = Math.floor(Date.now() / 1000);
  const packed = { sha256: '00'.repeat(32) as Sha256, size: bytes, packed: bytes, read: readPart };
  return lazyBlob(packed, {
    ...{ key, context, uploadSecret: uploadSecret(secret), part: 0 },
    ...{ baseTimeSec: now - 86_400, expirationSec: now + 86_400 },
  });
}

let cpuMicros = 0;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  cpuMicros += user + system;
  return seconds;
}

/** @param isReady  everything sealed and signed before the clock starts: what is left is the relay and the way to it */
async function publish(isReady: boolean): Promise<ClientFigures & { events: number }> {
  const { source, pointer } = blob();
  const relays = connectRelays([url]);
  await relays.fetch([{ kinds: [1], limit: 1 }]); // connected
  const made = isReady ? keepRecent(source, source.count) : source;
  if (isReady) for (let index = 0; index < made.count; index++) await made.event(index);
  const chosen: ChunkSource = made;
  let sent = 0;
  const counted: typeof relays = {
    ...{ urls: relays.urls, fetch: relays.fetch.bind(relays), subscribe: relays.subscribe.bind(relays) },
    publish: (event, to, options) => (sent++, relays.publish(event, to, options)),
    close: () => relays.close(),
  };
  const onProgress = (done: number): void => {
    if (done < (task.killAt ?? 2) * source.count) return;
    writeSync(1, JSON.stringify({ ...figures(0), events: source.count, sent }));
    process.kill(process.pid, 'SIGKILL');
  };
  const log = task.log && { log: await openUploadLog(await openJournal<UploadRecord>(task.log), source.count) };
  const seconds = await timed(() => uploadBlob(counted, chosen, { onProgress, ...log }));
  if (task.pointer !== undefined) writeFileSync(task.pointer, JSON.stringify(await pointer()));
  await relays.close();
  return { ...figures(seconds), events: source.count, sent };
}

/** Ids, leaves and AEAD of every chunk; the bytes are dropped, as a disk would take them. */
async function fetchAll(): Promise<ClientFigures> {
  const { readFileSync } = await import('node:fs');
  const pointer = parseBlobPointer(JSON.parse(readFileSync(task.pointer!, 'utf8')));
  const relays = connectRelays([url]);
  await relays.fetch([{ kinds: [1], limit: 1 }]);
  const seconds = await timed(async () => {
    const chunks = await listChunks(relays, pointer, { key, context, part: 0 });
    const ids = { length: chunks.length, at: (index: number) => chunks[index]?.id };
    let wanted: readonly number[] = [...chunks.keys()];
    while (wanted.length > 0) {
      const { missing } = await fetchFromAll(relays, ids, wanted, {
        take: (event, index) => (chunks[index]!.requireRight(event), true),
        signal: undefined,
      });
      if (missing.length === wanted.length) throw new Error(`${missing.length} chunks are missing`);
      wanted = missing;
    }
  });
  await relays.close();
  return figures(seconds);
}

/** As 32 KB of text, which is what NIP-44 takes: base64 of the bytes. */
const NAIVE_BYTES = 24_576;
const MAX_NAIVE = 5_000_000;

/** As one would write it with nostr-tools alone: NIP-44, finalizeEvent, one event after the other. */
async function naive(isFetch: boolean): Promise<ClientFigures> {
  useWebSocketImplementation(WebSocket);
  const relay = await Relay.connect(url);
  const conversation = nip44.getConversationKey(secret, (await import('../../src/schnorr.js')).publicKey(secret));
  const count = Math.ceil(Math.min(bytes, MAX_NAIVE) / NAIVE_BYTES);
  const ids: string[] = [];
  const publishAll = async () => {
    for (let index = 0; index < count; index++) {
      const text = read(index * NAIVE_BYTES, NAIVE_BYTES).toString('base64');
      const content = nip44.encrypt(text, conversation);
      const event = finalizeEvent({ kind: 4621, created_at: 1_700_000_000 + index, tags: [], content }, secret);
      await relay.publish(event);
      ids.push(event.id);
    }
  };
  const fetchEach = async () => {
    for (const id of ids)
      await new Promise<void>((done) => {
        const subscription = relay.subscribe([{ ids: [id] }], {
          onevent: (event) => void nip44.decrypt(event.content, conversation),
          oneose: () => (subscription.close(), done()),
        });
      });
  };
  const published = await timed(publishAll);
  const seconds = isFetch ? await timed(fetchEach) : published;
  relay.close();
  // Per byte of a whole task, so that rates compare.
  return figures((seconds * bytes) / (count * NAIVE_BYTES));
}

async function http(method: 'PUT' | 'GET'): Promise<ClientFigures> {
  const opened = hkdfSync('sha256', key, 'bench', 'http', 32);
  const nonce = Buffer.alloc(12);
  const seconds = await timed(
    () =>
      new Promise<void>((resolve, reject) => {
        const outgoing = request(url, { method }, (response) => {
          const hash = createHash('sha256');
          const decipher = createDecipheriv('chacha20-poly1305', Buffer.from(opened), nonce, { authTagLength: 16 });
          response.on('data', (part: Buffer) => {
            if (method === 'PUT') return;
            hash.update(part);
            decipher.update(part);
          });
          response.on('end', () => (hash.digest(), resolve()));
          response.on('error', reject);
        });
        outgoing.on('error', reject);
        if (method === 'GET') return void outgoing.end();
        const cipher = createCipheriv('chacha20-poly1305', Buffer.from(opened), nonce, { authTagLength: 16 });
        const send = (position: number): void => {
          for (let at = position; at < bytes; at += 1 << 20) {
            const part = cipher.update(read(at, Math.min(1 << 20, bytes - at)));
            if (!outgoing.write(part)) return void outgoing.once('drain', () => send(at + (1 << 20)));
          }
          outgoing.end();
        };
        send(0);
      }),
  );
  return figures(seconds);
}

function figures(seconds: number): ClientFigures {
  return { seconds, cpuSeconds: cpuMicros / 1e6, maxRssMB: process.resourceUsage().maxRSS / 1000 };
}

const works: Record<ClientTask['what'], () => Promise<ClientFigures>> = {
  publish: () => publish(false),
  sealed: () => publish(true),
  fetch: fetchAll,
  naive: () => naive(false),
  'naive-fetch': () => naive(true),
  put: () => http('PUT'),
  get: () => http('GET'),
};
console.log(JSON.stringify(await works[what]()));
process.exit();
