import { expect, onTestFinished, test } from 'vitest';
import { sealBlob } from '../../src/blob/blob.js';
import { downloadBlob, uploadBlob } from '../../src/blob/transfer.js';
import { startRelay } from '../../src/relay/embedded.js';
import { connectRelays } from '../../src/relay/pool.js';
import { startDelay, startLoss } from '../support/faults/proxies.js';
import { KEY, OPTIONS, noise } from './samples.js';

/** Real sockets to a real relay, with a network in between. */

const PLAIN = noise(12_000_000);
const { events, pointer } = sealBlob(PLAIN, OPTIONS); // 251 of data, one index
const READ = { key: KEY, context: OPTIONS.context, part: OPTIONS.part, maxBytes: PLAIN.length };

async function relay() {
  const running = await startRelay({ port: 0, nowSec: () => OPTIONS.baseTimeSec });
  onTestFinished(() => running.close());
  return running;
}

test('one message in fifty is lost each way, and the blob is whole before any silence is over', async () => {
  const proxy = await startLoss((await relay()).url, 0.02);
  onTestFinished(() => proxy.close());
  const relays = connectRelays([proxy.url], { timeoutMs: 2_000 });
  onTestFinished(() => relays.close());
  const result = await uploadBlob(relays, events);
  expect(result.relays[0]).toMatchObject({ stored: events.length });
  expect(proxy.dropped()).toBeGreaterThan(3);
  expect(Buffer.compare(await downloadBlob(relays, pointer, READ), PLAIN)).toBe(0);
}, 60_000);

test('a relay that is 40 ms away gets two to four connections, and many chunks at once', async () => {
  const near = await relay();
  const proxy = await startDelay(near.url, 20);
  onTestFinished(() => proxy.close());
  const relays = connectRelays([proxy.url]);
  onTestFinished(() => relays.close());
  const started = performance.now();
  expect((await uploadBlob(relays, events)).relays[0]).toMatchObject({ stored: events.length });
  expect(Buffer.compare(await downloadBlob(relays, pointer, READ), PLAIN)).toBe(0);
  expect(proxy.connections()).toBeGreaterThan(1);
  expect(proxy.connections()).toBeLessThanOrEqual(4);
  // One at a time would be 253 + 5 round trips of 40 ms, 10 s.
  expect(performance.now() - started).toBeLessThan(8_000);
}, 60_000);
