import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import { mkdtemp, rm, writeFile, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCipheriv } from 'node:crypto';
import { sealBlob, type SealedBlob } from '../src/blob/blob.js';
import { fromBase64 } from '../src/blob/chunk.js';
import { contentKey, labelContext, uploadSecret } from '../src/blob/keys.js';
import { downloadBlob, uploadBlob } from '../src/blob/transfer.js';
import { concatBytes, sha256, sha256Hex, type Bytes } from '../src/hash.js';
import { startRelay } from '../src/relay/embedded.js';
import { connectRelays } from '../src/relay/pool.js';

/**
 * 20 MB that do not compress: sealed, published to the embedded relay on loopback, fetched and opened again, against
 * one HTTP PUT and GET of the same ciphertext in the same run. Clients and servers share one thread, so each figure is
 * the work of both sides. Best of ROUNDS; MB = 1e6 bytes of plaintext.
 */
const PLAIN_BYTES = 20_000_000;
const ROUNDS = 3;
const MIN_RATIO = 0.1;

export interface BenchRow {
  readonly what: string;
  readonly seconds: number;
  readonly megabytesPerSecond: number;
}
export interface BenchTarget {
  readonly name: string;
  readonly target: string;
  readonly got: string;
  readonly ok: boolean;
}

export async function bench(): Promise<{
  readonly rows: readonly BenchRow[];
  readonly targets: readonly BenchTarget[];
}> {
  const dir = await mkdtemp(join(tmpdir(), 'nmkt-bench-transfer-'));
  try {
    const best = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const seconds = await runOnce(join(dir, String(round)), round);
      for (const [what, value] of Object.entries(seconds)) best.set(what, Math.min(value, best.get(what) ?? Infinity));
    }
    const rows = [...best].map(([what, seconds]) => ({
      what,
      seconds,
      megabytesPerSecond: PLAIN_BYTES / 1e6 / seconds,
    }));
    const targets = [
      ratio('publish against HTTP PUT', best.get('publish')!, best.get('HTTP PUT')!),
      ratio('fetch against HTTP GET', best.get('fetch and open')!, best.get('HTTP GET')!),
    ];
    return { rows, targets };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function ratio(name: string, seconds: number, baselineSeconds: number): BenchTarget {
  const got = baselineSeconds / seconds;
  return { name, target: `>= ${MIN_RATIO.toFixed(2)}`, got: got.toFixed(2), ok: got >= MIN_RATIO };
}

async function runOnce(dir: string, round: number): Promise<Record<string, number>> {
  const secret = sha256(`bench ${round}`);
  const plain = new Uint8Array(createCipheriv('chacha20', secret, Buffer.alloc(16)).update(Buffer.alloc(PLAIN_BYTES)));
  const key = contentKey(secret);
  const context = labelContext('bench');
  const now = Math.floor(Date.now() / 1000);
  const seal = () =>
    sealBlob(plain, {
      key,
      uploadSecret: uploadSecret(secret),
      context,
      part: 0,
      baseTimeSec: now,
      expirationSec: now + 3600,
      inline: 'never',
    });

  const relay = await startRelay({ port: 0, dir });
  try {
    const writer = connectRelays([relay.url]);
    let sealed!: SealedBlob;
    const sealSeconds = await timed(async () => void (sealed = seal()));
    const publishSeconds = await timed(() => uploadBlob(writer, sealed.events));
    await writer.close();

    const reader = connectRelays([relay.url]);
    let opened!: Bytes;
    const fetchSeconds = await timed(async () => {
      opened = await downloadBlob(reader, sealed.pointer, { key, context, part: 0, maxBytes: PLAIN_BYTES });
    });
    await reader.close();
    if (sha256Hex(opened) !== sha256Hex(plain)) throw new Error('the relay gave back other bytes');

    const ciphertext = concatBytes(...sealed.events.map(({ content }) => fromBase64(content, 48_028)));
    return {
      seal: sealSeconds,
      publish: publishSeconds,
      'seal and publish': sealSeconds + publishSeconds,
      'fetch and open': fetchSeconds,
      ...(await timeHttp(join(dir, 'plain-http'), ciphertext)),
    };
  } finally {
    await relay.close();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** The baseline: a server that hashes what it gets and writes it to one file, a client that checks the hash. */
async function timeHttp(file: string, body: Bytes): Promise<{ 'HTTP PUT': number; 'HTTP GET': number }> {
  const expected = sha256Hex(body);
  const server = createServer((incoming, response) => {
    const answer = incoming.method === 'PUT' ? store(incoming, file) : readFile(file);
    void answer.then((bytes) => response.end(bytes));
  });
  const url = await listen(server);
  try {
    const put = await timed(async () => requireSame((await exchange(url, 'PUT', body)).toString(), expected));
    const get = await timed(async () => requireSame(sha256Hex(await exchange(url, 'GET')), expected));
    return { 'HTTP PUT': put, 'HTTP GET': get };
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function store(incoming: IncomingMessage, file: string): Promise<string> {
  const bytes = await collect(incoming);
  await writeFile(file, bytes);
  return sha256Hex(bytes);
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/blob`;
}

function exchange(url: string, method: 'PUT' | 'GET', body?: Bytes): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method }, (response) => void collect(response).then(resolve, reject));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function requireSame(got: string, expected: string): void {
  if (got !== expected) throw new Error(`the HTTP baseline gave ${got}, expected ${expected}`);
}
