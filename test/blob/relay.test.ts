import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sealBlob } from '../../src/blob/blob.js';
import { downloadBlob, uploadBlob, verifyStored } from '../../src/blob/transfer.js';
import { startRelay, type RunningRelay } from '../../src/relay/embedded.js';
import { connectRelays } from '../../src/relay/pool.js';
import { OPTIONS, noise } from './samples.js';

const NOW = 1_750_000_000;
const READ = { key: OPTIONS.key, context: OPTIONS.context, part: OPTIONS.part, maxBytes: 5_000_000 };

describe('a blob over the embedded relay', () => {
  const running: RunningRelay[] = [];
  beforeAll(async () => {
    for (let count = 0; count < 2; count++) running.push(await startRelay({ port: 0, nowSec: () => NOW }));
  });
  afterAll(() => Promise.all(running.map((relay) => relay.close())));

  test('is published, read back over another connection and opened, with one relay gone', async () => {
    const bytes = noise(4_000_000);
    const { pointer, events } = sealBlob(bytes, OPTIONS);
    const urls = running.map(({ url }) => url);
    const writer = connectRelays(urls);
    const result = await uploadBlob(writer, events);
    expect(result.relays.map(({ stored }) => stored)).toEqual([85, 85]);
    expect(await uploadBlob(writer, events)).toEqual(result);
    await writer.close();

    const reader = connectRelays(urls);
    expect((await verifyStored(reader, events.slice(0, 5))).map(({ found }) => found)).toEqual([5, 5]);
    expect(Buffer.compare(await downloadBlob(reader, pointer, READ), bytes)).toBe(0);
    await running.pop()!.close();
    expect(Buffer.compare(await downloadBlob(reader, pointer, READ), bytes)).toBe(0);
    await reader.close();
  });
});
