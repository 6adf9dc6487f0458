import { EventEmitter } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { OPEN } from '../../src/relay/access.js';
import { Session, type RelayCore } from '../../src/relay/protocol.js';
import { memoryStore } from '../../src/relay/store-memory.js';
import { SyncBudget } from '../../src/relay/sync-sessions.js';
import { Traffic } from '../../src/relay/traffic.js';
import { note, NOW, RawClient, relayForTest } from './samples.js';

/** Many clients, and clients that do not read or send too much. */

/** Of node's streams: in what it hands out only by its old name. */
const socketOf = (client: WebSocket) => (client as unknown as { _socket: { pause(): void; resume(): void } })._socket;

/** Counts messages without keeping them. */
async function subscriber(url: string, filter: object): Promise<{ socket: WebSocket; heard: Promise<string> }> {
  const socket = new WebSocket(url);
  onTestFinished(() => socket.terminate());
  const said = (verb: string) =>
    new Promise<string>((resolve, reject) => {
      const listen = (data: Buffer): void => {
        const text = data.toString();
        if (!text.startsWith(`["${verb}"`)) return;
        socket.off('message', listen);
        resolve(text);
      };
      socket.on('message', listen);
      socket.once('error', reject);
    });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const stored = said('EOSE');
  const heard = said('EVENT');
  heard.catch(() => undefined);
  socket.send(JSON.stringify(['REQ', 's', filter]));
  await stored;
  return { socket, heard };
}

it('sends one event to 1,000 connections, each with a subscription, at less than 100 kB of memory for both ends of one', async () => {
  const relay = await relayForTest({ maxConnections: 1_001 });
  const before = process.memoryUsage().rss;
  const clients = await Promise.all(Array.from({ length: 1_000 }, () => subscriber(relay.url, { kinds: [7] })));
  const each = (process.memoryUsage().rss - before) / clients.length;
  expect(each).toBeLessThan(100_000);
  const writer = await RawClient.connect(relay.url);
  const event = note('alice', { kind: 7 });
  const startedAt = performance.now();
  await writer.publish(event);
  const heard = await Promise.all(clients.map((client) => client.heard));
  expect(new Set(heard)).toEqual(new Set([JSON.stringify(['EVENT', 's', event])]));
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  console.log(`1,000 connections: ${(each / 1000).toFixed(0)} kB each, one event to all in ${(performance.now() - startedAt).toFixed(0)} ms`); // prettier-ignore
  await expect((await RawClient.connect(relay.url)).closed()).resolves.toBe(1013);
}, 20_000);

describe('a client that does not read', () => {
  const chunks = Array.from({ length: 400 }, (_, i) => note('alice', { kind: 4621, created_at: NOW - i, content: Buffer.alloc(48_000, i).toString('base64') })); // prettier-ignore
  const traffic = { maxUnsentBytes: 4 << 20, maxTotalUnsentBytes: 8 << 20, busyHighWaterBytes: 64 << 10 };

  it('is cut off, and neither keeps others waiting nor makes memory grow', async () => {
    const relay = await relayForTest({ traffic });
    const slow = await Promise.all(Array.from({ length: 5 }, () => subscriber(relay.url, { kinds: [4621] })));
    for (const { socket } of slow) socketOf(socket).pause();
    const reader = await RawClient.connect(relay.url);
    reader.send('REQ', 'r', { kinds: [4621] });
    await reader.next('EOSE', 'r');
    const writer = await RawClient.connect(relay.url);
    const before = process.memoryUsage().rss;
    for (const chunk of chunks) {
      writer.send('EVENT', chunk);
      expect((await reader.next('EVENT', 'r'))[2]).toMatchObject({ id: chunk.id });
    }
    // 25 MB for each of six, of which the system's own buffers take some, and 26 MB are kept as events.
    expect(process.memoryUsage().rss - before).toBeLessThan(120e6);
    const closed = slow.map(({ socket }) => new Promise((resolve) => socket.once('close', resolve)));
    for (const { socket } of slow) socketOf(socket).resume();
    await Promise.all(closed);
  }, 20_000);

  it('and asks for everything is given a part: other requests wait for their turn', async () => {
    const sent: string[] = [];
    let take: (() => void)[] = [];
    const limits = {
      ...{ maxEventBytes: 131_072, maxTags: 2_000, maxTagValueChars: 1_024, maxSubscriptions: 200, maxFilters: 32 },
      ...{ maxSubscriptionIdChars: 64, maxFilterValues: 2_000, maxLimit: 100, maxFutureSec: 900 },
      ...{ maxMessagesPerSec: Infinity, maxSyncs: 2, maxSyncEvents: 1_000 },
    };
    const core: RelayCore = {
      ...{ store: memoryStore(() => NOW), limits, access: OPEN, nowSec: () => NOW, isOwnUrl: () => true },
      ...{ sessions: new Set(), syncBudget: new SyncBudget(), isBusy: () => true },
    };
    for (const chunk of chunks.slice(0, 3)) await core.store.add(chunk, JSON.stringify(chunk), () => undefined);
    const asked: string[] = [];
    const session = new Session(
      core,
      (frame) => {
        sent.push(frame.toString().slice(0, 12));
        return new Promise((resolve) => take.push(resolve));
      },
      'challenge',
    );
    const requests = Array.from({ length: 100 }, (_, i) => {
      asked.push(`q${i}`);
      return session.receive(Buffer.from(JSON.stringify(['REQ', `q${i}`, {}])));
    });
    await new Promise((resolve) => setImmediate(resolve));
    const started = sent.filter((text) => text.startsWith('["EVENT","q'));
    expect(started).toHaveLength(8);
    await session.receive(Buffer.from(JSON.stringify(['CLOSE', 'q50'])));
    let isDone = false;
    void Promise.all(requests).then(() => (isDone = true));
    while (!isDone) {
      const waiting = take;
      take = [];
      for (const resolve of waiting) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent.filter((text) => text.startsWith('["EVENT"'))).toHaveLength(3 * 99);
    expect(sent.filter((text) => text.startsWith('["EOSE"'))).toHaveLength(99);
  });
});

it('stops reading from clients while too much waits, of one or of all together, and reads on', async () => {
  const traffic = new Traffic({ maxInFlight: 3, maxHeldBytes: 1_000 });
  const finish: (() => void)[] = [];
  const clients = Array.from({ length: 3 }, () => {
    const socket = Object.assign(new EventEmitter(), {
      isPaused: false,
      pause: () => void (socket.isPaused = true),
      resume: () => void (socket.isPaused = false),
    });
    traffic.receiver(socket as unknown as WebSocket, () => new Promise((resolve) => finish.push(resolve)));
    return socket;
  });
  const [busy, large, quiet] = clients as [(typeof clients)[0], (typeof clients)[0], (typeof clients)[0]];
  const paused = () => clients.map(({ isPaused }) => isPaused);
  const finishOne = async () => {
    finish.shift()!();
    await new Promise((resolve) => setImmediate(resolve));
  };
  for (let i = 0; i < 3; i++) busy.emit('message', Buffer.alloc(10));
  expect(paused()).toEqual([true, false, false]);
  await finishOne();
  expect(paused()).toEqual([false, false, false]);
  large.emit('message', Buffer.alloc(970));
  quiet.emit('message', Buffer.alloc(20));
  expect(paused()).toEqual([false, false, true]);
  await finishOne();
  expect(paused()).toEqual([false, false, true]);
  await finishOne();
  expect(paused()).toEqual([false, false, false]);
});
