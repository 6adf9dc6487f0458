import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import type { AddressInfo } from 'node:net';
import { sealBlob } from '../../src/blob/blob.js';
import { hex } from '../../src/hash.js';
import type { NostrEvent } from '../../src/ports.js';
import { temporaryFolder } from '../support/run-nmkt.js';
import { OPTIONS, noise } from './samples.js';

const BYTES = 100_000_000;
const KILLED_AT = 0.9;
const MAX_AGAIN = 0.12;

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

/** Answers requests for ids from what it was given, and counts. */
async function countingRelay(events: readonly NostrEvent[]) {
  const frames = new Map<string, string>(events.map((event) => [event.id, JSON.stringify(event)]));
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  const asked = { chunks: 0 };
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      const [verb, name, filter] = JSON.parse(data.toString()) as [string, string, { ids: string[] }];
      if (verb !== 'REQ') return;
      for (const id of filter.ids) {
        const frame = frames.get(id);
        if (frame === undefined) continue;
        asked.chunks++;
        socket.send(`["EVENT","${name}",${frame}]`);
      }
      socket.send(`["EOSE","${name}"]`);
    });
  });
  await new Promise((listening) => server.once('listening', listening));
  onTestFinished(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test('a download of 100 MB that is killed at 90 % fetches at most 12 % again, in the memory of the chunks on their way', async () => {
  const { pointer, events } = sealBlob(noise(BYTES), { ...OPTIONS, inline: 'never' });
  const { url, asked } = await countingRelay(events);
  const home = temporaryFolder();
  const task = { url, pointer, key: hex(OPTIONS.key), context: hex(OPTIONS.context), part: OPTIONS.part, home };
  const start = () =>
    spawn(process.execPath, [fileURLToPath(new URL('./download-child.mjs', import.meta.url)), JSON.stringify(task)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });

  const first = start();
  const ended = new Promise((done) => first.once('close', (_, signal) => done(signal)));
  let most = 0;
  for await (const line of createInterface(first.stdout)) {
    const [done, memory] = line.split(' ').map(Number) as [number, number];
    most = Math.max(most, memory);
    if (done >= KILLED_AT * pointer.chunks) first.kill('SIGKILL');
  }
  expect(await ended).toBe('SIGKILL');
  const file = join(home, 'jobs', 'shard-0.sealed');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(file).size).toBeGreaterThan(KILLED_AT * BYTES);

  const before = asked.chunks;
  const second = start();
  let last = '';
  for await (const line of createInterface(second.stdout)) last = line;
  const [sha256, all] = last.split(' ') as [string, string];
  expect(sha256).toBe(pointer.sha256);
  const again = asked.chunks - before;
  console.log(
    `fetched again: ${again} of ${events.length} chunks; memory ${megabytes(most)} while fetching, ${megabytes(Number(all))} with the result`,
  );
  expect(again).toBeLessThanOrEqual(MAX_AGAIN * events.length);
  expect(again).toBeGreaterThan(0);
}, 120_000);
