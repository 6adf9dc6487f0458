import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/config/clock.js';
import { fetchInformation } from '../../src/relay/fetch-information.js';
import { relayForTest } from './samples.js';

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((listening) => server.once('listening', listening));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const ask = (url: string, timeoutMs?: number) => fetchInformation(url, systemClock, timeoutMs);

it('reads the document of the embedded relay, and the same time', async () => {
  const { url } = await relayForTest();
  const { information, problem, clockAheadSec } = await ask(url);
  expect(information).toMatchObject({ name: 'nmkt relay', needsAuth: false, needsPayment: false });
  expect(information!.maxMessageBytes).toBeGreaterThan(64_412);
  expect(problem).toBe('');
  expect(Math.abs(clockAheadSec!)).toBeLessThan(2);
});

it('tells a clock that is an hour ahead', async () => {
  const url = await serve((_, response) => {
    response.setHeader('Date', new Date(Date.now() + 3_600_000).toUTCString());
    response.end(
      '{"name":"\\u001b[31mred","version":"v1.0.4","limitation":{"auth_required":true,"max_message_length":-1,"min_pow_difficulty":28}}',
    );
  });
  const { information, clockAheadSec } = await ask(url);
  expect(information).toEqual({
    ...{ name: ' [31mred', software: '', version: 'v1.0.4', needsAuth: true, needsPayment: false, powBits: 28 },
    ...{ maxMessageBytes: null, maxContentBytes: null, maxSubscriptions: null, maxTags: null },
  });
  expect(clockAheadSec).toBeGreaterThan(3_598);
  expect(clockAheadSec).toBeLessThan(3_602);
});

it('follows no redirect, and reads the clock all the same', async () => {
  const url = await serve((_, response) => response.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end());
  expect(await ask(url)).toMatchObject({ information: null, problem: 'HTTP status 302' });
  expect((await ask(url)).clockAheadSec).not.toBeNull();
});

it.each([
  ['a list', '[]'],
  ['a text', '"relay"'],
  ['no JSON', '<html>'],
])('takes %s for no document', async (_, body) => {
  const url = await serve((_request, response) => response.end(body));
  expect(await ask(url)).toMatchObject({ information: null, problem: 'no NIP-11 document' });
});

it('reads no more than 64 KiB', async () => {
  const url = await serve((_, response) => response.end(`{"name":"${'x'.repeat(70_000)}"}`));
  expect(await ask(url)).toEqual({ information: null, problem: 'a document above 65536 bytes', clockAheadSec: null });
});

it('gives up on silence, and on nobody', async () => {
  const url = await serve(() => undefined);
  const { information, problem } = await ask(url, 50);
  expect(information).toBeNull();
  expect(problem).not.toBe('');
  expect(await ask('ws://127.0.0.1:9')).toEqual({ information: null, problem: 'ECONNREFUSED', clockAheadSec: null });
});
