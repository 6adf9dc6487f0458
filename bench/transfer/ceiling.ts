import { randomBytes } from 'node:crypto';
import { openSync, readSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { sha256 } from '../../src/hash.js';
import { eventJson } from '../../src/relay/event-json.js';
import { signEvent } from '../../src/schnorr.js';
import type { ClientFigures } from './client.js';

/**
 * What the relay takes and gives at most: frames with valid, signed chunks that were made before, masked with zeros (so as
 * they are), written to one bare socket by a client that only counts what comes back. `URL FILE BYTES SEED` as arguments;
 * JSON of what it took (checked and durable) and what it gave on stdout.
 */
export interface Ceiling {
  readonly taken: ClientFigures;
  readonly given: ClientFigures;
}

const CHUNK_BYTES = 48_000;
const WINDOW = 256;
const [url, path, bytes, seed] = process.argv.slice(2) as [string, string, string, string];
const secret = sha256(`ceiling ${seed}`);

function frameOf(text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(body.length < 65_536 ? 8 : 14);
  head[0] = 0x81; // a whole text
  head[1] = 0x80 | (body.length < 65_536 ? 126 : 127);
  if (body.length < 65_536) head.writeUInt16BE(body.length, 2);
  else head.writeBigUInt64BE(BigInt(body.length), 2);
  return Buffer.concat([head, body]);
}

function chunkFrames(count: number): Buffer[] {
  const file = openSync(path, 'r');
  const now = Math.floor(Date.now() / 1000);
  return Array.from({ length: count }, (_, i) => {
    const content = Buffer.alloc(CHUNK_BYTES);
    readSync(file, content, 0, CHUNK_BYTES, i * CHUNK_BYTES);
    const tags = [['expiration', String(now + 86_400)]];
    const event = { kind: 4621, created_at: now - i, tags, content: content.toString('base64') };
    return frameOf(`["EVENT",${eventJson(signEvent(event, secret))}]`);
  });
}

async function open(): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setNoDelay();
  const key = randomBytes(16).toString('base64');
  socket.write(
    `GET / HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  return socket;
}

const SHOWN_BYTES = 90;

/** Calls back with the first characters of every frame of the server, whose other bytes are not looked at. */
function onFrames(socket: Socket, onFrame: (head: string) => void): void {
  let rest = Buffer.alloc(0);
  let isUpgraded = false;
  let skip = 0;
  socket.on('data', (part: Buffer) => {
    if (skip >= part.length) return void (skip -= part.length);
    rest = Buffer.concat([rest, part.subarray(skip)]);
    skip = 0;
    if (!isUpgraded) {
      const end = rest.indexOf('\r\n\r\n');
      if (end === -1) return;
      isUpgraded = true;
      rest = rest.subarray(end + 4);
    }
    while (rest.length >= 2) {
      const code = rest[1]!;
      const at = code < 126 ? 2 : code === 126 ? 4 : 10;
      if (rest.length < at) return;
      const length = code < 126 ? code : code === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
      const shown = Math.min(SHOWN_BYTES, length);
      if (rest.length < at + shown) return;
      onFrame(rest.toString('latin1', at, at + shown));
      skip = Math.max(0, at + length - rest.length);
      rest = rest.subarray(Math.min(rest.length, at + length));
    }
  });
}

/** @param onFrame  gets all but the relay's challenge, after which the clock starts @returns whether it was the last */
async function measured(start: (socket: Socket) => void, onFrame: (head: string, socket: Socket) => boolean) {
  const socket = await open();
  let [startedAt, cpu] = [0, process.cpuUsage()];
  await new Promise<void>((done, fail) => {
    socket.once('error', fail).once('close', () => fail(new Error('the relay ended the connection')));
    onFrames(socket, (head) => {
      if (head.startsWith('["AUTH"')) {
        [startedAt, cpu] = [performance.now(), process.cpuUsage()];
        start(socket);
      } else if (onFrame(head, socket)) done();
    });
  });
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startedAt) / 1000;
  socket.removeAllListeners('close').destroy();
  return { seconds, cpuSeconds: (user + system) / 1e6, maxRssMB: process.resourceUsage().maxRSS / 1000 };
}

const frames = chunkFrames(Math.floor(Number(bytes) / CHUNK_BYTES));
let [sent, stored, got] = [0, 0, 0];
function more(socket: Socket): void {
  while (sent < frames.length && sent - stored < WINDOW) socket.write(frames[sent++]!);
}
const taken = await measured(more, (head, socket) => {
  if (!head.startsWith('["OK"') || !head.includes(',true,')) throw new Error(head);
  stored++;
  more(socket);
  return stored === frames.length;
});
const ask = frameOf(JSON.stringify(['REQ', 's', { kinds: [4621] }]).padEnd(126));
const given = await measured(
  (socket) => void socket.write(ask),
  (head) => {
    if (head.startsWith('["EVENT"')) got++;
    else if (!head.startsWith('["EOSE"') || got !== frames.length) throw new Error(`${head} after ${got}`);
    return head.startsWith('["EOSE"');
  },
);
console.log(JSON.stringify({ taken, given } satisfies Ceiling));
process.exit();
